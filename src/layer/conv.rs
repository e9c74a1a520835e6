//! Convolutions and linear layers.

use std::sync::Arc;

use super::{BackwardPass, ForwardPass, Layer, LayerError, MaxPool, ParameterShape, Role, Window};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::conv::{arrange_weights, arrange_weights_backward};
use crate::kernels::{self, Conv3x3Pool, Conv3x3Unpool, record_conv};

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
    /// Whether the weights are stored as a linear layer's matrix `[out, in*h*w]` in place of `[out, in, h, w]`.
    pub linear: bool,
}

impl Conv {
    fn weight(&self) -> String {
        format!("{}.weight", self.tensor)
    }

    fn bias(&self) -> String {
        format!("{}.bias", self.tensor)
    }

    /// The weights and the bias of the forward pass, for the recording.
    fn forward_values(&self, pass: &mut ForwardPass<'_>) -> Result<[ValueId; 2], Error> {
        let (out, input, kernel) = (self.out_channels, self.in_channels, self.window.kernel);
        let columns = out.next_multiple_of(4) as usize;
        let weights = pass.parameters.arranged(
            &self.weight(),
            Role::Forward,
            self.arranged_len(),
            Box::new(move |weight| arrange_weights(weight, out, input, kernel)),
        )?;
        let bias = pass.parameters.arranged(
            &self.bias(),
            Role::Exact,
            columns,
            Box::new(move |bias| {
                let mut bias = bias.to_vec();
                bias.resize(columns, 0.0);
                bias
            }),
        )?;
        let weights = pass.recording.given(pass.label, weights);
        Ok([weights, pass.recording.given(pass.label, bias)])
    }

    /// The rotated, transposed weights, for the recording.
    fn backward_value(&self, pass: &mut BackwardPass<'_>) -> Result<ValueId, Error> {
        let (out, input, kernel) = (self.out_channels, self.in_channels, self.window.kernel);
        let weights = pass.parameters.arranged(
            &self.weight(),
            Role::Backward,
            self.arranged_len(),
            Box::new(move |weight| arrange_weights_backward(weight, out, input, kernel)),
        )?;
        Ok(pass.recording.given(pass.label, weights))
    }

    fn arranged_len(&self) -> usize {
        let padded = |channels: u32| channels.next_multiple_of(4) as usize;
        self.window.taps() as usize * padded(self.in_channels) * padded(self.out_channels)
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
            bias: true,
            relu: mask.is_some(),
            ..kernels::Conv::new(x.view, y.view, 1)
        };
        let mut values = vec![x.value, weights, y.value, bias];
        values.extend(mask);
        record_conv(pass.recording, pass.label, conv, &values);
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
        let conv = kernels::Conv {
            kernel,
            pad: [0, 1].map(|axis| kernel[axis] - 1 - before[axis]),
            input_dilation: self.window.stride,
            masked: mask.is_some(),
            accumulate: pass.accumulate,
            ..kernels::Conv::new(dy.view, dx.view, 1)
        };
        let mut values = vec![dy.value, weights, dx.value];
        values.extend(mask);
        record_conv(pass.recording, pass.label, conv, &values);
        Ok(())
    }

    /// Whether there is a kernel that is this convolution, a ReLU and then `pool`: [`Conv3x3Pool`].
    #[must_use]
    pub fn pools_with(&self, pool: &MaxPool) -> bool {
        let halves = Window {
            ceil: pool.window.ceil,
            ..Window::square(2, 2, 0)
        };
        self.window == Window::square(3, 1, 1) && pool.window == halves
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
