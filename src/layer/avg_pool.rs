//! The mean of windows.

use std::sync::Arc;

use super::{BackwardPass, ForwardPass, Layer, LayerError, Window};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// `scale` times the mean over a window, clipped to the padded image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPool {
    pub window: Window,
    /// 1 for the mean itself.
    pub scale: f32,
    /// Whether padding counts as zeros: the divisor is then the positions of the window inside the padded image
    /// (torch's `count_include_pad`). Else padding neither adds nor counts.
    pub count_padding: bool,
}

impl AvgPool {
    /// What the kernels know of [`AvgPool::count_padding`].
    fn counted(&self) -> Option<[u32; 2]> {
        self.count_padding.then_some(self.window.after)
    }
}

impl Layer for AvgPool {
    fn kind(&self) -> &'static str {
        "avg_pool"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        self.window.check()?;
        Ok(inputs[0])
    }

    fn window(&self) -> Option<Window> {
        Some(self.window)
    }

    fn with_window(&self, window: Window) -> Option<Arc<dyn Layer>> {
        Some(Arc::new(Self { window, ..*self }))
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs && self.scale >= 0.0
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let pool = kernels::AvgPool {
            x: x.view,
            y: y.view,
            kernel: self.window.kernel,
            stride: self.window.stride,
            pad: self.window.before,
            dilation: self.window.dilation,
            counted: self.counted(),
            scale: self.scale,
        };
        pass.call(pool, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let pool = kernels::AvgPoolBackward {
            dy: dy.view,
            dx: dx.view,
            kernel: self.window.kernel,
            stride: self.window.stride,
            pad: self.window.before,
            dilation: self.window.dilation,
            counted: self.counted(),
            scale: self.scale,
            accumulate: pass.accumulate,
        };
        pass.call(pool, &[dy.value, dx.value]);
        Ok(())
    }
}
