//! The crate's error.

use crate::device::DeviceError;
use crate::image::ImageError;
use crate::net::NetError;

/// Anything that can go wrong between a recipe and its picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device is missing, refuses, or fails.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A picture cannot be read, written or resized.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A network or a layer is missing or wrong.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A recipe asks for something that cannot be.
    #[error("{0}")]
    Recipe(String),
    /// A recipe file cannot be read.
    #[error("{}: {reason}", .path.display())]
    RecipeFile {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan is larger than the device's memory or its limit for one buffer.
    #[error(
        "{what} needs {} and {device} has {}{}{}",
        bytes(*.needed),
        bytes(*.limit),
        .largest.map(|side| format!("; the largest size that fits is {side}")).unwrap_or_default(),
        .uncut.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default()
    )]
    TooLarge {
        /// What does not fit.
        what: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        limit: u64,
        /// The device.
        device: String,
        /// The largest long side that would fit, where it is known.
        largest: Option<u32>,
        /// Why it cannot be seen in bands, or in thinner ones, where that was tried.
        uncut: Option<String>,
    },
    /// The terms and layers of a plan do not fit together.
    #[error("{0}")]
    Plan(String),
    /// A checkpoint cannot be written, read, or gone on from.
    #[error("checkpoint '{}': {reason}", .path.display())]
    Checkpoint {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A results file cannot be written.
    #[error("cannot write {}: {reason}", .path.display())]
    Output {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
}

/// Bytes for people.
fn bytes(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
    } else {
        format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
    }
}
