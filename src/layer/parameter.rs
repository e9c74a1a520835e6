//! The numbers that a layer was trained to have.

use crate::Error;
use crate::device::Given;

/// One tensor of a layer's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterShape {
    /// Its name in a weights file: `features.0.weight`. Layers that name the same tensor share it.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// How many inputs each output of the layer sums up: random weights keep the activations' variance by it.
    pub fan_in: usize,
}

/// In how many bits parameters are kept on a device, where the network's layers may be kept in 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The forward pass multiplies by them.
    Forward,
    /// The backward pass does.
    Backward,
    /// As [`Role::Forward`], for a layer that is the backward pass of another: it may share the other's parameter, but
    /// not how that is arranged.
    ForwardTransposed,
    /// As [`Role::Backward`], likewise.
    BackwardTransposed,
    /// Always in f32.
    Exact,
}

/// How a layer arranges a parameter's values for its kernels.
pub type Arrange = Box<dyn Fn(&[f32]) -> Vec<f32> + Send + Sync>;

/// A network's parameters on a device.
pub trait ParameterBuffers {
    /// The parameter `name` as `len` numbers that `arrange` makes of its values. Each role of a parameter is arranged
    /// and uploaded once, when a program that reads it gets its memory.
    ///
    /// # Errors
    /// [`Error::Plan`] where the network has no such parameter.
    fn arranged(
        &self,
        name: &str,
        role: Role,
        len: usize,
        arrange: Arrange,
    ) -> Result<Given, Error>;
}
