//! A plain interpreter of the layer graph over [C,H,W] arrays: nothing shared with the engine but the graph.

use pixgrad::engine::layer::{
    AdaptiveAvgPool, Add, AvgPool, Concat, Conv, ConvTranspose, Edge, GlobalAvgPool, Input, Lrn,
    MaxPool, Normalize, Pad, Relu, Softmax, Window,
};
use pixgrad::engine::net::{Network, Node, NodeId};

pub struct Map {
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub v: Vec<f64>,
}

impl Map {
    fn at(&self, c: usize, y: i64, x: i64) -> Option<f64> {
        let inside = y >= 0 && x >= 0 && y < self.h as i64 && x < self.w as i64;
        inside.then(|| self.v[(c * self.h + y as usize) * self.w + x as usize])
    }

    fn here(&self, c: usize, y: i64, x: i64) -> f64 {
        self.at(c, y, x).expect("inside")
    }
}

/// An image of 3 channels.
pub fn image((h, w): (u32, u32), pixels: &[f64]) -> Map {
    Map {
        c: 3,
        h: h as usize,
        w: w as usize,
        v: pixels.to_vec(),
    }
}

/// The output of a node for an image.
pub fn run(network: &Network, image: Map, last: NodeId) -> Map {
    let shapes = network.shapes(image.h as u32, image.w as u32);
    let mut maps: Vec<Option<Map>> = Vec::new();
    let mut image = Some(image);
    for (node, shape) in network.layers().zip(shapes).take(last.0 + 1) {
        maps.push(match shape {
            None => None,
            Some(_) if node.is::<Input>() => image.take(),
            Some(shape) => {
                let size = (shape.height as i64, shape.width as i64);
                let inputs: Vec<&Map> = node
                    .inputs
                    .iter()
                    .map(|input| maps[input.0].as_ref().expect("an input"))
                    .collect();
                let mut v = Vec::new();
                for c in 0..shape.channels as usize {
                    for y in 0..size.0 {
                        v.extend((0..size.1).map(|x| unit(network, node, &inputs, (c, y, x))));
                    }
                }
                Some(Map {
                    c: shape.channels as usize,
                    h: shape.height as usize,
                    w: shape.width as usize,
                    v,
                })
            }
        });
    }
    maps.swap_remove(last.0).expect("it has an output")
}

/// The values that a window holds in one channel, with their places in it; none outside.
fn taps(
    window: Window,
    (y, x): (i64, i64),
    at: impl Fn(i64, i64) -> Option<f64>,
) -> Vec<(usize, f64)> {
    let [kh, kw] = window.kernel.map(i64::from);
    let [sh, sw] = window.stride.map(i64::from);
    let [top, left] = window.before.map(i64::from);
    let [dh, dw] = window.dilation.map(i64::from);
    let mut taps = Vec::new();
    for ky in 0..kh {
        for kx in 0..kw {
            let tap = (ky * kw + kx) as usize;
            if let Some(value) = at(y * sh + ky * dh - top, x * sw + kx * dw - left) {
                taps.push((tap, value));
            }
        }
    }
    taps
}

/// One unit of a node's output.
fn unit(network: &Network, node: &Node, x: &[&Map], (c, row, col): (usize, i64, i64)) -> f64 {
    let layer = &node.layer;
    let here = || x[0].here(c, row, col);
    if let Some(Normalize { scale, bias }) = layer.of_kind() {
        here() * f64::from(scale[c]) + f64::from(bias[c])
    } else if let Some(conv) = layer.of_kind::<Conv>() {
        let values = |part: &str| {
            let name = format!("{}.{part}", conv.tensor);
            &network.parameters().get(&name).expect("a parameter").values
        };
        let (weight, bias) = (values("weight"), values("bias"));
        let count = conv.window.taps() as usize;
        let mut sum = f64::from(bias[c]);
        let groups = conv.groups as usize;
        let (seen, made) = (x[0].c / groups, conv.out_channels as usize / groups);
        for ci in 0..seen {
            let weights = &weight[(c * seen + ci) * count..];
            let from = c / made * seen + ci;
            for (tap, value) in taps(conv.window, (row, col), |y, xx| x[0].at(from, y, xx)) {
                sum += value * f64::from(weights[tap]);
            }
        }
        sum
    } else if let Some(conv) = layer.of_kind::<ConvTranspose>() {
        let values = |part: &str| {
            let name = format!("{}.{part}", conv.tensor);
            &network.parameters().get(&name).expect("a parameter").values
        };
        let (weight, bias) = (values("weight"), values("bias"));
        let groups = conv.groups as usize;
        let (seen, made) = (x[0].c / groups, conv.out_channels as usize / groups);
        let [kernel, stride, before, dilation] = [
            conv.window.kernel,
            conv.window.stride,
            conv.window.before,
            conv.window.dilation,
        ]
        .map(|both| both.map(i64::from));
        let mut sum = f64::from(bias[c]);
        // Position `o` of the output is position i·stride + k·dilation − before.
        let from = |o: i64, k: i64, axis: usize| {
            let at = o + before[axis] - k * dilation[axis];
            (at % stride[axis] == 0).then_some(at / stride[axis])
        };
        for ci in (0..seen).map(|i| c / made * seen + i) {
            for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
                let place = from(row, ky, 0).zip(from(col, kx, 1));
                let value = place.and_then(|(y, xx)| x[0].at(ci, y, xx));
                let tap = (ky * kernel[1] + kx) as usize;
                let taps = (kernel[0] * kernel[1]) as usize;
                sum +=
                    value.unwrap_or(0.0) * f64::from(weight[(ci * made + c % made) * taps + tap]);
            }
        }
        sum
    } else if layer.is::<Relu>() {
        here().max(0.0)
    } else if let Some(MaxPool { window }) = layer.of_kind() {
        let taps = taps(*window, (row, col), |y, xx| x[0].at(c, y, xx));
        taps.iter()
            .map(|tap| tap.1)
            .fold(f64::NEG_INFINITY, f64::max)
    } else if let Some(pool) = layer.of_kind::<AvgPool>() {
        let window = pool.window;
        let sum = |at: &dyn Fn(i64, i64) -> Option<f64>| {
            let taps = taps(window, (row, col), at);
            (taps.iter().map(|tap| tap.1).sum::<f64>(), taps.len() as f64)
        };
        let (total, inside) = sum(&|y, xx| x[0].at(c, y, xx));
        // Ones in the padded image.
        let padded = |i: i64, axis: usize, size: usize| {
            let [before, after] = [window.before, window.after].map(|side| i64::from(side[axis]));
            (-before..size as i64 + after).contains(&i)
        };
        let (_, counted) =
            sum(&|y, xx| (padded(y, 0, x[0].h) && padded(xx, 1, x[0].w)).then_some(1.0));
        let count = if pool.count_padding { counted } else { inside };
        f64::from(pool.scale) * total / count
    } else if layer.of_kind() == Some(&GlobalAvgPool::MEAN) {
        let plane = x[0].h * x[0].w;
        x[0].v[c * plane..(c + 1) * plane].iter().sum::<f64>() / plane as f64
    } else if let Some(AdaptiveAvgPool { out }) = layer.of_kind() {
        let inside = |axis: usize, o: i64, size: usize| {
            let (size, out) = (size as i64, i64::from(out[axis]));
            (0..size).filter(move |i| o * size < (i + 1) * out && i * out < (o + 1) * size)
        };
        let rows: Vec<i64> = inside(0, row, x[0].h).collect();
        let columns: Vec<i64> = inside(1, col, x[0].w).collect();
        let all = rows
            .iter()
            .flat_map(|y| columns.iter().map(move |xx| (*y, *xx)));
        let sum: f64 = all.map(|(y, xx)| x[0].here(c, y, xx)).sum();
        sum / (rows.len() * columns.len()) as f64
    } else if let Some(lrn) = layer.of_kind::<Lrn>() {
        let reach = lrn.size as usize / 2;
        let window = c.saturating_sub(reach)..=(c + reach).min(x[0].c - 1);
        let sum: f64 = window.map(|n| x[0].here(n, row, col).powi(2)).sum();
        let scale = f64::from(lrn.k) + f64::from(lrn.alpha) / f64::from(lrn.size) * sum;
        here() * scale.powf(-f64::from(lrn.beta))
    } else if layer.is::<Concat>() {
        let mut channel = c;
        let mut which = 0;
        while channel >= x[which].c {
            channel -= x[which].c;
            which += 1;
        }
        x[which].here(channel, row, col)
    } else if layer.is::<Add>() {
        x.iter().map(|x| x.here(c, row, col)).sum()
    } else if layer.is::<Softmax>() {
        let exps = (0..x[0].c).map(|n| x[0].here(n, row, col).exp());
        here().exp() / exps.sum::<f64>()
    } else if let Some(pad) = layer.of_kind::<Pad>() {
        let from = |axis: usize, o: i64, size: usize| {
            let (i, size) = (o - i64::from(pad.before[axis]), size as i64);
            match pad.edge {
                Edge::Wrap => i.rem_euclid(size),
                Edge::Replicate => i.clamp(0, size - 1),
                Edge::Reflect if i < size => i.abs(),
                Edge::Reflect => 2 * (size - 1) - i,
                Edge::Constant { .. } => i,
            }
        };
        let (row, col) = (from(0, row, x[0].h), from(1, col, x[0].w));
        match pad.edge {
            Edge::Constant { value } => x[0].at(c, row, col).unwrap_or(f64::from(value)),
            _ => x[0].here(c, row, col),
        }
    } else {
        panic!("{} is of no kind that is known here", node.name)
    }
}
