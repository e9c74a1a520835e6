//! What a layer is given to record its forward and its backward pass.

use super::{ParameterBuffers, Role, UndeclaredRead};
use crate::Error;
use crate::device::{Kernel, Kind, Recording, ValueId};
use crate::kernels::Tensor;

/// The forward pass of one layer.
pub struct ForwardPass<'a> {
    /// Where kernels are recorded.
    pub recording: &'a mut Recording,
    /// The layer's name.
    pub label: &'a str,
    /// Its inputs.
    pub x: &'a [Tensor],
    /// Its output, to be written.
    pub y: Tensor,
    /// The network's parameters.
    pub parameters: &'a dyn ParameterBuffers,
}

impl ForwardPass<'_> {
    /// Records a kernel.
    pub fn call(&mut self, kernel: impl Kernel, values: &[ValueId]) {
        self.recording.call(self.label, kernel, values);
    }

    /// The bias of `channels` channels, for the recording.
    ///
    /// # Errors
    /// Those of [`ParameterBuffers::arranged`].
    pub(super) fn bias(&mut self, name: &str, channels: u32) -> Result<ValueId, Error> {
        let columns = channels.next_multiple_of(4) as usize;
        let bias = self.parameters.arranged(
            name,
            Role::Exact,
            columns,
            Box::new(move |bias| {
                let mut bias = bias.to_vec();
                bias.resize(columns, 0.0);
                bias
            }),
        )?;
        Ok(self.recording.given(self.label, bias))
    }

    /// Memory for `len` words that the backward pass reads.
    pub fn words(&mut self, len: usize) -> ValueId {
        let label = format!("{} mask", self.label);
        self.recording.transient(label, Kind::Word, len)
    }
}

/// The backward pass of one layer to one of its inputs.
pub struct BackwardPass<'a> {
    /// Where kernels are recorded.
    pub recording: &'a mut Recording,
    /// What the calls are named.
    pub label: &'a str,
    /// The gradient with respect to the output.
    pub dy: Tensor,
    /// The gradient with respect to the input.
    pub dx: Tensor,
    /// Whether `dx` is to be added to; else every element is to be written.
    pub accumulate: bool,
    /// Channels of each input.
    pub channels: &'a [u32],
    /// What the forward pass returned.
    pub saved: &'a [ValueId],
    /// The network's parameters.
    pub parameters: &'a dyn ParameterBuffers,
    /// Where the layer says that it reads them.
    pub(crate) x: &'a [Tensor],
    pub(crate) y: Option<Tensor>,
}

impl BackwardPass<'_> {
    /// Records a kernel.
    pub fn call(&mut self, kernel: impl Kernel, values: &[ValueId]) {
        self.recording.call(self.label, kernel, values);
    }

    /// An input of the forward pass, for layers that say [`reads_input`](super::Layer::reads_input).
    ///
    /// # Errors
    /// [`UndeclaredRead`] where the layer does not say so: a bug in it.
    pub fn input(&self, input: usize) -> Result<Tensor, UndeclaredRead> {
        self.x
            .get(input)
            .copied()
            .ok_or_else(|| self.undeclared("input"))
    }

    /// The output of the forward pass, for layers that say [`reads_output`](super::Layer::reads_output).
    ///
    /// # Errors
    /// [`UndeclaredRead`] where the layer does not say so: a bug in it.
    pub fn output(&self) -> Result<Tensor, UndeclaredRead> {
        self.y.ok_or_else(|| self.undeclared("output"))
    }

    fn undeclared(&self, what: &'static str) -> UndeclaredRead {
        UndeclaredRead {
            pass: self.label.to_string(),
            what,
        }
    }
}
