//! The run of a compiled recipe: its scales from coarse to fine, checkpoints, forecasts, series of pictures.

#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod checkpoint;
mod command;
mod error;
mod estimate;
pub(crate) mod fingerprint;
mod forecast;
mod made;
mod rescale;
#[expect(clippy::module_inception, reason = "the type `Run` of the room `run`")]
mod run;
mod series;
mod texture;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointProblem};
pub use command::{CommandProvenance, MadeByCommand, MadeWith, Origin};
pub use error::{RunError, TextureError};
pub use forecast::{Pace, ScaleForecast};
pub use made::{Finish, Made, MadeError, MadeOf, Provenance};
pub use run::{Outcome, Progress, Run};
pub use series::Series;
pub use texture::TEXTURE_FORMATS;
