//! Every position normalized over its channels.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/layer_norm.wgsl`.
pub const SOURCE: Source = Source {
    name: "layer_norm",
    text: include_str!("../../wgsl/layer_norm.wgsl"),
    variants: &[
        &[],
        &["WEIGHT"],
        &["BACKWARD"],
        &["BACKWARD", "ACCUMULATE"],
        &["WEIGHT", "BACKWARD"],
        &["WEIGHT", "BACKWARD", "ACCUMULATE"],
    ],
};

/// `y_c = s·(x_c − m)·weight_c + bias_c` for every position, m being the mean over its C channels and
/// `s = 1/√(Σ (x − m)²/C + epsilon)` (Ba et al. 2016, equation 4).
///
/// Bindings: `x`; `weight` and `bias` (\[C⁺\], C⁺ = 4·quads) where there are any; `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNorm {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Whether there are factors and summands; else they are 1 and 0.
    pub weighted: bool,
}

/// The gradient of [`LayerNorm`]: with `g = weight·dy`, `dx (+)= s·(g − Σ g/C) − s³·(x − m)·Σ g·(x − m)/C`.
///
/// Bindings: `x`; `dy`; `weight` where there is one; `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNormBackward {
    /// The input of the forward pass.
    pub x: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`LayerNorm::epsilon`].
    pub epsilon: f32,
    /// As [`LayerNorm::weighted`].
    pub weighted: bool,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dy: View,
    out: View,
    columns: u32,
    pixels: u32,
    epsilon: f32,
    share: f32,
}

fn params([x, dy, out]: [View; 3], epsilon: f32) -> Params {
    Params {
        x,
        dy,
        out,
        columns: grid(out)[0],
        pixels: pixels(out),
        epsilon,
        share: 1.0 / out.c as f32,
    }
}

fn pixels(view: View) -> u32 {
    flat::items(View { quads: 1, ..view })
}

fn grid(view: View) -> [u32; 3] {
    flat::grid(pixels(view).div_ceil(16))
}

/// The mean of a position's channels and s.
fn moments<T: Real>(x: &[T], epsilon: f32) -> [T; 2] {
    let count = x.len() as f64;
    let mean = x.iter().map(|x| x.wide()).sum::<f64>() / count;
    let variance = x.iter().map(|x| (x.wide() - mean).powi(2)).sum::<f64>() / count;
    [mean, 1.0 / (variance + f64::from(epsilon)).sqrt()].map(T::of)
}

impl Kernel for LayerNorm {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.weighted { &["WEIGHT"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; if self.weighted { 3 } else { 1 }];
        slots.push(Slot::OUT);
        slots
    }
    fn params(&self) -> Params {
        params([self.x, self.y, self.y], self.epsilon)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.y)
    }
    fn work(&self) -> Work {
        Work {
            flop: 7 * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let x = b.input();
        let weights = self.weighted.then(|| [b.input(), b.input()]);
        let y = b.output();
        let channels = self.y.c as usize;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let at = flat::place(self.x, pixel, 0..self.x.quads as usize);
            let x = &x[at][..channels];
            let [mean, deviation] = moments(x, self.epsilon);
            let (y, padding) = y.split_at_mut(channels);
            padding.fill(T::ZERO);
            for (c, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                let value = deviation * (x - mean);
                *y = weights.map_or(value, |[weight, bias]| value * weight[c] + bias[c]);
            }
        });
    }
}

impl Kernel for LayerNormBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            ("WEIGHT", self.weighted),
            ("BACKWARD", true),
            ("ACCUMULATE", self.accumulate),
        ];
        let on = definitions
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&on.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; if self.weighted { 3 } else { 2 }];
        slots.push(flat::result(self.accumulate));
        slots
    }
    fn params(&self) -> Params {
        params([self.x, self.dy, self.dx], self.epsilon)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.dx)
    }
    fn work(&self) -> Work {
        Work {
            flop: 14 * self.dx.elements() as u64,
            bytes: self.x.bytes() + self.dy.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dy) = (b.input(), b.input());
        let weight = self.weighted.then(|| b.input());
        let dx = b.output();
        let channels = self.dx.c as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let of = |view: View| {
                let first = flat::place(view, pixel, 0..1).start;
                first..first + channels
            };
            let (x, dy) = (&x[of(self.x)], &dy[of(self.dy)]);
            let [mean, deviation] = moments(x, self.epsilon);
            let g = |c: usize| weight.map_or(dy[c], |weight| weight[c] * dy[c]);
            let plain: f64 = (0..channels).map(|c| g(c).wide()).sum();
            let product: f64 = (0..channels).map(|c| (g(c) * (x[c] - mean)).wide()).sum();
            let shift = T::of(plain / channels as f64);
            let slope = deviation * deviation * T::of(product / channels as f64);
            let (dx, padding) = dx.split_at_mut(channels);
            padding.fill(T::ZERO);
            for (c, dx) in dx.iter_mut().enumerate() {
                let value = deviation * (g(c) - shift - slope * (x[c] - mean));
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
