//! What can be asked, and the answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, channel::Channel};
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    HeaderValue, SET_COOKIE,
};
use hyper::{Method, Request, Response, StatusCode};
use pixgrad::Made;
use pixgrad::engine::net;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::asked::{Asked, check_model, missing};
use super::error::Refusal;
use super::events;
use super::files;
use super::guard::Guard;
use super::job::{Phase, Scale};
use super::pictures::{self, Upload, check_label};
use super::studio::Studio;

/// Bytes of the file of a picture, at most.
const PICTURE_BYTES: u64 = 128 << 20;

/// Bytes of any other request, at most.
const JSON_BYTES: u64 = 1 << 20;

/// Pictures that are uploaded at one time; others wait.
const UPLOADS: usize = 2;

/// A body that stands still for so long is given up, and one that has not come after so long.
const STALL: Duration = Duration::from_secs(20);
const UPLOAD_TIME: Duration = Duration::from_secs(600);

/// Streams of events at one time.
const STREAMS: usize = 64;

/// What a page of this server may do: load what is here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Body = Either<Full<Bytes>, Channel<Bytes, Infallible>>;

/// Whatever answers need.
pub struct Desk {
    studio: Arc<Studio>,
    guard: Guard,
    uploads: Semaphore,
    streams: Arc<Semaphore>,
}

impl Desk {
    pub fn new(studio: Arc<Studio>, guard: Guard) -> Self {
        Self {
            studio,
            guard,
            uploads: Semaphore::new(UPLOADS),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}

/// Answers a request, also with what is wrong with it.
pub async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> Response<Body> {
    let is_post = request.method() == Method::POST;
    let mut response = match checked(&desk, request).await {
        Ok(response) => response,
        Err(refusal) => {
            let mut response = json_of(&json!({ "error": refusal.message }));
            *response.status_mut() = refusal.status;
            if is_post {
                // What is left of the body is not read.
                let headers = response.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn checked(desk: &Arc<Desk>, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let path = request.uri().path().to_string();
    let query = request.uri().query().unwrap_or_default();
    let is_page = !path.starts_with("/api/");
    let token = value_of(query, "token").filter(|_| path == "/");
    desk.guard.check(
        request.method(),
        is_page,
        request.headers(),
        token.as_deref(),
    )?;
    if is_page {
        let mut response = page(request.method(), &path)?;
        if let (Some(token), true) = (token, desk.guard.token().is_some()) {
            let cookie = desk.guard.set_cookie(&token);
            let cookie = HeaderValue::from_str(&cookie).map_err(|_| Refusal::wrong("token"))?;
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        return Ok(response);
    }
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    if request.method() == Method::GET {
        read(desk, &parts, query).await
    } else if request.method() == Method::POST {
        let query = query.to_string();
        write(desk, &parts, &query, request).await
    } else {
        Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and POST are understood",
        ))
    }
}

/// The page and its files.
fn page(method: &Method, path: &str) -> Result<Response<Body>, Refusal> {
    if method != Method::GET && method != Method::HEAD {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "the page can only be read",
        ));
    }
    let mut response = match path.trim_start_matches('/') {
        "" | "index.html" => bytes_of("text/html; charset=utf-8", files::index().into()),
        name => {
            let (kind, bytes) = files::find(name).ok_or_else(nothing)?;
            bytes_of(kind, Bytes::from_static(bytes))
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn nothing() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing of this name")
}

fn bytes_of(kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(bytes)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json_of(value: &Value) -> Response<Body> {
    bytes_of("application/json", value.to_string().into())
}

fn done() -> Response<Body> {
    json_of(&json!({}))
}

async fn read(desk: &Arc<Desk>, parts: &[&str], query: &str) -> Result<Response<Body>, Refusal> {
    let studio = &desk.studio;
    match parts {
        ["devices"] => Ok(json_of(&studio.about())),
        ["runs"] => Ok(json_of(&studio.list())),
        ["events"] => {
            let number = value_of(query, "run")
                .map(|number| number_of(&number))
                .transpose()?;
            let job = number.map(|number| studio.job(number)).transpose()?;
            let too_many = |_| {
                Refusal::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many pages watch already",
                )
            };
            let place = Arc::clone(&desk.streams)
                .try_acquire_owned()
                .map_err(too_many)?;
            let (sender, body) = Channel::new(4);
            let studio = Arc::clone(studio);
            tokio::spawn(async move {
                events::stream(studio, job, sender).await;
                drop(place);
            });
            let mut response = Response::new(Either::Right(body));
            let kind = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
        ["pictures", id] => {
            let upload = upload(studio, id)?;
            let file =
                aside(move || Ok(upload.image.to_png().map_err(pixgrad::Error::from)?)).await?;
            Ok(bytes_of("image/png", file.into()))
        }
        ["runs", number] => {
            let job = studio.job(number_of(number)?)?;
            Ok(json_of(&job.whole(&mut Default::default())))
        }
        ["runs", number, "image"] => {
            let job = studio.job(number_of(number)?)?;
            let Some(preview) = job.preview() else {
                return match job.saved() {
                    Some(_) => Ok(bytes_of("image/png", job.file().await?)),
                    None => Err(Refusal::new(
                        StatusCode::NOT_FOUND,
                        "the run has no picture yet",
                    )),
                };
            };
            let encoded = aside(move || {
                preview
                    .file()
                    .ok_or_else(|| Refusal::wrong("the picture cannot be shown"))
            });
            let (kind, file) = encoded.await?;
            Ok(bytes_of(kind, file))
        }
        ["runs", number, "file"] => {
            let job = studio.job(number_of(number)?)?;
            let mut response = bytes_of("image/png", job.file().await?);
            // The name is the server's own: letters, digits and hyphens.
            let name = format!("attachment; filename=\"pixgrad-{}.png\"", job.about.number);
            if let Ok(name) = HeaderValue::from_str(&name) {
                response.headers_mut().insert(CONTENT_DISPOSITION, name);
            }
            Ok(response)
        }
        _ => Err(nothing()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weight {
    term: usize,
    weight: f64,
}

async fn write(
    desk: &Arc<Desk>,
    parts: &[&str],
    query: &str,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let studio = Arc::clone(&desk.studio);
    match parts {
        ["pictures"] => {
            let name = value_of(query, "name").unwrap_or_default();
            check_label(&name)?;
            studio.place(None)?;
            let upload = {
                let _place = desk.uploads.acquire().await;
                let file = body(request, PICTURE_BYTES).await?;
                aside(move || pictures::read(&name, &file)).await?
            };
            Ok(kept(&studio, upload))
        }
        ["pictures", id, "square"] => {
            let of = upload(&studio, id)?;
            let side = value_of(query, "side")
                .and_then(|side| side.parse().ok())
                .unwrap_or(0);
            body(request, JSON_BYTES).await?;
            let square = aside(move || pictures::square(&of, side)).await?;
            Ok(kept(&studio, square))
        }
        ["recipe"] => {
            let file = {
                let _place = desk.uploads.acquire().await;
                body(request, PICTURE_BYTES).await?
            };
            let read = aside(move || {
                let made = Made::of("picture".as_ref(), &file).map_err(|error| {
                    let cause = std::error::Error::source(&error)
                        .map_or(String::new(), |cause| format!(": {cause}"));
                    Refusal::wrong(format!("{error}{cause}"))
                })?;
                let names = made.recipe.picture_names();
                Ok(json!({ "recipe": made.recipe, "model": made.recipe.model, "pictures": names }))
            });
            Ok(json_of(&read.await?))
        }
        ["network"] => {
            let asked: Asked = object(request).await?;
            let found = aside(move || {
                check_model(&asked.model)?;
                let network = asked.place(&studio)?.network(&asked.model)?;
                let graph: &net::Network = network.graph();
                let layers: Vec<&str> = graph.layers().map(|node| &*node.name).collect();
                Ok(json!({
                    "name": asked.model,
                    "classes": graph.class_names().unwrap_or_default(),
                    "layers": layers,
                }))
            });
            Ok(json_of(&found.await?))
        }
        ["classify"] => {
            let asked: Asked = object(request).await?;
            let top = value_of(query, "top")
                .and_then(|top| top.parse().ok())
                .unwrap_or(5);
            Ok(json_of(&aside(move || asked.classify(&studio, top)).await?))
        }
        ["plan"] => {
            let asked: Asked = object(request).await?;
            let scales = aside(move || {
                let answer = asked.answer(&studio)?;
                let scales = answer.recipe.dry_run(&answer.network)?;
                Ok(json!(scales.iter().map(Scale::from).collect::<Vec<_>>()))
            });
            Ok(json_of(&scales.await?))
        }
        ["runs"] => {
            let asked: Asked = object(request).await?;
            let job = aside(move || studio.queue(&asked)).await?;
            Ok(json_of(&job.whole(&mut Default::default())))
        }
        ["runs", number, what] => {
            let job = studio.job(number_of(number)?)?;
            match *what {
                "weights" => {
                    let Weight { term, weight } = object(request).await?;
                    job.set_weight(term, weight).await?;
                    return Ok(done());
                }
                "keep" => {
                    body(request, JSON_BYTES).await?;
                    let file = job.file().await?;
                    let upload = aside(move || pictures::read("result", &file)).await?;
                    return Ok(kept(&studio, upload));
                }
                "pause" | "go" | "stop" => {}
                _ => return Err(nothing()),
            }
            body(request, JSON_BYTES).await?;
            match *what {
                _ if job.phase().is_over() => {
                    return Err(Refusal::new(StatusCode::CONFLICT, "the run is over"));
                }
                "stop" => studio.stop(&job),
                "pause" if job.phase() == Phase::Queued => {
                    return Err(Refusal::new(StatusCode::CONFLICT, "the run has not begun"));
                }
                what => job.pause(what == "pause"),
            }
            Ok(done())
        }
        _ => Err(nothing()),
    }
}

fn number_of(text: &str) -> Result<u64, Refusal> {
    text.parse()
        .map_err(|_| Refusal::wrong("the number of a run is missing"))
}

fn upload(studio: &Studio, id: &str) -> Result<Upload, Refusal> {
    studio.pictures.lock().find(id).ok_or_else(|| missing(id))
}

/// Keeps a picture and tells what it is.
fn kept(studio: &Studio, upload: Upload) -> Response<Body> {
    let (width, height) = upload.image.size();
    let told = json!({
        "id": upload.id,
        "width": width,
        "height": height,
        "full": { "width": upload.full.0, "height": upload.full.1 },
    });
    studio.pictures.lock().keep(upload);
    json_of(&told)
}

/// Does what takes time on another thread.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let bug = |_| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this is a bug of pixgrad",
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(bug)?
}

/// The body of a request, whole.
async fn body(request: Request<Incoming>, most: u64) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("more than {} MB is too much", most >> 20);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come");
    let end = Instant::now() + UPLOAD_TIME;
    let mut incoming = request.into_body();
    let mut bytes = Vec::new();
    loop {
        let next = timeout(STALL.min(end - Instant::now()), incoming.frame());
        match next.await.map_err(slow)? {
            None => return Ok(bytes),
            Some(Err(_)) => return Err(Refusal::wrong("the body was cut off")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    if (bytes.len() + data.len()) as u64 > most {
                        return Err(too_large());
                    }
                    bytes.extend_from_slice(&data);
                }
            }
        }
    }
}

/// The body of a request as an object.
async fn object<T: for<'de> Deserialize<'de>>(request: Request<Incoming>) -> Result<T, Refusal> {
    let bytes = body(request, JSON_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::wrong(error.to_string()))
}

/// A value of a query, decoded.
fn value_of(query: &str, key: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value);
    decoded(values.next()?)
}

/// Text of which some bytes are `%XX`; none if it is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (16 * digit()? + digit()?) as u8
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let query = "name=Stra%C3%9Fe%201.png&side=7&token=";
        assert_eq!(value_of(query, "name").as_deref(), Some("Straße 1.png"));
        assert_eq!(value_of(query, "side").as_deref(), Some("7"));
        assert_eq!(value_of(query, "token").as_deref(), Some(""));
        assert_eq!(value_of(query, "nam"), None);
        assert_eq!(value_of("name=%", "name"), None);
        assert_eq!(value_of("name=%ff", "name"), None);
        assert_eq!(
            value_of("name=..%2F..%2Fa", "name").as_deref(),
            Some("../../a")
        );
    }
}
