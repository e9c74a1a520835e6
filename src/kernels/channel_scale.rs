//! Numbers that were trained for every channel: a factor, a summand, a slope below 0.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/channel_scale.wgsl`.
pub const SOURCE: Source = Source {
    name: "channel_scale",
    text: include_str!("../../wgsl/channel_scale.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["SCALE"],
        &["SCALE", "ACCUMULATE"],
        &["BIAS"],
        &["SCALE", "BIAS"],
        &["LEAK"],
        &["LEAK", "BACKWARD"],
        &["LEAK", "BACKWARD", "ACCUMULATE"],
    ],
};

/// `y (+)= x·scale[c] + bias[c]`, or less where one of the two is left out. It is its own gradient, with x the gradient
/// with respect to the output, y that with respect to the input, and no bias.
///
/// Bindings: `x`; `scale` ([C⁺], C⁺ = 4·quads) and `bias` ([C⁺]) where there are any, zero for padding channels; `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelScale {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
    /// Whether there are factors.
    pub scale: bool,
    /// Whether there are summands. They are never accumulated.
    pub bias: bool,
    /// Adds to y.
    pub accumulate: bool,
}

/// `y = x`, or `x·slope[c]` where x ≤ 0.
///
/// Bindings: `x`; `slope` ([C⁺]); `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelLeak {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
}

/// The gradient of [`ChannelLeak`]: `dx (+)= dy`, or `dy·slope[c]` where x ≤ 0.
///
/// Bindings: `x`; `dy`; `slope` ([C⁺]); `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelLeakBackward {
    /// The input of the forward pass.
    pub x: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dy: View,
    y: View,
    columns: u32,
    items: u32,
}

fn params(x: View, dy: View, y: View) -> Params {
    Params {
        x,
        dy,
        y,
        columns: grid(y)[0],
        items: flat::items(y),
    }
}

fn grid(y: View) -> [u32; 3] {
    flat::item_grid(flat::items(y))
}

fn work(y: View, tensors: u64) -> Work {
    Work {
        flop: 2 * y.elements() as u64,
        bytes: tensors * y.bytes(),
    }
}

impl Kernel for ChannelScale {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            ("SCALE", self.scale),
            ("BIAS", self.bias),
            ("ACCUMULATE", self.accumulate),
        ];
        let on = definitions
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&on.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; 1 + usize::from(self.scale) + usize::from(self.bias)];
        slots.push(flat::result(self.accumulate));
        slots
    }
    fn params(&self) -> Params {
        params(self.x, self.y, self.y)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.y)
    }
    fn work(&self) -> Work {
        work(self.y, 2 + u64::from(self.accumulate))
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let x = b.input();
        let scale = self.scale.then(|| b.input());
        let bias = self.bias.then(|| b.input());
        let y = b.output();
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let x = &x[flat::place(self.x, pixel, 0..self.x.quads as usize)];
            for (c, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                let mut value = x;
                if let Some(scale) = scale {
                    value *= scale[c];
                }
                if let Some(bias) = bias {
                    value += bias[c];
                }
                *y = if self.accumulate { *y + value } else { value };
            }
        });
    }
}

impl Kernel for ChannelLeak {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["LEAK"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        params(self.x, self.y, self.y)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.y)
    }
    fn work(&self) -> Work {
        work(self.y, 2)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, slope, y) = (b.input(), b.input(), b.output());
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let x = &x[flat::place(self.x, pixel, 0..self.x.quads as usize)];
            for ((y, &x), &slope) in y.iter_mut().zip(x).zip(slope) {
                *y = if x > T::ZERO { x } else { x * slope };
            }
        });
    }
}

impl Kernel for ChannelLeakBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["LEAK", "BACKWARD", "ACCUMULATE"]
        } else {
            &["LEAK", "BACKWARD"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        params(self.x, self.dy, self.dx)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.dx)
    }
    fn work(&self) -> Work {
        work(self.dx, 3 + u64::from(self.accumulate))
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dy, slope, dx) = (b.input(), b.input(), b.input(), b.output());
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let x = &x[flat::place(self.x, pixel, 0..self.x.quads as usize)];
            let dy = &dy[flat::place(self.dy, pixel, 0..self.dy.quads as usize)];
            for (c, (dx, &dy)) in dx.iter_mut().zip(dy).enumerate() {
                let value = if x[c] > T::ZERO { dy } else { dy * slope[c] };
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
