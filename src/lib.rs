//! Optimizes an image's pixels against a pretrained CNN, on any GPU.
//!
//! ```text
//! x* = argmin_x  Σ_k w_k · L_k(φ_l(x))  +  R(x)
//! ```
//!
//! x is the image, φ_l(x) the activations of layer l, L_k a term such as `content` or `gram`, R a regularizer such as
//! `tv`. A [`Recipe`] is a plain value that names the network, the start image, the terms and the optimizer. It is
//! compiled for a [`Device`] and a [`Network`] and then run:
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use pixgrad::{Device, DeviceOptions, Error, Network, Recipe};
//!
//! fn paint(content: &Path, style: &Path, output: &Path) -> Result<(), Error> {
//!     let device = Device::new(&DeviceOptions::default())?; // the best GPU, else `cpu`
//!     let network = Network::load(&device, "squeezenet1_1")?; // embedded or installed name, or a path
//!     let recipe = Recipe::style(content, [style]).size(160).iterations(20);
//!     let mut run = recipe.compile(&device, &network)?; // reads the pictures; every size is known now
//!     for scale in run.plan() {
//!         println!("{}x{}: {} bytes", scale.width, scale.height, scale.cost.total_bytes());
//!     }
//!     run.run(|progress| {
//!         println!("{}: loss {}", progress.iteration, progress.loss);
//!         ControlFlow::Continue(()) // Break(()) ends the run; the image so far is kept
//!     })?;
//!     run.image()?.save(output)?;
//!     Ok(())
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/images");
//! #     let output = std::env::temp_dir().join(format!("pixgrad-example-{}.png", std::process::id()));
//! #     paint(&samples.join("chelsea.png"), &samples.join("starry_night.jpg"), &output)?;
//! #     assert_eq!(pixgrad::Image::open(&output)?.size(), (160, 106));
//! #     std::fs::remove_file(&output)?;
//! #     Ok(())
//! # }
//! ```
//!
//! - Pictures may also be [`Image`]s in memory. [`Series`] runs one recipe for many content pictures.
//! - A program that has its own `wgpu` device passes it to [`Device::from_wgpu`], appends iterations to its own command
//!   encoder with [`Run::encode`] and copies the image to its texture with [`Run::copy_to_texture`].
//! - The terms of a recipe are in [`terms`]. What a term of one's own is written with is in [`term`].
//!
//! The folder `examples/` has a program for each of these.
//!
//! # Features
//!
//! - `cli` (on by default) builds the command line tool, with both networks in it; a program that embeds the library
//!   turns it off.
//! - `embed-squeezenet1_1` (2.5 MB) and `embed-vgg19` (7 MB) put the networks of these names into the program. Without
//!   them networks are files.
//! - `bench` (on by default) measures devices.
//! - `gl` adds OpenGL ES adapters.

#[doc(hidden)]
pub mod engine;
mod error;
mod value;

pub(crate) use engine::{
    compile, device, image, kernels, layer, methods, net, objective, optim, param, plan, run,
    schedule, spec,
};

pub use wgpu;

pub use compile::ScaleReport;
pub use device::{Device, DeviceError, DeviceInfo, DeviceKind, DeviceOptions, Tuning};
pub use error::Error;
pub use image::{Image, ImageError, SaveOptions};
pub use kernels::WarpError;
pub use layer::{LayerError, SizeError, UndeclaredRead};
pub use methods::MethodError;
pub use net::{
    ChannelOrder, GraphError, GraphProblem, ImageTooSmall, LabelsError, LabelsProblem, NetError,
    Opening, Padding, Pooling, Preprocessing, PreprocessingError, PreprocessingProblem,
    UnevenImageSize, WeightsError, WeightsProblem, WrongImageSize,
};
pub use objective::{ObjectiveError, SelectionError};
pub use plan::{Cost, Network, PlanError, Precision};
pub use run::{
    Checkpoint, CheckpointError, CheckpointProblem, Finish, Made, MadeError, MadeOf, Outcome, Pace,
    Progress, Provenance, Run, RunError, ScaleForecast, Series, TEXTURE_FORMATS, TextureError,
};
pub use spec::{
    BallNorm, Carry, Embedded, FilterSpec, ImageSpec, Init, KeepSpec, MapSpec, Measure,
    OptimizerKind, OptimizerSpec, Picture, PreserveColor, ProgressPolicy, ProjectionSpec, Recipe,
    RecipeError, TermKind, TermSpec, TextPosition,
};
pub use value::{Rule, ValueError};

pub use spec::terms;

/// What a term of one's own is written with: see [`terms::Own`].
pub mod term {
    pub use crate::device::{
        Bindings, Kernel, Kind, Real, Recording, Scalar, Shader, Slot, Source, ValueId, Work,
    };
    pub use crate::kernels::{Tensor, View};
    pub use crate::objective::{Band, Gathered, Loss, Saved, Term};
}
