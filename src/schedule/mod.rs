//! Runs programs: on a GPU as command buffers, on the `cpu` device call by call. An [`Executor`] runs an iteration
//! again and again, a [`Loaded`] program runs once.

mod allowed;
#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod cooperative;
mod executor;
mod gpu;
mod loaded;
mod measure;
mod slices;
mod tune;
mod warm;

pub use allowed::is_allowed_async;
#[cfg(not(target_arch = "wasm32"))]
pub use blocking::is_allowed;
pub use executor::{Executor, Step};
pub use loaded::{Kept, Loaded};
pub use measure::Deviation;
