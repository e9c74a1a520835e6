//! Recipes: every method is a set of terms, a start image, an optimizer and a schedule for the one engine.

mod answers;
mod attack;
mod checkpoint;
mod dream;
mod evolve;
mod features;
mod fingerprint;
mod fool;
mod forecast;
mod gradient;
mod handover;
mod invert;
mod masks;
mod memo;
mod model;
mod picture;
mod place;
mod prepared;
mod remaining;
mod run;
mod series;
mod spec;
mod start;
mod statistics;
mod steps;
mod style;
mod targets;
mod terms;
mod texture;
mod texture_copy;
mod transfer;
mod visualize;

pub mod classify;
pub mod search;

pub use attack::{Adversarial, Aim, Attack, AttackMethod, Distance, Goal, Watch, attack, top_one};
pub use checkpoint::Checkpoint;
pub use dream::{DreamPreset, DreamSubject, default_dream_layers, zoomed};
pub use evolve::{Evolution, Evolving, median};
pub use features::{Feature, features};
pub use forecast::{Pace, ScaleForecast};
pub use gradient::GradientReport;
pub use invert::inversion_tv;
pub use model::auto_model;
pub use picture::Picture;
pub use run::{Outcome, Progress, Run, ScaleReport};
pub use series::Series;
pub use spec::Progress as ProgressPolicy;
pub use spec::{
    BallNorm, Carry, Class, FilterSpec, ImageSpec, Init, KeepSpec, LayerWeight, MapSpec, Measure,
    MmdKernel, OptimizerKind, OptimizerSpec, Position, PreserveColor, ProjectionSpec, Recipe,
    TermKind, TermSpec,
};
pub use style::{StyleLoss, default_content_layers, default_style_layers};
pub use texture::texture_sheet_layers;
pub use texture_copy::TEXTURE_FORMATS;
pub use transfer::{TransferRow, TransferTable, transfer};
pub use visualize::{Canvas, Subject, VisualizePreset, stretched};
