//! `sliced_wasserstein`: the mean over random directions v of the squared 2-Wasserstein distance between the numbers
//! vᵀf of a layer's feature vectors f and vᵀs of a target's: Heitz et al. 2021, "A Sliced Wasserstein Loss for Neural
//! Texture Synthesis", section 3. The distance of two sets of numbers is the integral of the squared difference of
//! their quantiles. Sorting gives the quantiles, which are steps, so that the integral is an exact sum for sets of any
//! sizes.
//!
//! Every iteration, layer and image has directions of its own, as many as the layer has channels (rounded up to a
//! multiple of 4).
//!
//! The gradient holds the order of the numbers fixed: of the number at rank i of N, (2/K)·∫(p_i − q(u)) du over its
//! step of the quantiles, from i/N to (i + 1)/N, times v for its feature vector. K is the number of directions. Where
//! no two numbers are equal this is exact.
//!
//! Of several targets with other shares than their numbers of positions, vectors are repeated so that all count alike
//! ([`repeated`]).

use super::{Band, Gathered, Loss, Saved, Term, VectorSet, record_sum};
use crate::Error;
use crate::device::{Buffer, Device, Given, Kind, Recording, Scalar, ValueId};
use crate::kernels::{
    Matmul, Matrix, Pick, Product, Quantiles, SortChunks, Sorted, Tensor, UnitVectors, View,
    record_sort,
};

/// Most vectors that a target of uneven shares is repeated to.
const REPEATED: usize = 65_536;

/// Most positions of one matrix product: a dispatch has at most 65535 workgroups of 32.
const POSITIONS: u32 = 1 << 20;

/// How far each image's feature vectors are from a target's, seen along random directions.
#[derive(Debug)]
pub struct SlicedWasserstein {
    /// The target's vectors, [1, 1, M, C].
    vectors: Given,
    view: View,
    /// Which of them are compared with, where not each counts alike.
    repeated: Option<Buffer>,
    seed: u32,
    weight: Scalar,
}

/// Which vector of a set of the given weights each of many equal ones is, so that each vector's share of them is its
/// weight, to within one of them: the j-th is the one in which the sum of the weights reaches (j + ½)/count. They are
/// as many as the lightest vector needs to be there once, at most 65536.
fn repeated(weights: &[f32]) -> Vec<u32> {
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    let least = weights.iter().copied().fold(f32::INFINITY, f32::min);
    let count = (total / f64::from(least)).round().min(REPEATED as f64) as usize;
    let (mut at, mut sum) = (0, f64::from(weights[0]));
    let of = |j: usize| {
        let share = total * (j as f64 + 0.5) / count as f64;
        while sum < share && at + 1 < weights.len() {
            at += 1;
            sum += f64::from(weights[at]);
        }
        at as u32
    };
    (0..count).map(of).collect()
}

impl SlicedWasserstein {
    /// `weight` times the distance from the vectors of a set, in the engine's layout (`set.view`).
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn new(
        device: &Device,
        set: &VectorSet,
        vectors: impl Into<Given>,
        seed: u64,
        weight: impl Into<Scalar>,
    ) -> Result<Self, Error> {
        let even = set.weights.windows(2).all(|pair| pair[0] == pair[1]);
        let repeated = if even {
            None
        } else {
            let chosen = repeated(&set.weights);
            let buffer = device.buffer("repeated vectors", Kind::Word, chosen.len())?;
            device.upload_words(&buffer, &chosen)?;
            Some(buffer)
        };
        Ok(Self {
            vectors: vectors.into(),
            view: set.view,
            repeated,
            seed: seed as u32,
            weight: weight.into(),
        })
    }

    /// Records the vectors that the layer's are compared with, all of the same weight.
    fn target(&self, recording: &mut Recording) -> Tensor {
        let vectors = Tensor {
            value: recording.given("target vectors", &self.vectors),
            view: self.view,
        };
        let Some(chosen) = &self.repeated else {
            return vectors;
        };
        let y = View::new(1, 1, chosen.len() as u32, self.view.c);
        let repeated = Tensor::transient(recording, "repeated vectors", y);
        let chosen = recording.given("repeated vectors", chosen.clone());
        let pick = Pick { x: self.view, y };
        let bound = [chosen, vectors.value, repeated.value];
        recording.call("repeated vectors", pick, &bound);
        repeated
    }
}

/// Records vᵀf of each of an image's directions v for each of its feature vectors f, or for the vectors that all images
/// share, and sorts them: [images, directions, vectors].
fn record_sorted_projections(recording: &mut Recording, directions: Tensor, x: Tensor) -> Sorted {
    let View { n, w: rows, .. } = directions.view;
    let len = x.view.h * x.view.w;
    let stride = len.next_multiple_of(4);
    let numbers = n as usize * rows as usize * stride as usize;
    let projections = recording.transient("projections", Kind::Real, numbers);
    let to = Matrix::dense(rows, stride / 4);
    for first in (0..len).step_by(POSITIONS as usize) {
        let mut c = to;
        c.offset = first / 4;
        let product = Matmul {
            a: Matrix::dense(rows, directions.view.quads),
            b: Matrix::of_view(x.view).from(0, first),
            c,
            batch: n,
            rows,
            columns: POSITIONS.min(len - first),
            inner: directions.view.padded() as u32,
            product: Product::Transposed,
            alpha: 1.0.into(),
            diagonal: 0.0,
            size: 0,
            accumulate: false,
        };
        let bound = [directions.value, x.value, projections];
        recording.call("projections", product, &bound);
    }
    let sort = SortChunks {
        rows: n * rows,
        len,
        stride,
    };
    record_sort(recording, "sorted projections", projections, sort)
}

impl Term for SlicedWasserstein {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some("`sliced_wasserstein` sorts numbers from all over the layer")
    }

    fn gather(&self, _: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        gathered.layer = Some(x);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        let x = gathered.layer.expect("the layer was gathered, whole");
        let count = layer.padded() as u32;
        let view = View::new(layer.n, 1, count, layer.c);
        let directions = Tensor::transient(recording, "directions", view);
        let draw = UnitVectors {
            y: view,
            seed: self.seed,
            slot: loss.slot,
        };
        recording.call("directions", draw, &[loss.step, directions.value]);
        let target = self.target(recording);
        let own = record_sorted_projections(recording, directions, x);
        let goal = record_sorted_projections(recording, directions, target);
        let compare = Quantiles {
            images: layer.n,
            rows: count,
            len: layer.h * layer.w,
            goals: target.view.w,
        };
        let numbers = layer.n as usize * compare.len as usize * count as usize;
        let slopes = recording.transient("quantile slopes", Kind::Real, numbers);
        let parts = (layer.n * count * compare.parts()) as usize;
        let partials = recording.transient("quantile distances", Kind::Real, parts);
        let bound = [own.values, own.order, goal.values, slopes, partials];
        recording.call("quantiles", compare, &bound);
        let scale = self.scale(layer);
        record_sum(
            recording,
            "sliced wasserstein",
            partials,
            layer.n,
            scale,
            loss,
        );
        Saved(vec![directions.value, slopes])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        _: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let [directions, slopes]: [ValueId; 2] = [saved.0[0], saved.0[1]];
        let View { n, h, w, quads, .. } = x.view;
        let positions = h * w;
        let count = quads * 4;
        for first in (0..positions).step_by(POSITIONS as usize) {
            let product = Matmul {
                a: Matrix::dense(positions, count / 4).from(0, first),
                b: Matrix::dense(count, quads),
                c: Matrix::of_view(dx.view).from(0, first),
                batch: n,
                rows: POSITIONS.min(positions - first),
                columns: count,
                inner: count,
                product: Product::Plain,
                alpha: self.scale(x.view).times(2.0),
                diagonal: 0.0,
                size: 0,
                accumulate,
            };
            let bound = [slopes, directions, dx.value];
            recording.call("sliced wasserstein gradient", product, &bound);
        }
    }
}

impl SlicedWasserstein {
    /// weight/(K·N): the mean over directions and positions.
    fn scale(&self, layer: View) -> Scalar {
        let numbers = layer.padded() as f64 * f64::from(layer.h * layer.w);
        self.weight.times(1.0 / numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::repeated;

    #[test]
    fn vectors_are_repeated_by_their_weights() {
        assert_eq!(
            repeated(&[0.125, 0.5, 0.125, 0.25]),
            [0, 1, 1, 1, 1, 2, 3, 3]
        );
        let many = repeated(&[0.55, 0.15, 0.15, 0.15]);
        assert_eq!(many, [0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(repeated(&[1e-9, 1.0]).len(), 65_536);
    }
}
