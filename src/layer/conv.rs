//! Convolutions and linear layers.

use std::sync::Arc;

use super::{
    BackwardPass, ForwardPass, Layer, LayerError, MaxPool, ParameterShape, Role, SizeError, Window,
};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::{self, Conv3x3Pool, Conv3x3Unpool, Filters};

/// Cross-correlation with zero padding, plus bias; no ReLU. A linear layer is one too: over its whole input the first
/// time, 1×1 afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Prefix of the parameters' names: `<tensor>.weight` and `<tensor>.bias`.
    pub tensor: String,
    pub in_channels: u32,
    pub out_channels: u32,
    /// Never `ceil`.
    pub window: Window,
    /// Groups of channels: each group of the output's channels sees the same group of the input's. It divides both; 1
    /// for a convolution in which every channel sees all.
    pub groups: u32,
    /// Whether it is a linear layer: its kernel is the size of its input, and no other will do, unless that is 1×1. The
    /// weights are then stored as the matrix `[out, in*h*w]` in place of
    /// `[out, in/groups, h, w]`.
    pub linear: bool,
}

/// Whether the groups divide the channels.
pub(super) fn check_groups(groups: u32, input: u32, output: u32) -> Result<(), LayerError> {
    let divides = |channels: u32| groups > 0 && channels.is_multiple_of(groups);
    if divides(input) && divides(output) {
        return Ok(());
    }
    Err(LayerError::Groups {
        groups,
        input,
        output,
    })
}

impl Conv {
    /// Whether it is a linear layer over several positions: all of its input.
    fn sums_all(&self) -> bool {
        self.linear && self.window.taps() > 1
    }

    fn weight(&self) -> String {
        format!("{}.weight", self.tensor)
    }

    fn bias(&self) -> String {
        format!("{}.bias", self.tensor)
    }

    /// The weights and the bias of the forward pass, for the recording.
    fn forward_values(&self, pass: &mut ForwardPass<'_>) -> Result<[ValueId; 2], Error> {
        let filters = self.filters();
        let weights = pass.parameters.arranged(
            &self.weight(),
            Role::Forward,
            filters.len(),
            Box::new(move |weight| filters.arrange(weight)),
        )?;
        let weights = pass.recording.given(pass.label, weights);
        Ok([weights, pass.bias(&self.bias(), self.out_channels)?])
    }

    /// The rotated, transposed weights, for the recording.
    fn backward_value(&self, pass: &mut BackwardPass<'_>) -> Result<ValueId, Error> {
        let filters = self.filters();
        let weights = pass.parameters.arranged(
            &self.weight(),
            Role::Backward,
            filters.len_backward(),
            Box::new(move |weight| filters.arrange_backward(weight)),
        )?;
        Ok(pass.recording.given(pass.label, weights))
    }

    fn filters(&self) -> Filters {
        Filters {
            input: self.in_channels,
            output: self.out_channels,
            groups: self.groups,
            kernel: self.window.kernel,
        }
    }

    /// Records the convolution, with a ReLU behind it where there is the mask of one to be written.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    pub fn record(&self, pass: &mut ForwardPass<'_>, mask: Option<ValueId>) -> Result<(), Error> {
        let (x, y) = (pass.x[0], pass.y);
        let [weights, bias] = self.forward_values(pass)?;
        let conv = kernels::Conv {
            kernel: self.window.kernel,
            stride: self.window.stride,
            pad: self.window.before,
            dilation: self.window.dilation,
            bias: true,
            relu: mask.is_some(),
            ..kernels::Conv::new(x.view, y.view, 1)
        };
        let mut values = vec![x.value, weights, y.value, bias];
        values.extend(mask);
        let filters = self.filters();
        filters.record(pass.recording, pass.label, conv, &values);
        Ok(())
    }

    /// Records the gradient, read through the mask of a ReLU where [`Conv::record`] has written one.
    ///
    /// # Errors
    /// As [`Layer::backward`].
    pub fn record_backward(
        &self,
        pass: &mut BackwardPass<'_>,
        mask: Option<ValueId>,
    ) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let weights = self.backward_value(pass)?;
        let Window { kernel, before, .. } = self.window;
        let extent = self.window.extent();
        let conv = kernels::Conv {
            kernel,
            pad: [0, 1].map(|axis| extent[axis] - 1 - before[axis]),
            input_dilation: self.window.stride,
            dilation: self.window.dilation,
            masked: mask.is_some(),
            accumulate: pass.accumulate,
            ..kernels::Conv::new(dy.view, dx.view, 1)
        };
        let mut values = vec![dy.value, weights, dx.value];
        values.extend(mask);
        let filters = self.filters();
        filters.record(pass.recording, pass.label, conv, &values);
        Ok(())
    }

    /// Whether there is a kernel that is this convolution, a ReLU and then `pool`: [`Conv3x3Pool`].
    #[must_use]
    pub fn pools_with(&self, pool: &MaxPool) -> bool {
        let halves = Window {
            ceil: pool.window.ceil,
            ..Window::square(2, 2, 0)
        };
        self.groups == 1 && self.window == Window::square(3, 1, 1) && pool.window == halves
    }

    /// Records the convolution, a ReLU and a pool, for which [`Conv::pools_with`] holds. `maxima` is the mask of maxima
    /// to be written.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    pub fn record_pooled(&self, pass: &mut ForwardPass<'_>, maxima: ValueId) -> Result<(), Error> {
        let (x, y) = (pass.x[0], pass.y);
        let [weights, bias] = self.forward_values(pass)?;
        let kernel = Conv3x3Pool {
            x: x.view,
            y: y.view,
        };
        pass.call(kernel, &[x.value, weights, y.value, bias, maxima]);
        Ok(())
    }

    /// Records the gradient of [`Conv::record_pooled`].
    ///
    /// # Errors
    /// As [`Layer::backward`].
    pub fn record_unpooled(
        &self,
        pass: &mut BackwardPass<'_>,
        maxima: ValueId,
    ) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let weights = self.backward_value(pass)?;
        let kernel = Conv3x3Unpool {
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(kernel, &[dy.value, weights, dx.value, maxima]);
        Ok(())
    }
}

impl Layer for Conv {
    fn kind(&self) -> &'static str {
        "conv"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        self.window.check()?;
        if self.window.ceil {
            return Err(LayerError::RoundedUp);
        }
        if self.out_channels == 0 {
            return Err(LayerError::NoChannels);
        }
        check_groups(self.groups, self.in_channels, self.out_channels)?;
        if inputs[0] != self.in_channels {
            return Err(LayerError::Channels {
                does: "convolves",
                expected: self.in_channels,
                found: inputs[0],
            });
        }
        Ok(self.out_channels)
    }

    fn window(&self) -> Option<Window> {
        Some(self.window)
    }

    /// A linear layer's rows of weights have a number for each position of its input.
    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let (expected, found) = (self.window.kernel, inputs[0]);
        if self.sums_all() && found != expected {
            return Err(SizeError::Fixed { expected, found });
        }
        self.window.size(found)
    }

    fn is_global(&self) -> bool {
        self.sums_all()
    }

    fn with_window(&self, window: Window) -> Option<Arc<dyn Layer>> {
        let conv = self.clone();
        Some(Arc::new(Self { window, ..conv }))
    }

    fn is_rectified(&self, _: bool) -> bool {
        false
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        let [out, input] = [self.out_channels, self.in_channels].map(|n| n as usize);
        let [h, w] = self.window.kernel.map(|n| n as usize);
        // Of groups that `channels` refuses there may be none.
        let input = input / self.groups.max(1) as usize;
        let fan_in = input * h * w;
        let weight = if self.linear {
            vec![out, fan_in]
        } else {
            vec![out, input, h, w]
        };
        [(self.weight(), weight), (self.bias(), vec![out])]
            .into_iter()
            .map(|(name, shape)| ParameterShape {
                name,
                shape,
                fan_in,
            })
            .collect()
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        self.record(pass, None)?;
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        self.record_backward(pass, None)
    }
}
