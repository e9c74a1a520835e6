//! `wasserstein`: mean_c (μ − μ')² + (1/C)·tr(Σ + Σ' − 2·(Σ'^½·Σ·Σ'^½)^½): the squared 2-Wasserstein distance of two
//! normal distributions with the means and covariances of a layer's feature vectors and of a target's, ÷C (Olkin &
//! Pukelsheim 1982, "The distance between two random vectors with given dispersion matrices"). Σ and Σ' get ε·I each.
//!
//! With S = Σ'^½ and A = S·Σ·S its gradient is dL/dΣ = (1/C)·(I − S·A^-½·S), so dL/dF = 2·(μ − μ')/(C·N) +
//! (2/N)·(dL/dΣ)·(F − μ). The same iteration gives both roots: Newton–Schulz (Higham 2008, "Functions of Matrices",
//! section 6.7), Y₀ = A/‖A‖, Z₀ = I, T = aI + b·ZY, Y ← YT, Z ← TZ, whose eigenvalues √λ → √λ·(a + b·λ) approach 1. Its
//! usual a = 1.5, b = −0.5 make small ones grow by 1.5 only; the first steps here make them grow by 2.3, and the next
//! one brings all of [0.5, 1] to within 0.09 of 1 (the best cubic there). After 12 steps the roots of eigenvalues above
//! 2·10⁻⁶·‖A‖ are exact to rounding. Those of smaller ones are too small, and that is meant: in f32 A has no
//! eigenvalues below 10⁻⁷·‖A‖, only rounding of either sign, which more steps would make grow without bound.

use super::moments::{record_centred, record_weighted};
use super::{
    Band, Gathered, Loss, Moments, Saved, Spread, Term, conclude_moments, gather_moments,
    record_sum, spread_view,
};
use crate::device::{Given, Kind, Recording, Scalar, ValueId};
use crate::kernels::{
    ChannelAffine, ChannelDistance, Conv, CopyRows, Matmul, Matrix, Normalization, Rescale, Ridge,
    Tensor, TraceDistance, TraceSlope, View, record_conv, record_moments,
};

/// What is added to the diagonal of both covariances.
const EPSILON: f64 = 1e-4;

/// a and b of every step of the iteration.
const STEPS: [(f32, f32); 12] = [
    (2.3, -1.8),
    (2.3, -1.8),
    (2.3, -1.8),
    (2.3, -1.8),
    (2.3, -1.8),
    (2.3, -1.8),
    (2.3, -1.8),
    (2.1327, -1.2187),
    (1.5, -0.5),
    (1.5, -0.5),
    (1.5, -0.5),
    (1.5, -0.5),
];

/// How far each image's normal distribution of feature vectors is from a target's.
#[derive(Debug)]
pub struct Wasserstein {
    means: Given,
    covariance: Given,
    root: Given,
    channels: u32,
    mask: Option<Given>,
    weight: Scalar,
}

/// What [`record_normal_target`] leaves, all kept.
#[derive(Debug, Clone, Copy)]
pub struct NormalTarget {
    /// Σ' + ε·I, [1, 1, C⁺, C⁺].
    pub covariance: Tensor,
    /// The root of it divided by its norm.
    pub unit_root: Tensor,
    /// Its moments, of which the third is the squared norm.
    pub moments: Tensor,
}

/// Records what a target's covariance, [C⁺, C⁺] of `channels` channels, is compared by.
pub fn record_normal_target(
    recording: &mut Recording,
    covariance: ValueId,
    channels: u32,
) -> NormalTarget {
    let view = spread_view(Spread::Covariances, View::new(1, 1, 1, channels));
    let plain = Tensor {
        value: covariance,
        view,
    };
    let regular = Tensor::persistent(recording, "covariance", view);
    ridge(recording, channels, [1.0, EPSILON as f32], plain, regular);
    let unit = Tensor::transient(recording, "unit covariance", view);
    ridge(recording, channels, [1.0, EPSILON as f32], plain, unit);
    let sums = record_moments(recording, "norm", regular, [0.0; 4]);
    let normalise = Rescale {
        x: view,
        mode: Normalization::L2,
        epsilon: 0.0,
    };
    recording.call("norm", normalise, &[sums, unit.value]);
    let moments = Tensor::persistent(recording, "norm", View::new(1, 1, 1, 4));
    let copy = CopyRows {
        x: moments.view,
        y: moments.view,
        from: 0,
        to: 0,
        rows: 1,
        accumulate: false,
    };
    recording.call("norm", copy, &[sums, moments.value]);
    NormalTarget {
        covariance: regular,
        unit_root: record_root(recording, unit, channels),
        moments,
    }
}

/// Records the root of each of the symmetric matrices `a` of `channels` rows, whose norm must be 1: kept, [n, 1, C⁺,
/// C⁺].
pub fn record_root(recording: &mut Recording, a: Tensor, channels: u32) -> Tensor {
    let root = Tensor::persistent(recording, "root", a.view);
    let _ = record_roots(recording, a, channels, root);
    root
}

/// Records Y = A^½ into `root` and Z = A^-½, which it returns.
fn record_roots(recording: &mut Recording, a: Tensor, channels: u32, root: Tensor) -> Tensor {
    let view = a.view;
    let product =
        |recording: &mut Recording, (b, a): (f32, f32), l: Tensor, r: Tensor, to: Tensor| {
            let product = Matmul {
                alpha: b.into(),
                diagonal: a,
                ..Matmul::square(view.n, channels)
            };
            recording.call("root", product, &[l.value, r.value, to.value]);
        };
    let (mut y, mut z) = (a, None);
    for (i, (a, b)) in STEPS.into_iter().enumerate() {
        let t = Tensor::transient(recording, "root step", view);
        match z {
            None => ridge(recording, channels, [b, a], y, t),
            Some(z) => product(recording, (b, a), z, y, t),
        }
        let next = if i + 1 == STEPS.len() {
            root
        } else {
            Tensor::transient(recording, "root", view)
        };
        product(recording, (1.0, 0.0), y, t, next);
        y = next;
        z = Some(match z {
            None => t,
            Some(z) => {
                let next = Tensor::transient(recording, "inverse root", view);
                product(recording, (1.0, 0.0), t, z, next);
                next
            }
        });
    }
    z.unwrap_or(a)
}

/// Records to = alpha·from + epsilon·I.
fn ridge(recording: &mut Recording, channels: u32, factors: [f32; 2], from: Tensor, to: Tensor) {
    let [alpha, epsilon] = factors;
    let ridge = Ridge {
        n: from.view.n,
        channels,
        alpha,
        epsilon,
    };
    recording.call("ridge", ridge, &[from.value, to.value]);
}

impl Wasserstein {
    /// For layers of `channels` channels: the target's means ([C⁺]), Σ' + ε·I ([C⁺, C⁺], see [`record_normal_target`])
    /// and its root.
    #[must_use]
    pub fn new(
        means: impl Into<Given>,
        covariance: impl Into<Given>,
        root: impl Into<Given>,
        channels: u32,
        weight: impl Into<Scalar>,
    ) -> Self {
        Self {
            means: means.into(),
            covariance: covariance.into(),
            root: root.into(),
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
}

impl Term for Wasserstein {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let (mask, spread) = (self.mask.as_ref(), Some(Spread::Covariances));
        gather_moments(recording, x, band, mask, spread, gathered);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        let (n, c) = (layer.n, self.channels);
        let means_goal = recording.given("wasserstein means", &self.means);
        let goal = recording.given("wasserstein covariance", &self.covariance);
        let root_goal = recording.given("wasserstein root", &self.root);
        let Moments { means, spread } =
            conclude_moments(recording, layer, Spread::Covariances, &gathered);
        let matrices = spread_view(Spread::Covariances, layer);
        let plain = Tensor {
            value: spread,
            view: matrices,
        };
        let make = |recording: &mut Recording, label| Tensor::transient(recording, label, matrices);
        let covariance = make(recording, "covariance");
        ridge(recording, c, [1.0, EPSILON as f32], plain, covariance);

        // a·S·b or S·a of matrices of the batch, S being the target's root, which they share.
        let shared = Matrix::dense(0, matrices.quads);
        let from_left = Matmul {
            a: shared,
            ..Matmul::square(n, c)
        };
        let from_right = Matmul {
            b: shared,
            ..Matmul::square(n, c)
        };
        let around = |recording: &mut Recording, inner: Tensor, label: &str| {
            let half = Tensor::transient(recording, "half", matrices);
            recording.call(
                label,
                from_left.clone(),
                &[root_goal, inner.value, half.value],
            );
            let whole = Tensor::transient(recording, label, matrices);
            recording.call(
                label,
                from_right.clone(),
                &[half.value, root_goal, whole.value],
            );
            whole
        };
        let a = around(recording, covariance, "S·Σ·S");
        let moments = record_moments(recording, "S·Σ·S", a, [0.0; 4]);
        let normalise = Rescale {
            x: matrices,
            mode: Normalization::L2,
            epsilon: 0.0,
        };
        recording.call("S·Σ·S", normalise, &[moments, a.value]);
        let root = make(recording, "root");
        let inverse = record_roots(recording, a, c, root);

        let len = n as usize * layer.padded();
        let values = recording.transient("wasserstein values", Kind::Real, len);
        let coefficients = recording.transient("wasserstein coefficients", Kind::Real, 2 * len);
        let pixels = f64::from(layer.h * layer.w);
        let alpha = self.weight.times(2.0 / (f64::from(c) * pixels));
        let distance = ChannelDistance {
            n,
            quads: layer.quads,
            deviation: false,
            alpha: alpha.clone(),
        };
        recording.call(
            "wasserstein means",
            distance,
            &[means, means_goal, values, coefficients],
        );
        recording.call(
            "wasserstein traces",
            TraceDistance { n, channels: c },
            &[covariance.value, goal, root.value, moments, values],
        );
        let scale = self.weight.times(1.0 / f64::from(c));
        record_sum(recording, "wasserstein", values, n, scale, loss);

        let product = around(recording, inverse, "S·A^-½·S");
        let slope = make(recording, "wasserstein slope");
        let difference = TraceSlope {
            n,
            channels: c,
            alpha,
        };
        recording.call(
            "wasserstein slope",
            difference,
            &[product.value, moments, slope.value],
        );
        Saved(vec![means, coefficients, slope.value])
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
        let [means, coefficients, slope] = [saved.0[0], saved.0[1], saved.0[2]];
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
                &[centred.value, slope, dx.value],
            );
        };
        record_weighted(
            recording,
            self.mask.as_ref(),
            band,
            dx,
            accumulate,
            backward,
        );
    }
}
