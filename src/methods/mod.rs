//! The methods, one file each: each fills a [`Recipe`](crate::spec::Recipe), and some judge what comes out of it.

mod attack;
mod dream;
mod error;
mod evolve;
mod features;
mod fool;
pub(crate) mod gradient;
mod invert;
mod style;
mod texture;
mod transfer;
mod visualize;

pub mod classify;
pub mod search;

pub use attack::{Adversarial, Aim, Attack, AttackMethod, Distance, Goal, Watch, attack, top_one};
pub use dream::{DreamPreset, DreamSubject, zoomed};
pub use error::MethodError;
pub use evolve::{Evolution, Evolving, median};
pub use features::{Feature, features};
pub use gradient::GradientReport;
pub use invert::inversion_tv;
pub use style::StyleLoss;
pub use texture::texture_sheet_layers;
pub use transfer::{Transfer, TransferRow, TransferTable, transfer};
pub use visualize::{
    Canvas, Subject, VisualizePreset, activations_of, finished, joined, stretched,
};
