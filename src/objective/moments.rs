//! Means and variances, or covariances, of the columns of a layer, gathered over bands of rows.
//!
//! A layer that is seen whole gets its means first, then sums of squares about them: no digits are lost. In bands the means are
//! not known before the last band is, and sums of squares about zero would lose the digits by which mean² exceeds the
//! variance. So the squares are about a centre c that lies near, the means of the first band:
//!
//! ```text
//! Σ = (1/N)·Σᵢ (xᵢ − c)(xᵢ − c)ᵀ − (μ − c)(μ − c)ᵀ
//! ```
//!
//! This is exact for any c: the shifted data of Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance". How
//! many digits the difference costs is bounded whatever the picture: the first of B bands holds about 1/B of the columns, so
//! their mean cannot lie further from μ than (μ − c)² ≤ (B − 1)·σ². What is subtracted from is at most B times what
//! is left.
//!
//! Through a guide g with mean g² = 1 (see [`super::Masked`]) every column has the weight g². Where it leaves out what the first band
//! shows, c may lie further from μ than that, and as many digits are lost as (μ − c)² has more than the variance.

use super::masked::{record_guided, record_pulled_back};
use super::{Band, Saved, record_add, record_gram};
use crate::device::{Buffer, Kind, Recording, ValueId};
use crate::kernels::{ChannelCentre, Combine, Fill, Tensor, View, record_channel_sums};

/// What is gathered beside the means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The channels' variances.
    Variances,
    /// The covariances of all pairs of channels.
    Covariances,
}

/// The moments of every image's columns.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    /// [n, C⁺], C⁺ being C rounded up to a multiple of 4.
    pub means: ValueId,
    /// Variances, [n, C⁺], or covariances, [n, C⁺, C⁺], both ÷ columns.
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

/// Adds what the rows `x` of a layer, seen through a guide where there is one, contribute to `gathered`, which the first band
/// begins: to the means, and to their `spread` where it is wanted.
pub fn gather_moments(
    recording: &mut Recording,
    x: Tensor,
    band: Band,
    guide: Option<&Buffer>,
    spread: Option<Spread>,
    gathered: &mut Saved,
) {
    let pixels = band.layer.h * band.layer.w;
    let guide = guide.map(|guide| (guide, band.first));
    let weighted = guide.map_or(x, |(guide, first)| {
        let once = record_guided(recording, x, guide, first);
        record_guided(recording, once, guide, first)
    });
    let of_band = record_channel_sums(recording, weighted, None, pixels);
    let means = add(recording, gathered, 0, of_band);
    let Some(spread) = spread else {
        return;
    };
    if gathered.0.len() == 1 {
        // Of a layer in one band the centre is its means.
        gathered.0.push(if band.count == 1 {
            means
        } else {
            record_channel_sums(recording, x, None, x.view.h * x.view.w)
        });
    }
    let squares = record_squares(recording, x, guide, gathered.0[1], spread, pixels);
    add(recording, gathered, 2, squares);
}

/// Adds a band's part to the sum at `place`, which the first band's part is.
fn add(recording: &mut Recording, gathered: &mut Saved, place: usize, of_band: ValueId) -> ValueId {
    match gathered.0.get(place) {
        Some(sum) => record_add(recording, "moments of a band", of_band, *sum),
        None => gathered.0.push(of_band),
    }
    gathered.0[place]
}

/// Records the moments from what all bands have gathered.
///
/// # Panics
/// Where nothing or only means have been gathered: a bug in the caller.
pub fn conclude_moments(
    recording: &mut Recording,
    layer: View,
    spread: Spread,
    gathered: &Saved,
) -> Moments {
    let [means, centre, squares] = [0, 1, 2].map(|place| gathered.0[place]);
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

/// Records (1/pixels)·Σ (x − c)², or (1/pixels)·Σ (x − c)(x − c)ᵀ, each column weighted with g² where there is a guide, of which x
/// has the rows from a first one on.
fn record_squares(
    recording: &mut Recording,
    x: Tensor,
    guide: Option<(&Buffer, u32)>,
    centre: ValueId,
    spread: Spread,
    pixels: u32,
) -> ValueId {
    if guide.is_none() && spread == Spread::Variances {
        return record_channel_sums(recording, x, Some(centre), pixels);
    }
    let mut centred = record_centred(recording, x, centre);
    if let Some((guide, first)) = guide {
        centred = record_guided(recording, centred, guide, first);
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
        Spread::Covariances => record_gram(recording, centred, pixels, false).value,
    }
}

/// Records `dx (+)= backward`'s gradient, that of moments of a layer's rows, times the columns' weights g² where there is a
/// guide; `backward` writes, or adds where it is told so.
pub fn record_weighted(
    recording: &mut Recording,
    guide: Option<&Buffer>,
    band: Band,
    dx: Tensor,
    accumulate: bool,
    backward: impl FnOnce(&mut Recording, Tensor, bool),
) {
    let Some(guide) = guide else {
        return backward(recording, dx, accumulate);
    };
    let View { n, h, w, c, .. } = dx.view;
    let plain = Tensor::transient(recording, "gradient of moments", View::new(n, h, w, c));
    backward(recording, plain, false);
    let once = record_guided(recording, plain, guide, band.first);
    record_pulled_back(recording, once, guide, band.first, dx, accumulate);
}

/// Records x − c for every column x; `centre` is [n, C⁺].
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
