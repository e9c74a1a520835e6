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

impl ParameterShape {
    /// A number for every channel; random ones have a standard deviation of 1.
    pub(super) fn of_channels(name: String, channels: u32) -> Self {
        Self {
            name,
            shape: vec![channels as usize],
            fan_in: 2,
        }
    }
}

/// The numbers of a parameter that has one for every channel, with zeros for padding channels: [C⁺].
pub(super) fn of_channels(
    parameters: &dyn ParameterBuffers,
    name: &str,
    channels: u32,
) -> Result<Given, Error> {
    let len = channels.next_multiple_of(4) as usize;
    let arrange = move |values: &[f32]| {
        let mut values = values.to_vec();
        values.resize(len, 0.0);
        values
    };
    parameters.arranged(name, Role::Exact, len, Box::new(arrange))
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

    /// Words that a layer makes of its options alone, such as a table of indices. The same words are uploaded once,
    /// when a program that reads them gets its memory.
    fn words(&self, words: Vec<u32>) -> Given;
}
