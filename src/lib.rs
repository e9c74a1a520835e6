//! Optimizes the pixels of an image against a fixed, trained CNN, on any GPU.

pub mod device;
pub mod image;
pub mod kernels;
pub mod net;
