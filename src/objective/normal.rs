//! The normal distribution of a layer's feature vectors, in the form that loses no digits: for `wasserstein` and what
//! it compares with.
//!
//! Where the layer has fewer positions than twice its channels, its covariance Σ has eigenvalues near 0 or equal to it,
//! which a Σ in f32 does not hold: its entries are rounded at 10⁻⁷ of the largest eigenvalue. There the deviations from
//! the means are kept instead of Σ. Elsewhere Σ is.

use super::moments::record_centred;
use super::{
    Band, Gathered, Moments, Spread, conclude_moments, gather_moments, record_masked, spread_view,
};
use crate::device::{Given, Recording, ValueId};
use crate::kernels::{CopyRows, Tensor, View};

/// What is added to the diagonal of every covariance.
pub(super) const EPSILON: f64 = 1e-4;

/// What is known of the covariances Σ of the images of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Dispersion {
    /// The deviations D of the feature vectors from the means, each times the mask m where there is one: [n, h, w, C].
    /// Σ = DᵀD/N with N positions.
    Deviations(Tensor),
    /// Σ, [n, 1, C⁺, C⁺], C⁺ being C rounded up to a multiple of 4.
    Covariances(Tensor),
}

/// Whether the deviations of a layer are kept.
pub(super) fn is_small(layer: View) -> bool {
    u64::from(layer.h) * u64::from(layer.w) < 2 * u64::from(layer.c)
}

/// Adds what the rows `x` of a layer, seen through a mask where there is one, contribute to `gathered`, which the first
/// band begins.
pub fn gather_normal(
    recording: &mut Recording,
    x: Tensor,
    band: Band,
    mask: Option<&Given>,
    gathered: &mut Gathered,
) {
    let small = is_small(band.layer);
    let spread = (!small).then_some(Spread::Covariances);
    gather_moments(recording, x, band, mask, spread, gathered);
    if !small {
        return;
    }
    if band.count == 1 {
        gathered.layer = Some(x);
        return;
    }
    let View { n, h, w, c, .. } = band.layer;
    let whole = *gathered.layer.get_or_insert_with(|| {
        let view = View::new(n, h, w, c);
        Tensor::transient(recording, "feature vectors", view)
    });
    let copy = CopyRows {
        x: x.view,
        y: whole.view,
        from: 0,
        to: band.first,
        rows: x.view.h,
        accumulate: false,
    };
    recording.call("feature vectors", copy, &[x.value, whole.value]);
}

/// Records the means, [n, C⁺], and the dispersion from what all bands have gathered.
pub fn conclude_normal(
    recording: &mut Recording,
    layer: View,
    mask: Option<&Given>,
    gathered: &Gathered,
) -> (ValueId, Dispersion) {
    if let Some(whole) = gathered.layer {
        let means = gathered.values[0];
        let centred = record_centred(recording, whole, means);
        let deviations = mask.map_or(centred, |mask| record_masked(recording, centred, mask, 0));
        return (means, Dispersion::Deviations(deviations));
    }
    let spread = Spread::Covariances;
    let Moments {
        means,
        spread: value,
    } = conclude_moments(recording, layer, spread, gathered);
    let view = spread_view(spread, layer);
    (means, Dispersion::Covariances(Tensor { value, view }))
}

/// Kᵀ with K·Kᵀ = Σ + ε·I for a covariance Σ of `channels` rows, in rows of whole vec4s: the Cholesky decomposition
/// with complete pivoting (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 10.3).
///
/// Each row of Kᵀ has the largest variance that the ones before it leave. So the rows fall from the largest eigenvalues
/// to the smallest, and products with Kᵀ in f32 keep the digits of the small ones.
#[must_use]
pub fn covariance_factor(covariance: &[f64], channels: usize) -> Vec<f32> {
    let side = channels.next_multiple_of(4);
    let mut left: Vec<f64> = (0..channels)
        .map(|i| covariance[i * channels + i] + EPSILON)
        .collect();
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(channels);
    let mut taken = vec![false; channels];
    for _ in 0..channels {
        let free = (0..channels).filter(|i| !taken[*i]);
        let Some(pivot) = free.max_by(|i, j| left[*i].total_cmp(&left[*j])) else {
            break;
        };
        taken[pivot] = true;
        let mut row = covariance[pivot * channels..][..channels].to_vec();
        for earlier in &rows {
            let factor = earlier[pivot];
            row.iter_mut()
                .zip(earlier)
                .for_each(|(v, e)| *v -= factor * e);
        }
        // Σ + ε·I leaves no variance below ε; rounding may.
        let variance = left[pivot].max(EPSILON);
        for (i, v) in row.iter_mut().enumerate() {
            *v = match i {
                _ if i == pivot => variance,
                _ if taken[i] => 0.0,
                _ => *v,
            } / variance.sqrt();
            left[i] -= *v * *v;
        }
        rows.push(row);
    }
    let mut factor = vec![0.0; side * side];
    for (to, row) in factor.chunks_exact_mut(side).zip(&rows) {
        to.iter_mut().zip(row).for_each(|(t, v)| *t = *v as f32);
    }
    factor
}
