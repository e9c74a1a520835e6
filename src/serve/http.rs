//! Connections: how many there may be, how long they may take, how much they may send.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use super::error::ServeError;
use super::guard::Guard;
use super::routes::{Desk, answer};
use super::studio::Studio;

/// Connections at one time.
const MOST_CONNECTIONS: usize = 128;

/// The first lines of a request must have come after this; a connection without a request lasts no longer.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// What the first lines of a request may take.
const HEADER_BYTES: usize = 32 << 10;

/// Threads for what takes time: decoding a picture, planning.
const THREADS: usize = 4;

/// After the end of a run those who watch it may still see how it ended.
const FAREWELL: Duration = Duration::from_millis(1500);

/// A port that is listened at, before anything is served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    guard: Guard,
    url: String,
}

impl Listener {
    /// Takes the port of an address of this machine; 0 is any free one.
    ///
    /// # Errors
    /// There is no such address, or the port is in use.
    pub fn bind(host: &str, port: u16) -> Result<Self, ServeError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = (bare, port).to_socket_addrs();
        let mut found: Vec<SocketAddr> = found.map_or_else(|_| Vec::new(), Iterator::collect);
        // `localhost` has two addresses, of which browsers know both.
        found.sort_by_key(SocketAddr::is_ipv6);
        let address = found
            .first()
            .ok_or_else(|| ServeError::NoHost(host.to_string()))?;
        let socket = TcpListener::bind(address).map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => ServeError::PortInUse {
                host: host.to_string(),
                port,
            },
            _ => ServeError::NoPort {
                host: host.to_string(),
                port,
                source,
            },
        })?;
        let begin = |error: std::io::Error| ServeError::Begin(error.to_string());
        socket.set_nonblocking(true).map_err(begin)?;
        let address = socket.local_addr().map_err(begin)?;
        let guard =
            Guard::new(bare, address).map_err(|error| ServeError::Begin(error.to_string()))?;
        let shown = match address.ip() {
            ip if ip.is_unspecified() => own_address(ip).map_or_else(|| "localhost".into(), in_url),
            _ if bare.parse::<IpAddr>().is_err() => bare.to_string(),
            ip => in_url(ip),
        };
        let token = guard
            .token()
            .map_or(String::new(), |token| format!("?token={token}"));
        let url = format!("http://{shown}:{}/{token}", address.port());
        Ok(Self { socket, guard, url })
    }

    /// Whether only this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.guard.token().is_none()
    }
}

/// An address as it stands in a URL.
fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The address at which other machines reach this one, as far as the system knows. Nothing is sent.
fn own_address(of: IpAddr) -> Option<IpAddr> {
    let (own, other) = match of {
        IpAddr::V4(_) => ("0.0.0.0:0", "192.0.2.1:9"),
        IpAddr::V6(_) => ("[::]:0", "[2001:db8::1]:9"),
    };
    let socket = UdpSocket::bind(own).ok()?;
    socket.connect(other).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A server at work. It ends when this is dropped.
pub struct Server {
    url: String,
    studio: Arc<Studio>,
    ends: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Serves a studio on a thread of its own.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(listener: Listener, studio: Arc<Studio>) -> Result<Self, ServeError> {
        let begin = |error: std::io::Error| ServeError::Begin(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(THREADS)
            .build()
            .map_err(begin)?;
        let Listener { socket, guard, url } = listener;
        let socket = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(socket).map_err(begin)?
        };
        let (ends, ended) = watch::channel(false);
        let desk = Arc::new(Desk::new(Arc::clone(&studio), guard));
        let thread = std::thread::Builder::new().name("server".into());
        let thread = thread.spawn(move || {
            runtime.block_on(accept(socket, desk, ended));
            // What is being decoded for nobody is not waited for.
            runtime.shutdown_background();
        });
        Ok(Self {
            url,
            studio,
            ends,
            thread: Some(thread.map_err(begin)?),
        })
    }

    /// Where the page is, with the token.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it serves.
    pub fn studio(&self) -> &Arc<Studio> {
        &self.studio
    }

    /// Lets those who watch a run see how it ended, before the server ends.
    pub fn say_goodbye(&self) {
        if self.studio.is_watched() {
            std::thread::sleep(FAREWELL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // It only fails where it has panicked, which was told.
            let _ = thread.join();
        }
    }
}

async fn accept(
    socket: tokio::net::TcpListener,
    desk: Arc<Desk>,
    mut ended: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = ended.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Too many files are open, or the peer is gone already.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    serve(stream, desk).await;
                    drop(place);
                });
            }
            Err(_) => drop(tokio::spawn(turn_away(stream))),
        }
    }
}

async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    // Events are short, and each is wanted at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(desk, request).await) }
    });
    let mut connection = http1::Builder::new();
    connection
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .half_close(false);
    // A peer that breaks off or talks nonsense is gone; there is nobody to tell.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// One connection too many.
async fn turn_away(mut stream: TcpStream) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\n\
        Content-Length: 26\r\n\r\nthere are too many of you\n";
    let told = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await
    };
    // Whether it arrives is all the same.
    let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_and_a_host_without_an_address_are_told() {
        let taken = Listener::bind("127.0.0.1", 0).expect("a port");
        assert!(taken.is_loopback() && taken.url.starts_with("http://127.0.0.1:"));
        let port = taken.socket.local_addr().expect("an address").port();
        let error = Listener::bind("127.0.0.1", port).expect_err("in use");
        assert!(error.to_string().contains("is in use"), "{error}");
        let error = Listener::bind("no such host.invalid", 0).expect_err("no host");
        assert!(
            error.to_string().contains("127.0.0.1 is this one"),
            "{error}"
        );
        let all = Listener::bind("0.0.0.0", 0).expect("a port");
        assert!(
            !all.is_loopback() && all.url.contains("/?token="),
            "{}",
            all.url
        );
    }
}
