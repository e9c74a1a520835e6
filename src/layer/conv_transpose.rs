//! Transposed convolutions.

use super::conv::check_groups;
use super::{
    BackwardPass, ForwardPass, Layer, LayerError, ParameterShape, ReceptiveField, Role, SizeError,
    Window,
};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::{self, Filters};

/// The backward pass of a convolution as a layer, plus bias: it makes `(n - 1)*stride - before - after + extent +
/// output_padding` positions of n (torch's and ONNX's `ConvTranspose`; Dumoulin and Visin 2016, section 4).
///
/// With a stride of 1 units see what those of a convolution see. With a larger one what they see differs from unit to
/// unit; the receptive field holds all of it, and there is none where the units would lie less than a whole pixel
/// apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvTranspose {
    /// Prefix of the parameters' names: `<tensor>.weight`, `[in, out/groups, h, w]`, and `<tensor>.bias`.
    pub tensor: String,
    pub in_channels: u32,
    pub out_channels: u32,
    /// That of the convolution whose backward pass it is, from its output to its input. Never `ceil`.
    pub window: Window,
    /// As [`Conv::groups`](super::Conv::groups).
    pub groups: u32,
    /// More rows at the bottom and columns at the right, less than the stride or the dilation: several sizes are made
    /// to one by a convolution with a stride.
    pub output_padding: [u32; 2],
}

impl ConvTranspose {
    fn weight(&self) -> String {
        format!("{}.weight", self.tensor)
    }

    fn bias(&self) -> String {
        format!("{}.bias", self.tensor)
    }

    /// Those of the convolution whose backward pass it is.
    fn filters(&self) -> Filters {
        Filters {
            input: self.out_channels,
            output: self.in_channels,
            groups: self.groups,
            kernel: self.window.kernel,
        }
    }

    /// Positions along an axis, of `size` at the input.
    fn length(&self, axis: usize, size: u32) -> Option<u32> {
        let of = |sides: [u32; 2]| i64::from(sides[axis]);
        let Window {
            stride,
            before,
            after,
            ..
        } = self.window;
        let length =
            (i64::from(size) - 1) * of(stride) + of(self.window.extent()) - of(before) - of(after)
                + of(self.output_padding);
        u32::try_from(length).ok().filter(|&length| length > 0)
    }
}

impl Layer for ConvTranspose {
    fn kind(&self) -> &'static str {
        "conv_transpose"
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
        check_groups(self.groups, self.in_channels, self.out_channels)?;
        for axis in [0, 1] {
            let least = self.window.stride[axis].max(self.window.dilation[axis]);
            let padding = self.output_padding[axis];
            if padding >= least {
                return Err(LayerError::OutputPadding { padding, least });
            }
        }
        Ok(self.out_channels)
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let input = inputs[0];
        let along = |axis: usize| self.length(axis, input[axis]);
        let sizes = along(0).zip(along(1)).map(|(h, w)| [h, w]);
        sizes.ok_or(SizeError::TooSmall { input })
    }

    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        let step = self.window.stride[axis];
        if !inputs.stride.is_multiple_of(step) {
            return None;
        }
        let reach = self.window.extent()[axis] - 1;
        let inner = ReceptiveField {
            stride: inputs.stride / step,
            ..inputs
        };
        Some(inner.under(reach + 1, 1, reach - self.window.before[axis]))
    }

    /// With a stride bands would have to begin at whole positions of the input.
    fn is_local(&self) -> bool {
        self.window.stride == [1; 2]
    }

    fn is_rectified(&self, _: bool) -> bool {
        false
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        let [out, input] = [self.out_channels, self.in_channels].map(|n| n as usize);
        let [h, w] = self.window.kernel.map(|n| n as usize);
        let groups = self.groups.max(1) as usize;
        // Of the window's positions a unit sees one of every stride.
        let seen = |axis: usize| {
            let step = self.window.stride[axis].max(1);
            self.window.kernel[axis].div_ceil(step) as usize
        };
        let fan_in = input / groups * seen(0) * seen(1);
        [
            (self.weight(), vec![input, out / groups, h, w]),
            (self.bias(), vec![out]),
        ]
        .into_iter()
        .map(|(name, shape)| ParameterShape {
            name,
            shape,
            fan_in,
        })
        .collect()
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y, filters) = (pass.x[0], pass.y, self.filters());
        let weights = pass.parameters.arranged(
            &self.weight(),
            Role::ForwardTransposed,
            filters.len_backward(),
            Box::new(move |weight| filters.arrange_backward(weight)),
        )?;
        let bias = pass.bias(&self.bias(), self.out_channels)?;
        let weights = pass.recording.given(pass.label, weights);
        let Window { kernel, before, .. } = self.window;
        let extent = self.window.extent();
        let conv = kernels::Conv {
            kernel,
            pad: [0, 1].map(|axis| extent[axis] - 1 - before[axis]),
            input_dilation: self.window.stride,
            dilation: self.window.dilation,
            bias: true,
            ..kernels::Conv::new(x.view, y.view, 1)
        };
        let values = [x.value, weights, y.value, bias];
        filters
            .turned()
            .record(pass.recording, pass.label, conv, &values);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx, filters) = (pass.dy, pass.dx, self.filters());
        let weights = pass.parameters.arranged(
            &self.weight(),
            Role::BackwardTransposed,
            filters.len(),
            Box::new(move |weight| filters.arrange(weight)),
        )?;
        let weights = pass.recording.given(pass.label, weights);
        let conv = kernels::Conv {
            kernel: self.window.kernel,
            stride: self.window.stride,
            pad: self.window.before,
            dilation: self.window.dilation,
            accumulate: pass.accumulate,
            ..kernels::Conv::new(dy.view, dx.view, 1)
        };
        let values = [dy.value, weights, dx.value];
        filters.record(pass.recording, pass.label, conv, &values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(window: Window, output_padding: [u32; 2]) -> ConvTranspose {
        ConvTranspose {
            tensor: "t".to_owned(),
            in_channels: 4,
            out_channels: 6,
            window,
            groups: 2,
            output_padding,
        }
    }

    #[test]
    fn sizes_are_those_of_torch() {
        // torch.nn.ConvTranspose2d(.., 3, 2, 1, 1) doubles; a kernel of 4 does so without more padding.
        let doubled = layer(Window::square(3, 2, 1), [1, 1]);
        assert_eq!(doubled.size(&[[5, 7]]), Ok([10, 14]));
        let doubled = layer(Window::square(4, 2, 1), [0, 0]);
        assert_eq!(doubled.size(&[[5, 7]]), Ok([10, 14]));
        let dilated = Window {
            dilation: [2, 3],
            ..Window::square(3, 1, 0)
        };
        assert_eq!(layer(dilated, [0, 0]).size(&[[5, 7]]), Ok([9, 13]));
        let narrow = layer(Window::square(3, 1, 2), [0, 0]);
        let input = [2, 5];
        assert_eq!(narrow.size(&[input]), Err(SizeError::TooSmall { input }));
        let parameters = doubled.parameters();
        assert_eq!(parameters[0].shape, [4, 3, 4, 4]);
        assert_eq!(parameters[0].fan_in, 8);
    }

    #[test]
    fn output_padding_is_less_than_a_step() {
        let padded = |window, padding| layer(window, [0, padding]).channels(&[4]);
        assert_eq!(padded(Window::square(3, 2, 1), 1), Ok(6));
        assert_eq!(
            padded(Window::square(3, 2, 1), 2),
            Err(LayerError::OutputPadding {
                padding: 2,
                least: 2
            })
        );
        assert!(padded(Window::square(3, 1, 1), 1).is_err());
    }

    /// Unit o sees input i where o = i*stride + k*dilation - before for a position k of the window.
    #[test]
    fn receptive_fields_hold_all_that_is_seen() {
        let inputs = ReceptiveField {
            size: 3,
            stride: 6,
            start: 2.0,
        };
        for (kernel, stride, before, dilation) in [
            (3, 1, 1, 1),
            (3, 2, 1, 1),
            (4, 2, 1, 1),
            (3, 3, 0, 2),
            (2, 6, 0, 1),
        ] {
            let window = Window {
                dilation: [dilation; 2],
                ..Window::square(kernel, stride, before)
            };
            let field = layer(window, [0, 0]).receptive_field(1, inputs).unwrap();
            let reach = f64::from(field.size - 1) / 2.0;
            for i in 3..9 {
                for k in 0..kernel {
                    let unit = f64::from(i * stride + k * dilation) - f64::from(before);
                    let centre = field.start + unit * f64::from(field.stride);
                    let seen = inputs.start + f64::from(i) * f64::from(inputs.stride);
                    assert!(
                        (centre - seen).abs() + 1.0 <= reach,
                        "{window:?}: {field:?}"
                    );
                }
            }
        }
        // Units that are half a pixel apart.
        let up = layer(Window::square(2, 2, 0), [0, 0]);
        assert_eq!(up.receptive_field(0, ReceptiveField::PIXEL), None);
        assert!(!up.is_local() && layer(Window::square(3, 1, 1), [0, 0]).is_local());
        // A stride of 1 is a convolution.
        let conv = inputs.under(4, 1, 4 - 1 - 1);
        let same = layer(Window::square(4, 1, 1), [0, 0]);
        assert_eq!(same.receptive_field(0, inputs), Some(conv));
    }
}
