//! Why there is no server, and why a request is refused.

use std::io;
use std::path::PathBuf;

use hyper::StatusCode;

/// Why the server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The host has no address.
    #[error(
        "--host: '{0}' is neither an address nor the name of a machine: 127.0.0.1 is this one, 0.0.0.0 any network"
    )]
    NoHost(String),
    /// Another program has the port.
    #[error(
        "port {port} of {host} is in use: choose another with --port, or 0 for any that is free"
    )]
    PortInUse {
        /// The address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The address cannot be listened at.
    #[error("nothing can be served at {host}, port {port}")]
    NoPort {
        /// The address.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The folder of the results cannot be written to.
    #[error("--output: no picture can be written to '{}'", .path.display())]
    Output {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or the token cannot be made.
    #[error("the server cannot begin: {0}")]
    Begin(String),
}

/// A request that is not done, with what is told.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// Something that is wrong with what was asked.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<pixgrad::Error> for Refusal {
    fn from(error: pixgrad::Error) -> Self {
        Self::wrong(error.with_causes())
    }
}
