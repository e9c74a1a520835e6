//! A server for the files of one folder, for this machine only.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

/// Serves a folder until the program is ended.
pub fn serve(folder: &Path, address: &str) -> Result<(), String> {
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    eprintln!("http://{address}/ shows the page; Ctrl-C ends it");
    for stream in listener.incoming().flatten() {
        let folder = folder.to_path_buf();
        thread::spawn(move || {
            // Who goes away before the end need not be told.
            let _ = answer(&folder, stream);
        });
    }
    Ok(())
}

fn answer(folder: &Path, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or("/"));
    let file = file(folder, target).filter(|_| method == Some("GET"));
    let Some((bytes, kind)) = file.and_then(|path| Some((fs::read(&path).ok()?, kind(&path))))
    else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        bytes.len()
    )?;
    stream.write_all(&bytes)
}

/// The file that a request means: plain names only, so that it lies in the folder.
fn file(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let plain = |part: &str| {
        !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let mut parts = path.split('/');
    parts.all(plain).then(|| folder.join(path))
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript",
        Some("css") => "text/css",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder() {
        let folder = Path::new("dist");
        let found = |target| file(folder, target);
        assert_eq!(found("/"), Some("dist/index.html".into()));
        assert_eq!(
            found("/package/a-b_c.js?x=1"),
            Some("dist/package/a-b_c.js".into())
        );
        for outside in [
            "/../a",
            "/a/../../b",
            "/.git/config",
            "/%2e%2e/a",
            "/a\\b",
            "/c:/a",
        ] {
            assert_eq!(found(outside), None, "{outside}");
        }
    }
}
