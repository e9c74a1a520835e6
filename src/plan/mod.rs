//! Programs: lists of kernel calls with memory for every value. An [`Iteration`] is one that steps the image.
//!
//! Making one touches no device memory.

mod bands;
mod error;
mod fused;
mod gradient;
mod iteration;
mod kept;
mod memory;
mod network;
mod passes;
mod placed;
mod precision;
mod program;

pub use bands::{Bands, fewest_bands};
pub use error::PlanError;
pub use gradient::Gradient;
pub use iteration::{Handles, Iteration, Keep, Placed, Problem, RING_ROWS};
pub use memory::{Layout, Place};
pub use network::Network;
pub use passes::Forward;
pub use precision::Precision;
pub use program::{Cost, Program};
