//! Rectification that lets a trained part of what is negative through.

use super::parameter::of_channels;
use super::{BackwardPass, ForwardPass, Layer, LayerError, ParameterShape};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// `x`, or where x ≤ 0 the slope of its channel times x (He et al. 2015, equation 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PRelu {
    /// Prefix of the parameter's name: `<tensor>.slope`, of shape `[channels]`.
    pub tensor: String,
    pub channels: u32,
}

impl PRelu {
    fn slope(&self) -> String {
        format!("{}.slope", self.tensor)
    }
}

impl Layer for PRelu {
    fn kind(&self) -> &'static str {
        "prelu"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        LayerError::check_channels("rectifies", self.channels, inputs[0])
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        vec![ParameterShape::of_channels(self.slope(), self.channels)]
    }

    fn reads_input(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let slope = of_channels(pass.parameters, &self.slope(), self.channels)?;
        let slope = pass.recording.given(pass.label, slope);
        let leak = kernels::ChannelLeak {
            x: x.view,
            y: y.view,
        };
        pass.call(leak, &[x.value, slope, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let (x, dy, dx) = (pass.input(input)?, pass.dy, pass.dx);
        let slope = of_channels(pass.parameters, &self.slope(), self.channels)?;
        let slope = pass.recording.given(pass.label, slope);
        let leak = kernels::ChannelLeakBackward {
            x: x.view,
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(leak, &[x.value, dy.value, slope, dx.value]);
        Ok(())
    }
}
