//! 3×3 convolutions with 4 multiplications in place of 9: what the twin does in f32.
//!
//! Winograd's F(2×2, 3×3) as in Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1. A tile
//! of 2×2 outputs comes from 4×4 inputs:
//! ```text
//! Y = Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A
//! ```
//! and summed over input channels the product ⊙ is one product of matrices [tiles, in]·[in, out] for each of 16 positions. Its
//! constants are 1 and 1/2, and it loses no more digits than the sum of nine products does.

use rayon::prelude::*;

use crate::device::{Gemm, Real};

/// Outputs of a tile's side.
pub const TILE: usize = 2;
/// Inputs of a tile's side.
const WINDOW: usize = TILE + 2;
/// Elements of a transformed tile.
const POSITIONS: usize = WINDOW * WINDOW;
/// Channels that are transformed together.
const LANES: usize = 4;

/// Four channels of one pixel.
type Four<T> = [T; LANES];

fn plus<T: Real>(a: Four<T>, b: Four<T>) -> Four<T> {
    std::array::from_fn(|i| a[i] + b[i])
}

fn minus<T: Real>(a: Four<T>, b: Four<T>) -> Four<T> {
    std::array::from_fn(|i| a[i] - b[i])
}

/// Bᵀ·d.
fn input<T: Real>(d: [Four<T>; WINDOW]) -> [Four<T>; WINDOW] {
    [
        minus(d[0], d[2]),
        plus(d[1], d[2]),
        minus(d[2], d[1]),
        minus(d[1], d[3]),
    ]
}

/// G·g.
fn weights<T: Real>(g: [Four<T>; 3]) -> [Four<T>; WINDOW] {
    let half = |four: Four<T>| four.map(|v| v * T::of(0.5));
    let outer = plus(g[0], g[2]);
    [
        g[0],
        half(plus(outer, g[1])),
        half(minus(outer, g[1])),
        g[2],
    ]
}

/// Aᵀ·m.
fn output<T: Real>(m: [Four<T>; WINDOW]) -> [Four<T>; TILE] {
    [plus(plus(m[0], m[1]), m[2]), minus(minus(m[1], m[2]), m[3])]
}

fn four<T: Real>(from: &[T]) -> Four<T> {
    [from[0], from[1], from[2], from[3]]
}

/// G·g·Gᵀ of weights as [`super::conv::pack_weights`] has them: for each position [in, out].
pub fn transformed_weights<T: Real>(w: &[T], cin: usize, cout: usize) -> Vec<T> {
    let mut transformed = vec![T::ZERO; POSITIONS * cin * cout];
    // Position by position the rows of input channels lie far apart: they are gathered per input channel first.
    let rows: Vec<Vec<T>> = (0..cin)
        .into_par_iter()
        .map(|ci| {
            let mut row = vec![T::ZERO; POSITIONS * cout];
            for co in (0..cout).step_by(LANES) {
                let tap = |ky: usize, kx: usize| four(&w[((ky * 3 + kx) * cin + ci) * cout + co..]);
                let columns: [_; 3] =
                    std::array::from_fn(|kx| weights(std::array::from_fn(|ky| tap(ky, kx))));
                for i in 0..WINDOW {
                    let across = weights(columns.map(|column| column[i]));
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

/// The convolution of a band of 2·`down` + 2 rows and 2·`across` + 2 columns with weights of [`transformed_weights`]:
/// 2·`down` rows of 2·`across` pixels of `cout` channels.
pub fn convolve<T: Real>(
    band: &Band<'_, T>,
    factor: &[T],
    (down, across): (usize, usize),
    cout: usize,
) -> Vec<T> {
    let (cin, tiles) = (band.channels, down * across);
    let mut inputs = vec![T::ZERO; POSITIONS * tiles * cin];
    for tile in 0..tiles {
        let (ty, tx) = (tile / across * TILE, tile % across * TILE);
        for c in (0..cin).step_by(LANES) {
            let pixel =
                |y: usize, x: usize| four(&band.data[((ty + y) * band.width + tx + x) * cin + c..]);
            let columns: [_; WINDOW] =
                std::array::from_fn(|x| input(std::array::from_fn(|y| pixel(y, x))));
            for i in 0..WINDOW {
                let across = input(columns.map(|column| column[i]));
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
            rhs: &factor[position * cin * cout..],
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
                std::array::from_fn(|j| output(std::array::from_fn(|i| product(i, j))));
            for y in 0..TILE {
                let row = output(columns.map(|column| column[y]));
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
