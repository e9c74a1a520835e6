//! The crate's error.
//!
//! Every room has errors of its own, in its file `error.rs`. A cause that comes from elsewhere, such as the operating
//! system or the TOML parser, is the error's [`source`](std::error::Error::source) and is not in its message. What is
//! wrong with a part of ours is in the message of the whole and is not its source. So a program that prints an error
//! with its causes prints everything once.

use std::fmt::Write as _;

use crate::device::DeviceError;
use crate::image::ImageError;
use crate::kernels::WarpError;
use crate::layer::UndeclaredRead;
use crate::methods::MethodError;
use crate::net::NetError;
use crate::objective::ObjectiveError;
use crate::plan::PlanError;
use crate::run::{CheckpointError, RunError, TextureError};
use crate::spec::RecipeError;
use crate::spec::terms::TermError;

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
    /// A layer is not implemented as it should be.
    #[error(transparent)]
    Layer(#[from] UndeclaredRead),
    /// A recipe cannot be read, or asks for something that cannot be.
    #[error(transparent)]
    Recipe(Box<RecipeError>),
    /// A method is asked for something that it cannot do.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The numbers of a term do not fit its layer or the batch.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// A random affine map cannot be drawn.
    #[error(transparent)]
    Warp(#[from] WarpError),
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
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        limit: u64,
        /// The device.
        device: String,
        /// The largest long side that would fit, where it is known.
        largest: Option<u32>,
        /// Why it cannot be seen in bands, or in thinner ones, where that was tried.
        uncut: Option<Box<Error>>,
    },
    /// The terms, layers, bands and memory of a program do not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A run cannot begin, or take what it is given.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The image cannot be copied to a texture.
    #[error(transparent)]
    Texture(#[from] TextureError),
    /// A checkpoint cannot be written, read, or resumed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Error {
    /// The message followed by those of its causes, as the command line prints it: `'a.png' cannot be read: permission
    /// denied`. A cause that the message tells already is not repeated.
    #[must_use]
    pub fn with_causes(&self) -> String {
        with_causes(self)
    }
}

/// A message followed by those of its causes, each once.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.contains(&told) {
            let _ = write!(text, ": {told}");
        }
        next = cause.source();
    }
    text
}

impl From<RecipeError> for Error {
    fn from(error: RecipeError) -> Self {
        Self::Recipe(Box::new(error))
    }
}

impl From<TermError> for Error {
    fn from(error: TermError) -> Self {
        RecipeError::from(error).into()
    }
}

/// Bytes for people.
fn bytes(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
    } else if bytes >= 1 << 20 {
        format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
    } else {
        format!("{:.1} KiB", bytes as f64 / 1024.0)
    }
}

#[cfg(test)]
mod tests;
