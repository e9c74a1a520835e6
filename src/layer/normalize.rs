//! The image as the network was trained to see it.

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::Affine;

/// `x * scale + bias` for each of the image's 3 channels, made from the network's mean and standard deviation. The
/// first convolution pads its result, not the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    pub scale: [f32; 3],
    pub bias: [f32; 3],
}

impl Normalize {
    /// Leaves the image as it is.
    pub const IDENTITY: Self = Self {
        scale: [1.0; 3],
        bias: [0.0; 3],
    };
}

fn padded([r, g, b]: [f32; 3]) -> [f32; 4] {
    [r, g, b, 0.0]
}

impl Layer for Normalize {
    fn kind(&self) -> &'static str {
        "normalize"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        match inputs[0] {
            3 => Ok(3),
            found => Err(LayerError::Channels {
                does: "normalizes",
                expected: 3,
                found,
            }),
        }
    }

    fn is_rectified(&self, _: bool) -> bool {
        false
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let affine = Affine {
            x: x.view,
            y: y.view,
            scale: padded(self.scale),
            bias: padded(self.bias),
            accumulate: false,
        };
        pass.call(affine, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let affine = Affine {
            x: dy.view,
            y: dx.view,
            scale: padded(self.scale),
            bias: [0.0; 4],
            accumulate: pass.accumulate,
        };
        pass.call(affine, &[dy.value, dx.value]);
        Ok(())
    }
}
