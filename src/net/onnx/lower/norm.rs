//! Normalizations, and the softmax.

use super::channels::{join, maximum, pieces, total};
use super::{One, Op, affine, binary, elementwise, image, list, ordered, parameter};
use crate::layer::{Function, GroupNorm, LayerNorm, Lrn, Operation, Softmax};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::Part;
use crate::net::onnx::lower::pointwise::apply;
use crate::net::onnx::node::{axis, unsupported};

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` with the numbers that training left (Ioffe and Szegedy 2015).
pub(super) fn batch(import: &mut Import<'_>, op: Op<'_>) -> One {
    op.node.only("training_mode", 0)?;
    let x = op.activation(0)?;
    // The channels are always the second axis.
    if x.layout.channel_axis(1) != Some(1) {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "an image or a list: [N, C, ..]",
        });
    }
    let x = &ordered(import, x)?;
    let epsilon = f64::from(op.node.float("epsilon").unwrap_or(1e-5));
    let wanted = "one number for each channel";
    let numbers = |index| -> Result<Vec<f64>, Unsupported> {
        let all = list(op.needed(index)?, x.shape.channels, wanted)?;
        Ok(all.into_iter().map(f64::from).collect())
    };
    let (gamma, beta, mean, variance) = (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?);
    let scale: Vec<f64> = gamma
        .iter()
        .zip(&variance)
        .map(|(g, v)| g / (v + epsilon).sqrt())
        .collect();
    if scale.iter().any(|s| !s.is_finite()) {
        return Err(Unsupported::Other("has a variance that is not above 0"));
    }
    let bias: Vec<f64> = beta
        .iter()
        .zip(mean.iter().zip(&scale))
        .map(|(b, (m, s))| b - m * s)
        .collect();
    affine::affine(import, x, op.input_name(0), &scale, &bias)
}

/// A normalization of groups of channels over all positions.
fn grouped(
    import: &mut Import<'_>,
    x: &Activation,
    groups: u32,
    epsilon: f32,
    [scale, bias]: [Vec<f32>; 2],
) -> One {
    let channels = x.shape.channels;
    let tensor = import.numbered("norm");
    let length = vec![channels as usize];
    let parameters = vec![
        parameter(&tensor, "weight", length.clone(), scale),
        parameter(&tensor, "bias", length, bias),
    ];
    let name = tensor.clone();
    let layer = GroupNorm {
        tensor: Some(tensor),
        channels,
        groups,
        epsilon,
    };
    let (draft, shape) = import.push(name, layer, &[x.draft], parameters)?;
    let layout = x.layout.clone();
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// Each channel over all positions (Ulyanov et al. 2016); each group of channels where a Reshape made axes of groups.
pub(super) fn instance(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = &ordered(import, op.activation(0)?)?;
    let axes = || Unsupported::Axes {
        shape: x.layout.shape(),
        wanted: "an image, or groups of its channels: [N, C, ..]",
    };
    let shape = x.layout.shape();
    let (Some(&count), Some(parts)) = (shape.get(1), x.layout.0.get(1)) else {
        return Err(axes());
    };
    let channels = x.shape.channels;
    let groups = count as u32;
    // The groups are the slowest part of the channels.
    let each = channels / groups.max(1);
    let fits = match parts[..] {
        [] => true,
        [Part::Channels { stride, len }] => stride == each && len == groups,
        _ => false,
    };
    if !fits || !x.layout.0[0].is_empty() || groups * each != channels {
        return Err(axes());
    }
    let spread = |index| -> Result<Vec<f32>, Unsupported> {
        let numbers = list(op.needed(index)?, groups, "one number for each channel")?;
        Ok(numbers
            .into_iter()
            .flat_map(|n| std::iter::repeat_n(n, each as usize))
            .collect())
    };
    let epsilon = op.node.float("epsilon").unwrap_or(1e-5);
    grouped(import, x, groups, epsilon, [spread(1)?, spread(2)?])
}

/// Groups of channels over all positions (Wu and He 2018).
pub(super) fn group(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = &image(import, op.activation(0)?)?;
    let channels = x.shape.channels;
    let groups = op.node.int("num_groups").unwrap_or(0);
    let groups = u32::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0 && channels.is_multiple_of(groups))
        .ok_or_else(|| unsupported("num_groups", groups, "a number that divides the channels"))?;
    let numbers = |index| -> Result<Vec<f32>, Unsupported> {
        let tensor = op.needed(index)?;
        // Opset 18 has a number for each group, opset 21 for each channel.
        if tensor.len() == groups as usize {
            let each = (channels / groups) as usize;
            let all = tensor.to_f32();
            return Ok(all
                .iter()
                .flat_map(|&n| std::iter::repeat_n(n, each))
                .collect());
        }
        list(tensor, channels, "one number for each channel")
    };
    let epsilon = op.node.float("epsilon").unwrap_or(1e-5);
    grouped(import, x, groups, epsilon, [numbers(1)?, numbers(2)?])
}

/// The channels of each position (Ba et al. 2016), or all that there is where the axes are all but the batch.
pub(super) fn layer(import: &mut Import<'_>, op: Op<'_>) -> One {
    if op.node.message.outputs.len() > 1
        && op.node.message.outputs[1..]
            .iter()
            .any(|name| !name.is_empty())
    {
        return Err(Unsupported::Other("has outputs that are not supported"));
    }
    let x = &ordered(import, op.activation(0)?)?;
    let rank = x.layout.rank();
    let from = axis(op.node.int("axis").unwrap_or(-1), rank)?;
    let channels = x.shape.channels;
    let epsilon = op.node.float("epsilon").unwrap_or(1e-5);
    let wanted = "one number for each channel";
    let scale = |index, default| match op.constant(index)? {
        None => Ok(vec![default; channels as usize]),
        Some(tensor) => affine::per_channel(x, tensor).map(|(numbers, _)| numbers),
    };
    let (normal, rest) = (&x.layout.0[from..], &x.layout.0[..from]);
    let has_channels = |axes: &[Vec<Part>]| axes.iter().flatten().any(|part| part.is_channels());
    let has_positions = |axes: &[Vec<Part>]| axes.iter().flatten().any(|part| !part.is_channels());
    if !has_channels(rest) && !has_positions(normal) {
        let (scale, bias) = (scale(1, 1.0)?, scale(2, 0.0)?);
        let tensor = import.numbered("norm");
        let length = vec![channels as usize];
        let parameters = vec![
            parameter(&tensor, "weight", length.clone(), scale),
            parameter(&tensor, "bias", length, bias),
        ];
        let name = tensor.clone();
        let layer = LayerNorm {
            tensor: Some(tensor),
            channels,
            epsilon,
        };
        let (draft, shape) = import.push(name, layer, &[x.draft], parameters)?;
        let layout = x.layout.clone();
        return Ok(Activation {
            draft,
            shape,
            layout,
        });
    }
    if !has_channels(rest) && !has_positions(rest) {
        return match [scale(1, 1.0), scale(2, 0.0)] {
            [Ok(scale), Ok(bias)] => grouped(import, x, 1, epsilon, [scale, bias]),
            // A number for each element.
            _ => {
                let all = |number| vec![number; channels as usize];
                let mut made = grouped(import, x, 1, epsilon, [all(1.0), all(0.0)])?;
                for (index, operation) in [(1, Operation::Mul), (2, Operation::Add)] {
                    if let Some(constant) = op.constant(index)? {
                        made = binary::positional(import, operation, &made, constant)?;
                    }
                }
                Ok(made)
            }
        };
    }
    Err(Unsupported::Axes {
        shape: x.layout.shape(),
        wanted,
    })
}

/// `x / (k + alpha / n * sum of n squares)^beta` (Krizhevsky et al. 2012, section 3.3).
pub(super) fn local_response(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = &image(import, op.activation(0)?)?;
    let option = |name: &str, default: f32| op.node.float(name).unwrap_or(default);
    let size = op.node.int("size").unwrap_or(0);
    let layer = Lrn {
        size: u32::try_from(size).map_err(|_| unsupported("size", size, "an odd number"))?,
        alpha: option("alpha", 1e-4),
        beta: option("beta", 0.75),
        k: option("bias", 1.0),
    };
    elementwise(import, "lrn", x, layer)
}

/// Probabilities over the channels.
pub(super) fn softmax(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let rank = x.layout.rank();
    // Up to opset 12 all axes from the second on are one.
    let is_old = op.node.opset < 13;
    let along = axis(
        op.node.int("axis").unwrap_or(if is_old { 1 } else { -1 }),
        rank,
    )?;
    let over = if is_old {
        &x.layout.0[along..]
    } else {
        &x.layout.0[along..=along]
    };
    let parts = over.iter().flatten();
    let over_channels: usize = parts.clone().map(|part| part.len()).product();
    if parts.clone().any(|part| !part.is_channels()) {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "the channels, over which alone it is computed",
        });
    }
    let made = if over_channels == x.shape.channels as usize {
        elementwise(import, "softmax", x, Softmax)?
    } else {
        let mut wide = (along..rank).filter(|&axis| !x.layout.0[axis].is_empty());
        let axis = wide.next().filter(|_| !is_old || wide.next().is_none());
        match axis {
            Some(axis) => softmax_of_some(import, x, if is_old { axis } else { along })?,
            None => {
                return Err(Unsupported::Axes {
                    shape: x.layout.shape(),
                    wanted: "one axis, or all channels",
                });
            }
        }
    };
    if op.node.operator() == "LogSoftmax" {
        return apply(import, &made, Function::Log);
    }
    Ok(made)
}

/// Probabilities over an axis that some of the channels make up.
fn softmax_of_some(import: &mut Import<'_>, x: &Activation, along: usize) -> One {
    let pieces = pieces(import, x, along)?;
    let largest = maximum(import, x, along)?;
    let mut powers = Vec::with_capacity(pieces.len());
    for piece in &pieces {
        let less = binary::two(import, Operation::Sub, piece, &largest)?;
        powers.push(apply(import, &less, Function::Exp)?);
    }
    let sum = total(import, &powers)?;
    let mut shares = Vec::with_capacity(powers.len());
    for power in &powers {
        shares.push(binary::two(import, Operation::Div, power, &sum)?);
    }
    join(import, &shares.iter().collect::<Vec<&Activation>>(), along)
}
