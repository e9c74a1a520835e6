//! Multiples of the identity added to square matrices, and rows and columns of these scaled.

use rayon::prelude::*;

use super::flat;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/covariance.wgsl`.
pub const SOURCE: Source = Source {
    name: "covariance",
    text: include_str!("../../wgsl/covariance.wgsl"),
    variants: &[&["RIDGE"], &["SCALE"]],
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

/// `d = alpha·S^rows·m·S^columns`, S² being the diagonal of `s`. Where that is 0, S and S⁻¹ count as 0.
///
/// Bindings: `m`, `s`, `d` ([n, C⁺, C⁺]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiagonalScale {
    /// Matrices.
    pub n: u32,
    /// Rows that mean something.
    pub channels: u32,
    /// Factor on all.
    pub alpha: f32,
    /// Power of what rows are multiplied by: −1, 0 or 1.
    pub rows: i32,
    /// Power of what columns are multiplied by: −1, 0 or 1.
    pub columns: i32,
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
    row_power: i32,
    column_power: i32,
}

fn grid(n: u32, channels: u32) -> [u32; 3] {
    let quads = channels.div_ceil(4);
    flat::item_grid(n.saturating_mul(4 * quads * quads))
}

fn work(n: u32, channels: u32) -> Work {
    let elements = u64::from(n) * u64::from(channels).pow(2);
    Work {
        flop: 2 * elements,
        bytes: 8 * elements,
    }
}

/// √s to the power −1, 0 or 1; 0 where s is 0.
fn power<T: Real>(s: T, power: i32) -> T {
    match power {
        0 => T::ONE,
        _ if s <= T::ZERO => T::ZERO,
        1 => s.sqrt(),
        _ => T::ONE / s.sqrt(),
    }
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
        Params {
            columns: self.grid()[0],
            n: self.n,
            c: self.channels,
            quads: self.channels.div_ceil(4),
            alpha: self.alpha,
            epsilon: self.epsilon,
            row_power: 0,
            column_power: 0,
        }
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

impl Kernel for DiagonalScale {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["SCALE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            n: self.n,
            c: self.channels,
            quads: self.channels.div_ceil(4),
            alpha: self.alpha,
            epsilon: 0.0,
            row_power: self.rows,
            column_power: self.columns,
        }
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.n, self.channels)
    }
    fn work(&self) -> Work {
        work(self.n, self.channels)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (m, s, d) = (b.input(), b.input(), b.output());
        let side = self.channels.next_multiple_of(4) as usize;
        let alpha = T::from_f32(self.alpha);
        for n in 0..self.n as usize {
            let of_image = n * side * side..(n + 1) * side * side;
            let (m, s) = (&m[of_image.clone()], &s[of_image.clone()]);
            let diagonal = |i: usize| s[i * side + i];
            let columns: Vec<T> = (0..side)
                .map(|j| power(diagonal(j), self.columns))
                .collect();
            d[of_image]
                .par_chunks_mut(side)
                .zip(m.par_chunks(side))
                .enumerate()
                .run(|(i, (d, m))| {
                    let row = alpha * power(diagonal(i), self.rows);
                    for ((d, &m), &column) in d.iter_mut().zip(m).zip(&columns) {
                        *d = row * m * column;
                    }
                });
        }
    }
}
