//! Every channel of each image moved, or scaled about its mean.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/channel_affine.wgsl`.
pub const SOURCE: Source = Source {
    name: "channel_affine",
    text: include_str!("../../wgsl/channel_affine.wgsl"),
    variants: &[&["CENTRE"], &[], &["ACCUMULATE"]],
};

/// `y = x − mean` for every channel of each image; padding channels, whose means are zero, stay zero.
///
/// Bindings: `x`; `means` ([n, C⁺], C⁺ = 4·quads); `y`, of the shape of x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelCentre {
    /// Input.
    pub x: View,
    /// Output.
    pub y: View,
}

/// `y (+)= scale·(x − mean) + shift` for every channel of each image.
///
/// Bindings: `x`; `means` ([n, C⁺]); `coefficients` ([n, 2, C⁺]: scales, shifts; zero for padding channels); `y`, of
/// the shape of x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelAffine {
    /// Input.
    pub x: View,
    /// Output.
    pub y: View,
    /// Adds to y.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
    each: u32,
}

fn params(x: View, y: View) -> Params {
    Params {
        x,
        y,
        columns: grid(x)[0],
        items: flat::items(x),
        each: x.h * x.w,
    }
}

fn grid(x: View) -> [u32; 3] {
    flat::item_grid(flat::items(x))
}

fn work(x: View, y: View) -> Work {
    Work {
        flop: 3 * x.elements() as u64,
        bytes: x.bytes() + y.bytes(),
    }
}

impl Kernel for ChannelCentre {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["CENTRE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        params(self.x, self.y)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.x)
    }
    fn work(&self) -> Work {
        work(self.x, self.y)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, means, y) = (b.input(), b.input(), b.output());
        let (padded, each) = (self.x.padded(), (self.x.h * self.x.w) as usize);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let x = &x[flat::place(self.x, pixel, 0..self.x.quads as usize)];
            let means = &means[pixel / each * padded..][..padded];
            for ((y, &x), &mean) in y.iter_mut().zip(x).zip(means) {
                *y = x - mean;
            }
        });
    }
}

impl Kernel for ChannelAffine {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["ACCUMULATE"]
        } else {
            &[]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        params(self.x, self.y)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.x)
    }
    fn work(&self) -> Work {
        work(self.x, self.y)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, means, coefficients, y) = (b.input(), b.input(), b.input(), b.output());
        let (padded, each) = (self.x.padded(), (self.x.h * self.x.w) as usize);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let image = pixel / each;
            let x = &x[flat::place(self.x, pixel, 0..self.x.quads as usize)];
            let means = &means[image * padded..][..padded];
            let (scales, shifts) =
                coefficients[image * 2 * padded..][..2 * padded].split_at(padded);
            for (c, y) in y.iter_mut().enumerate() {
                let value = scales[c] * (x[c] - means[c]) + shifts[c];
                *y = if self.accumulate { *y + value } else { value };
            }
        });
    }
}
