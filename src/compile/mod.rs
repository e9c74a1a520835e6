//! From a recipe to programs: pictures are read, layers found, sizes fixed, targets computed, terms made.
//!
//! A `CompiledRecipe` holds what can be known without device memory; it makes the iteration of each scale.

pub(crate) mod activations;
mod init;
pub(crate) mod layers;
mod masks;
mod model;
mod normal;
pub(crate) mod objective;
pub(crate) mod pictures;
pub(crate) mod recipe;
mod report;
pub(crate) mod reuse;
mod sizes;
pub(crate) mod stages;
mod statistics;
mod style_targets;
mod targets;

pub use layers::default_layers;
pub use model::auto_model;
pub use report::ScaleReport;
