//! Constants that are multiplied to channels or added to them.

use super::{One, parameter};
use crate::layer::ChannelAffine;
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::{Layout, Part};
use crate::net::onnx::shapes::broadcast;
use crate::net::onnx::tensor::{Tensor, strides};

/// `x * scale + bias` for each channel of the layer. A convolution that nothing else reads takes both into its weights.
pub(super) fn affine(
    import: &mut Import<'_>,
    x: &Activation,
    value: &str,
    scale: &[f64],
    bias: &[f64],
) -> One {
    if import.is_only_read_here(value, x)
        && let Some(draft) = import.fold_into(x.draft, scale, bias)
    {
        return Ok(Activation { draft, ..x.clone() });
    }
    let (has_scale, has_bias) = (
        scale.iter().any(|&s| s != 1.0),
        bias.iter().any(|&b| b != 0.0),
    );
    if !has_scale && !has_bias {
        return Ok(x.clone());
    }
    let channels = x.shape.channels;
    let tensor = import.numbered("affine");
    let values = |all: &[f64]| all.iter().map(|&x| x as f32).collect();
    let mut parameters = Vec::new();
    if has_scale {
        parameters.push(parameter(
            &tensor,
            "scale",
            vec![scale.len()],
            values(scale),
        ));
    }
    if has_bias {
        parameters.push(parameter(&tensor, "bias", vec![bias.len()], values(bias)));
    }
    let name = tensor.clone();
    let layer = ChannelAffine {
        tensor,
        channels,
        scale: has_scale,
        bias: has_bias,
    };
    let (draft, shape) = import.push(name, layer, &[x.draft], parameters)?;
    let layout = x.layout.clone();
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// `x * scale + bias` with the same two numbers everywhere.
pub(super) fn uniform(
    import: &mut Import<'_>,
    x: &Activation,
    value: &str,
    scale: f64,
    bias: f64,
) -> One {
    let all = |number: f64| vec![number; x.shape.channels as usize];
    affine(import, x, value, &all(scale), &all(bias))
}

/// How a constant meets the elements of an activation that it is broadcast to.
struct Meeting {
    /// The layout of the two combined.
    layout: Layout,
    /// Each channel of the layer, with a place in the constant.
    channels: Vec<(u32, usize)>,
    /// Each position of the layer, row by row, with what is to be added to the place.
    positions: Vec<(usize, usize)>,
}

/// # Errors
/// Where the shapes do not go together.
fn meeting(x: &Activation, constant: &Tensor) -> Result<Meeting, Unsupported> {
    let rank = x.layout.rank().max(constant.shape.len());
    let mut layout = x.layout.clone();
    layout.0.splice(0..0, vec![vec![]; rank - x.layout.rank()]);
    let shape = layout.shape();
    if broadcast(&shape, &constant.shape)? != shape {
        return Err(Unsupported::Broadcast {
            first: shape,
            other: constant.shape.clone(),
        });
    }
    let lacks = rank - constant.shape.len();
    let steps = strides(&constant.shape);
    // Parts of the layer's axes with the step that each makes in the constant.
    let mut channels = vec![(0, 0)];
    let mut positions = vec![(0, 0)];
    for (axis, parts) in layout.0.iter().enumerate() {
        let step = match axis.checked_sub(lacks) {
            Some(axis) if constant.shape[axis] != 1 => steps[axis],
            _ => 0,
        };
        let mut below = 1;
        for part in parts.iter().rev() {
            let step = step * below;
            below *= part.len();
            let (len, apart) = match *part {
                Part::Channels { stride, len } => {
                    let each = |&(channel, place): &(u32, usize)| {
                        (0..len).map(move |i| (channel + i * stride, place + i as usize * step))
                    };
                    channels = channels.iter().flat_map(each).collect();
                    continue;
                }
                Part::Rows(len) => (len as usize, x.shape.width as usize),
                Part::Columns(len) => (len as usize, 1),
            };
            let each = |&(position, place): &(usize, usize)| {
                (0..len).map(move |i| (position + i * apart, place + i * step))
            };
            positions = positions.iter().flat_map(each).collect();
        }
    }
    Ok(Meeting {
        layout,
        channels,
        positions,
    })
}

/// The number of a constant that meets each channel of the layer, and the layout of the two combined.
///
/// # Errors
/// Where the shapes do not go together, or the constant differs from position to position.
pub(super) fn per_channel(
    x: &Activation,
    constant: &Tensor,
) -> Result<(Vec<f32>, Layout), Unsupported> {
    let meeting = meeting(x, constant)?;
    let mut places: Vec<usize> = meeting.positions.iter().map(|(_, place)| *place).collect();
    places.sort_unstable();
    places.dedup();
    let values = constant.to_f32();
    let mut numbers = vec![0.0; x.shape.channels as usize];
    for (channel, first) in meeting.channels {
        let number = values[first];
        if places.iter().any(|place| values[first + place] != number) {
            return Err(Unsupported::Positions);
        }
        numbers[channel as usize] = number;
    }
    Ok((numbers, meeting.layout))
}

/// The numbers of a constant that meet the layer's channels and positions: `[C, H, W]`, and the layout of the two
/// combined.
///
/// # Errors
/// Where the shapes do not go together.
pub(super) fn per_position(
    x: &Activation,
    constant: &Tensor,
) -> Result<(Vec<f32>, Layout), Unsupported> {
    let meeting = meeting(x, constant)?;
    let area = meeting.positions.len();
    let values = constant.to_f32();
    let mut numbers = vec![0.0; x.shape.channels as usize * area];
    for (channel, first) in meeting.channels {
        for (position, place) in &meeting.positions {
            numbers[channel as usize * area + position] = values[first + place];
        }
    }
    Ok((numbers, meeting.layout))
}
