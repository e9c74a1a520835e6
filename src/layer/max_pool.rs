//! The maximum of windows.

use std::sync::Arc;

use super::{BackwardPass, ForwardPass, Layer, LayerError, Window};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// Maximum over a window, clipped to the padded image; padding never wins. Behind a convolution and its ReLU it may be
/// computed by these, see [`Conv::record_pooled`](super::Conv::record_pooled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// At most 256 positions.
    pub window: Window,
}

impl Layer for MaxPool {
    fn kind(&self) -> &'static str {
        "max_pool"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        self.window.check()?;
        let most = kernels::MaxPool::MOST_TAPS;
        if self.window.taps() > most {
            let [height, width] = self.window.kernel;
            return Err(LayerError::LargeWindow {
                width,
                height,
                most,
            });
        }
        Ok(inputs[0])
    }

    fn window(&self) -> Option<Window> {
        Some(self.window)
    }

    fn with_window(&self, window: Window) -> Option<Arc<dyn Layer>> {
        Some(Arc::new(Self { window }))
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    /// Saves where in its window each maximum is.
    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let pool = kernels::MaxPool {
            x: x.view,
            y: y.view,
            kernel: self.window.kernel,
            stride: self.window.stride,
            pad: self.window.before,
            dilation: self.window.dilation,
        };
        let argmax = pass.words(pool.argmax_len());
        pass.call(pool, &[x.value, y.value, argmax]);
        Ok(vec![argmax])
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let pool = kernels::MaxPoolBackward {
            dy: dy.view,
            dx: dx.view,
            kernel: self.window.kernel,
            stride: self.window.stride,
            pad: self.window.before,
            dilation: self.window.dilation,
            accumulate: pass.accumulate,
        };
        pass.call(pool, &[dy.value, pass.saved[0], dx.value]);
        Ok(())
    }
}
