//! Normalization over the channels of every position.

use super::group_norm::{check, parameters, weight, weight_and_bias};
use super::{BackwardPass, ForwardPass, Layer, LayerError, ParameterShape};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// Every feature vector minus the mean of its channels and divided by their deviation; then times a weight and plus a
/// bias of the channel, where there are any (Ba et al. 2016, equation 4).
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// Prefix of the parameters' names, if it has parameters: `<tensor>.weight` and `<tensor>.bias`, each of shape
    /// `[channels]`.
    pub tensor: Option<String>,
    pub channels: u32,
    /// What is added to a variance.
    pub epsilon: f32,
}

impl Layer for LayerNorm {
    fn kind(&self) -> &'static str {
        "layer_norm"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        check(self.channels, self.epsilon, inputs)
    }

    fn is_rectified(&self, _: bool) -> bool {
        false
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        parameters(self.tensor.as_ref(), self.channels)
    }

    fn reads_input(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let weights = weight_and_bias(pass, self.tensor.as_ref(), self.channels)?;
        let norm = kernels::LayerNorm {
            x: x.view,
            y: y.view,
            epsilon: self.epsilon,
            weighted: weights.is_some(),
        };
        let mut values = vec![x.value];
        values.extend(weights.into_iter().flatten());
        values.push(y.value);
        pass.call(norm, &values);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let (x, dy, dx) = (pass.input(input)?, pass.dy, pass.dx);
        let weight = weight(pass, self.tensor.as_ref(), self.channels)?;
        let norm = kernels::LayerNormBackward {
            x: x.view,
            dy: dy.view,
            dx: dx.view,
            epsilon: self.epsilon,
            weighted: weight.is_some(),
            accumulate: pass.accumulate,
        };
        let mut values = vec![x.value, dy.value];
        values.extend(weight);
        values.push(dx.value);
        pass.call(norm, &values);
        Ok(())
    }
}
