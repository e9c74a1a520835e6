//! Channels that become positions, and positions that become channels.

use super::channels::{join, positions};
use super::{One, Op, as_image, image, parameter};
use crate::layer::{ConvTranspose, SelectChannels, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::node::unsupported;

/// How many positions along rows and columns a block has.
fn block_size(op: Op<'_>) -> Result<u32, Unsupported> {
    let size = op.node.int("blocksize").unwrap_or(0);
    let fits = u32::try_from(size)
        .ok()
        .filter(|size| (1..=64).contains(size));
    fits.ok_or_else(|| unsupported("blocksize", size, "a number from 1 to 64"))
}

/// Each block of positions becomes the channels of one position, the block's first row first.
pub(super) fn of_space(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = image(import, op.activation(0)?)?;
    let size = block_size(op)? as usize;
    let [height, width] = [x.shape.height, x.shape.width].map(|n| n as usize);
    if height % size != 0 || width % size != 0 {
        return Err(unsupported(
            "blocksize",
            size,
            "a number that divides its rows and columns",
        ));
    }
    let each = |of: usize, first: usize| (first..of).step_by(size).collect::<Vec<usize>>();
    let mut all = Vec::with_capacity(size * size);
    for row in 0..size {
        let rows = positions(import, &x, 0, &each(height, row))?;
        for column in 0..size {
            all.push(positions(import, &rows, 1, &each(width, column))?);
        }
    }
    join(import, &all.iter().collect::<Vec<&Activation>>(), 1)
}

/// The channels of each position become a block of positions: a transposed convolution that moves numbers.
pub(super) fn to_space(import: &mut Import<'_>, op: Op<'_>) -> One {
    let mut x = image(import, op.activation(0)?)?;
    let size = block_size(op)?;
    let area = size * size;
    let channels = x.shape.channels;
    if !channels.is_multiple_of(area) {
        return Err(unsupported(
            "blocksize",
            size,
            "a number whose square divides the channels",
        ));
    }
    let out = channels / area;
    match op.node.word("mode", "DCR") {
        "CRD" => {}
        "DCR" => {
            let channels = (0..out).flat_map(|c| (0..area).map(move |place| place * out + c));
            let channels: Vec<u32> = channels.collect();
            if channels.iter().zip(0..).any(|(&from, to)| from != to) {
                let name = import.numbered("select");
                let layer = SelectChannels { channels };
                x = as_image(import.push(name, layer, &[x.draft], Vec::new())?);
            }
        }
        other => return Err(unsupported("mode", other, "DCR or CRD")),
    }
    // The channels of a block stand side by side now: each is one of its positions.
    let place = |channel: u32| (0..area).map(move |at| f32::from(u8::from(at == channel % area)));
    let weights: Vec<f32> = (0..channels).flat_map(place).collect();
    let tensor = import.numbered("depth_to_space");
    let sizes = [channels as usize, 1, size as usize, size as usize];
    let parameters = vec![
        parameter(&tensor, "weight", sizes.to_vec(), weights),
        parameter(&tensor, "bias", vec![out as usize], vec![0.0; out as usize]),
    ];
    let name = tensor.clone();
    let layer = ConvTranspose {
        tensor,
        in_channels: channels,
        out_channels: out,
        window: Window {
            stride: [size; 2],
            ..Window::square(size, 1, 0)
        },
        groups: out,
        output_padding: [0; 2],
    };
    Ok(as_image(import.push(
        name,
        layer,
        &[x.draft],
        parameters,
    )?))
}
