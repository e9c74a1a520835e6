//! Kernels of pairs of columns, for the maximum mean discrepancy (Gretton et al. 2012, "A Kernel Two-Sample Test").

use rayon::prelude::*;

use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Work};

/// `wgsl/pair_kernel.wgsl`.
pub const SOURCE: Source = Source {
    name: "pair_kernel",
    text: include_str!("../../wgsl/pair_kernel.wgsl"),
    variants: &[&[], &["WEIGHTED"], &["VALUE"], &["VALUE", "WEIGHTED"]],
};

/// A kernel k(x, y) of two feature vectors.
#[derive(Debug, Clone, PartialEq)]
pub enum VectorKernel {
    /// exp(−‖x − y‖²/2σ²); the number is 1/2σ².
    Gaussian(Scalar),
    /// (⟨x, y⟩ + `constant`)^`degree`.
    Polynomial {
        /// c, 0 or more.
        constant: f32,
        /// d, 1 or more.
        degree: u32,
    },
}

impl VectorKernel {
    /// Whether it is a function of the distance of the vectors, not of their product.
    #[must_use]
    pub fn of_distance(&self) -> bool {
        matches!(self, Self::Gaussian(_))
    }

    /// The constant of the formula, and the degree.
    fn numbers(&self) -> (f32, u32) {
        match self {
            Self::Gaussian(gamma) => (gamma.get(), 0),
            Self::Polynomial { constant, degree } => (*constant, *degree),
        }
    }

    /// k of a squared distance, or of a product.
    #[must_use]
    pub fn value<T: Real>(&self, m: T) -> T {
        self.known().value(m)
    }

    /// The function, its numbers looked up.
    fn known(&self) -> Function {
        let (constant, degree) = self.numbers();
        Function {
            of_distance: self.of_distance(),
            constant,
            degree,
        }
    }
}

/// A [`VectorKernel`] whose numbers are known.
#[derive(Clone, Copy)]
struct Function {
    of_distance: bool,
    constant: f32,
    degree: u32,
}

impl Function {
    fn value<T: Real>(self, m: T) -> T {
        let constant = T::from_f32(self.constant);
        if self.of_distance {
            (-(m * constant)).exp()
        } else {
            power(m + constant, self.degree)
        }
    }

    /// k' of the same: that of a gaussian is k.
    fn slope<T: Real>(self, m: T) -> T {
        if self.of_distance {
            return self.value(m);
        }
        let below = power(m + T::from_f32(self.constant), self.degree - 1);
        T::from_usize(self.degree as usize) * below
    }
}

fn power<T: Real>(base: T, exponent: u32) -> T {
    (0..exponent).fold(T::ONE, |product, _| product * base)
}

/// What becomes of the kernel's values.
#[derive(Debug, Clone, PartialEq)]
pub enum PairSums {
    /// `values[i] = factor·Σ_j ω_j·k_ij + addend`, part `part` of the `parts` of each image's values.
    Value {
        /// Parts of `image_rows` values that each image has.
        parts: u32,
        /// Which of them.
        part: u32,
        /// Factor on the sum.
        factor: f32,
        /// Added to it.
        addend: Scalar,
    },
    /// `m_ij = w_ij = ω_j·k'_ij`, the columns being of another set; of a gaussian kernel `slopes[i] = Σ_j w_ij`.
    OtherSlope,
    /// `m_ij = w_ij = −ω_j·k'_ij`, the columns being of x's own set; of a gaussian kernel then `m_ii −= Σ_j w_ij +
    /// slopes[i]`, so that −Σ_j w_ij·y_j over both sets is Σ_j w_ij·(x_i − y_j).
    OwnSlope,
}

/// A kernel of the pairs whose squared distances, or products, are the elements of matrices: row i of matrix z belongs
/// to x_i, column j to y_j, whose weight is ω_j. Columns that only fill the last vec4 become zero.
///
/// Bindings: `m` ([batch, rows, columns in whole vec4s]; read only for values); `values` ([n, parts, `image_rows`]) or
/// `slopes` (`[n, image_rows]`); with `weighted` `weights` (one for each column, in whole vec4s).
#[derive(Debug, Clone, PartialEq)]
pub struct PairKernel {
    /// k.
    pub kernel: VectorKernel,
    /// Matrices.
    pub batch: u32,
    /// Rows of each.
    pub rows: u32,
    /// Columns of each.
    pub columns: u32,
    /// The number of the first one, counted over all images.
    pub first_matrix: u32,
    /// Where its rows begin among the `batch_rows` of a whole matrix.
    pub first_row: u32,
    /// Rows of a whole matrix, of which there may be several here.
    pub batch_rows: u32,
    /// Rows of all matrices of an image.
    pub image_rows: u32,
    /// ω_j, unless `weighted`.
    pub weight: f32,
    /// Each column has a weight of its own.
    pub weighted: bool,
    /// Pairs of row i with column i do not count.
    pub skip_diagonal: bool,
    /// What is made of them.
    pub sums: PairSums,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    kind: u32,
    rows: u32,
    columns: u32,
    first_row: u32,
    batch_rows: u32,
    first_matrix: u32,
    image_rows: u32,
    parts: u32,
    part: u32,
    own: u32,
    skip: u32,
    degree: u32,
    constant: f32,
    weight: f32,
    factor: f32,
    addend: f32,
}

impl PairKernel {
    fn is_value(&self) -> bool {
        matches!(self.sums, PairSums::Value { .. })
    }

    /// Elements of a row of m.
    fn width(&self) -> usize {
        self.columns.next_multiple_of(4) as usize
    }

    /// Which of all rows row r of matrix z is.
    fn place(&self, z: usize, r: usize) -> usize {
        (self.first_matrix as usize + z) * self.batch_rows as usize + self.first_row as usize + r
    }

    /// ω_j, or 0 where the pair does not count.
    fn omega<T: Real>(&self, weights: &[T], r: usize, j: usize) -> T {
        let itself = j == self.first_row as usize + r;
        if j >= self.columns as usize || (self.skip_diagonal && itself) {
            T::ZERO
        } else if self.weighted {
            weights[j]
        } else {
            T::from_f32(self.weight)
        }
    }
}

impl Kernel for PairKernel {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(match (self.is_value(), self.weighted) {
            (false, false) => &[],
            (false, true) => &["WEIGHTED"],
            (true, false) => &["VALUE"],
            (true, true) => &["VALUE", "WEIGHTED"],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        let m = if self.is_value() {
            Slot::IN
        } else {
            Slot::IN_OUT
        };
        let mut slots = vec![m, Slot::IN_OUT];
        slots.extend(self.weighted.then_some(Slot::IN));
        slots
    }
    fn params(&self) -> Params {
        let (constant, degree) = self.kernel.numbers();
        let (parts, part, factor, addend) = match &self.sums {
            PairSums::Value {
                parts,
                part,
                factor,
                addend,
            } => (*parts, *part, *factor, addend.get()),
            PairSums::OtherSlope => (1, 0, 1.0, 0.0),
            PairSums::OwnSlope => (1, 0, -1.0, 0.0),
        };
        Params {
            kind: (!self.kernel.of_distance()).into(),
            rows: self.rows,
            columns: self.columns,
            first_row: self.first_row,
            batch_rows: self.batch_rows,
            first_matrix: self.first_matrix,
            image_rows: self.image_rows,
            parts,
            part,
            own: (self.sums == PairSums::OwnSlope).into(),
            skip: self.skip_diagonal.into(),
            degree,
            constant,
            weight: self.weight,
            factor,
            addend,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.rows.div_ceil(16), 1, self.batch]
    }
    fn work(&self) -> Work {
        let pairs = u64::from(self.batch) * u64::from(self.rows) * u64::from(self.columns);
        Work {
            flop: 10 * pairs,
            bytes: 8 * pairs,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (width, rows) = (self.width(), self.rows as usize);
        let len = self.batch as usize * rows * width;
        let kernel = self.kernel.known();
        if let PairSums::Value {
            parts,
            part,
            factor,
            addend,
        } = &self.sums
        {
            let (parts, part, factor) = (*parts, *part, f64::from(*factor));
            let addend = f64::from(addend.get());
            let (m, values) = (&b.input()[..len], b.output());
            let weights = if self.weighted { b.input() } else { &[] };
            let sums: Vec<T> = m
                .par_chunks_exact(width)
                .enumerate()
                .map(|(i, row)| {
                    let of_pair = |(j, &m): (usize, &T)| {
                        let omega = self.omega(weights, i % rows, j);
                        if omega == T::ZERO {
                            0.0
                        } else {
                            (omega * kernel.value(m)).wide()
                        }
                    };
                    let sum: f64 = row.iter().enumerate().map(of_pair).sum();
                    T::of(factor * sum + addend)
                })
                .collect();
            let each = self.image_rows as usize;
            for (i, sum) in sums.into_iter().enumerate() {
                let at = self.place(i / rows, i % rows);
                values[(at / each * parts as usize + part as usize) * each + at % each] = sum;
            }
            return;
        }
        let (m, slopes) = (&mut b.output()[..len], b.output());
        let weights = if self.weighted { b.input() } else { &[] };
        let own = self.sums == PairSums::OwnSlope;
        let sign = if own { -T::ONE } else { T::ONE };
        let before: &[T] = slopes;
        let sums: Vec<T> = m
            .par_chunks_exact_mut(width)
            .enumerate()
            .map(|(i, row)| {
                let mut sum = 0.0;
                for (j, m) in row.iter_mut().enumerate() {
                    let omega = self.omega(weights, i % rows, j);
                    *m = if omega == T::ZERO {
                        T::ZERO
                    } else {
                        sign * omega * kernel.slope(*m)
                    };
                    sum += m.wide();
                }
                let sum = T::of(sum);
                if own && self.kernel.of_distance() {
                    let slope = before[self.place(i / rows, i % rows)];
                    row[self.first_row as usize + i % rows] -= sum + slope;
                }
                sum
            })
            .collect();
        if self.kernel.of_distance() && !own {
            for (i, sum) in sums.into_iter().enumerate() {
                slopes[self.place(i / rows, i % rows)] = sum;
            }
        }
    }
}
