//! Optimizes the pixels of an image against a fixed, trained CNN, on any GPU.

pub mod device;
mod error;
pub mod image;
pub mod kernels;
pub mod net;
pub mod objective;
pub mod optim;
pub mod plan;
pub mod recipe;
pub mod schedule;

pub use device::{Device, DeviceOptions};
pub use error::Error;
pub use image::Image;
pub use plan::Network;
pub use recipe::Recipe;
