//! A web server on this machine, for a test.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What is asked of the server.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// The first byte that is asked for, where not all are.
    pub start: Option<usize>,
}

/// What it answers, before it closes the connection.
pub struct Answer {
    /// `200 OK` and the like.
    status: &'static str,
    headers: Vec<String>,
    body: Vec<u8>,
    /// How much of the body is sent.
    sent: usize,
}

impl Answer {
    pub fn new(status: &'static str, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
            sent: body.len(),
        }
    }

    pub fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push(format!("{name}: {value}"));
        self
    }

    /// The connection is cut after so many bytes of the body.
    pub fn cut(mut self, sent: usize) -> Self {
        self.sent = sent;
        self
    }

    /// A file, or the end of it that is asked for.
    pub fn file(bytes: &[u8], request: &Request) -> Self {
        match request.start {
            None => Self::new("200 OK", bytes),
            Some(start) if start < bytes.len() => {
                let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
                Self::new("206 Partial Content", &bytes[start..]).header("Content-Range", range)
            }
            Some(_) => Self::new("416 Range Not Satisfiable", b"")
                .header("Content-Range", format!("bytes */{}", bytes.len())),
        }
    }
}

/// It ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let (list, end) = (seen.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let Some((request, mut stream)) = stream.ok().and_then(read) else {
                    continue;
                };
                let answer = answer(&request);
                list.lock().expect("the list").push(request);
                let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
                for header in &answer.headers {
                    head += &format!("{header}\r\n");
                }
                head += &format!("Content-Length: {}\r\n\r\n", answer.body.len());
                // Whoever asked may have gone away.
                let _ = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(&answer.body[..answer.sent]));
            }
        });
        Self {
            address,
            seen,
            ends,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("the list").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: TcpStream) -> Option<(Request, TcpStream)> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut start = None;
    for line in lines {
        let line = line.ok()?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().ok();
        }
    }
    Some((Request { path, start }, stream))
}
