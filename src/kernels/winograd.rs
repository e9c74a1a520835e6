//! 3×3 convolutions with a quarter of the multiplications: what the twin does in f32.
//!
//! Winograd's F(4×4, 3×3) as in Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4, but at
//! the points 0, ±1/√2, ±√2 and ∞, which lose the fewest digits (Barabasz et al. 2020, "Error Analysis and Improving the
//! Accuracy of Winograd Convolution for Deep Neural Networks"). A tile of 4×4 outputs comes from 6×6 inputs:
//!     Y = Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A
//! and summed over input channels the product ⊙ is one product of matrices [tiles, in]·[in, out] for each of 36 positions.

use rayon::prelude::*;

use crate::device::{Gemm, Real};

/// Outputs of a tile's side.
pub const TILE: usize = 4;
/// Inputs of a tile's side.
const WINDOW: usize = TILE + 2;
/// Elements of a transformed tile.
const POSITIONS: usize = WINDOW * WINDOW;
/// Channels that are transformed together.
const LANES: usize = 4;

/// Four channels of one pixel.
type Four<T> = [T; LANES];

fn combine<T: Real, const N: usize>(terms: [(T, Four<T>); N]) -> Four<T> {
    let mut sum = [T::ZERO; LANES];
    for (factor, four) in terms {
        for (sum, value) in sum.iter_mut().zip(four) {
            *sum += factor * value;
        }
    }
    sum
}

/// The constants of the transforms.
#[derive(Clone, Copy)]
struct Points<T> {
    /// 1/√2, also the first points' distance from 0.
    p: T,
    /// √2.
    q: T,
    half: T,
    two: T,
    five_halves: T,
}

impl<T: Real> Points<T> {
    fn new() -> Self {
        Self {
            p: T::of(std::f64::consts::FRAC_1_SQRT_2),
            q: T::of(std::f64::consts::SQRT_2),
            half: T::of(0.5),
            two: T::of(2.0),
            five_halves: T::of(2.5),
        }
    }

    /// Bᵀ·d.
    fn input(&self, d: [Four<T>; WINDOW]) -> [Four<T>; WINDOW] {
        let one = T::ONE;
        let even = combine([(one, d[4]), (-self.two, d[2])]);
        let odd = combine([(self.p, d[3]), (-self.q, d[1])]);
        let even_far = combine([(one, d[4]), (-self.half, d[2])]);
        let odd_far = combine([(self.q, d[3]), (-self.p, d[1])]);
        [
            combine([(one, d[0]), (-self.five_halves, d[2]), (one, d[4])]),
            combine([(one, even), (one, odd)]),
            combine([(one, even), (-one, odd)]),
            combine([(one, even_far), (one, odd_far)]),
            combine([(one, even_far), (-one, odd_far)]),
            combine([(one, d[1]), (-self.five_halves, d[3]), (one, d[5])]),
        ]
    }

    /// G·g.
    fn weights(&self, g: [Four<T>; 3]) -> [Four<T>; WINDOW] {
        let (near, far) = (T::of(-2.0 / 3.0), T::of(1.0 / 6.0));
        let even = combine([(near, g[0]), (near * self.half, g[2])]);
        let odd = combine([(near * self.p, g[1])]);
        let even_far = combine([(far, g[0]), (far * self.two, g[2])]);
        let odd_far = combine([(far * self.q, g[1])]);
        let one = T::ONE;
        [
            g[0],
            combine([(one, even), (one, odd)]),
            combine([(one, even), (-one, odd)]),
            combine([(one, even_far), (one, odd_far)]),
            combine([(one, even_far), (-one, odd_far)]),
            g[2],
        ]
    }

    /// Aᵀ·m.
    fn output(&self, m: [Four<T>; WINDOW]) -> [Four<T>; TILE] {
        let one = T::ONE;
        let (sum, difference) = (
            combine([(one, m[1]), (one, m[2])]),
            combine([(one, m[1]), (-one, m[2])]),
        );
        let (sum_far, difference_far) = (
            combine([(one, m[3]), (one, m[4])]),
            combine([(one, m[3]), (-one, m[4])]),
        );
        [
            combine([(one, m[0]), (one, sum), (one, sum_far)]),
            combine([(self.p, difference), (self.q, difference_far)]),
            combine([(self.half, sum), (self.two, sum_far)]),
            combine([
                (self.half * self.p, difference),
                (self.two * self.q, difference_far),
                (one, m[5]),
            ]),
        ]
    }
}

fn four<T: Real>(from: &[T]) -> Four<T> {
    [from[0], from[1], from[2], from[3]]
}

/// G·g·Gᵀ of weights as [`super::conv::pack_weights`] has them: for each position [in, out].
pub fn transformed_weights<T: Real>(w: &[T], cin: usize, cout: usize) -> Vec<T> {
    let points = Points::<T>::new();
    let mut transformed = vec![T::ZERO; POSITIONS * cin * cout];
    // Position by position the rows of input channels lie far apart: they are gathered per input channel first.
    let rows: Vec<Vec<T>> = (0..cin)
        .into_par_iter()
        .map(|ci| {
            let mut row = vec![T::ZERO; POSITIONS * cout];
            for co in (0..cout).step_by(LANES) {
                let tap = |ky: usize, kx: usize| four(&w[((ky * 3 + kx) * cin + ci) * cout + co..]);
                let columns: [_; 3] =
                    std::array::from_fn(|kx| points.weights(std::array::from_fn(|ky| tap(ky, kx))));
                for i in 0..WINDOW {
                    let across = points.weights(std::array::from_fn(|kx| columns[kx][i]));
                    for (j, value) in across.into_iter().enumerate() {
                        row[(i * WINDOW + j) * cout + co..][..LANES].copy_from_slice(&value);
                    }
                }
            }
            row
        })
        .collect();
    transformed
        .par_chunks_mut(cin * cout)
        .enumerate()
        .for_each(|(position, matrix)| {
            for (row, to) in rows.iter().zip(matrix.chunks_mut(cout)) {
                to.copy_from_slice(&row[position * cout..][..cout]);
            }
        });
    transformed
}

/// A band of input: rows of `width` pixels of `channels` channels, zero where the image ends.
pub struct Band<'a, T> {
    pub data: &'a [T],
    pub width: usize,
    pub channels: usize,
}

/// The convolution of a band of 4·`down` + 2 rows and 4·`across` + 2 columns with weights of [`transformed_weights`]:
/// 4·`down` rows of 4·`across` pixels of `cout` channels.
pub fn convolve<T: Real>(
    band: &Band<'_, T>,
    weights: &[T],
    (down, across): (usize, usize),
    cout: usize,
) -> Vec<T> {
    let points = Points::<T>::new();
    let (cin, tiles) = (band.channels, down * across);
    let mut inputs = vec![T::ZERO; POSITIONS * tiles * cin];
    for tile in 0..tiles {
        let (ty, tx) = (tile / across * TILE, tile % across * TILE);
        for c in (0..cin).step_by(LANES) {
            let pixel =
                |y: usize, x: usize| four(&band.data[((ty + y) * band.width + tx + x) * cin + c..]);
            let columns: [_; WINDOW] =
                std::array::from_fn(|x| points.input(std::array::from_fn(|y| pixel(y, x))));
            for i in 0..WINDOW {
                let across = points.input(std::array::from_fn(|x| columns[x][i]));
                for (j, value) in across.into_iter().enumerate() {
                    let at = ((i * WINDOW + j) * tiles + tile) * cin + c;
                    inputs[at..at + LANES].copy_from_slice(&value);
                }
            }
        }
    }
    let mut products = vec![T::ZERO; POSITIONS * tiles * cout];
    for position in 0..POSITIONS {
        T::gemm(Gemm {
            m: tiles,
            k: cin,
            n: cout,
            dst: &mut products[position * tiles * cout..],
            dst_stride: cout,
            lhs: &inputs[position * tiles * cin..],
            lhs_stride: cin,
            lhs_step: 1,
            rhs: &weights[position * cin * cout..],
            rhs_stride: cout,
            accumulate: false,
        });
    }
    drop(inputs);
    let mut sums = vec![T::ZERO; tiles * TILE * TILE * cout];
    for tile in 0..tiles {
        let (ty, tx) = (tile / across * TILE, tile % across * TILE);
        for c in (0..cout).step_by(LANES) {
            let product = |i: usize, j: usize| {
                four(&products[((i * WINDOW + j) * tiles + tile) * cout + c..])
            };
            let columns: [_; WINDOW] =
                std::array::from_fn(|j| points.output(std::array::from_fn(|i| product(i, j))));
            for y in 0..TILE {
                let row = points.output(std::array::from_fn(|j| columns[j][y]));
                for (x, value) in row.into_iter().enumerate() {
                    let at = ((ty + y) * across * TILE + tx + x) * cout + c;
                    sums[at..at + LANES].copy_from_slice(&value);
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::{Band, TILE, convolve, transformed_weights};

    /// In f64 the transforms are those of a convolution, to the last digits.
    #[test]
    fn it_is_the_convolution() {
        let (down, across, cin, cout) = (2, 3, 8, 4);
        let (height, width) = (down * TILE + 2, across * TILE + 2);
        let number = |i: usize| ((i * 2_654_435_761) % 1000) as f64 / 500.0 - 1.0;
        let data: Vec<f64> = (0..height * width * cin).map(number).collect();
        let w: Vec<f64> = (0..9 * cin * cout).map(|i| number(i + 7)).collect();
        let band = Band {
            data: &data,
            width,
            channels: cin,
        };
        let found = convolve(
            &band,
            &transformed_weights(&w, cin, cout),
            (down, across),
            cout,
        );
        for y in 0..down * TILE {
            for x in 0..across * TILE {
                for co in 0..cout {
                    let mut sum = 0.0;
                    for tap in 0..9 {
                        let at = ((y + tap / 3) * width + x + tap % 3) * cin;
                        for ci in 0..cin {
                            sum += data[at + ci] * w[(tap * cin + ci) * cout + co];
                        }
                    }
                    let one = found[(y * across * TILE + x) * cout + co];
                    assert!((one - sum).abs() < 1e-12, "({y},{x},{co}): {one} {sum}");
                }
            }
        }
    }
}
