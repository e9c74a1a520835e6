//! Channels that become positions, and positions that become channels.

use super::channels::positions;
use super::shape::to;
use super::{One, Op, as_image, image, ordered, parameter};
use crate::layer::{Concat, ConvTranspose, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::{Layout, Part};
use crate::net::onnx::node::unsupported;

/// How many positions along rows and columns a block has.
fn block_size(op: Op<'_>) -> Result<u32, Unsupported> {
    let size = op.node.int("blocksize").unwrap_or(0);
    let fits = u32::try_from(size)
        .ok()
        .filter(|size| (1..=MOST).contains(size));
    fits.ok_or_else(|| unsupported("blocksize", size, "a number from 1 to 64"))
}

/// Most positions of a block along rows or columns.
const MOST: u32 = 64;

/// Each block of positions becomes the channels of one position, the block's first row first.
pub(super) fn of_space(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = image(import, op.activation(0)?)?;
    let size = block_size(op)?;
    if !x.shape.height.is_multiple_of(size) || !x.shape.width.is_multiple_of(size) {
        return Err(unsupported(
            "blocksize",
            size,
            "a number that divides its rows and columns",
        ));
    }
    let Activation { draft, shape, .. } = blocks_to_channels(import, &x, [size; 2])?;
    Ok(Activation::image(draft, shape))
}

/// Each block of rows and columns becomes channels of the layer, the block's first row first; the value stays as it is.
pub(super) fn blocks_to_channels(import: &mut Import<'_>, x: &Activation, block: [u32; 2]) -> One {
    if block.iter().any(|&size| size > MOST) {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "rows and columns that are cut into pieces of at most 64",
        });
    }
    let layout = x.layout.in_blocks(block, x.shape.channels);
    let (mut draft, mut shape) = (x.draft, x.shape);
    for axis in [1, 0] {
        let (step, size) = (
            block[axis] as usize,
            [shape.height, shape.width][axis] as usize,
        );
        if step == 1 {
            continue;
        }
        let whole = Activation::image(draft, shape);
        let each = |first: usize| (first..size).step_by(step).collect::<Vec<usize>>();
        let mut parts = Vec::with_capacity(step);
        for first in 0..step {
            parts.push(positions(import, &whole, axis, &each(first))?.draft);
        }
        let name = import.numbered("concat");
        (draft, shape) = import.push(name, Concat, &parts, Vec::new())?;
    }
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// The channels of each position become a block of positions.
pub(super) fn to_space(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = image(import, op.activation(0)?)?;
    let size = block_size(op)?;
    let area = (size * size) as usize;
    let [_, channels, rows, columns] = x.layout.shape()[..] else {
        return Err(Unsupported::Operator);
    };
    if channels % area != 0 {
        return Err(unsupported(
            "blocksize",
            size,
            "a number whose square divides the channels",
        ));
    }
    let (out, size) = (channels / area, size as usize);
    // The channels of a block apart, then behind the rows and columns that they belong to.
    let (apart, order) = match op.node.word("mode", "DCR") {
        "CRD" => ([out, size, size], [0, 1, 4, 2, 5, 3]),
        "DCR" => ([size, size, out], [0, 3, 4, 1, 5, 2]),
        other => return Err(unsupported("mode", other, "DCR or CRD")),
    };
    let [a, b, c] = apart;
    let x = to(import, &x, &[1, a, b, c, rows, columns])?;
    let layout = x.layout.transposed(&order);
    let x = Activation { layout, ..x };
    let x = to(import, &x, &[1, out, rows * size, columns * size])?;
    image(import, &x)
}

/// `[N, C, H, W]` of which rows and columns have channels of the layer as their faster parts, `blocks`: a transposed
/// convolution that moves numbers.
pub(super) fn channels_to_blocks(
    import: &mut Import<'_>,
    x: &Activation,
    blocks: [Vec<Part>; 2],
) -> One {
    let size = blocks.each_ref().map(|parts| {
        let sizes = parts.iter().map(|part| part.len() as u32);
        sizes.product::<u32>()
    });
    // Those of a block side by side, the first row first.
    let mut axes = x.layout.0.clone();
    for (axis, block) in axes[2..].iter_mut().zip(&blocks) {
        axis.truncate(axis.len() - block.len());
    }
    axes.extend(blocks);
    let layout = Layout(axes);
    let x = ordered(
        import,
        &Activation {
            layout,
            ..x.clone()
        },
    )?;
    let (channels, area) = (x.shape.channels, size[0] * size[1]);
    let out = channels / area;
    let place = |channel: u32| (0..area).map(move |at| f32::from(u8::from(at == channel % area)));
    let weights: Vec<f32> = (0..channels).flat_map(place).collect();
    let tensor = import.numbered("depth_to_space");
    let sizes = [channels, 1, size[0], size[1]].map(|n| n as usize);
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
            stride: size,
            kernel: size,
            ..Window::square(1, 1, 0)
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
