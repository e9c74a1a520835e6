//! Means that make any image one size.

use super::{BackwardPass, ForwardPass, Layer, LayerError, SizeError, global_avg_pool};
use crate::Error;
use crate::device::ValueId;

/// Mean over `out[0]`×`out[1]` windows: output i averages the inputs from `floor(i*size/out)` up to, not including,
/// `ceil((i+1)*size/out)`. They overlap, or repeat, where `out` does not divide the size.
///
/// Its receptive field is that of its input, as at the size that the network was trained at, where it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPool {
    pub out: [u32; 2],
}

impl Layer for AdaptiveAvgPool {
    fn kind(&self) -> &'static str {
        "adaptive_avg_pool"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        let [height, width] = self.out;
        if height == 0 || width == 0 {
            return Err(LayerError::NoPositions { width, height });
        }
        Ok(inputs[0])
    }

    fn size(&self, _: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        Ok(self.out)
    }

    fn is_global(&self) -> bool {
        true
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        global_avg_pool::forward(pass, 1.0);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        global_avg_pool::backward(pass, 1.0);
        Ok(())
    }
}
