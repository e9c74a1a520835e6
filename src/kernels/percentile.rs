//! A percentile of the numbers of each image.

use rayon::prelude::*;

use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/percentile.wgsl`.
pub const SOURCE: Source = Source {
    name: "percentile",
    text: include_str!("../../wgsl/percentile.wgsl"),
    variants: &[&[]],
};

/// The percentile of the numbers of each image as `numpy.percentile` defines it by default: with s the numbers in
/// ascending order and r = (len − 1)·percentile/100, linearly between s\[⌊r⌋\] and s\[⌊r⌋ + 1\].
///
/// Bindings: `x` (reals, [n, len]; NaN counts as greater than all), `y` (reals, \[n\]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile {
    /// Images.
    pub n: u32,
    /// Numbers of each image, at least 1.
    pub len: u32,
    /// 0 to 100.
    pub percentile: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    len: u32,
    rank: u32,
    fraction: f32,
}

impl Percentile {
    /// ⌊r⌋ and what is left of r.
    fn rank(&self) -> (u32, f32) {
        let last = f64::from(self.len.saturating_sub(1));
        let r = last * f64::from(self.percentile.clamp(0.0, 100.0)) / 100.0;
        (r as u32, r.fract() as f32)
    }
}

/// low + fraction·(high − low), from the nearer of the two, so that rounding is small against it.
fn between<T: Real>(low: T, high: T, fraction: T) -> T {
    let gap = high - low;
    if fraction < T::of(0.5) {
        (low + fraction * gap).min(high)
    } else {
        (high - (T::ONE - fraction) * gap).max(low)
    }
}

impl Kernel for Percentile {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        let (rank, fraction) = self.rank();
        Params {
            len: self.len,
            rank,
            fraction,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.n, 1, 1]
    }
    fn work(&self) -> Work {
        // Each of the five rounds reads all numbers, with one workgroup for an image.
        let numbers = u64::from(self.n) * u64::from(self.len);
        Work {
            flop: 5 * 4 * numbers,
            bytes: 5 * 4 * numbers,
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (x, y) = (bindings.input(), bindings.output());
        let (rank, fraction) = self.rank();
        let rank = rank as usize;
        let order = |a: &T, b: &T| a.wide().total_cmp(&b.wide());
        let images = x.par_chunks_exact(self.len as usize);
        y[..self.n as usize]
            .par_iter_mut()
            .zip(images)
            .run(|(y, x)| {
                let mut x = x.to_vec();
                let (_, low, rest) = x.select_nth_unstable_by(rank, order);
                let low = *low;
                *y = match rest.iter().copied().min_by(order) {
                    Some(high) if fraction > 0.0 => between(low, high, T::from_f32(fraction)),
                    _ => low,
                };
            });
    }
}
