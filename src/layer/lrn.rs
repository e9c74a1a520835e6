//! Local response normalization.

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// Caffe's local response normalization across channels: `x / (k + alpha/size * sum x^2)^beta`, the sum over `size`
/// channels around x's own, fewer at the ends (Krizhevsky et al. 2012, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    /// Channels of a sum: odd, at most 17.
    pub size: u32,
    pub alpha: f32,
    pub beta: f32,
    pub k: f32,
}

impl Layer for Lrn {
    fn kind(&self) -> &'static str {
        "lrn"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        if self.size.is_multiple_of(2) || self.size > 17 {
            return Err(LayerError::SummedChannels {
                channels: self.size,
            });
        }
        Ok(inputs[0])
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs && self.alpha >= 0.0 && self.k >= 0.0
    }

    fn reads_input(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let lrn = kernels::Lrn {
            x: x.view,
            y: y.view,
            size: self.size,
            alpha: self.alpha,
            beta: self.beta,
            k: self.k,
        };
        pass.call(lrn, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let (x, dy, dx) = (pass.input(input)?, pass.dy, pass.dx);
        let lrn = kernels::LrnBackward {
            x: x.view,
            dy: dy.view,
            dx: dx.view,
            size: self.size,
            alpha: self.alpha,
            beta: self.beta,
            k: self.k,
            accumulate: pass.accumulate,
        };
        pass.call(lrn, &[x.value, dy.value, dx.value]);
        Ok(())
    }
}
