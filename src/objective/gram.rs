//! `gram`: 1/(4C²) · Σ (G/N − A/N_s)², G = FFᵀ: Gatys et al. 2015, the E_l of eq. 4, for targets of any size.
//!
//! With D = G/N − A/N_s its gradient is dL/dF = D·F / (C²·N): a 1×1 convolution of F with D as its weights.

use super::{Band, Banded, Loss, Saved, Summed, record_add, record_squared_difference};
use crate::device::{Buffer, Kind, Recording};
use crate::kernels::{
    Conv, Gram as GramKernel, GramReduce, SquaredDifferenceBackward, Tensor, View, record_conv,
};

/// The difference between a layer's Gram matrix and a target's.
#[derive(Debug)]
pub struct Gram {
    target: Buffer,
    channels: u32,
    weight: f64,
}

/// Records FᵀF/`pixels` of every image, with as many pixels as x has its Gram matrix: a tensor `[n, 1, C⁺, C⁺]`, C⁺ being C
/// rounded up to a multiple of 4.
pub fn record_gram(recording: &mut Recording, x: Tensor, pixels: u32, keep: bool) -> Tensor {
    let padded = x.view.quads * 4;
    let splits = GramKernel::splits_for(x.view);
    let partial = GramKernel { f: x.view, splits };
    let partials = recording.transient("gram partial sums", Kind::Real, partial.partial_len());
    recording.call("gram", partial, &[x.value, partials]);
    let view = View::new(x.view.n, 1, padded, padded);
    let gram = if keep {
        Tensor::persistent(recording, "gram", view)
    } else {
        Tensor::transient(recording, "gram", view)
    };
    let reduction = GramReduce {
        n: x.view.n,
        channels: padded,
        splits,
        scale: 1.0 / pixels as f32,
    };
    recording.call("gram reduction", reduction, &[partials, gram.value]);
    gram
}

/// Adds what the rows `x` of a layer of N positions contribute to its Gram matrix FᵀF/N, which it returns; the first band
/// makes `sum`.
pub fn gather_gram(
    recording: &mut Recording,
    x: Tensor,
    band: Band,
    keep: bool,
    sum: &mut Option<Tensor>,
) -> Tensor {
    let pixels = band.layer.h * band.layer.w;
    let gram = record_gram(recording, x, pixels, keep && sum.is_none());
    match *sum {
        Some(sum) => {
            record_add(recording, "gram of a band", gram.value, sum.value);
            sum
        }
        None => *sum.insert(gram),
    }
}

impl Gram {
    /// `target` holds A/N_s, `[C⁺, C⁺]`, of a layer of `channels` channels.
    #[must_use]
    pub fn new(target: Buffer, channels: u32, weight: f64) -> Self {
        Self {
            target,
            channels,
            weight,
        }
    }

    /// The value at all-zero activations, Σ (A/N_s)²/(4C²): what `relative` divides by.
    #[must_use]
    pub fn at_zero(target: &[f32], channels: u32) -> f64 {
        target.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>()
            / (4.0 * f64::from(channels).powi(2))
    }
}

impl Gram {
    /// The value and the difference of the matrices, from the Gram matrix.
    fn compare(&self, recording: &mut Recording, gram: Tensor, loss: Loss) -> Saved {
        let view = View { n: 1, ..gram.view };
        let target = recording.given("gram target", self.target.clone());
        let scale = self.weight / (4.0 * f64::from(self.channels).powi(2));
        record_squared_difference(recording, "gram", gram, (target, view), scale, loss);
        let difference = Tensor::transient(recording, "gram difference", gram.view);
        recording.call(
            "gram difference",
            SquaredDifferenceBackward {
                a: gram.view,
                b: view,
                da: gram.view,
                alpha: 1.0,
                accumulate: false,
            },
            &[gram.value, target, difference.value],
        );
        Saved(vec![difference.value])
    }
}

impl Summed for Gram {}

impl Banded for Gram {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Saved) {
        let view = View::new(x.view.n, 1, x.view.quads * 4, x.view.quads * 4);
        let mut sum = gathered.0.first().map(|value| Tensor {
            value: *value,
            view,
        });
        gathered.0 = vec![gather_gram(recording, x, band, false, &mut sum).value];
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Saved,
        loss: Loss,
    ) -> Saved {
        let gram = Tensor {
            value: gathered.0[0],
            view: View::new(layer.n, 1, layer.quads * 4, layer.quads * 4),
        };
        self.compare(recording, gram, loss)
    }

    fn backward_band(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let pixels = f64::from(band.layer.h * band.layer.w);
        let product = Conv {
            alpha: (self.weight / (f64::from(self.channels).powi(2) * pixels)) as f32,
            accumulate,
            weights_per_image: true,
            ..Conv::new(x.view, dx.view, 1)
        };
        record_conv(
            recording,
            "gram gradient",
            product,
            &[x.value, saved.0[0], dx.value],
        );
    }
}
