//! Mean and variance of every channel of each image.

use rayon::prelude::*;

use super::{Tensor, View, flat};
use crate::device::{
    Bindings, Kernel, Kind, Real, Recording, Shader, Slot, Source, Tasks, ValueId, Work,
};

/// `wgsl/channel_sums.wgsl`.
pub const SOURCE: Source = Source {
    name: "channel_sums",
    text: include_str!("../../wgsl/channel_sums.wgsl"),
    variants: &[&[], &["SQUARE"], &["REDUCE"]],
};

/// Σ x, or Σ (x − centre)², over the pixels of each image for every channel, in [`ChannelSums::splits`] parts, which
/// [`ChannelSumsReduce`] joins.
///
/// Bindings: `x`; with `square` `centre` ([n, C⁺], C⁺ = 4·quads); `partials` ([n, splits, C⁺]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSums {
    /// The tensor.
    pub x: View,
    /// Squares of the differences from a centre.
    pub square: bool,
}

/// The sums times `scale` from those of all parts.
///
/// Bindings: `partials`, `sums` ([n, C⁺]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelSumsReduce {
    /// The tensor that was summed.
    pub x: View,
    /// Factor on the sums.
    pub scale: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    splits: u32,
    pixels: u32,
    share: u32,
    scale: f32,
}

/// Pixels of one part, while there are not too many parts for one dimension of a grid.
const SHARE: u32 = 1024;

fn pixels(x: View) -> u32 {
    x.h * x.w
}

fn splits(x: View) -> u32 {
    pixels(x).div_ceil(SHARE).clamp(1, 65_535)
}

fn params(x: View, scale: f32) -> Params {
    Params {
        x,
        splits: splits(x),
        pixels: pixels(x),
        share: pixels(x).div_ceil(splits(x)),
        scale,
    }
}

impl ChannelSums {
    /// Parts of one image's pixels.
    #[must_use]
    pub fn splits(&self) -> u32 {
        splits(self.x)
    }

    /// Reals of `partials`.
    #[must_use]
    pub fn partials_len(&self) -> usize {
        (self.x.n * self.splits()) as usize * self.x.padded()
    }
}

impl Kernel for ChannelSums {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.square { &["SQUARE"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        if self.square {
            vec![Slot::IN, Slot::IN, Slot::OUT]
        } else {
            vec![Slot::IN, Slot::OUT]
        }
    }
    fn params(&self) -> Params {
        params(self.x, 1.0)
    }
    fn grid(&self) -> [u32; 3] {
        [self.x.quads.div_ceil(16), self.splits(), self.x.n]
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.x.elements() as u64,
            bytes: self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let x = b.input();
        let zeros = vec![T::ZERO; self.x.n as usize * self.x.padded()];
        let centre = if self.square { b.input() } else { &zeros[..] };
        let partials = b.output();
        let (padded, quads) = (self.x.padded(), self.x.quads as usize);
        let Params {
            splits,
            pixels,
            share,
            ..
        } = self.params();
        partials[..self.partials_len()]
            .par_chunks_exact_mut(padded)
            .enumerate()
            .run(|(i, partial)| {
                let (n, split) = (i / splits as usize, (i % splits as usize) as u32);
                let centre = &centre[n * padded..][..padded];
                let mut sums = vec![0.0; padded];
                for pixel in (split * share).min(pixels)..((split + 1) * share).min(pixels) {
                    let at = flat::place(self.x, n * pixels as usize + pixel as usize, 0..quads);
                    for ((sum, &value), &centre) in sums.iter_mut().zip(&x[at]).zip(centre) {
                        let v = (value - centre).wide();
                        *sum += if self.square { v * v } else { v };
                    }
                }
                for (partial, sum) in partial.iter_mut().zip(sums) {
                    *partial = T::of(sum);
                }
            });
    }
}

impl Kernel for ChannelSumsReduce {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["REDUCE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        params(self.x, self.scale)
    }
    fn grid(&self) -> [u32; 3] {
        [self.x.quads.div_ceil(16), 1, self.x.n]
    }
    fn work(&self) -> Work {
        let partials = u64::from(self.x.n * splits(self.x)) * self.x.padded() as u64;
        Work {
            flop: partials,
            bytes: 4 * partials,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (partials, sums) = (b.input(), b.output());
        let (padded, splits) = (self.x.padded(), splits(self.x) as usize);
        for (n, sums) in sums[..self.x.n as usize * padded]
            .chunks_exact_mut(padded)
            .enumerate()
        {
            for (c, sum) in sums.iter_mut().enumerate() {
                let parts = (0..splits).map(|s| partials[(n * splits + s) * padded + c].wide());
                *sum = T::of(f64::from(self.scale) * parts.sum::<f64>());
            }
        }
    }
}

/// Records (1/pixels)·Σ x, or with a centre ([n, C⁺]) (1/pixels)·Σ (x − centre)², over the pixels of each image for
/// every channel: reals, [n, C⁺]. With as many `pixels` as x has it is the mean; of a band of a layer, what it adds to
/// the layer's.
pub fn record_channel_sums(
    recording: &mut Recording,
    x: Tensor,
    centre: Option<ValueId>,
    pixels: u32,
) -> ValueId {
    let what = if centre.is_some() {
        "variances"
    } else {
        "means"
    };
    let first = ChannelSums {
        x: x.view,
        square: centre.is_some(),
    };
    let partials = recording.transient("channel sums", Kind::Real, first.partials_len());
    let values: Vec<ValueId> = [Some(x.value), centre, Some(partials)]
        .into_iter()
        .flatten()
        .collect();
    recording.call(format!("channel {what} in parts"), first, &values);
    let len = x.view.n as usize * x.view.padded();
    let sums = recording.transient(format!("channel {what}"), Kind::Real, len);
    let reduce = ChannelSumsReduce {
        x: x.view,
        scale: 1.0 / pixels as f32,
    };
    recording.call(format!("channel {what}"), reduce, &[partials, sums]);
    sums
}
