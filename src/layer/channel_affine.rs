//! A trained factor and summand for every channel: a batch normalization behind something that cannot take it in.

use super::parameter::of_channels;
use super::{BackwardPass, ForwardPass, Layer, LayerError, ParameterShape};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::ChannelScale;

/// `x * scale[c] + bias[c]`, without what a flag leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAffine {
    /// Prefix of the parameters' names: `<tensor>.scale` and `<tensor>.bias`, each of shape `[channels]`.
    pub tensor: String,
    pub channels: u32,
    /// Whether there are factors.
    pub scale: bool,
    /// Whether there are summands.
    pub bias: bool,
}

impl ChannelAffine {
    fn scale_name(&self) -> Option<String> {
        self.scale.then(|| format!("{}.scale", self.tensor))
    }

    fn bias_name(&self) -> Option<String> {
        self.bias.then(|| format!("{}.bias", self.tensor))
    }
}

impl Layer for ChannelAffine {
    fn kind(&self) -> &'static str {
        "channel_affine"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        LayerError::check_channels("scales", self.channels, inputs[0])
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs && !self.scale && !self.bias
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        let names = self.scale_name().into_iter().chain(self.bias_name());
        names
            .map(|name| ParameterShape::of_channels(name, self.channels))
            .collect()
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let mut values = vec![x.value];
        for name in self.scale_name().into_iter().chain(self.bias_name()) {
            let numbers = of_channels(pass.parameters, &name, self.channels)?;
            values.push(pass.recording.given(pass.label, numbers));
        }
        values.push(y.value);
        let scale = ChannelScale {
            x: x.view,
            y: y.view,
            scale: self.scale,
            bias: self.bias,
            accumulate: false,
        };
        pass.call(scale, &values);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let mut values = vec![dy.value];
        if let Some(name) = self.scale_name() {
            let numbers = of_channels(pass.parameters, &name, self.channels)?;
            values.push(pass.recording.given(pass.label, numbers));
        }
        values.push(dx.value);
        let scale = ChannelScale {
            x: dy.view,
            y: dx.view,
            scale: self.scale,
            bias: false,
            accumulate: pass.accumulate,
        };
        pass.call(scale, &values);
        Ok(())
    }
}
