//! `wasserstein`: mean_c (μ − μ')² + (1/C)·tr(Σ + Σ' − 2·(Σ'^½·Σ·Σ'^½)^½): the squared 2-Wasserstein distance of two
//! normal distributions with the means and covariances of a layer's feature vectors and of a target's, ÷C (Olkin &
//! Pukelsheim 1982, "The distance between two random vectors with given dispersion matrices"). Σ and Σ' get ε·I each.
//!
//! Neither trace nor root is computed as it stands there: A = Σ'^½·Σ·Σ'^½ has eigenvalues over the square of the range
//! of Σ's, and f32 does not hold the small ones. Instead, let L and K be any matrices with L·Lᵀ = Σ and K·Kᵀ = Σ', and
//! Q the polar factor of Kᵀ·L, whose singular values are the roots of A's eigenvalues. K·Q has the covariance Σ', too,
//! and of all such matrices it is the one nearest to L (orthogonal Procrustes problem; Higham 2008, "Functions of
//! Matrices", section 8.1). With the displacement E = L − K·Q the trace is ‖E‖², a sum of squares in which nothing
//! cancels. And E is (I − T)·L, T being the linear map that transports the one distribution to the other, so that dL/dF
//! = 2·(μ − μ')/(C·N) + 2/(C·N)·(I − T)·(F − μ).
//!
//! - Small layers (see [`super::normal`]): L = [D/√N, √ε·I], D being the deviations F − μ. The first N columns of √N·E
//!   are (I − T)·D: the gradient, without Σ, without T, without an inverse.
//! - Other layers: L = Σ^½, and I − T = E·L⁻¹. Both roots are of the matrix of correlations, Σ_ij/√(Σ_ii·Σ_jj), so that
//!   a channel with little variance, whose eigenvalue is ε, keeps its digits. I − T is symmetric, but its columns have
//!   errors of very different sizes: it multiplies F − μ from the left as it is, and is not made symmetric.
//!
//! Matrices that belong to positions lie as layers do, transposed: the code has Lᵀ, Qᵀ and Eᵀ.

use super::masked::{record_masked, record_masked_gradient};
use super::moments::{record_centred, record_weighted};
use super::normal::{Dispersion, EPSILON, conclude_normal, gather_normal, is_small};
use super::polar::{record_polar, record_ridge, record_roots, times_square};
use super::{Band, Gathered, Loss, Saved, Term, record_squared_difference, rows_of};
use crate::device::{Given, Kind, Recording, Scalar, ValueId};
use crate::kernels::{
    ChannelAffine, ChannelDistance, Conv, CopyRows, DiagonalScale, Matmul, Matrix, Product,
    SquaredDifferenceBackward, Tensor, View, record_channel_sums, record_conv,
};

/// How far each image's normal distribution of feature vectors is from a target's.
#[derive(Debug)]
pub struct Wasserstein {
    means: Given,
    factor: Given,
    channels: u32,
    mask: Option<Given>,
    weight: Scalar,
}

/// A matrix L with L·Lᵀ = Σ + ε·I for each image.
struct Root {
    /// `scale`·Lᵀ, [n, rows, 1, C⁺].
    rows: Tensor,
    scale: f64,
    /// L⁻ᵀ, [n, 1, C⁺, C⁺], where the gradient needs it.
    inverse: Option<Tensor>,
}

impl Wasserstein {
    /// For layers of `channels` channels: the target's means ([C⁺]), and Kᵀ with K·Kᵀ = Σ' + ε·I ([C⁺, C⁺]; see
    /// [`super::covariance_factor`]).
    #[must_use]
    pub fn new(
        means: impl Into<Given>,
        factor: impl Into<Given>,
        channels: u32,
        weight: impl Into<Scalar>,
    ) -> Self {
        Self {
            means: means.into(),
            factor: factor.into(),
            channels,
            mask: None,
            weight: weight.into(),
        }
    }

    /// The distribution of positions that are weighted with m², `mask` holding m (`[h·w]` of the layer) with mean m² =
    /// 1.
    #[must_use]
    pub fn through(self, mask: Option<Given>) -> Self {
        Self { mask, ..self }
    }

    /// Records √N·[D/√N, √ε·I] transposed.
    fn root_of_deviations(
        &self,
        recording: &mut Recording,
        deviations: Tensor,
        factor: ValueId,
    ) -> Root {
        let View { n, h, w, c, .. } = deviations.view;
        let (positions, quads) = (h * w, deviations.view.quads);
        let view = View::new(n, positions + quads * 4, 1, c);
        let rows = Tensor::transient(recording, "wasserstein root", view);
        let scale = f64::from(positions).sqrt();
        // The lower rows are a multiple of I: 0·(some product) + √(N·ε)·I.
        let of_epsilon = Matmul {
            a: Matrix::dense(0, quads),
            b: Matrix::dense(0, quads),
            c: Matrix::dense(view.h, quads).from(0, positions),
            inner: 4,
            alpha: 0.0f64.into(),
            diagonal: (scale * EPSILON.sqrt()) as f32,
            ..Matmul::square(n, c)
        };
        recording.call(
            "wasserstein root",
            of_epsilon,
            &[factor, factor, rows.value],
        );
        let upper = CopyRows {
            x: View::new(n, positions, 1, c),
            y: view,
            from: 0,
            to: 0,
            rows: positions,
            accumulate: false,
        };
        recording.call("wasserstein root", upper, &[deviations.value, rows.value]);
        Root {
            rows,
            scale,
            inverse: None,
        }
    }

    /// Records L = S·R and its inverse, S² being the diagonal of Σ + ε·I and R the root of the correlations.
    fn root_of_covariances(&self, recording: &mut Recording, covariances: Tensor) -> Root {
        let (n, channels, view) = (covariances.view.n, self.channels, covariances.view);
        let regular = record_ridge(recording, channels, [1.0, EPSILON as f32], covariances);
        let scaled = |recording: &mut Recording, matrix: Tensor, rows, columns, alpha: f64| {
            let to = Tensor::transient(recording, "wasserstein root", view);
            let scale = DiagonalScale {
                n,
                channels,
                alpha: alpha as f32,
                rows,
                columns,
            };
            let values = [matrix.value, regular.value, to.value];
            recording.call("wasserstein root", scale, &values);
            to
        };
        // Eigenvalues of correlations are at most C.
        let most = f64::from(channels);
        let correlations = scaled(recording, regular, -1, -1, 1.0 / most);
        let [root, inverse] = record_roots(recording, correlations, channels);
        Root {
            rows: scaled(recording, root, 0, 1, most.sqrt()),
            scale: 1.0,
            inverse: Some(scaled(recording, inverse, -1, 0, 1.0 / most.sqrt())),
        }
    }
}

impl Wasserstein {
    /// Records that the gradient with respect to the deviations D, [n, N, 1, C⁺], has a mean over the positions of 0:
    /// what it has is taken off the gradient with respect to the means.
    ///
    /// In exact arithmetic it has none, since D has none. But no L in f32 tells a singular value that is 0 from one
    /// that is rounding, and so the columns of Q have an arbitrary part along the direction in which D is 0.
    fn record_without_mean(
        &self,
        recording: &mut Recording,
        layer: View,
        gradient: ValueId,
        coefficients: ValueId,
    ) {
        let View { n, h, w, c, .. } = layer;
        let gradient = Tensor {
            value: gradient,
            view: View::new(n, h, w, c),
        };
        let weighted = self
            .mask
            .as_ref()
            .map_or(gradient, |mask| record_masked(recording, gradient, mask, 0));
        let mean = record_channel_sums(recording, weighted, None, h * w);
        // The coefficients of a channel are a factor on its deviations, which is 0, and what is added.
        let padded = layer.padded() as u32;
        let added = Tensor {
            value: coefficients,
            view: View::new(n, 1, 1, 2 * padded).slice(padded, c),
        };
        let less = record_centred(recording, added, mean);
        let back = CopyRows {
            x: less.view,
            y: added.view,
            from: 0,
            to: 0,
            rows: 1,
            accumulate: false,
        };
        recording.call("wasserstein means", back, &[less.value, coefficients]);
    }
}

impl Term for Wasserstein {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        gather_normal(recording, x, band, self.mask.as_ref(), gathered);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        let (n, channels) = (layer.n, self.channels);
        let means_goal = recording.given("wasserstein means", &self.means);
        let factor = recording.given("wasserstein factor", &self.factor);
        let (means, dispersion) = conclude_normal(recording, layer, self.mask.as_ref(), &gathered);
        let Root {
            rows,
            scale,
            inverse,
        } = match dispersion {
            Dispersion::Deviations(d) => self.root_of_deviations(recording, d, factor),
            Dispersion::Covariances(c) => self.root_of_covariances(recording, c),
        };

        let from_right = Matmul {
            b: Matrix::dense(0, rows.view.quads),
            ..times_square(rows.view, channels)
        };
        let make =
            |recording: &mut Recording, label| Tensor::transient(recording, label, rows.view);
        let product = make(recording, "wasserstein product");
        let times_k = Matmul {
            product: Product::Transposed,
            ..from_right.clone()
        };
        let values = [rows.value, factor, product.value];
        recording.call("wasserstein product", times_k, &values);
        let polar = record_polar(recording, product, channels);
        let nearest = make(recording, "wasserstein nearest");
        let times_k_transposed = Matmul {
            alpha: scale.into(),
            ..from_right
        };
        let values = [polar.value, factor, nearest.value];
        recording.call("wasserstein nearest", times_k_transposed, &values);

        let len = n as usize * layer.padded();
        let values = recording.transient("wasserstein values", Kind::Real, len);
        let coefficients = recording.transient("wasserstein coefficients", Kind::Real, 2 * len);
        let of_channels = 1.0 / f64::from(channels);
        let positions = f64::from(layer.h) * f64::from(layer.w);
        let slope = self.weight.times(2.0 * of_channels / positions);
        let distance = ChannelDistance {
            n,
            quads: layer.quads,
            deviation: false,
            alpha: slope.clone(),
        };
        recording.call(
            "wasserstein means",
            distance,
            &[means, means_goal, values, coefficients],
        );
        let other = (nearest.value, nearest.view);
        let partials = record_squared_difference(recording, "wasserstein", rows, other);
        let mut sums = Gathered::default();
        sums.add_sum(values, self.weight.times(of_channels));
        sums.add_sum(partials, self.weight.times(of_channels / (scale * scale)));
        sums.conclude_sums(recording, "wasserstein", n, loss);

        let displacement = make(recording, "wasserstein displacement");
        let difference = SquaredDifferenceBackward {
            a: rows.view,
            b: rows.view,
            da: rows.view,
            alpha: slope,
            accumulate: false,
        };
        let values = [rows.value, nearest.value, displacement.value];
        recording.call("wasserstein displacement", difference, &values);
        let gradient = match inverse {
            // (I − T)ᵀ = L⁻ᵀ·Eᵀ.
            Some(inverse) => {
                let slope = make(recording, "wasserstein slope");
                let values = [inverse.value, displacement.value, slope.value];
                recording.call("wasserstein slope", Matmul::square(n, channels), &values);
                slope.value
            }
            None => {
                let upper = record_upper(recording, displacement, layer.h * layer.w);
                self.record_without_mean(recording, layer, upper, coefficients);
                upper
            }
        };
        Saved(vec![means, coefficients, gradient])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let [means, coefficients, gradient] = [saved.0[0], saved.0[1], saved.0[2]];
        let small = is_small(band.layer);
        let backward = |recording: &mut Recording, dx: Tensor, accumulate: bool| {
            let of_means = ChannelAffine {
                x: x.view,
                y: dx.view,
                accumulate,
            };
            recording.call(
                "wasserstein gradient",
                of_means,
                &[x.value, means, coefficients, dx.value],
            );
            if small {
                return;
            }
            let centred = record_centred(recording, x, means);
            let of_covariance = Conv {
                accumulate: true,
                weights_per_image: true,
                ..Conv::new(centred.view, dx.view, 1)
            };
            record_conv(
                recording,
                "wasserstein gradient",
                of_covariance,
                &[centred.value, gradient, dx.value],
            );
        };
        let mask = self.mask.as_ref();
        record_weighted(recording, mask, band, dx, accumulate, backward);
        if small {
            // Through a mask this is (I − T)·m∘D: m once more makes it m².
            let View { n, h, w, c, .. } = band.layer;
            let whole = Tensor {
                value: gradient,
                view: View::new(n, h, w, c),
            };
            let rows = rows_of(recording, whole, band, x.view);
            match mask {
                Some(mask) => record_masked_gradient(recording, rows, mask, band.first, dx, true),
                None => {
                    let add = CopyRows {
                        x: rows.view,
                        y: dx.view,
                        from: 0,
                        to: 0,
                        rows: dx.view.h,
                        accumulate: true,
                    };
                    recording.call("wasserstein gradient", add, &[rows.value, dx.value]);
                }
            }
        }
    }
}

/// Records the first `count` rows of matrices, [n, count, 1, C⁺].
fn record_upper(recording: &mut Recording, from: Tensor, count: u32) -> ValueId {
    let view = View {
        h: count,
        ..from.view
    };
    let upper = Tensor::transient(recording, "wasserstein displacement", view);
    let copy = CopyRows {
        x: from.view,
        y: view,
        from: 0,
        to: 0,
        rows: count,
        accumulate: false,
    };
    recording.call("wasserstein displacement", copy, &[from.value, upper.value]);
    upper.value
}
