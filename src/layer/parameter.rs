//! The numbers that a layer was trained to have.

use crate::Error;
use crate::device::Buffer;

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
    /// Always in f32.
    Exact,
}

/// A network's parameters as buffers of a device.
pub trait ParameterBuffers {
    /// The parameter `name` as a buffer of `len` numbers that `pack` makes of its values. Each role of a parameter is
    /// packed and uploaded once.
    ///
    /// # Errors
    /// [`Error::Device`] where it does not fit the device.
    fn packed(
        &self,
        name: &str,
        role: Role,
        len: usize,
        pack: &dyn Fn(&[f32]) -> Vec<f32>,
    ) -> Result<Buffer, Error>;
}
