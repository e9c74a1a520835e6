//! Normalization over groups of channels and all positions.

use super::parameter::of_channels;
use super::{BackwardPass, ForwardPass, Layer, LayerError, ParameterShape};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::group_norm::{GroupMoments, record_group_norm, record_group_norm_backward};

/// Every group of `channels / groups` channels, one behind the other, minus its mean over all positions and divided by
/// its deviation; then times a weight and plus a bias of the channel, where there are any (Wu and He 2018, equation 6).
/// With as many groups as channels it is instance normalization.
///
/// Its receptive field is that of its input: what a unit depends on the positions outside by are two numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNorm {
    /// Prefix of the parameters' names, if it has parameters: `<tensor>.weight` and `<tensor>.bias`, each of shape
    /// `[channels]`.
    pub tensor: Option<String>,
    pub channels: u32,
    pub groups: u32,
    /// What is added to a variance.
    pub epsilon: f32,
}

/// The names of the weight and the bias.
pub(super) fn names(tensor: Option<&String>) -> Option<[String; 2]> {
    tensor.map(|tensor| ["weight", "bias"].map(|part| format!("{tensor}.{part}")))
}

/// The parameters of those names.
pub(super) fn parameters(tensor: Option<&String>, channels: u32) -> Vec<ParameterShape> {
    let names = names(tensor).into_iter().flatten();
    names
        .map(|name| ParameterShape::of_channels(name, channels))
        .collect()
}

/// The weight and the bias, for the recording of a forward pass.
pub(super) fn weight_and_bias(
    pass: &mut ForwardPass<'_>,
    tensor: Option<&String>,
    channels: u32,
) -> Result<Option<[ValueId; 2]>, Error> {
    let Some([weight, bias]) = names(tensor) else {
        return Ok(None);
    };
    let weight = of_channels(pass.parameters, &weight, channels)?;
    let bias = of_channels(pass.parameters, &bias, channels)?;
    Ok(Some([
        pass.recording.given(pass.label, weight),
        pass.recording.given(pass.label, bias),
    ]))
}

/// The weight, for the recording of a backward pass.
pub(super) fn weight(
    pass: &mut BackwardPass<'_>,
    tensor: Option<&String>,
    channels: u32,
) -> Result<Option<ValueId>, Error> {
    let Some([weight, _]) = names(tensor) else {
        return Ok(None);
    };
    let weight = of_channels(pass.parameters, &weight, channels)?;
    Ok(Some(pass.recording.given(pass.label, weight)))
}

/// The channels of a normalization's input, if it is as the layer says and no variance is divided by that is not
/// positive.
pub(super) fn check(channels: u32, epsilon: f32, inputs: &[u32]) -> Result<u32, LayerError> {
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(LayerError::Epsilon { epsilon });
    }
    LayerError::check_channels("normalizes", channels, inputs[0])
}

impl GroupNorm {
    /// Channels of a group.
    fn size(&self) -> u32 {
        self.channels / self.groups
    }
}

impl Layer for GroupNorm {
    fn kind(&self) -> &'static str {
        "group_norm"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        let groups = self.groups;
        if groups == 0 || !self.channels.is_multiple_of(groups) {
            return Err(LayerError::Groups {
                groups,
                input: self.channels,
                output: self.channels,
            });
        }
        check(self.channels, self.epsilon, inputs)
    }

    fn is_local(&self) -> bool {
        // The mean is that of the whole image.
        false
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

    /// Saves the means and what deviations from them are multiplied by.
    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let weights = weight_and_bias(pass, self.tensor.as_ref(), self.channels)?;
        let tensors = [pass.x[0], pass.y];
        let moments = record_group_norm(
            pass.recording,
            pass.label,
            tensors,
            self.size(),
            self.epsilon,
            weights,
        );
        Ok(vec![moments.centre, moments.deviation])
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let tensors = [pass.input(input)?, pass.dy, pass.dx];
        let weight = weight(pass, self.tensor.as_ref(), self.channels)?;
        let moments = GroupMoments {
            centre: pass.saved[0],
            deviation: pass.saved[1],
        };
        record_group_norm_backward(
            pass.recording,
            pass.label,
            tensors,
            self.size(),
            moments,
            weight,
            pass.accumulate,
        );
        Ok(())
    }
}
