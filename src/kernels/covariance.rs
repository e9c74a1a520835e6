//! What lies between covariances and matrix products in the Wasserstein distance of two normal distributions.

use rayon::prelude::*;

use super::flat;
use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Tasks, Work};

/// `wgsl/covariance.wgsl`.
pub const SOURCE: Source = Source {
    name: "covariance",
    text: include_str!("../../wgsl/covariance.wgsl"),
    variants: &[&["RIDGE"], &["TRACE"], &["SLOPE"]],
};

/// `d = alpha·m + epsilon·I`, the identity having `channels` ones.
///
/// Bindings: `m`, `d` ([n, C⁺, C⁺], C⁺ the channels rounded up to a multiple of 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ridge {
    /// Matrices.
    pub n: u32,
    /// Rows that mean something.
    pub channels: u32,
    /// Factor on m.
    pub alpha: f32,
    /// Factor on the identity.
    pub epsilon: f32,
}

/// `values += Σ_ii + Σ'_ii − 2·√‖A‖·Y_ii` for every i, Y being the root of A/‖A‖.
///
/// Bindings: `covariance` Σ ([n, C⁺, C⁺]); `goal` Σ' ([C⁺, C⁺]); `root` Y ([n, C⁺, C⁺]); `moments` of A ([n, 4] as
/// [`super::MomentsReduce`] leaves them); `values` ([n, C⁺]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceDistance {
    /// Matrices.
    pub n: u32,
    /// Rows that mean something.
    pub channels: u32,
}

/// `d = alpha·(I − m/√‖A‖)`, m being made with A/‖A‖ in place of A.
///
/// Bindings: `m` ([n, C⁺, C⁺]); `moments` of A; `d` ([n, C⁺, C⁺]).
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSlope {
    /// Matrices.
    pub n: u32,
    /// Rows that mean something.
    pub channels: u32,
    /// Factor on the difference.
    pub alpha: Scalar,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    n: u32,
    c: u32,
    quads: u32,
    alpha: f32,
    epsilon: f32,
}

fn grid(n: u32, channels: u32) -> [u32; 3] {
    let quads = channels.div_ceil(4);
    flat::item_grid(n.saturating_mul(4 * quads * quads))
}

fn params(n: u32, channels: u32, [alpha, epsilon]: [f32; 2], grid: [u32; 3]) -> Params {
    Params {
        columns: grid[0],
        n,
        c: channels,
        quads: channels.div_ceil(4),
        alpha,
        epsilon,
    }
}

fn work(n: u32, channels: u32) -> Work {
    let elements = u64::from(n) * u64::from(channels).pow(2);
    Work {
        flop: 2 * elements,
        bytes: 8 * elements,
    }
}

/// √‖A‖ of image n.
fn root_of_norm<T: Real>(moments: &[T], n: usize) -> T {
    moments[n * 4 + 2].sqrt().sqrt()
}

impl Kernel for Ridge {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["RIDGE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        params(
            self.n,
            self.channels,
            [self.alpha, self.epsilon],
            self.grid(),
        )
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.n, self.channels)
    }
    fn work(&self) -> Work {
        work(self.n, self.channels)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (m, d) = (b.input(), b.output());
        let side = self.channels.next_multiple_of(4) as usize;
        let (alpha, epsilon) = (T::from_f32(self.alpha), T::from_f32(self.epsilon));
        for (d, &m) in d.iter_mut().zip(&m[..self.n as usize * side * side]) {
            *d = alpha * m;
        }
        for n in 0..self.n as usize {
            for i in 0..self.channels as usize {
                d[(n * side + i) * side + i] += epsilon;
            }
        }
    }
}

impl Kernel for TraceDistance {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["TRACE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN, Slot::IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        params(self.n, self.channels, [1.0, 0.0], self.grid())
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.n * self.channels.div_ceil(4))
    }
    fn work(&self) -> Work {
        work(self.n, 1)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (covariance, goal, root) = (b.input(), b.input(), b.input());
        let (moments, values) = (b.input(), b.output());
        let side = self.channels.next_multiple_of(4) as usize;
        for n in 0..self.n as usize {
            let scale = root_of_norm(moments, n);
            for i in 0..side {
                let at = (n * side + i) * side + i;
                let root = scale * root[at];
                values[n * side + i] += covariance[at] + goal[i * side + i] - (root + root);
            }
        }
    }
}

impl Kernel for TraceSlope {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["SLOPE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        params(self.n, self.channels, [self.alpha.get(), 0.0], self.grid())
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.n, self.channels)
    }
    fn work(&self) -> Work {
        work(self.n, self.channels)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (m, moments, d) = (b.input(), b.input(), b.output());
        let side = self.channels.next_multiple_of(4) as usize;
        let alpha = T::from_f32(self.alpha.get());
        d[..self.n as usize * side * side]
            .par_chunks_mut(side)
            .enumerate()
            .run(|(row, d)| {
                let norm = root_of_norm(moments, row / side);
                let m = &m[row * side..][..side];
                for (j, (d, &m)) in d.iter_mut().zip(m).enumerate() {
                    let on = j == row % side && j < self.channels as usize;
                    let one = if on { T::ONE } else { T::ZERO };
                    let scaled = if norm > T::ZERO { m / norm } else { T::ZERO };
                    *d = alpha * (one - scaled);
                }
            });
    }
}
