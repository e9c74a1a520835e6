//! Means and variances, or covariances, of the feature vectors of a layer, gathered over bands of rows.
//!
//! A layer that is seen whole gets its means first, then sums of squares about them: no digits are lost. In bands the
//! means are not known before the last band is, and sums of squares about zero would lose the digits by which mean²
//! exceeds the variance. So the squares are about a centre c that lies near, the means of the first band:
//!
//! ```text
//! Σ = (1/N)·Σᵢ (xᵢ − c)(xᵢ − c)ᵀ − (μ − c)(μ − c)ᵀ
//! ```
//!
//! This is exact for any c: the shifted data of Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample
//! Variance". How many digits the difference costs is bounded whatever the picture: the first of B bands holds about
//! 1/B of the positions, so their mean cannot lie further from μ than (μ − c)² ≤ (B − 1)·σ². What is subtracted from is
//! at most B times what is left.
//!
//! Through a mask m with mean m² = 1 (see [`super::Masked`]) every position has the weight m². Where it leaves out what
//! the first band shows, c may lie further from μ than that, and as many digits are lost as (μ − c)² has more than the
//! variance.

use super::masked::{record_masked, record_masked_gradient};
use super::{Band, Gathered, record_add, record_gram};
use crate::device::{Given, Kind, Recording, ValueId};
use crate::kernels::{ChannelCentre, Combine, Fill, Tensor, View, record_channel_sums};

/// What is gathered beside the means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The channels' variances.
    Variances,
    /// The covariances of all pairs of channels.
    Covariances,
}

/// The moments of every image's feature vectors.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    /// [n, C⁺], C⁺ being C rounded up to a multiple of 4.
    pub means: ValueId,
    /// Variances, [n, C⁺], or covariances, [n, C⁺, C⁺], both ÷ positions.
    pub spread: ValueId,
}

/// The shape of what a [`Spread`] has for a layer of `view`: an image of one pixel, or a matrix.
#[must_use]
pub fn spread_view(spread: Spread, view: View) -> View {
    let padded = view.quads * 4;
    let rows = match spread {
        Spread::Variances => 1,
        Spread::Covariances => padded,
    };
    View::new(view.n, 1, rows, padded)
}

/// Adds what the rows `x` of a layer, seen through a mask where there is one, contribute to `gathered`, which the first
/// band begins: to the means, and to their `spread` where it is wanted.
pub fn gather_moments(
    recording: &mut Recording,
    x: Tensor,
    band: Band,
    mask: Option<&Given>,
    spread: Option<Spread>,
    gathered: &mut Gathered,
) {
    let pixels = band.layer.h * band.layer.w;
    let mask = mask.map(|mask| (mask, band.first));
    let weighted = mask.map_or(x, |(mask, first)| {
        let once = record_masked(recording, x, mask, first);
        record_masked(recording, once, mask, first)
    });
    let of_band = record_channel_sums(recording, weighted, None, pixels);
    let means = add(recording, gathered, 0, of_band);
    let Some(spread) = spread else {
        return;
    };
    if gathered.values.len() == 1 {
        // Of a layer in one band the centre is its means.
        gathered.values.push(if band.count == 1 {
            means
        } else {
            record_channel_sums(recording, x, None, x.view.h * x.view.w)
        });
    }
    let squares = record_squares(recording, x, mask, gathered.values[1], spread, pixels);
    add(recording, gathered, 2, squares);
}

/// Adds a band's part to the sum at `place`, which the first band's part is.
fn add(
    recording: &mut Recording,
    gathered: &mut Gathered,
    place: usize,
    of_band: ValueId,
) -> ValueId {
    match gathered.values.get(place) {
        Some(sum) => record_add(recording, "moments of a band", of_band, *sum),
        None => gathered.values.push(of_band),
    }
    gathered.values[place]
}

/// Records the moments from what all bands have gathered.
///
/// # Panics
/// Where nothing or only means have been gathered: a bug in the caller.
pub fn conclude_moments(
    recording: &mut Recording,
    layer: View,
    spread: Spread,
    gathered: &Gathered,
) -> Moments {
    let [means, centre, squares] = [0, 1, 2].map(|place| gathered.values[place]);
    if centre != means {
        // (μ − c)(μ − c)ᵀ are the squares about c of a layer of one pixel, μ.
        let pixel = Tensor {
            value: means,
            view: View::new(layer.n, 1, 1, layer.c),
        };
        let apart = record_squares(recording, pixel, None, centre, spread, 1);
        let subtract = Combine {
            len: spread_view(spread, layer).len() as u32,
            alpha: -1.0,
            beta: 1.0,
        };
        recording.call("moments", subtract, &[apart, squares]);
    }
    Moments {
        means,
        spread: squares,
    }
}

/// Records means and variances of a mixture of pictures, each with its share; the shares sum to 1. Raw moments are
/// averaged, so that the spread between the pictures' means counts as well: σ² = Σₚ shareₚ·(σₚ² + (μₚ − μ)²). All are
/// of one image.
pub fn record_mixture(
    recording: &mut Recording,
    channels: u32,
    pictures: &[(Moments, f64)],
) -> Moments {
    let pixel = View::new(1, 1, 1, channels);
    let sum = |recording: &mut Recording, parts: &[(ValueId, f64)]| {
        let sum = Tensor::transient(recording, "mixture", pixel).value;
        let len = pixel.len() as u32;
        recording.call("mixture", Fill { len, value: 0.0 }, &[sum]);
        for (part, share) in parts {
            let add = Combine {
                len,
                alpha: *share as f32,
                beta: 1.0,
            };
            recording.call("mixture", add, &[*part, sum]);
        }
        sum
    };
    let parts: Vec<_> = pictures
        .iter()
        .map(|(p, share)| (p.means, *share))
        .collect();
    let means = sum(recording, &parts);
    let mut parts = Vec::new();
    for (picture, share) in pictures {
        let of_picture = Tensor {
            value: picture.means,
            view: pixel,
        };
        let apart = record_channel_sums(recording, of_picture, Some(means), 1);
        parts.extend([(picture.spread, *share), (apart, *share)]);
    }
    let spread = sum(recording, &parts);
    Moments { means, spread }
}

/// Records (1/pixels)·Σ (x − c)², or (1/pixels)·Σ (x − c)(x − c)ᵀ, each position weighted with m² where there is a
/// mask, of which x has the rows from a first one on.
fn record_squares(
    recording: &mut Recording,
    x: Tensor,
    mask: Option<(&Given, u32)>,
    centre: ValueId,
    spread: Spread,
    pixels: u32,
) -> ValueId {
    if mask.is_none() && spread == Spread::Variances {
        return record_channel_sums(recording, x, Some(centre), pixels);
    }
    let mut centred = record_centred(recording, x, centre);
    if let Some((mask, first)) = mask {
        centred = record_masked(recording, centred, mask, first);
    }
    match spread {
        Spread::Variances => {
            let len = x.view.n as usize * x.view.padded();
            let zero = recording.transient("zero", Kind::Real, len);
            let fill = Fill {
                len: len as u32,
                value: 0.0,
            };
            recording.call("zero", fill, &[zero]);
            record_channel_sums(recording, centred, Some(zero), pixels)
        }
        Spread::Covariances => record_gram(recording, centred, pixels).value,
    }
}

/// Records `dx (+)= backward`'s gradient, that of moments of a layer's rows, times the positions' weights m² where
/// there is a mask; `backward` writes, or adds where it is told so.
pub fn record_weighted(
    recording: &mut Recording,
    mask: Option<&Given>,
    band: Band,
    dx: Tensor,
    accumulate: bool,
    backward: impl FnOnce(&mut Recording, Tensor, bool),
) {
    let Some(mask) = mask else {
        return backward(recording, dx, accumulate);
    };
    let View { n, h, w, c, .. } = dx.view;
    let plain = Tensor::transient(recording, "gradient of moments", View::new(n, h, w, c));
    backward(recording, plain, false);
    let once = record_masked(recording, plain, mask, band.first);
    record_masked_gradient(recording, once, mask, band.first, dx, accumulate);
}

/// Records x − c for every feature vector x; `centre` is [n, C⁺].
pub fn record_centred(recording: &mut Recording, x: Tensor, centre: ValueId) -> Tensor {
    let View { n, h, w, c, .. } = x.view;
    let centred = Tensor::transient(recording, "centred", View::new(n, h, w, c));
    let subtract = ChannelCentre {
        x: x.view,
        y: centred.view,
    };
    recording.call("centre", subtract, &[x.value, centre, centred.value]);
    centred
}
