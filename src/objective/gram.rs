//! `gram`: 1/(4C²) · Σ (G/N − A/N_s)², G = FFᵀ: Gatys et al. 2015, the E_l of eq. 4, for targets of any size.
//!
//! With D = G/N − A/N_s its gradient is dL/dF = D·F / (C²·N): a 1×1 convolution of F with D as its weights.

use super::{Band, Gathered, Loss, Saved, Term, record_add, record_squared_difference, record_sum};
use crate::device::{Given, Kind, Recording, Scalar};
use crate::kernels::{
    Conv, Gram as GramKernel, GramReduce, SquaredDifferenceBackward, Tensor, View, record_conv,
};

/// The difference between a layer's Gram matrix and a target's.
#[derive(Debug)]
pub struct Gram {
    target: Given,
    channels: u32,
    weight: Scalar,
}

/// Records FᵀF/`pixels` of every image, with as many pixels as x has its Gram matrix: a tensor `[n, 1, C⁺, C⁺]`, C⁺
/// being C rounded up to a multiple of 4.
pub fn record_gram(recording: &mut Recording, x: Tensor, pixels: u32) -> Tensor {
    let padded = x.view.quads * 4;
    let splits = GramKernel::splits_for(x.view);
    let partial = GramKernel { f: x.view, splits };
    let partials = recording.transient("gram partial sums", Kind::Real, partial.partial_len());
    recording.call("gram", partial, &[x.value, partials]);
    let gram = Tensor::transient(recording, "gram", gram_view(x.view));
    let reduction = GramReduce {
        n: x.view.n,
        channels: padded,
        splits,
        scale: 1.0 / pixels as f32,
    };
    recording.call("gram reduction", reduction, &[partials, gram.value]);
    gram
}

/// Adds what the rows `x` of a layer of N positions contribute to its Gram matrix FᵀF/N, which it returns; the first
/// band makes `sum`.
pub fn gather_gram(
    recording: &mut Recording,
    x: Tensor,
    band: Band,
    sum: &mut Option<Tensor>,
) -> Tensor {
    let pixels = band.layer.h * band.layer.w;
    let gram = record_gram(recording, x, pixels);
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
    pub fn new(target: impl Into<Given>, channels: u32, weight: impl Into<Scalar>) -> Self {
        Self {
            target: target.into(),
            channels,
            weight: weight.into(),
        }
    }

    /// 1/(4C²), the factor of the formula.
    #[must_use]
    pub fn scale(channels: u32) -> f64 {
        0.25 / f64::from(channels).powi(2)
    }
}

/// The shape of the Gram matrices of a layer: `[n, 1, C⁺, C⁺]`.
#[must_use]
pub fn gram_view(layer: View) -> View {
    View::new(layer.n, 1, layer.quads * 4, layer.quads * 4)
}

impl Term for Gram {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let mut sum = gathered.values.first().map(|value| Tensor {
            value: *value,
            view: gram_view(x.view),
        });
        gathered.values = vec![gather_gram(recording, x, band, &mut sum).value];
    }

    /// The value and, for the gradient, the weighted difference of the matrices.
    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        let gram = Tensor {
            value: gathered.values[0],
            view: gram_view(layer),
        };
        let view = View { n: 1, ..gram.view };
        let target = recording.given("gram target", &self.target);
        let partials = record_squared_difference(recording, "gram", gram, (target, view));
        let scale = self.weight.times(Self::scale(self.channels));
        record_sum(recording, "gram", partials, layer.n, scale, loss);
        let difference = Tensor::transient(recording, "gram difference", gram.view);
        recording.call(
            "gram difference",
            SquaredDifferenceBackward {
                a: gram.view,
                b: view,
                da: gram.view,
                alpha: self.weight.clone(),
                accumulate: false,
            },
            &[gram.value, target, difference.value],
        );
        Saved(vec![difference.value])
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
        let positions = f64::from(band.layer.h * band.layer.w);
        let product = Conv {
            alpha: (4.0 * Self::scale(self.channels) / positions) as f32,
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
