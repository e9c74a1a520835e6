//! Constants that are multiplied into the weights of the convolution before them, and how the values that the file has
//! in between are got back.

use super::error::Unsupported;
use super::import::Import;
use crate::layer::{ChannelAffine, Conv};
use crate::net::Parameter;

/// Values of the file that an affine map of a layer's channels gives back.
#[derive(Clone, Debug)]
pub(super) struct Unfolded {
    pub values: Vec<String>,
    pub nodes: Vec<String>,
    pub scale: Vec<f64>,
    pub bias: Vec<f64>,
}

impl Import<'_> {
    /// Multiplies `scale` and adds `bias` to the channels of a convolution in its own weights.
    ///
    /// The layer as it was before stays there under its names: computed back from the new one, or on its own where
    /// that would lose digits.
    pub fn fold_into(&mut self, draft: usize, scale: &[f64], bias: &[f64]) -> Option<usize> {
        let old = &self.drafts[draft];
        let conv = old.layer.of_kind::<Conv>()?.clone();
        let [weight, offset] = &old.parameters[..] else {
            return None;
        };
        let each = weight.values.len() / scale.len();
        let weights = weight
            .values
            .chunks_exact(each)
            .zip(scale)
            .flat_map(|(row, scale)| row.iter().map(move |&w| (f64::from(w) * scale) as f32))
            .collect();
        let offsets = offset
            .values
            .iter()
            .zip(scale.iter().zip(bias))
            .map(|(&b, (scale, bias))| (f64::from(b) * scale + bias) as f32)
            .collect();
        let (shape, bias_shape) = (weight.shape.clone(), offset.shape.clone());
        if is_reversible(scale) {
            let (values, nodes) = {
                let old = &mut self.drafts[draft];
                (
                    std::mem::take(&mut old.values),
                    std::mem::take(&mut old.nodes),
                )
            };
            let old = &mut self.drafts[draft];
            let back = |then_scale: &[f64], then_bias: &[f64]| -> (Vec<f64>, Vec<f64>) {
                let scales = then_scale.iter().zip(scale).map(|(t, s)| t / s);
                let biases = then_bias.iter().zip(then_scale).zip(scale.iter().zip(bias));
                let biases = biases.map(|((b0, t), (s, b))| b0 - t * b / s);
                (scales.collect(), biases.collect())
            };
            for before in &mut old.unfolded {
                (before.scale, before.bias) = back(&before.scale, &before.bias);
            }
            let (scale, bias) = back(&vec![1.0; scale.len()], &vec![0.0; scale.len()]);
            old.unfolded.push(Unfolded {
                values,
                nodes,
                scale,
                bias,
            });
            old.parameters[0].values = weights;
            old.parameters[1].values = offsets;
            return Some(draft);
        }
        let inputs = old.inputs.clone();
        let name = self.numbered("conv");
        let parameters = vec![
            Parameter {
                name: format!("{name}.weight"),
                shape,
                values: weights,
            },
            Parameter {
                name: format!("{name}.bias"),
                shape: bias_shape,
                values: offsets,
            },
        ];
        let conv = Conv {
            tensor: name.clone(),
            ..conv
        };
        Some(self.push(name, conv, &inputs, parameters).ok()?.0)
    }

    /// The layers that were folded into others, added behind all others.
    pub fn unfold(&mut self) -> Result<(), Unsupported> {
        for draft in 0..self.drafts.len() {
            for unfolded in std::mem::take(&mut self.drafts[draft].unfolded) {
                let name = self.numbered("unfolded");
                let channels = self.drafts[draft].shape.channels;
                let parameter = |suffix: &str, values: &[f64]| Parameter {
                    name: format!("{name}.{suffix}"),
                    shape: vec![values.len()],
                    values: values.iter().map(|&x| x as f32).collect(),
                };
                let parameters = vec![
                    parameter("scale", &unfolded.scale),
                    parameter("bias", &unfolded.bias),
                ];
                let layer = ChannelAffine {
                    tensor: name.clone(),
                    channels,
                    scale: true,
                    bias: true,
                };
                let (place, _) = self.push(name.clone(), layer, &[draft], parameters)?;
                self.drafts[place].values = unfolded.values;
                self.drafts[place].nodes = unfolded.nodes;
            }
        }
        Ok(())
    }
}

/// Whether dividing by `scale` gives back what multiplying by it made, to the digits of f32.
fn is_reversible(scale: &[f64]) -> bool {
    let sizes = scale.iter().map(|x| x.abs());
    let (least, most) = sizes.fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), x| {
        (least.min(x), most.max(x))
    });
    least > most * 1e-3
}
