//! `mmd`: the squared maximum mean discrepancy between the columns of a layer and a target's, mean k(f, f') + mean k(s, s') −
//! 2·mean k(f, s): Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 5; as a style loss Li et al. 2017, "Demystifying Neural
//! Style Transfer", section 4.1. Several targets are one set in which each column has its target's weight.
//!
//! Where both sets together have at most [`EXACT`] columns all pairs count (i = j among them: biased). Larger ones are cut, after
//! a permutation that is drawn anew in every iteration, into blocks of [`BLOCK`] columns; within each block all pairs i ≠ j
//! count, and the blocks' values are averaged. That is Zaremba et al. 2013, "B-tests: Low Variance Kernel Two-Sample Tests",
//! section 2; with blocks of two columns it is the linear-time estimator of Gretton et al., lemma 14. It is unbiased, so it may
//! be negative.
//!
//! With w_ij = −ω_j·k' for columns of the layer and ω_j·k' for the target's, the gradient of R columns is, of a kernel of the
//! product, −(2/R)·Σ_j w_ij·y_j, of a gaussian one (2/(R·σ²))·Σ_j w_ij·(x_i − y_j): two matrix products for each set. The matrix of
//! a set's pairs is made and used in strips; it is never whole.

use super::{Banded, Loss, Saved, Term, record_sum};
use crate::Error;
use crate::device::{Buffer, Device, Kind, Recording, ValueId};
use crate::kernels::{
    ColumnKernel, Matmul, Matrix, PairKernel, PairSums, Product, SEGMENT_WORDS, Shuffle, Tensor,
    Unshuffle, View,
};

/// Most columns of both sets together whose pairs are all compared.
pub const EXACT: u32 = 2048;

/// Columns of a block otherwise.
pub const BLOCK: u32 = 64;

/// Most columns that are kept of a target: of more every k-th is. They are drawn from, so that a large target, which would need as
/// much memory as the layer, says no more than these.
pub const KEPT: u32 = 32_768;

/// Reals of a strip of pairs that need not be cut further.
const STRIP: usize = 1 << 18;

/// A target's columns: those of one picture or of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// All columns as one row of pixels: [1, 1, M, C].
    pub view: View,
    /// Them in the engine's layout.
    pub packed: Vec<f32>,
    /// The weight of each; together 1.
    pub weights: Vec<f32>,
    /// For each picture its first column, how many it has, and the weight of all up to its last, times 2³².
    pub segments: Vec<u32>,
}

impl Columns {
    /// Of pictures: for each its columns `[C, M]` and its weight; the weights are positive and sum to 1.
    #[must_use]
    pub fn new(channels: u32, pictures: &[(Vec<f32>, f64)]) -> Self {
        let c = channels as usize;
        let padded = c.next_multiple_of(4);
        let (mut packed, mut weights, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        let mut share = 0.0;
        for (planes, weight) in pictures {
            let all = planes.len() / c;
            let count = all.min((KEPT as usize / pictures.len()).max(1));
            share += weight;
            segments.extend([
                weights.len() as u32,
                count as u32,
                (share * f64::from(u32::MAX)).round() as u32,
            ]);
            for i in 0..count {
                packed.extend((0..c).map(|channel| planes[channel * all + i * all / count]));
                packed.extend(std::iter::repeat_n(0.0, padded - c));
                weights.push((weight / count as f64) as f32);
            }
        }
        if let Some(last) = segments.last_mut() {
            *last = u32::MAX;
        }
        Self {
            view: View::new(1, 1, weights.len() as u32, channels),
            packed,
            weights,
            segments,
        }
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.view.w
    }

    fn column(&self, i: usize) -> &[f32] {
        &self.packed[i * self.view.padded()..][..self.view.padded()]
    }

    /// At most `count` of them, spread evenly; the weights still sum to 1.
    #[must_use]
    pub fn thinned(&self, count: u32) -> Self {
        let (all, count) = (self.count() as usize, count as usize);
        if all <= count {
            return self.clone();
        }
        let chosen: Vec<usize> = (0..count).map(|i| i * all / count).collect();
        let sum: f32 = chosen.iter().map(|i| self.weights[*i]).sum();
        Self {
            view: View::new(1, 1, count as u32, self.view.c),
            packed: chosen
                .iter()
                .flat_map(|i| self.column(*i))
                .copied()
                .collect(),
            weights: chosen.iter().map(|i| self.weights[*i] / sum).collect(),
            segments: vec![0, count as u32, u32::MAX],
        }
    }

    /// Half the mean squared distance of two of them, the sum of the channels' variances: σ² of a gaussian kernel.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let c = self.view.c as usize;
        let (mut means, mut squares) = (vec![0.0; c], vec![0.0; c]);
        let weighted = || {
            self.weights
                .iter()
                .enumerate()
                .map(|(i, w)| (f64::from(*w), self.column(i)))
        };
        for (weight, column) in weighted() {
            for (mean, v) in means.iter_mut().zip(column) {
                *mean += weight * f64::from(*v);
            }
        }
        for (weight, column) in weighted() {
            for ((square, mean), v) in squares.iter_mut().zip(&means).zip(column) {
                *square += weight * (f64::from(*v) - mean).powi(2);
            }
        }
        squares.iter().sum()
    }

    /// mean k(0, 0) + mean k(s, s') − 2·mean k(0, s): the discrepancy from all-zero columns. `similarity` is mean k(s, s').
    #[must_use]
    pub fn from_zero(&self, kernel: ColumnKernel, similarity: f64) -> f64 {
        let of_one = |i: usize| {
            let square = self.column(i).iter().map(|v| f64::from(*v).powi(2)).sum();
            kernel.value(if kernel.of_distance() { square } else { 0.0 })
        };
        let weights = self.weights.iter().enumerate();
        let common: f64 = weights.map(|(i, w)| f64::from(*w) * of_one(i)).sum();
        kernel.value(0.0) + similarity - 2.0 * common
    }

    fn even(&self) -> bool {
        self.weights.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// Columns of a recording: `rows` of each of a batch of matrices.
#[derive(Debug, Clone, Copy)]
struct Set {
    value: ValueId,
    matrix: Matrix,
    rows: u32,
    /// The weight of each, or of all.
    weights: Result<f32, ValueId>,
}

/// Where the gradient goes, and its factor.
#[derive(Debug, Clone, Copy)]
struct Into {
    value: ValueId,
    matrix: Matrix,
    alpha: f32,
    accumulate: bool,
}

/// Pairs of a set of columns with another.
#[derive(Debug, Clone, Copy)]
struct Pairs {
    kernel: ColumnKernel,
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
        sums: PairSums,
        sums_into: ValueId,
        gradient: Option<Into>,
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
                let of_strip = Matrix::packed(rows, width / 4);
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
                    alpha: 1.0,
                    diagonal: 0.0,
                    size: 0,
                    accumulate: false,
                };
                recording.call("mmd pairs", plain, &[x.value, y.value, strip]);
                let kernel = PairKernel {
                    kernel: self.kernel,
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
                    sums,
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
                        alpha: to.alpha,
                        accumulate: to.accumulate,
                        ..plain
                    };
                    recording.call("mmd gradient", product, &[strip, y.value, to.value]);
                }
            }
        }
    }
}

/// Records Σ_j ω_j·k(s_i, s_j) for every column s_i of `columns` (`[1, 1, M, C]`) with the weights ω (`[M]` in whole vec4s): reals,
/// kept. Weighted again with ω they sum to mean k(s, s').
pub fn record_similarity(
    recording: &mut Recording,
    kernel: ColumnKernel,
    columns: Tensor,
    weights: ValueId,
) -> ValueId {
    let rows = columns.view.w;
    let values = recording.persistent("similarities", Kind::Real, rows as usize);
    let set = Set {
        value: columns.value,
        matrix: Matrix::of_view(columns.view),
        rows,
        weights: Err(weights),
    };
    let pairs = Pairs {
        kernel,
        batch: 1,
        image_rows: rows,
        channels: columns.view.c,
        skip_diagonal: false,
    };
    let sums = PairSums::Value {
        parts: 1,
        part: 0,
        factor: 1.0,
        addend: 0.0,
    };
    pairs.record(recording, (set, set), sums, values, None);
    values
}

/// The discrepancy of each image's columns from a target's.
#[derive(Debug)]
pub struct Mmd {
    kernel: ColumnKernel,
    columns: Buffer,
    view: View,
    /// None: all the same.
    weights: Option<Buffer>,
    segments: Buffer,
    own_segments: Buffer,
    similarity: f64,
    seed: u32,
    weight: f64,
}

impl Mmd {
    /// 1/(4C²) of a polynomial kernel, 1 of a gaussian one: what the term's weight is to be multiplied by for the values of the
    /// reference.
    #[must_use]
    pub fn scale(kernel: ColumnKernel, channels: u32) -> f64 {
        match kernel {
            ColumnKernel::Gaussian(_) => 1.0,
            ColumnKernel::Polynomial { .. } => 0.25 / f64::from(channels).powi(2),
        }
    }

    /// `weight` times the discrepancy. `layer` is the layer's shape, `similarity` mean k(s, s')
    /// of the target's columns; it counts where the value is exact.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn new(
        device: &Device,
        kernel: ColumnKernel,
        layer: View,
        target: &Columns,
        similarity: f64,
        seed: u64,
        weight: f64,
    ) -> Result<Self, Error> {
        let words = |label, words: &[u32]| -> Result<Buffer, Error> {
            let buffer = device.buffer(label, Kind::Word, words.len())?;
            device.upload_words(&buffer, words)?;
            Ok(buffer)
        };
        let weights = if target.even() {
            None
        } else {
            let mut padded = target.weights.clone();
            padded.resize(padded.len().next_multiple_of(4), 0.0);
            Some(device.buffer_from("mmd weights", &padded)?)
        };
        Ok(Self {
            kernel,
            columns: device.buffer_from("mmd columns", &target.packed)?,
            view: target.view,
            weights,
            segments: words("mmd pictures", &target.segments)?,
            own_segments: words("mmd image", &[0, layer.h * layer.w, u32::MAX])?,
            similarity,
            seed: seed as u32,
            weight,
        })
    }

    /// Whether all pairs of `pixels` columns with `target` ones are compared.
    #[must_use]
    pub fn is_exact(pixels: u32, target: u32) -> bool {
        pixels < BLOCK || pixels.saturating_add(target) <= EXACT
    }

    /// The sets that are compared, and their pairs.
    fn sets(&self, recording: &mut Recording, x: Tensor, step: Option<ValueId>) -> Sets {
        let View { n, h, w, c, .. } = x.view;
        let columns = recording.given("mmd columns", self.columns.clone());
        let pixels = h * w;
        let channels = c;
        if Self::is_exact(pixels, self.view.w) {
            let weights = self.weights.clone();
            return Sets {
                own: Set {
                    value: x.value,
                    matrix: Matrix::of_view(x.view),
                    rows: pixels,
                    weights: Ok((1.0 / f64::from(pixels)) as f32),
                },
                other: Set {
                    value: columns,
                    matrix: Matrix::of_view(self.view),
                    rows: self.view.w,
                    weights: match weights {
                        Some(weights) => Err(recording.given("mmd weights", weights)),
                        None => Ok((1.0 / f64::from(self.view.w)) as f32),
                    },
                },
                pairs: Pairs {
                    kernel: self.kernel,
                    batch: n,
                    image_rows: pixels,
                    channels,
                    skip_diagonal: false,
                },
                shuffle: None,
            };
        }
        // Without an iteration it is always the first.
        let step = step.unwrap_or_else(|| recording.persistent("step", Kind::Word, 1));
        let blocks = pixels / BLOCK;
        let view = View::new(n * blocks, 1, BLOCK, c);
        let own_shuffle = Shuffle {
            x: x.view,
            y: view,
            each: blocks * BLOCK,
            segments: 1,
            seed: self.seed,
            stream: 0,
        };
        let other_shuffle = Shuffle {
            x: self.view,
            segments: (self.segments.len() / SEGMENT_WORDS) as u32,
            stream: 1,
            ..own_shuffle
        };
        let mut shuffled = |shuffle: Shuffle, from: ValueId, segments: &Buffer| {
            let segments = recording.given("mmd pictures", segments.clone());
            let to = Tensor::transient(recording, "mmd shuffled", view);
            recording.call("mmd shuffle", shuffle, &[step, segments, from, to.value]);
            let set = Set {
                value: to.value,
                matrix: Matrix::packed(BLOCK, view.quads),
                rows: BLOCK,
                weights: Ok((1.0 / f64::from(BLOCK - 1)) as f32),
            };
            (set, segments)
        };
        let (own, own_segments) = shuffled(own_shuffle, x.value, &self.own_segments);
        let (other, _) = shuffled(other_shuffle, columns, &self.segments);
        Sets {
            own,
            other,
            pairs: Pairs {
                kernel: self.kernel,
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
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let Sets {
            own,
            other,
            pairs,
            shuffle,
        } = self.sets(recording, x, loss.step);
        let exact = shuffle.is_none();
        let (n, rows) = (x.view.n, pairs.image_rows);
        // Of blocks the target's own pairs, too, are those of this iteration.
        let parts = if exact { 2 } else { 3 };
        let values = recording.transient("mmd values", Kind::Real, (n * rows * parts) as usize);
        let part = |part: u32, factor: f32, addend: f64| PairSums::Value {
            parts,
            part,
            factor,
            addend: addend as f32,
        };
        let constant = if exact { self.similarity } else { 0.0 };
        let mut record = |sets, sums| pairs.record(recording, sets, sums, values, None);
        record((own, own), part(0, 1.0, constant));
        record((own, other), part(1, -2.0, 0.0));
        if !exact {
            record((other, other), part(2, 1.0, 0.0));
        }
        let scale = self.weight / f64::from(rows);
        record_sum(recording, "mmd", values, n, scale, loss);
        Saved(loss.step.into_iter().collect())
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let Sets {
            own,
            other,
            pairs,
            shuffle,
        } = self.sets(recording, x, saved.0.first().copied());
        let rows = pairs.image_rows;
        let slopes = recording.transient("mmd slopes", Kind::Real, (x.view.n * rows) as usize);
        let factor = match self.kernel {
            ColumnKernel::Gaussian(gamma) => 2.0 * f64::from(gamma),
            ColumnKernel::Polynomial { .. } => 1.0,
        };
        let to = match shuffle {
            None => dx,
            Some((shuffle, ..)) => Tensor::transient(recording, "mmd gradient", shuffle.y),
        };
        let into = Into {
            value: to.value,
            matrix: Matrix::of_view(to.view),
            alpha: (-2.0 * self.weight * factor / f64::from(rows)) as f32,
            accumulate: shuffle.is_none() && accumulate,
        };
        pairs.record(
            recording,
            (own, other),
            PairSums::OtherSlope,
            slopes,
            Some(into),
        );
        let more = Into {
            accumulate: true,
            ..into
        };
        pairs.record(
            recording,
            (own, own),
            PairSums::OwnSlope,
            slopes,
            Some(more),
        );
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
    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        Err(
            "`mmd` with a kernel that is neither linear nor the square of the product compares columns from all over the layer",
        )
    }
}
