//! `mmd`: the squared maximum mean discrepancy between the feature vectors of a layer and a target's, mean k(f, f') +
//! mean k(s, s') − 2·mean k(f, s): Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 5; as a style loss Li et al.
//! 2017, "Demystifying Neural Style Transfer", section 4.1. Several targets are one set in which each vector has its
//! target's weight.
//!
//! Where both sets together have at most [`EXACT`] vectors all pairs count (i = j among them: biased). Larger ones are
//! cut, after a permutation that is drawn anew in every iteration, into blocks of [`BLOCK`] vectors; within each block
//! all pairs i ≠ j count, and the blocks' values are averaged. That is Zaremba et al. 2013, "B-tests: Low Variance
//! Kernel Two-Sample Tests", section 2; with blocks of two vectors it is the linear-time estimator of Gretton et al.,
//! lemma 14. It is unbiased, so it may be negative.
//!
//! With w_ij = −ω_j·k' for vectors of the layer and ω_j·k' for the target's, the gradient of R vectors is, of a kernel
//! of the product, −(2/R)·Σ_j w_ij·y_j, of a gaussian one (2/(R·σ²))·Σ_j w_ij·(x_i − y_j): two matrix products for each
//! set. The matrix of a set's pairs is made and used in strips; it is never whole.

use super::{Band, Gathered, Loss, Saved, Term, record_sum};
use crate::Error;
use crate::device::{Buffer, Device, Given, Kind, Recording, Scalar, ValueId};
use crate::kernels::{
    Fill, Matmul, Matrix, PairKernel, PairSums, Product, SEGMENT_WORDS, Shuffle, Tensor, Unshuffle,
    VectorKernel, View,
};

/// Most vectors of both sets together whose pairs are all compared.
pub const EXACT: u32 = 2048;

/// Vectors of a block otherwise.
pub const BLOCK: u32 = 64;

/// Most vectors that are kept of a target: of more every k-th is. They are drawn from, so that a large target, which
/// would need as much memory as the layer, says no more than these.
pub const KEPT: u32 = 32_768;

/// Reals of a strip of pairs that need not be cut further.
const STRIP: usize = 1 << 18;

/// Which feature vectors of target pictures are compared with, and how much each counts.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSet {
    /// All vectors as one row of pixels: [1, 1, M, C].
    pub view: View,
    /// The weight of each; together 1.
    pub weights: Vec<f32>,
    /// For each picture its first vector, how many it has, and the weight of all up to its last, times 2³².
    pub segments: Vec<u32>,
}

impl VectorSet {
    /// Of pictures: for each the positions of its layer and its weight; the weights are positive and sum to 1.
    #[must_use]
    pub fn new(channels: u32, pictures: &[(u32, f64)]) -> Self {
        let (mut weights, mut segments) = (Vec::new(), Vec::new());
        let mut share = 0.0;
        for (positions, weight) in pictures {
            let count = Self::kept(*positions, pictures.len());
            share += weight;
            segments.extend([
                weights.len() as u32,
                count,
                (share * f64::from(u32::MAX)).round() as u32,
            ]);
            let each = (weight / f64::from(count)) as f32;
            weights.extend(std::iter::repeat_n(each, count as usize));
        }
        if let Some(last) = segments.last_mut() {
            *last = u32::MAX;
        }
        Self {
            view: View::new(1, 1, weights.len() as u32, channels),
            weights,
            segments,
        }
    }

    /// How many vectors are kept of one of so many pictures.
    fn kept(positions: u32, pictures: usize) -> u32 {
        positions.min((KEPT / pictures.max(1) as u32).max(1))
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.view.w
    }

    /// At most `count` of them, spread evenly, and which those are; the weights still sum to 1.
    #[must_use]
    pub fn thinned(&self, count: u32) -> (Self, Vec<u32>) {
        let count = count.min(self.count());
        let chosen = evenly_spread(self.count(), count);
        let sum: f32 = chosen.iter().map(|i| self.weights[*i as usize]).sum();
        let weights = chosen.iter().map(|i| self.weights[*i as usize] / sum);
        let thinned = Self {
            view: View::new(1, 1, count, self.view.c),
            weights: weights.collect(),
            segments: vec![0, count, u32::MAX],
        };
        (thinned, chosen)
    }

    /// The weights in whole vec4s, as kernels read them.
    #[must_use]
    pub fn padded_weights(&self) -> Vec<f32> {
        let mut padded = self.weights.clone();
        padded.resize(padded.len().next_multiple_of(4), 0.0);
        padded
    }

    fn is_even(&self) -> bool {
        self.weights.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// `count` of the numbers below `all`, spread evenly.
#[must_use]
pub fn evenly_spread(all: u32, count: u32) -> Vec<u32> {
    let place = |i: u32| (u64::from(i) * u64::from(all) / u64::from(count)) as u32;
    (0..count).map(place).collect()
}

/// What a layer's feature vectors are compared with.
#[derive(Debug, Clone)]
pub struct MmdTarget {
    /// The kernel.
    pub kernel: VectorKernel,
    /// The target's vectors: how many, and the weight of each.
    pub set: VectorSet,
    /// The vectors themselves, in the engine's layout, `set.view`.
    pub vectors: Given,
    /// mean k(s, s') of them; it counts where the value is exact.
    pub similarity: Scalar,
}

/// Feature vectors of a recording: `rows` of each of a batch of matrices.
#[derive(Debug, Clone, Copy)]
struct Set {
    value: ValueId,
    matrix: Matrix,
    rows: u32,
    /// The weight of each, or of all.
    weights: Result<f32, ValueId>,
}

/// Where the gradient goes, and its factor.
#[derive(Debug, Clone)]
struct Into {
    value: ValueId,
    matrix: Matrix,
    alpha: Scalar,
    accumulate: bool,
}

/// Pairs of a set of feature vectors with another.
#[derive(Debug, Clone)]
struct Pairs {
    kernel: VectorKernel,
    batch: u32,
    image_rows: u32,
    channels: u32,
    skip_diagonal: bool,
}

impl Pairs {
    /// Matrices, and rows of each, of one strip of pairs.
    fn strip(&self, rows: u32, width: u32) -> (u32, u32) {
        let matrix = rows as usize * width as usize;
        let limit = STRIP.max(self.batch as usize * matrix / 8);
        if matrix <= limit {
            ((limit / matrix).min(65_535) as u32, rows)
        } else {
            (1, (limit / width as usize).clamp(1, rows as usize) as u32)
        }
    }

    /// Records the sums over the pairs of x with y into `sums_into`, and their share of the gradient.
    fn record(
        &self,
        recording: &mut Recording,
        (x, y): (Set, Set),
        sums: &PairSums,
        sums_into: ValueId,
        gradient: Option<&Into>,
    ) {
        let padded = self.channels.next_multiple_of(4);
        let width = y.rows.next_multiple_of(4);
        let (matrices, rows) = self.strip(x.rows, width);
        for first_matrix in (0..self.batch).step_by(matrices as usize) {
            for first_row in (0..x.rows).step_by(rows as usize) {
                let batch = matrices.min(self.batch - first_matrix);
                let rows = rows.min(x.rows - first_row);
                let len = batch as usize * rows as usize * width as usize;
                let strip = recording.transient("pairs", Kind::Real, len);
                let of_strip = Matrix::dense(rows, width / 4);
                let of_y = y.matrix.from(first_matrix, 0);
                let plain = Matmul {
                    a: x.matrix.from(first_matrix, first_row),
                    b: of_y,
                    c: of_strip,
                    batch,
                    rows,
                    columns: y.rows,
                    inner: padded,
                    product: if self.kernel.of_distance() {
                        Product::Distance
                    } else {
                        Product::Transposed
                    },
                    alpha: 1.0.into(),
                    diagonal: 0.0,
                    size: 0,
                    accumulate: false,
                };
                recording.call("mmd pairs", plain.clone(), &[x.value, y.value, strip]);
                let kernel = PairKernel {
                    kernel: self.kernel.clone(),
                    batch,
                    rows,
                    columns: y.rows,
                    first_matrix,
                    first_row,
                    batch_rows: x.rows,
                    image_rows: self.image_rows,
                    weight: y.weights.unwrap_or(0.0),
                    weighted: y.weights.is_err(),
                    skip_diagonal: self.skip_diagonal,
                    sums: sums.clone(),
                };
                let mut bound = vec![strip, sums_into];
                bound.extend(y.weights.err());
                recording.call("mmd kernel", kernel, &bound);
                if let Some(to) = gradient {
                    let product = Matmul {
                        a: of_strip,
                        b: of_y,
                        c: to.matrix.from(first_matrix, first_row),
                        columns: padded,
                        inner: y.rows,
                        product: Product::Plain,
                        alpha: to.alpha.clone(),
                        accumulate: to.accumulate,
                        ..plain
                    };
                    recording.call("mmd gradient", product, &[strip, y.value, to.value]);
                }
            }
        }
    }
}

/// Records Σ_j ω_j·k(s_i, s_j) for every vector s_i of `set` (`[1, 1, M, C]`) with the weights ω (`[M]` in whole
/// vec4s). Weighted again with ω these sum to mean k(s, s').
pub fn record_similarity(
    recording: &mut Recording,
    kernel: &VectorKernel,
    set: Tensor,
    weights: ValueId,
) -> ValueId {
    record_means(recording, kernel, (set, set), weights)
}

/// Records Σ_j ω_j·k(0, s_j): mean k(0, s).
pub fn record_similarity_to_zero(
    recording: &mut Recording,
    kernel: &VectorKernel,
    set: Tensor,
    weights: ValueId,
) -> ValueId {
    let zero = Tensor::transient(recording, "zero", View::new(1, 1, 1, set.view.c));
    let fill = Fill {
        len: zero.view.len() as u32,
        value: 0.0,
    };
    recording.call("zero", fill, &[zero.value]);
    record_means(recording, kernel, (zero, set), weights)
}

/// Records Σ_j ω_j·k(x_i, y_j) for every vector x_i.
fn record_means(
    recording: &mut Recording,
    kernel: &VectorKernel,
    (x, y): (Tensor, Tensor),
    weights: ValueId,
) -> ValueId {
    let rows = x.view.w;
    let values = recording.transient(
        "similarities",
        Kind::Real,
        rows.next_multiple_of(4) as usize,
    );
    let set = |x: Tensor| Set {
        value: x.value,
        matrix: Matrix::of_view(x.view),
        rows: x.view.w,
        weights: Err(weights),
    };
    let pairs = Pairs {
        kernel: kernel.clone(),
        batch: 1,
        image_rows: rows,
        channels: y.view.c,
        skip_diagonal: false,
    };
    let sums = PairSums::Value {
        parts: 1,
        part: 0,
        factor: 1.0,
        addend: 0.0.into(),
    };
    pairs.record(recording, (set(x), set(y)), &sums, values, None);
    values
}

/// The discrepancy of each image's feature vectors from a target's.
#[derive(Debug)]
pub struct Mmd {
    target: MmdTarget,
    /// None: all the same.
    weights: Option<Buffer>,
    segments: Buffer,
    own_segments: Buffer,
    seed: u32,
    weight: Scalar,
}

impl Mmd {
    /// 1/(4C²) of a polynomial kernel, 1 of a gaussian one: what the term's weight is to be multiplied by for the
    /// values of the reference.
    #[must_use]
    pub fn scale(kernel: &VectorKernel, channels: u32) -> f64 {
        match kernel {
            VectorKernel::Gaussian(_) => 1.0,
            VectorKernel::Polynomial { .. } => 0.25 / f64::from(channels).powi(2),
        }
    }

    /// `weight` times the discrepancy. `layer` is the layer's shape.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn new(
        device: &Device,
        layer: View,
        target: MmdTarget,
        seed: u64,
        weight: impl std::convert::Into<Scalar>,
    ) -> Result<Self, Error> {
        let words = |label, words: &[u32]| -> Result<Buffer, Error> {
            let buffer = device.buffer(label, Kind::Word, words.len())?;
            device.upload_words(&buffer, words)?;
            Ok(buffer)
        };
        let weights = if target.set.is_even() {
            None
        } else {
            Some(device.buffer_from("mmd weights", &target.set.padded_weights())?)
        };
        Ok(Self {
            weights,
            segments: words("mmd pictures", &target.set.segments)?,
            own_segments: words("mmd image", &[0, layer.h * layer.w, u32::MAX])?,
            target,
            seed: seed as u32,
            weight: weight.into(),
        })
    }

    /// Whether all pairs of `pixels` vectors with `target` ones are compared.
    #[must_use]
    pub fn is_exact(pixels: u32, target: u32) -> bool {
        pixels < BLOCK || pixels.saturating_add(target) <= EXACT
    }

    /// The sets that are compared, and their pairs.
    fn sets(&self, recording: &mut Recording, x: Tensor, step: ValueId) -> Sets {
        let View { n, h, w, c, .. } = x.view;
        let vectors = recording.given("mmd vectors", &self.target.vectors);
        let view = self.target.set.view;
        let pixels = h * w;
        let channels = c;
        if Self::is_exact(pixels, view.w) {
            let weights = self.weights.clone();
            return Sets {
                own: Set {
                    value: x.value,
                    matrix: Matrix::of_view(x.view),
                    rows: pixels,
                    weights: Ok((1.0 / f64::from(pixels)) as f32),
                },
                other: Set {
                    value: vectors,
                    matrix: Matrix::of_view(view),
                    rows: view.w,
                    weights: match weights {
                        Some(weights) => Err(recording.given("mmd weights", weights)),
                        None => Ok((1.0 / f64::from(view.w)) as f32),
                    },
                },
                pairs: Pairs {
                    kernel: self.target.kernel.clone(),
                    batch: n,
                    image_rows: pixels,
                    channels,
                    skip_diagonal: false,
                },
                shuffle: None,
            };
        }
        let blocks = pixels / BLOCK;
        let block = View::new(n * blocks, 1, BLOCK, c);
        let own_shuffle = Shuffle {
            x: x.view,
            y: block,
            each: blocks * BLOCK,
            segments: 1,
            seed: self.seed,
            stream: 0,
        };
        let other_shuffle = Shuffle {
            x: view,
            segments: (self.segments.len() / SEGMENT_WORDS) as u32,
            stream: 1,
            ..own_shuffle
        };
        let mut shuffled = |shuffle: Shuffle, from: ValueId, segments: &Buffer| {
            let segments = recording.given("mmd pictures", segments.clone());
            let to = Tensor::transient(recording, "mmd shuffled", block);
            recording.call("mmd shuffle", shuffle, &[step, segments, from, to.value]);
            let set = Set {
                value: to.value,
                matrix: Matrix::dense(BLOCK, block.quads),
                rows: BLOCK,
                weights: Ok((1.0 / f64::from(BLOCK - 1)) as f32),
            };
            (set, segments)
        };
        let (own, own_segments) = shuffled(own_shuffle, x.value, &self.own_segments);
        let (other, _) = shuffled(other_shuffle, vectors, &self.segments);
        Sets {
            own,
            other,
            pairs: Pairs {
                kernel: self.target.kernel.clone(),
                batch: n * blocks,
                image_rows: blocks * BLOCK,
                channels,
                skip_diagonal: true,
            },
            shuffle: Some((own_shuffle, own_segments, step)),
        }
    }
}

struct Sets {
    own: Set,
    other: Set,
    pairs: Pairs,
    /// How the layer was shuffled, its segments, and the iteration.
    shuffle: Option<(Shuffle, ValueId, ValueId)>,
}

impl Term for Mmd {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some(
            "`mmd` with a kernel that is neither linear nor the square of the product compares positions from all \
             over the layer",
        )
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
        let Sets {
            own,
            other,
            pairs,
            shuffle,
        } = self.sets(recording, x, loss.step);
        let exact = shuffle.is_none();
        let (n, rows) = (layer.n, pairs.image_rows);
        // Of blocks the target's own pairs, too, are those of this iteration.
        let parts = if exact { 2 } else { 3 };
        let values = recording.transient("mmd values", Kind::Real, (n * rows * parts) as usize);
        let part = |part: u32, factor: f32, addend: Scalar| PairSums::Value {
            parts,
            part,
            factor,
            addend,
        };
        let constant = if exact {
            self.target.similarity.clone()
        } else {
            0.0.into()
        };
        let mut record = |sets, sums| pairs.record(recording, sets, &sums, values, None);
        record((own, own), part(0, 1.0, constant));
        record((own, other), part(1, -2.0, 0.0.into()));
        if !exact {
            record((other, other), part(2, 1.0, 0.0.into()));
        }
        let scale = self.weight.times(1.0 / f64::from(rows));
        record_sum(recording, "mmd", values, n, scale, loss);
        Saved(vec![loss.step])
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
        let Sets {
            own,
            other,
            pairs,
            shuffle,
        } = self.sets(recording, x, saved.0[0]);
        let rows = pairs.image_rows;
        let slopes = recording.transient("mmd slopes", Kind::Real, (x.view.n * rows) as usize);
        let weight = self.weight.times(-2.0 / f64::from(rows));
        let alpha = match &self.target.kernel {
            VectorKernel::Gaussian(gamma) => weight.times_scalar(&gamma.times(2.0)),
            VectorKernel::Polynomial { .. } => weight,
        };
        let to = match shuffle {
            None => dx,
            Some((shuffle, ..)) => Tensor::transient(recording, "mmd gradient", shuffle.y),
        };
        let into = Into {
            value: to.value,
            matrix: Matrix::of_view(to.view),
            alpha,
            accumulate: shuffle.is_none() && accumulate,
        };
        let slope = PairSums::OtherSlope;
        pairs.record(recording, (own, other), &slope, slopes, Some(&into));
        let more = Into {
            accumulate: true,
            ..into
        };
        let slope = PairSums::OwnSlope;
        pairs.record(recording, (own, own), &slope, slopes, Some(&more));
        if let Some((shuffle, segments, step)) = shuffle {
            let back = Unshuffle {
                shuffle: Shuffle {
                    x: dx.view,
                    ..shuffle
                },
                accumulate,
            };
            recording.call("mmd gradient", back, &[step, segments, to.value, dx.value]);
        }
    }
}
