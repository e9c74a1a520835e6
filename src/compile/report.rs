//! What a scale of a recipe is and costs, known before it runs.

use serde::Serialize;

use crate::plan::Cost;

/// What a scale is and costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScaleReport {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Iterations of the optimizer.
    pub iterations: u64,
    /// In how many bands of rows the network sees the image.
    pub bands: u32,
    /// The most bytes on the device at one time: the plan and the result read from it, or what it takes over from the
    /// scale before.
    pub peak_bytes: u64,
    /// Memory and work of its plan.
    #[serde(flatten)]
    pub cost: Cost,
}
