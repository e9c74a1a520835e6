//! `pixgrad models get`: downloads a network of the catalogue, or copies it from a folder.
//!
//! The file grows under a hidden name in the folder of the installed networks. A later call goes on where an earlier
//! one was cut off. Only what is whole, has the right hash and opens as a network is renamed to the name of a network.

mod error;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pixgrad::engine::net::{self, CatalogueEntry};
use serde_json::json;
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};

use super::progress::Transfer;
use super::{Global, install, terminal};
use error::GetError;

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(30);

/// Time without any byte until a connection is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Download a network and install it
///
/// What is cut off goes on with the same command. The networks are torchvision's, and those of the file catalogue.toml
/// in the folder of the installed networks.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// A name of the catalogue, such as resnet50 or vgg16
    #[arg(value_name = "NAME")]
    name: String,

    /// Fetch the file from a mirror, or copy it from a folder; it is looked for under its usual name
    #[arg(long, value_name = "URL|FOLDER")]
    from: Option<String>,
}

/// Where a file is fetched.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Web(String),
    File(PathBuf),
}

impl Origin {
    fn of(entry: &CatalogueEntry, from: Option<&str>) -> Result<Self, GetError> {
        let Some(from) = from else {
            return Ok(Self::Web(entry.url.clone()));
        };
        let file = entry.file_name();
        if from.starts_with("http://") || from.starts_with("https://") {
            return Ok(Self::Web(format!("{}/{file}", from.trim_end_matches('/'))));
        }
        if from.is_empty() || from.contains("://") {
            return Err(GetError::From {
                from: from.to_string(),
            });
        }
        Ok(Self::File(Path::new(from).join(file)))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Web(url) => f.write_str(url),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A file on its way.
struct Fetch<'a> {
    entry: &'a CatalogueEntry,
    origin: Origin,
    /// Where it will be.
    target: PathBuf,
    /// Where it is until it is whole and right.
    path: PathBuf,
    /// Open, and locked for as long as it is written.
    file: File,
    /// Bytes that are there.
    have: u64,
    quiet: bool,
}

pub fn run(args: &GetArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let name = args.name.as_str();
    let catalogue = net::catalogue()?;
    if install::is_embedded(name) {
        let whole = catalogue.iter().map(|entry| entry.name.as_str());
        let whole = whole.filter(|other| other.starts_with(&format!("{name}_torch")));
        let whole = whole.map(|other| format!("; the catalogue has the whole file as `{other}`"));
        return Err(GetError::Embedded {
            name: name.to_string(),
            whole: whole.collect(),
        }
        .into());
    }
    let Some(entry) = catalogue.iter().find(|entry| entry.name == name) else {
        let known: Vec<&str> = catalogue.iter().map(|entry| entry.name.as_str()).collect();
        return Err(GetError::Unknown {
            name: name.to_string(),
            known: known.join(", "),
        }
        .into());
    };
    let origin = Origin::of(entry, args.from.as_deref())?;
    if let Some(path) = net::find_installed(name)? {
        let sha256 = hash_of(&path)?;
        if !sha256.starts_with(&entry.sha256) {
            return Err(GetError::Taken {
                name: name.to_string(),
                path,
                sha256: entry.sha256.clone(),
            }
            .into());
        }
        global.note(format_args!("note: `{name}` was installed already"));
        return report(entry, &path, &sha256, None, global);
    }
    let folder = install::folder()?;
    fs::create_dir_all(&folder)
        .with_context(|| format!("'{}' cannot be written", folder.display()))?;
    let mut fetch = Fetch::begin(entry, origin, &folder, global)?;
    let fetched = fetch.fetch(global);
    if fetched.is_err() && fetch.have == 0 {
        // Nothing to go on from.
        let _ = fs::remove_file(&fetch.path);
    }
    fetched?;
    let sha256 = fetch.install()?;
    let origin = fetch.origin.to_string();
    report(entry, &fetch.target, &sha256, Some(&origin), global)
}

/// Tells what is installed, and from where if it was not before.
fn report(
    entry: &CatalogueEntry,
    path: &Path,
    sha256: &str,
    origin: Option<&str>,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let bytes = fs::metadata(path).map_or(0, |about| about.len());
    if global.json {
        terminal::print_json(&json!({
            "name": entry.name,
            "path": path.display().to_string(),
            "bytes": bytes,
            "sha256": sha256,
            "from": origin,
        }))?;
    } else {
        terminal::print(format_args!(
            "{}: {}, {}",
            entry.name,
            path.display(),
            terminal::bytes(bytes)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn hash_of(path: &Path) -> Result<String, GetError> {
    let read = File::open(path).and_then(net::sha256);
    read.map_err(|source| GetError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}

impl<'a> Fetch<'a> {
    /// Opens the file that grows, with what an earlier call has left in it.
    fn begin(
        entry: &'a CatalogueEntry,
        origin: Origin,
        folder: &Path,
        global: &Global,
    ) -> Result<Self, GetError> {
        let target = folder.join(entry.installed_name());
        // The hash is in the name: what came of another file is not gone on with.
        let extension = target.extension().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!(".{}-{}.part.{extension}", entry.name, entry.sha256));
        let unwritable = |source| GetError::Unwritable {
            path: path.clone(),
            source,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable)?;
        // Some file systems have no locks.
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            return Err(GetError::Busy {
                name: entry.name.clone(),
            });
        }
        let have = file.metadata().map_err(unwritable)?.len();
        Ok(Self {
            entry,
            origin,
            target,
            have,
            file,
            quiet: global.quiet,
            path,
        })
    }

    /// What to do where this origin does not have the file.
    fn elsewhere(&self) -> String {
        let (file, name) = (self.entry.file_name(), &self.entry.name);
        format!(
            "--from URL|FOLDER takes {file} from elsewhere, and `pixgrad models import {file} --name {name}` installs \
             one that you have"
        )
    }

    fn offline(&self) -> String {
        let (file, name) = (self.entry.file_name(), &self.entry.name);
        format!(
            "without a network, bring {file} from another machine and run `pixgrad models import {file} --name \
             {name}`, or put it at {}",
            self.target.display()
        )
    }

    fn fetch(&mut self, global: &Global) -> Result<(), GetError> {
        match &self.origin {
            Origin::File(path) => {
                let path = path.clone();
                self.copy(&path)
            }
            Origin::Web(url) => {
                let url = url.clone();
                self.download(&url, global)
            }
        }
    }

    fn copy(&mut self, path: &Path) -> Result<(), GetError> {
        let unreadable = |source: io::Error| match source.kind() {
            ErrorKind::NotFound => GetError::NotInFolder {
                path: path.to_path_buf(),
            },
            _ => GetError::Unreadable {
                path: path.to_path_buf(),
                source,
            },
        };
        let mut source = File::open(path).map_err(unreadable)?;
        let total = source.metadata().map_err(unreadable)?.len();
        self.check_length(total)?;
        self.cut_to(0)?;
        self.receive(&[], &mut source, Some(total))
    }

    fn download(&mut self, url: &str, global: &Global) -> Result<(), GetError> {
        let expected = self.entry.size;
        if expected.is_some_and(|size| self.have > size) {
            self.cut_to(0)?;
        }
        if expected == Some(self.have) {
            return Ok(());
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("pixgrad/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .build()
            .into();
        loop {
            let mut request = agent.get(url);
            if self.have > 0 {
                request = request.header(RANGE, format!("bytes={}-", self.have));
            }
            let response = request.call().map_err(|source| GetError::Unreachable {
                url: url.to_string(),
                offline: self.offline(),
                source: Box::new(source),
            })?;
            let header = |name| response.headers().get(name)?.to_str().ok();
            let range = header(CONTENT_RANGE).and_then(Range::parse);
            let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
            let status = response.status().as_u16();
            let start = match status {
                200 => 0,
                206 if self.have > 0 && range.is_some_and(|r| r.start == Some(self.have)) => {
                    self.have
                }
                // The file is all there.
                416 if self.have > 0 && range.is_some_and(|r| r.total == Some(self.have)) => {
                    return Ok(());
                }
                206 | 416 if self.have > 0 => {
                    self.cut_to(0)?;
                    continue;
                }
                _ => return Err(self.refused(url, status)),
            };
            let page = || GetError::Page {
                url: url.to_string(),
                elsewhere: self.elsewhere(),
            };
            if is_page {
                return Err(page());
            }
            let length = response.body().content_length();
            let total = length.map(|length| start + length);
            if let Some(total) = total {
                self.check_length(total)?;
            }
            let mut body = response.into_body().into_reader();
            // What came before is given up only for what looks like a file.
            let mut first = Vec::new();
            if start == 0 {
                let read = body.by_ref().take(512).read_to_end(&mut first);
                read.map_err(|cause| self.cut(Some(cause), total))?;
                if is_html(&first) {
                    return Err(page());
                }
            }
            if start < self.have {
                global.note("note: the server cannot go on where it was cut off; it starts again");
                self.cut_to(0)?;
            }
            let going_on = match self.have {
                0 => String::new(),
                have => format!(", going on after {}", terminal::bytes(have)),
            };
            global.note(format_args!("downloading {url}{going_on}"));
            return self.receive(&first, &mut body, total);
        }
    }

    fn refused(&self, url: &str, status: u16) -> GetError {
        let url = url.to_string();
        match status {
            404 | 410 => GetError::NotFound {
                url,
                elsewhere: self.elsewhere(),
            },
            408 | 429 | 500.. => GetError::Status {
                url,
                status,
                advice: format!("it may do better later; {}", self.elsewhere()),
            },
            _ => GetError::Status {
                url,
                status,
                advice: self.elsewhere(),
            },
        }
    }

    fn check_length(&self, found: u64) -> Result<(), GetError> {
        match self.entry.size {
            Some(expected) if expected != found => Err(GetError::Length {
                from: self.origin.to_string(),
                found,
                expected,
                elsewhere: self.elsewhere(),
            }),
            _ => Ok(()),
        }
    }

    /// Forgets what comes after so many bytes.
    fn cut_to(&mut self, length: u64) -> Result<(), GetError> {
        let cut = self.file.set_len(length);
        cut.map_err(|source| self.unwritable(source))?;
        self.have = length;
        Ok(())
    }

    fn unwritable(&self, source: io::Error) -> GetError {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                GetError::Full {
                    came: terminal::bytes(self.have),
                    path,
                    source,
                }
            }
            _ => GetError::Unwritable { path, source },
        }
    }

    fn cut(&self, cause: Option<io::Error>, total: Option<u64>) -> GetError {
        let of = total.map_or(String::new(), |total| {
            format!(" of {}", terminal::bytes(total))
        });
        GetError::Cut {
            came: format!("{}{of}", terminal::bytes(self.have)),
            from: format!("of {}", self.entry.file_name()),
            cause,
        }
    }

    /// Appends what was read already and what comes, up to the end of the file.
    fn receive(
        &mut self,
        first: &[u8],
        source: &mut dyn Read,
        total: Option<u64>,
    ) -> Result<(), GetError> {
        let mut progress = Transfer::new(self.quiet, self.have, total);
        let seek = self.file.seek(SeekFrom::Start(self.have));
        seek.map_err(|source| self.unwritable(source))?;
        let received = self
            .append(first)
            .and_then(|()| self.append_all(source, total, &mut progress));
        progress.finish();
        received?;
        match total.or(self.entry.size) {
            Some(total) if self.have < total => Err(self.cut(None, Some(total))),
            _ => Ok(()),
        }
    }

    fn append_all(
        &mut self,
        source: &mut dyn Read,
        total: Option<u64>,
        progress: &mut Transfer,
    ) -> Result<(), GetError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.append(&buffer[..count])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cut(Some(error), total)),
            }
            progress.update(self.have);
        }
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<(), GetError> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(self.unwritable(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.have += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unwritable(error)),
            }
        }
        Ok(())
    }

    /// Gives the file its name if it is the right one, else removes it. Returns its SHA-256.
    fn install(&self) -> Result<String, GetError> {
        let checked = self.check();
        if checked.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        let sha256 = checked?;
        // Before the rename, or a power cut could leave the new name with no content behind it.
        let synced = self.file.sync_all();
        let renamed = synced.and_then(|()| fs::rename(&self.path, &self.target));
        renamed.map_err(|source| GetError::Unwritable {
            path: self.target.clone(),
            source,
        })?;
        Ok(sha256)
    }

    fn check(&self) -> Result<String, GetError> {
        let from = || self.origin.to_string();
        self.check_length(self.have)?;
        let sha256 = hash_of(&self.path)?;
        let expected = &self.entry.sha256;
        if !sha256.starts_with(expected) {
            return Err(GetError::Hash {
                from: from(),
                found: sha256[..expected.len()].to_string(),
                expected: expected.clone(),
                elsewhere: self.elsewhere(),
            });
        }
        match net::open_file_as(&self.path, &self.entry.name) {
            Ok(_) => Ok(sha256),
            Err(problem) => Err(GetError::NoNetwork {
                from: from(),
                problem: Box::new(problem),
            }),
        }
    }
}

/// What a server says of the bytes that it sends (RFC 9110, section 14.4): `bytes 100-199/200`, `bytes */200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: Option<u64>,
    total: Option<u64>,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
        let start = range
            .split_once('-')
            .and_then(|(start, _)| start.parse().ok());
        let total = total.parse().ok();
        Some(Self { start, total })
    }
}

/// Whether bytes begin like a web page.
fn is_html(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    ["<!doctype", "<html", "<head", "<?xml"].iter().any(|tag| {
        let begin = start.get(..tag.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = |start, total| Some(Range { start, total });
        assert_eq!(
            Range::parse("bytes 100-199/200"),
            range(Some(100), Some(200))
        );
        assert_eq!(Range::parse("bytes 7-9/*"), range(Some(7), None));
        assert_eq!(Range::parse("bytes */200"), range(None, Some(200)));
        assert_eq!(Range::parse("lines 1-2/3"), None);
        assert_eq!(Range::parse("bytes"), None);
    }

    #[test]
    fn web_pages_are_told_from_files() {
        for page in ["<!DOCTYPE html>", "\n <HTML lang=de>", "\u{feff}<html>"] {
            assert!(is_html(page.as_bytes()), "{page}");
        }
        for file in [
            &b"PK\x03\x04"[..],
            b"",
            b"<",
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P",
        ] {
            assert!(!is_html(file));
        }
    }

    #[test]
    fn files_come_from_the_catalogues_url_a_mirror_or_a_folder() {
        let entry = CatalogueEntry {
            name: "mine".to_string(),
            url: "https://example.org/models/mine-12345678.pth".to_string(),
            size: None,
            sha256: "12345678".to_string(),
        };
        let of = |from| Origin::of(&entry, from);
        let web = |url: &str| Origin::Web(url.to_string());
        assert_eq!(of(None).unwrap(), web(&entry.url));
        for mirror in ["http://mirror/a", "http://mirror/a/"] {
            let expected = web("http://mirror/a/mine-12345678.pth");
            assert_eq!(of(Some(mirror)).unwrap(), expected);
        }
        let path = Path::new("usb").join("mine-12345678.pth");
        assert_eq!(of(Some("usb")).unwrap(), Origin::File(path));
        assert!(of(Some("ftp://mirror")).is_err());
        assert!(of(Some("")).is_err());
    }
}
