//! The polar decomposition of matrices and the roots of symmetric ones, by products of matrices alone: Higham 2008,
//! "Functions of Matrices", chapters 6 and 8.
//!
//! A matrix X with at least as many rows as columns is X = Q·H with QᵀQ = I and H = (XᵀX)^½; Q is its polar factor. The
//! Newton–Schulz iteration X ← X·(aI + b·XᵀX) (section 8.3) keeps the singular vectors of X, and takes each singular
//! value σ ≤ 1 to σ·(a + b·σ²), until all are 1. It works on X itself. The way through the root of XᵀX would square the
//! singular values, and f32 cannot hold the squares of those below 10⁻⁴ of the largest.
//!
//! Its usual a = 1.5, b = −0.5 make small singular values grow by 1.5 only. The first steps here make them grow by 2.3,
//! and the next one brings all of [0.5, 1] to within 0.09 of 1 (the best cubic there); the last four are usual.

use super::record_gram;
use crate::device::Recording;
use crate::kernels::{
    Combine, Matmul, Matrix, Normalization, Rescale, Ridge, Tensor, View, record_moments,
};

/// a and b of the steps, the first ones of which are repeated.
const GROW: (f32, f32) = (2.3, -1.8);
const CONVERGE: [(f32, f32); 5] = [
    (2.1327, -1.2187),
    (1.5, -0.5),
    (1.5, -0.5),
    (1.5, -0.5),
    (1.5, -0.5),
];

/// Steps of growth of a polar decomposition: singular values above 10⁻⁷ of the norm become 1.
const POLAR_GROWTH: usize = 18;
/// Steps of growth of a root: eigenvalues above 10⁻⁶ are exact to rounding, and those above [`SHIFT`] nearly.
const ROOT_GROWTH: usize = 7;

/// What is added to the eigenvalues of a matrix before its root is taken; see [`record_roots`].
const SHIFT: f32 = 1e-7;

fn steps(growth: usize) -> impl Iterator<Item = (f32, f32)> {
    std::iter::repeat_n(GROW, growth).chain(CONVERGE)
}

/// Records to = alpha·from + epsilon·I, of matrices of `channels` rows.
pub(super) fn record_ridge(
    recording: &mut Recording,
    channels: u32,
    [alpha, epsilon]: [f32; 2],
    from: Tensor,
) -> Tensor {
    let to = Tensor::transient(recording, "ridge", from.view);
    let ridge = Ridge {
        n: from.view.n,
        channels,
        alpha,
        epsilon,
    };
    recording.call("ridge", ridge, &[from.value, to.value]);
    to
}

/// Matrices of `view`, [n, rows, 1, C⁺], times square ones of `channels` rows: C⁺ is the next multiple of 4.
pub(super) fn times_square(view: View, channels: u32) -> Matmul {
    let matrix = Matrix::dense(view.h * view.w, view.quads);
    Matmul {
        a: matrix,
        c: matrix,
        rows: view.h * view.w,
        ..Matmul::square(view.n, channels)
    }
}

/// Records the polar factors of the matrices `x`, [n, rows, 1, C⁺], of `channels` columns; `x` is changed.
pub fn record_polar(recording: &mut Recording, x: Tensor, channels: u32) -> Tensor {
    let moments = record_moments(recording, "polar", x, [0.0; 4]);
    let normalise = Rescale {
        x: x.view,
        mode: Normalization::L2,
        epsilon: 0.0,
    };
    recording.call("polar", normalise, &[moments, x.value]);
    let mut x = x;
    for (a, b) in steps(POLAR_GROWTH) {
        let square = record_gram(recording, x, 1);
        let factor = record_ridge(recording, channels, [b, a], square);
        let next = Tensor::transient(recording, "polar factor", x.view);
        let product = times_square(x.view, channels);
        recording.call("polar", product, &[x.value, factor.value, next.value]);
        x = next;
    }
    x
}

/// Records the roots A^½ and A^-½ of the symmetric matrices `a`, [n, 1, C⁺, C⁺], of `channels` rows. Their eigenvalues
/// must be at most 1, and not below 0 by more than rounding.
///
/// The coupled iteration (section 6.7) is Y₀ = A, Z₀ = I, T = aI + b·ZY, Y ← YT, Z ← TZ. An eigenvalue that rounding
/// has made negative grows without bound in it. So the roots are first those of A + δI, which has none. Then
/// Y − (δ/2)·Z and Z + (δ/2)·Z³, the next terms of the series in δ, take δ away: to (δ/λ)²/8 for an eigenvalue λ, while
/// eigenvalues of 0 become √δ/2 and 1.5/√δ.
pub fn record_roots(recording: &mut Recording, a: Tensor, channels: u32) -> [Tensor; 2] {
    let view = a.view;
    let product = |recording: &mut Recording, (b, a): (f32, f32), l: Tensor, r: Tensor| {
        let to = Tensor::transient(recording, "root", view);
        let product = Matmul {
            alpha: b.into(),
            diagonal: a,
            ..Matmul::square(view.n, channels)
        };
        recording.call("root", product, &[l.value, r.value, to.value]);
        to
    };
    let mut y = record_ridge(recording, channels, [1.0, SHIFT], a);
    let mut inverse = None;
    for (a, b) in steps(ROOT_GROWTH) {
        let t = match inverse {
            None => record_ridge(recording, channels, [b, a], y),
            Some(z) => product(recording, (b, a), z, y),
        };
        y = product(recording, (1.0, 0.0), y, t);
        inverse = Some(match inverse {
            None => t,
            Some(z) => product(recording, (1.0, 0.0), t, z),
        });
    }
    let z = inverse.unwrap_or(a);
    let less = Combine {
        len: view.len() as u32,
        alpha: -0.5 * SHIFT,
        beta: 1.0,
    };
    recording.call("root", less, &[z.value, y.value]);
    let more = product(recording, (0.5 * SHIFT, 1.0), z, z);
    [y, product(recording, (1.0, 0.0), z, more)]
}
