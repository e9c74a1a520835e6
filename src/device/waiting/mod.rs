//! Waiting for a GPU. Everything that waits is a future, and both kinds of system have the same ones.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(not(target_arch = "wasm32"))]
pub use native::{Mapping, Submission};
#[cfg(target_arch = "wasm32")]
pub(super) use web::Refusals;
#[cfg(target_arch = "wasm32")]
pub use web::{Mapping, Submission};
