//! Who may ask. A page of another site that a browser shows must reach nothing here, and neither must a machine that
//! was not told the token.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use hyper::{HeaderMap, Method, StatusCode};

use super::error::Refusal;

/// Bytes of a token.
const TOKEN: usize = 16;

/// What requests are checked against.
#[derive(Debug)]
pub struct Guard {
    /// The host that was asked for, in small letters.
    host: String,
    /// Whether only this machine can connect.
    is_loopback: bool,
    port: u16,
    token: Option<String>,
}

impl Guard {
    /// Of a server at an address; one that others can reach has a token.
    ///
    /// # Errors
    /// The system has no source of randomness.
    pub fn new(host: &str, address: std::net::SocketAddr) -> Result<Self, getrandom::Error> {
        let is_loopback = address.ip().is_loopback();
        let token = if is_loopback { None } else { Some(token()?) };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            is_loopback,
            port: address.port(),
            token,
        })
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The cookie that keeps the token. Cookies of a machine are common to its ports.
    fn cookie(&self) -> String {
        format!("pixgrad-{}", self.port)
    }

    /// What a browser is told that came with the token in its URL.
    pub fn set_cookie(&self, token: &str) -> String {
        format!(
            "{}={token}; Path=/; HttpOnly; SameSite=Strict",
            self.cookie()
        )
    }

    /// Whether a request may be answered; `given` is the token in its URL.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(
        &self,
        method: &Method,
        is_page: bool,
        headers: &HeaderMap,
        given: Option<&str>,
    ) -> Result<(), Refusal> {
        let refused = |message: String| Err(Refusal::new(StatusCode::FORBIDDEN, message));
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
            (Some(Ok(host)), None) => host.to_ascii_lowercase(),
            _ => return refused("the request must name one host".into()),
        };
        if !self.is_own(&host) {
            return refused(format!(
                "this server is not called '{}': open it by its address, or start it with --host and that name",
                host.chars().take(100).collect::<String>()
            ));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let (_, place) = origin.split_once("://").unwrap_or_default();
            if place != host {
                return refused("another site may ask nothing of this server".into());
            }
        }
        let site = headers.get(HeaderName::from_static("sec-fetch-site"));
        if !is_page && site.is_some_and(|site| site != "same-origin" && site != "none") {
            return refused("another site may ask nothing of this server".into());
        }
        if method == Method::POST && !is_unlike_a_form(headers) {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content-type must be application/json, of a picture application/octet-stream or image/…",
            ));
        }
        match &self.token {
            Some(token) if !self.carries(headers, given, token) => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "the token is missing or another one: open the address that pixgrad printed, to its last letter",
            )),
            _ => Ok(()),
        }
    }

    /// Whether a Host header names this server: by a name that nobody else can give to an address, whatever the port,
    /// which an ssh tunnel may change.
    fn is_own(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((name, port)) if port.is_empty() || is_port(port) => name,
                _ => return false,
            },
            None => match host.split_once(':') {
                Some((name, port)) if port.parse::<u16>().is_ok() => name,
                Some(_) => return false,
                None => host,
            },
        };
        match name.parse::<IpAddr>() {
            Ok(address) => !self.is_loopback || address.is_loopback(),
            Err(_) => name == "localhost" || name == self.host,
        }
    }

    fn carries(&self, headers: &HeaderMap, given: Option<&str>, token: &str) -> bool {
        let is = |other: &str| same(other, token);
        let bearer = headers.get(AUTHORIZATION).and_then(|h| h.to_str().ok());
        let bearer = bearer.and_then(|text| text.strip_prefix("Bearer "));
        if given.into_iter().chain(bearer).any(is) {
            return true;
        }
        let own = self.cookie();
        let cookies = headers.get_all(COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == own && is(value))
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether the content type is one that no form of another site can send.
fn is_unlike_a_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(hyper::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind == "application/octet-stream" || kind.starts_with("image/")
}

/// Whether two texts are equal, in a time that does not tell where they differ.
fn same(a: &str, b: &str) -> bool {
    let different = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && different == 0
}

fn token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; TOKEN];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().expect("a header"));
        }
        headers
    }

    fn guard(address: &str) -> Guard {
        Guard::new("studio.lan", address.parse().expect("an address")).expect("a token")
    }

    fn status(
        guard: &Guard,
        method: &Method,
        list: &[(&'static str, &str)],
        token: Option<&str>,
    ) -> u16 {
        match guard.check(method, false, &headers(list), token) {
            Ok(()) => 200,
            Err(refusal) => refusal.status.as_u16(),
        }
    }

    #[test]
    fn a_name_that_somebody_else_can_give_is_refused() {
        let guard = guard("127.0.0.1:8787");
        for (host, expected) in [
            ("127.0.0.1:8787", 200),
            ("localhost:8787", 200),
            ("LOCALHOST", 200),
            ("localhost:9000", 200),
            ("[::1]:8787", 200),
            ("studio.lan:8787", 200),
            ("evil.example:8787", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("192.168.1.5:8787", 403),
            ("[::1]x", 403),
            ("localhost:1:2", 403),
            ("", 403),
        ] {
            assert_eq!(
                status(&guard, &Method::GET, &[("host", host)], None),
                expected,
                "{host}"
            );
        }
        assert_eq!(status(&guard, &Method::GET, &[], None), 403);
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(status(&guard, &Method::GET, &two, None), 403);
    }

    #[test]
    fn another_site_is_refused() {
        let guard = guard("127.0.0.1:8787");
        let host = ("host", "127.0.0.1:8787");
        let json = ("content-type", "application/json; charset=utf-8");
        for (more, expected) in [
            (("origin", "http://127.0.0.1:8787"), 200),
            (("origin", "http://127.0.0.1:3000"), 403),
            (("origin", "http://evil.example"), 403),
            (("origin", "null"), 403),
            (("sec-fetch-site", "same-origin"), 200),
            (("sec-fetch-site", "cross-site"), 403),
            (("sec-fetch-site", "same-site"), 403),
        ] {
            assert_eq!(
                status(&guard, &Method::POST, &[host, json, more], None),
                expected,
                "{more:?}"
            );
        }
        for form in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ] {
            let list = [host, ("content-type", form)];
            assert_eq!(status(&guard, &Method::POST, &list, None), 415, "{form}");
        }
        assert_eq!(status(&guard, &Method::POST, &[host], None), 415);
    }

    #[test]
    fn whoever_comes_from_elsewhere_needs_the_token() {
        let guard = guard("0.0.0.0:8787");
        let token = guard.token().expect("a token").to_string();
        assert_eq!(token.len(), 32);
        let host = ("host", "192.168.1.5:8787");
        let get = |list: &[(&'static str, &str)], given| status(&guard, &Method::GET, list, given);
        assert_eq!(get(&[host], None), 401);
        assert_eq!(get(&[host], Some("")), 401);
        assert_eq!(get(&[host], Some(&token[1..])), 401);
        assert_eq!(get(&[host], Some(&token)), 200);
        let cookie = format!("a=b; pixgrad-8787={token}");
        assert_eq!(get(&[host, ("cookie", &cookie)], None), 200);
        let other = format!("pixgrad-8788={token}");
        assert_eq!(get(&[host, ("cookie", &other)], None), 401);
        let bearer = format!("Bearer {token}");
        assert_eq!(get(&[host, ("authorization", &bearer)], None), 200);
        assert_eq!(get(&[("host", "evil.example")], Some(&token)), 403);
        assert!(super::tests::guard("[::1]:1").token().is_none());
    }
}
