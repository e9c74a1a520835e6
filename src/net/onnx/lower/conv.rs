//! Convolutions and what windows have in common.

use super::{One, Op, as_image, image, list, ordered, parameter};
use crate::layer::{Conv, ConvTranspose, Edge, Pad, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::node::{Node, small, unsupported};
use crate::net::onnx::tensor::Tensor;

/// Kernel, stride, dilation and padding as the node's options say, for an input of `size` positions.
pub(super) fn window(
    node: Node<'_>,
    kernel: [u32; 2],
    size: [u32; 2],
) -> Result<Window, Unsupported> {
    let stride = node.pair("strides")?.unwrap_or([1; 2]);
    let dilation = node.pair("dilations")?.unwrap_or([1; 2]);
    let mut window = Window {
        stride,
        dilation,
        kernel,
        ..Window::square(1, 1, 0)
    };
    if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
        window.check()?;
    }
    match node.word("auto_pad", "NOTSET") {
        "NOTSET" | "" => {
            let pads = node.ints("pads").unwrap_or(&[0; 4]);
            let numbers: Option<Vec<u32>> = pads.iter().map(|&pad| small(pad)).collect();
            let Some([top, left, bottom, right]) = numbers.as_deref() else {
                return Err(unsupported(
                    "pads",
                    format!("{pads:?}"),
                    "four numbers from 0 to 65535",
                ));
            };
            (window.before, window.after) = ([*top, *left], [*bottom, *right]);
        }
        "VALID" => {}
        same @ ("SAME_UPPER" | "SAME_LOWER") => {
            for axis in [0, 1] {
                let reach = (kernel[axis] - 1) * dilation[axis] + 1;
                let last = (size[axis].div_ceil(stride[axis]) - 1) * stride[axis];
                let total = (last + reach).saturating_sub(size[axis]);
                let (less, more) = (total / 2, total.div_ceil(2));
                let upper = same == "SAME_UPPER";
                window.before[axis] = if upper { less } else { more };
                window.after[axis] = total - window.before[axis];
            }
        }
        other => {
            return Err(unsupported(
                "auto_pad",
                other,
                "NOTSET, VALID, SAME_UPPER or SAME_LOWER",
            ));
        }
    }
    Ok(window)
}

/// `[h, w]` of an activation.
pub(super) fn size(x: &Activation) -> [u32; 2] {
    [x.shape.height, x.shape.width]
}

/// The shape of a kernel: outputs, inputs, rows and columns of `weight`.
fn kernel(weight: &Tensor) -> Result<[u32; 4], Unsupported> {
    let sizes: Option<Vec<u32>> = weight
        .shape
        .iter()
        .map(|&n| u32::try_from(n).ok())
        .collect();
    sizes
        .and_then(|sizes| sizes.try_into().ok())
        .ok_or_else(|| Unsupported::Constant {
            shape: weight.shape.clone(),
            wanted: "weights of 4 axes (only images are convolved)",
        })
}

fn groups(node: Node<'_>) -> Result<u32, Unsupported> {
    let groups = node.int("group").unwrap_or(1);
    u32::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0)
        .ok_or_else(|| unsupported("group", groups, "1 or more"))
}

fn bias(op: Op<'_>, channels: u32) -> Result<Vec<f32>, Unsupported> {
    match op.constant(2)? {
        None => Ok(vec![0.0; channels as usize]),
        Some(bias) => list(bias, channels, "one number for each channel"),
    }
}

pub(super) fn conv(import: &mut Import<'_>, op: Op<'_>) -> One {
    let weight = op.needed(1)?;
    if weight.shape.len() == 3 {
        return over_channels(import, op, weight);
    }
    let mut x = image(import, op.activation(0)?)?;
    let [out, input, rows, columns] = kernel(weight)?;
    let groups = groups(op.node)?;
    let bias = bias(op, out)?;
    if input.checked_mul(groups) != Some(x.shape.channels) {
        return Err(Unsupported::Constant {
            shape: weight.shape.clone(),
            wanted: "weights for the channels that its input has",
        });
    }
    let mut window = window(op.node, [rows, columns], size(&x))?;
    // A window that may lie wholly outside is a border of zeros and a window without one.
    let reach = [0, 1].map(|axis| (window.kernel[axis] - 1) * window.dilation[axis] + 1);
    if [0, 1]
        .iter()
        .any(|&axis| window.before[axis].max(window.after[axis]) >= reach[axis])
    {
        let pad = Pad {
            before: std::mem::take(&mut window.before).map(u32::cast_signed),
            after: std::mem::take(&mut window.after).map(u32::cast_signed),
            edge: Edge::Constant { value: 0.0 },
        };
        let name = import.numbered("pad");
        x = as_image(import.push(name, pad, &[x.draft], Vec::new())?);
    }
    let tensor = import.numbered("conv");
    let parameters = vec![
        parameter(
            &tensor,
            "weight",
            weight.shape.clone(),
            weight.to_f32().to_vec(),
        ),
        parameter(&tensor, "bias", vec![out as usize], bias),
    ];
    let name = tensor.clone();
    let layer = Conv {
        tensor,
        in_channels: x.shape.channels,
        out_channels: out,
        window,
        groups,
        linear: false,
    };
    Ok(as_image(import.push(
        name,
        layer,
        &[x.draft],
        parameters,
    )?))
}

/// A convolution of one axis, which the channels make up, as in ECA-Net (Wang et al. 2020, section 3.2): each channel
/// is a sum of its neighbours, which is a convolution of 1×1.
fn over_channels(import: &mut Import<'_>, op: Op<'_>, weight: &Tensor) -> One {
    let x = ordered(import, op.activation(0)?)?;
    let wrong = |wanted: &'static str| Unsupported::Axes {
        shape: x.layout.shape(),
        wanted,
    };
    let is_list = x.layout.rank() == 3
        && x.layout.0[..2].iter().all(Vec::is_empty)
        && x.layout.channel_axis(2) == Some(2);
    if !is_list || weight.shape[..2] != [1, 1] {
        return Err(wrong("an image, or one list of channels: [N, 1, C]"));
    }
    let one = |name: &'static str| -> Result<usize, Unsupported> {
        match op.node.ints(name) {
            None | Some([]) => Ok(1),
            Some([n]) if *n > 0 => Ok(small(*n).unwrap_or(u32::MAX) as usize),
            Some(other) => Err(unsupported(
                name,
                format!("{other:?}"),
                "one number above 0",
            )),
        }
    };
    let (stride, dilation) = (one("strides")?, one("dilations")?);
    let channels = x.shape.channels as usize;
    let taps = weight.shape[2];
    let extent = taps
        .saturating_sub(1)
        .saturating_mul(dilation)
        .saturating_add(1);
    let before = match (op.node.word("auto_pad", "NOTSET"), op.node.ints("pads")) {
        ("NOTSET" | "", Some(&[before, after])) if before >= 0 && before == after => {
            before as usize
        }
        ("NOTSET" | "" | "VALID", None) => 0,
        (_, pads) => {
            let found = format!("{:?}", pads.unwrap_or_default());
            return Err(unsupported("pads", found, "two equal numbers"));
        }
    };
    let places = channels
        .saturating_add(before.saturating_mul(2))
        .checked_sub(extent);
    let (Some(places), 1, true) = (places, stride, taps > 0 && before < extent) else {
        return Err(wrong(
            "as many channels as its window reaches over, one by one",
        ));
    };
    let (out, values) = (places + 1, weight.to_f32());
    let mut weights = vec![0.0; out * channels];
    for row in 0..out {
        for (tap, &value) in values.iter().enumerate() {
            if let Some(channel) = (row + tap * dilation).checked_sub(before)
                && channel < channels
            {
                weights[row * channels + channel] = value;
            }
        }
    }
    let bias = bias(op, 1)?[0];
    let tensor = import.numbered("conv");
    let parameters = vec![
        parameter(&tensor, "weight", vec![out, channels, 1, 1], weights),
        parameter(&tensor, "bias", vec![out], vec![bias; out]),
    ];
    let name = tensor.clone();
    let layer = Conv {
        tensor,
        in_channels: x.shape.channels,
        out_channels: out as u32,
        window: Window::square(1, 1, 0),
        groups: 1,
        linear: false,
    };
    let (draft, shape) = import.push(name, layer, &[x.draft], parameters)?;
    let layout = x.layout.with_channels(2, shape.channels);
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

pub(super) fn transposed(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = image(import, op.activation(0)?)?;
    let weight = op.needed(1)?;
    let [input, each, rows, columns] = kernel(weight)?;
    let groups = groups(op.node)?;
    let out = each
        .checked_mul(groups)
        .filter(|_| input == x.shape.channels);
    let out = out.ok_or_else(|| Unsupported::Constant {
        shape: weight.shape.clone(),
        wanted: "weights for the channels that its input has",
    })?;
    let bias = bias(op, out)?;
    let kernel = [rows, columns];
    let more = op.node.pair("output_padding")?.unwrap_or([0; 2]);
    let mut window = window(op.node, kernel, size(&x))?;
    let auto = op.node.word("auto_pad", "NOTSET");
    let wanted = op.node.pair("output_shape")?;
    let is_same = auto.starts_with("SAME");
    if wanted.is_some() || is_same {
        // The padding that makes the output as large as it says, or `stride` times the input.
        for axis in [0, 1] {
            let whole = (size(&x)[axis] - 1) * window.stride[axis]
                + (kernel[axis] - 1) * window.dilation[axis]
                + 1
                + more[axis];
            let out = wanted.map_or(size(&x)[axis] * window.stride[axis], |wanted| wanted[axis]);
            let total = whole.checked_sub(out);
            let total = total.ok_or_else(|| {
                unsupported("output_shape", out, "no more than the windows reach")
            })?;
            let (less, rest) = (total / 2, total - total / 2);
            let upper = auto == "SAME_UPPER";
            (window.before[axis], window.after[axis]) =
                if upper { (less, rest) } else { (rest, less) };
        }
    }
    let tensor = import.numbered("deconv");
    let parameters = vec![
        parameter(
            &tensor,
            "weight",
            weight.shape.clone(),
            weight.to_f32().to_vec(),
        ),
        parameter(&tensor, "bias", vec![out as usize], bias),
    ];
    let name = tensor.clone();
    let layer = ConvTranspose {
        tensor,
        in_channels: x.shape.channels,
        out_channels: out,
        window,
        groups,
        output_padding: more,
    };
    Ok(as_image(import.push(
        name,
        layer,
        &[x.draft],
        parameters,
    )?))
}
