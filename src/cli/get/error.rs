//! What can go wrong with a download.

use std::io;
use std::path::PathBuf;

use pixgrad::NetError;

/// Why a network is not installed. What came so far stays, unless the message says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error(
        "the catalogue has no network `{name}`; it has {known}. Any other file is installed by `pixgrad models import`"
    )]
    Unknown { name: String, known: String },
    #[error("`{name}` is part of the program and needs no download{whole}")]
    Embedded { name: String, whole: String },
    #[error(
        "another file is installed as `{name}`: {} has not the SHA-256 {sha256}... of the catalogue; `pixgrad models \
         remove {name}` makes room",
        .path.display()
    )]
    Taken {
        name: String,
        path: PathBuf,
        sha256: String,
    },
    #[error("--from takes a folder or a URL of http or https, and `{from}` is neither")]
    From { from: String },
    #[error("there is no file {}; --from takes a folder that has the file under this name", .path.display())]
    NotInFolder { path: PathBuf },
    #[error("'{}' cannot be read", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("another process is downloading `{name}`")]
    Busy { name: String },
    #[error("{url} cannot be reached; {offline}")]
    Unreachable {
        url: String,
        offline: String,
        source: Box<ureq::Error>,
    },
    #[error("the server has no file {url} (404); {elsewhere}")]
    NotFound { url: String, elsewhere: String },
    #[error("the server answers {status} to {url}; {advice}")]
    Status {
        url: String,
        status: u16,
        advice: String,
    },
    #[error(
        "a web page came in place of the file {url}: it may be that of a network that wants a login, or the file has \
         moved; {elsewhere}"
    )]
    Page { url: String, elsewhere: String },
    #[error("the file {from} has {found} bytes where the catalogue says {expected}; {elsewhere}")]
    Length {
        from: String,
        found: u64,
        expected: u64,
        elsewhere: String,
    },
    #[error("{came} {from} came before the connection was cut; the same command goes on from there{}",
        .cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default())]
    Cut {
        came: String,
        from: String,
        cause: Option<io::Error>,
    },
    #[error("the disk is full after {came}; the same command goes on once there is room at {}", .path.display())]
    Full {
        came: String,
        path: PathBuf,
        source: io::Error,
    },
    #[error("'{}' cannot be written", .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(
        "the file from {from} has the SHA-256 {found}... where the catalogue says {expected}: it was damaged or is \
         another file. It was removed, and the same command starts again; {elsewhere}"
    )]
    Hash {
        from: String,
        found: String,
        expected: String,
        elsewhere: String,
    },
    #[error(
        "the file from {from} is the right one by its SHA-256, but pixgrad cannot open it. It was removed"
    )]
    NoNetwork {
        from: String,
        #[source]
        problem: Box<NetError>,
    },
}
