//! The methods, one file each: each fills a [`Recipe`](crate::spec::Recipe), and some judge what comes out of it.

mod attack;
#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod dream;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod evolve;
mod features;
mod fool;
pub(crate) mod gradient;
mod invert;
mod request;
mod style;
mod texture;
#[cfg(not(target_arch = "wasm32"))]
mod transfer;
mod visualize;

pub mod classify;
pub mod options;
#[cfg(not(target_arch = "wasm32"))]
pub mod search;

pub use attack::{
    Adversarial, Aim, Attack, AttackMethod, Distance, Goal, Watch, attack_async, top_one_async,
};
#[cfg(not(target_arch = "wasm32"))]
pub use blocking::{activations_of, attack, features, finished, top_one};
pub use dream::{DreamPreset, DreamSubject, zoomed};
pub use error::MethodError;
#[cfg(not(target_arch = "wasm32"))]
pub use evolve::{Evolution, Evolving, median, surest};
pub use features::{Feature, features_async};
pub use gradient::GradientReport;
pub use invert::inversion_tv;
pub use request::{Method, Request};
pub use style::StyleLoss;
pub use texture::texture_sheet_layers;
#[cfg(not(target_arch = "wasm32"))]
pub use transfer::{Transfer, TransferRow, TransferTable, transfer};
pub use visualize::{
    Canvas, Subject, VisualizePreset, activations_of_async, finished_async, joined, stretched,
};
