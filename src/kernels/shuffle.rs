//! Pixels in a random order, another one in every iteration, and back.

use rayon::prelude::*;

use super::random::random;
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/shuffle.wgsl`.
pub const SOURCE: Source = Source {
    name: "shuffle",
    text: include_str!("../../wgsl/shuffle.wgsl"),
    variants: &[&[], &["SCATTER"], &["SCATTER", "ACCUMULATE"]],
};

/// Words of one segment: its first pixel, how many it has, and the part of all draws that it and those before it get,
/// times 2³².
pub const SEGMENT_WORDS: usize = 3;

/// `y[n, i] = x[n, σ(i)]`: σ draws a segment of x for every i where there are several, and runs through each segment in
/// a random order again and again. A function of the seed, the step, the image and the stream.
///
/// The order is a Feistel network of four rounds (Luby and Rackoff 1988, "How to Construct Pseudorandom Permutations
/// from Pseudorandom Functions") on the least even number of bits that count the pixels, repeated until the result is
/// one of them.
///
/// Bindings: `step`, one word; `segments` ([`SEGMENT_WORDS`] for each); `x`; `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffle {
    /// What is read: the images, or one that all share.
    pub x: View,
    /// What is written: n·`each` pixels, counted over all its images, channels as x.
    pub y: View,
    /// Pixels of y that belong to one image.
    pub each: u32,
    /// Segments of x.
    pub segments: u32,
    /// The run's seed.
    pub seed: u32,
    /// 0 or 1: what keeps the draws of one set from those of another.
    pub stream: u32,
}

/// The way back: `x[n, σ(i)] (+)= y[n, i]`; pixels that y does not reach get 0. Of one segment.
///
/// Bindings: `step`, `segments`, `y`, `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unshuffle {
    /// The shuffle that is taken back; its x is a batch of images here, and written.
    pub shuffle: Shuffle,
    /// Adds to x.
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
    batch: u32,
    segments: u32,
    seed: u32,
    stream: u32,
}

impl Shuffle {
    fn params_for(&self, items: u32) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: flat::item_grid(items)[0],
            items,
            each: self.each,
            batch: self.batch(),
            segments: self.segments,
            seed: self.seed,
            stream: self.stream,
        }
    }

    fn batch(&self) -> u32 {
        if self.x.n > 1 { self.x.h * self.x.w } else { 0 }
    }

    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 2 * self.y.bytes(),
        }
    }

    /// The place of i among `count` pixels in permutation `draw` of an image.
    fn permuted(&self, step: u32, i: u32, count: u32, image: u32, draw: u32) -> u32 {
        if count <= 1 {
            return 0;
        }
        let bits = (32 - (count - 1).leading_zeros()).div_ceil(2);
        let mask = (1 << bits) - 1;
        let mut at = i;
        loop {
            let (mut left, mut right) = (at >> bits, at & mask);
            for round in 0..4 {
                let index = draw
                    .wrapping_mul(262_144)
                    .wrapping_add(round * 65_536 + right);
                let drawn = random(self.seed, step, image, index)[0] & mask;
                (left, right) = (right, left ^ drawn);
            }
            at = left << bits | right;
            if at < count {
                return at;
            }
        }
    }

    /// σ(i) of image n: a pixel of x, counted over all its images.
    fn source(&self, step: u32, segments: &[u32], n: u32, i: u32) -> usize {
        let image = n * 2 + self.stream;
        let mut segment = 0;
        if self.segments > 1 {
            let drawn = random(self.seed, step, image, 0x8000_0000 | i)[0];
            while segment + 1 < self.segments
                && drawn > segments[segment as usize * SEGMENT_WORDS + 2]
            {
                segment += 1;
            }
        }
        let of_segment = &segments[segment as usize * SEGMENT_WORDS..];
        let (first, count) = (of_segment[0], of_segment[1]);
        let draw = (i / count * self.segments + segment) % 8192;
        let place = self.permuted(step, i % count, count, image, draw);
        (n * self.batch() + first + place) as usize
    }
}

impl Kernel for Shuffle {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::WORDS_IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        self.params_for(flat::items(self.y))
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Shuffle::work(self)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (step, segments, x, y) = (b.words()[0], b.words(), b.input(), b.output());
        let quads = 0..self.x.quads as usize;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, i) = (pixel as u32 / self.each, pixel as u32 % self.each);
            let from = self.source(step, segments, n, i);
            y.copy_from_slice(&x[flat::place(self.x, from, quads.clone())]);
        });
    }
}

impl Kernel for Unshuffle {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["SCATTER", "ACCUMULATE"]
        } else {
            &["SCATTER"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![
            Slot::WORDS_IN,
            Slot::WORDS_IN,
            Slot::IN,
            flat::result(self.accumulate),
        ]
    }
    fn params(&self) -> Params {
        self.shuffle.params_for(flat::items(self.shuffle.x))
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.shuffle.x))
    }
    fn work(&self) -> Work {
        self.shuffle.work()
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (step, segments, y, x) = (b.words()[0], b.words(), b.input(), b.output());
        let Self {
            shuffle,
            accumulate,
        } = *self;
        let pixels = (shuffle.x.h * shuffle.x.w) as usize;
        // Where each pixel of x is found in y.
        let mut found = vec![None; shuffle.x.n as usize * pixels];
        let order: Vec<usize> = (0..found.len())
            .into_par_iter()
            .map(|p| shuffle.source(step, segments, (p / pixels) as u32, (p % pixels) as u32))
            .collect();
        for (p, to) in order.into_iter().enumerate() {
            let (n, i) = (p / pixels, p % pixels);
            let each = shuffle.each as usize;
            found[to] = (i < each).then_some(n * each + i);
        }
        let quads = 0..shuffle.x.quads as usize;
        flat::for_each_pixel(shuffle.x, x, |pixel, x| match found[pixel] {
            None if accumulate => {}
            None => x.fill(T::ZERO),
            Some(from) => {
                let y = &y[flat::place(shuffle.y, from, quads.clone())];
                for (x, &y) in x.iter_mut().zip(y) {
                    *x = if accumulate { *x + y } else { y };
                }
            }
        });
    }
}
