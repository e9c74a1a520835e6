//! Optimizes the pixels of an image against a fixed, trained CNN, on any GPU.
//!
//! ```text
//! x* = argmin_x  Σ_k w_k · L_k(φ_l(x))  +  R(x)
//! ```
//!
//! x is the image, φ_l what layer l of the network answers to it, L_k a term such as `content` or `gram`, R a
//! regularizer such as `tv`. A [`Recipe`] is a plain value that names the network, the start image, the terms and the
//! optimizer. It is compiled for a [`Device`] and a [`Network`] and then run:
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use pixgrad::{Device, DeviceOptions, Error, Network, Recipe, image};
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
//!     image::save(output, &run.image()?, image::SaveOptions::default())?;
//!     Ok(())
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/images");
//! #     let output = std::env::temp_dir().join(format!("pixgrad-example-{}.png", std::process::id()));
//! #     paint(&samples.join("chelsea.png"), &samples.join("starry_night.jpg"), &output)?;
//! #     assert_eq!(image::load(&output)?.size(), (160, 106));
//! #     std::fs::remove_file(&output)?;
//! #     Ok(())
//! # }
//! ```
//!
//! A picture may also be an [`Image`] in memory. A program that has its own `wgpu` device passes it to
//! [`Device::from_wgpu`], appends iterations to its own command encoder with [`recipe::Run::encode`] and copies the image
//! to its texture with [`recipe::Run::copy_to_texture`].
//!
//! # Modules
//!
//! Each uses only those above it in this table.
//!
//! | module | what lives there |
//! |---|---|
//! | [`device`] | adapters, buffers, pipelines; what a kernel is; the `cpu` device |
//! | [`kernels`] | every kernel: parameters, bindings, dispatch size, twin |
//! | [`net`] | layer graphs, architectures, weights files, layer names, preprocessing |
//! | [`image`](mod@image) | picture files, colour, resampling |
//! | [`objective`] | the terms: value and gradient |
//! | [`optim`] | the optimizers |
//! | [`plan`] | network, terms and size as a list of kernel calls with memory for every value |
//! | [`schedule`] | runs a plan in slices that keep the desktop alive |
//! | [`recipe`] | the methods: a recipe's parts, sizes from coarse to fine, the run |
//! | `bench` | with the feature of that name: measures a device: ceilings, kernels, whole iterations |
//!
//! # Features
//!
//! `cli` (on by default) builds the command line tool, with both networks in it; a program that embeds the library turns it off.
//! `embed-squeezenet1_1` (2.5 MB) and `embed-vgg19` (7 MB) put the networks of these names into the program: without them networks
//! are files. `bench` (on by default) is the module of that name, and the command of the tool. `gl` adds OpenGL ES adapters.

#[cfg(feature = "bench")]
pub mod bench;
pub mod device;
mod error;
pub mod image;
pub mod kernels;
pub mod net;
pub mod objective;
pub mod optim;
pub mod param;
pub mod plan;
pub mod recipe;
pub mod schedule;

pub use device::{Device, DeviceOptions};
pub use error::Error;
pub use image::Image;
pub use plan::{Network, Precision};
pub use recipe::Recipe;
