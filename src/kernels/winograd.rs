//! 3×3 convolutions with 4 multiplications in place of 9: what the reference does in f32.
//!
//! Winograd's F(2×2, 3×3) as in Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1.
//! A tile of 2×2 outputs comes from 4×4 inputs:
//! ```text
//! Y = Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A
//! ```
//! and summed over input channels the product ⊙ is one product of matrices [tiles, in]·[in, out] for each of 16
//! positions. Its constants are 1 and 1/2, and it loses no more digits than the sum of nine products does.

use rayon::prelude::*;

use super::rows::at_least;
use crate::device::{Gemm, Real, Tasks, vectorized};

/// Outputs of a tile's side.
pub const TILE: usize = 2;
/// Inputs of a tile's side.
const WINDOW: usize = TILE + 2;
/// Elements of a transformed tile.
const POSITIONS: usize = WINDOW * WINDOW;
/// Tiles whose products are made together: their transforms fit a core's cache.
const TILES: usize = 128;

/// Neighbouring channels of one pixel.
type Lanes<T, const L: usize> = [T; L];

#[inline(always)]
fn plus<T: Real, const L: usize>(mut a: Lanes<T, L>, b: Lanes<T, L>) -> Lanes<T, L> {
    for i in 0..L {
        a[i] += b[i];
    }
    a
}

#[inline(always)]
fn minus<T: Real, const L: usize>(mut a: Lanes<T, L>, b: Lanes<T, L>) -> Lanes<T, L> {
    for i in 0..L {
        a[i] -= b[i];
    }
    a
}

#[inline(always)]
fn half<T: Real, const L: usize>(mut a: Lanes<T, L>) -> Lanes<T, L> {
    for v in &mut a {
        *v *= T::of(0.5);
    }
    a
}

/// Bᵀ·d.
#[inline(always)]
fn input<T: Real, const L: usize>(d: [Lanes<T, L>; WINDOW]) -> [Lanes<T, L>; WINDOW] {
    [
        minus(d[0], d[2]),
        plus(d[1], d[2]),
        minus(d[2], d[1]),
        minus(d[1], d[3]),
    ]
}

/// G·g.
#[inline(always)]
fn weights<T: Real, const L: usize>(g: [Lanes<T, L>; 3]) -> [Lanes<T, L>; WINDOW] {
    let outer = plus(g[0], g[2]);
    [
        g[0],
        half(plus(outer, g[1])),
        half(minus(outer, g[1])),
        g[2],
    ]
}

/// Aᵀ·m.
#[inline(always)]
fn output<T: Real, const L: usize>(m: [Lanes<T, L>; WINDOW]) -> [Lanes<T, L>; TILE] {
    [plus(plus(m[0], m[1]), m[2]), minus(minus(m[1], m[2]), m[3])]
}

#[inline(always)]
fn lanes<T: Real, const L: usize>(from: &[T], at: usize) -> Lanes<T, L> {
    let mut lanes = [T::ZERO; L];
    lanes.copy_from_slice(&from[at..at + L]);
    lanes
}

/// Bᵀ·d·B of the pixels at `at`, `row` elements from row to row and `pixel` from column to column.
#[inline(always)]
fn input_tile<T: Real, const L: usize>(
    data: &[T],
    at: usize,
    (row, pixel): (usize, usize),
) -> [[Lanes<T, L>; WINDOW]; WINDOW] {
    let mut columns = [[[T::ZERO; L]; WINDOW]; WINDOW];
    for (x, column) in columns.iter_mut().enumerate() {
        let at = at + x * pixel;
        *column = input([
            lanes(data, at),
            lanes(data, at + row),
            lanes(data, at + 2 * row),
            lanes(data, at + 3 * row),
        ]);
    }
    let [a, b, c, d] = columns;
    let mut tile = columns;
    for i in 0..WINDOW {
        tile[i] = input([a[i], b[i], c[i], d[i]]);
    }
    tile
}

/// G·g·Gᵀ of the window whose taps lie `tap` elements apart.
#[inline(always)]
fn weights_tile<T: Real, const L: usize>(
    w: &[T],
    at: usize,
    tap: usize,
) -> [[Lanes<T, L>; WINDOW]; WINDOW] {
    let mut columns = [[[T::ZERO; L]; WINDOW]; 3];
    for (x, column) in columns.iter_mut().enumerate() {
        let at = at + x * tap;
        *column = weights([lanes(w, at), lanes(w, at + 3 * tap), lanes(w, at + 6 * tap)]);
    }
    let [a, b, c] = columns;
    let mut tile = [[[T::ZERO; L]; WINDOW]; WINDOW];
    for i in 0..WINDOW {
        tile[i] = weights([a[i], b[i], c[i]]);
    }
    tile
}

/// Aᵀ·m·A of the products at `at`, `position` elements from one to the next.
#[inline(always)]
fn output_tile<T: Real, const L: usize>(
    products: &[T],
    at: usize,
    position: usize,
) -> [[Lanes<T, L>; TILE]; TILE] {
    let mut columns = [[[T::ZERO; L]; TILE]; WINDOW];
    for (x, column) in columns.iter_mut().enumerate() {
        let at = at + x * position;
        *column = output([
            lanes(products, at),
            lanes(products, at + WINDOW * position),
            lanes(products, at + 2 * WINDOW * position),
            lanes(products, at + 3 * WINDOW * position),
        ]);
    }
    let [a, b, c, d] = columns;
    [
        output([a[0], b[0], c[0], d[0]]),
        output([a[1], b[1], c[1], d[1]]),
    ]
}

/// Calls `$one` with the first channel of each run of eight, and of four where fewer are left; channels are multiples
/// of four.
macro_rules! for_channels {
    ($channels:expr, $one:ident($($argument:expr),*)) => {{
        let eights = $channels / 8 * 8;
        for c in (0..eights).step_by(8) {
            $one::<T, 8>($($argument,)* c);
        }
        for c in (eights..$channels).step_by(4) {
            $one::<T, 4>($($argument,)* c);
        }
    }};
}

/// G·g·Gᵀ of weights as [`super::conv::arrange_weights`] has them: for each position [in, out].
pub fn transformed_weights<T: Real>(w: &[T], cin: usize, cout: usize) -> Vec<T> {
    #[inline(always)]
    fn one<T: Real, const L: usize>(
        w: &[T],
        row: &mut [T],
        (cin, cout): (usize, usize),
        ci: usize,
        c: usize,
    ) {
        let tile = weights_tile::<T, L>(w, ci * cout + c, cin * cout);
        for (position, value) in tile.iter().flatten().enumerate() {
            row[position * cout + c..][..L].copy_from_slice(value);
        }
    }
    let mut transformed = vec![T::ZERO; POSITIONS * cin * cout];
    // Position by position the rows of input channels lie far apart: they are gathered per input channel first.
    let rows: Vec<Vec<T>> = (0..cin)
        .into_par_iter()
        .map(|ci| {
            let mut row = vec![T::ZERO; POSITIONS * cout];
            vectorized(|| for_channels!(cout, one(w, &mut row, (cin, cout), ci)));
            row
        })
        .collect();
    transformed
        .par_chunks_mut(cin * cout)
        .enumerate()
        .run(|(position, matrix)| {
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

/// Memory for transformed tiles, kept from one band to the next.
#[derive(Default)]
pub struct Scratch<T> {
    inputs: Vec<T>,
    products: Vec<T>,
}

/// The convolution of a band of 2·`down` + 2 rows and 2·`across` + 2 columns with weights of [`transformed_weights`],
/// into 2·`down` rows of 2·`across` pixels of `cout` channels.
pub fn convolve<T: Real>(
    band: &Band<'_, T>,
    factor: &[T],
    (down, across): (usize, usize),
    cout: usize,
    scratch: &mut Scratch<T>,
    sums: &mut [T],
) {
    let cin = band.channels;
    let inputs = at_least(&mut scratch.inputs, POSITIONS * TILES * cin);
    let products = at_least(&mut scratch.products, POSITIONS * TILES * cout);
    for first in (0..down * across).step_by(TILES) {
        let tiles = TILES.min(down * across - first);
        vectorized(|| transform_inputs(band, across, first, tiles, inputs));
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
        vectorized(|| transform_products(products, cout, across, first, tiles, sums));
    }
}

/// Bᵀ·d·B of `tiles` tiles of a band, row by row from tile `first` on: for each position [tiles, in].
#[inline(always)]
fn transform_inputs<T: Real>(
    band: &Band<'_, T>,
    across: usize,
    first: usize,
    tiles: usize,
    inputs: &mut [T],
) {
    #[inline(always)]
    fn one<T: Real, const L: usize>(
        band: &Band<'_, T>,
        at: usize,
        inputs: &mut [T],
        to: usize,
        step: usize,
        c: usize,
    ) {
        let (row, pixel) = (band.width * band.channels, band.channels);
        let tile = input_tile::<T, L>(band.data, at + c, (row, pixel));
        for (position, value) in tile.iter().flatten().enumerate() {
            inputs[to + position * step + c..][..L].copy_from_slice(value);
        }
    }
    let cin = band.channels;
    for tile in 0..tiles {
        let (ty, tx) = ((first + tile) / across, (first + tile) % across);
        let at = TILE * (ty * band.width + tx) * cin;
        for_channels!(cin, one(band, at, inputs, tile * cin, tiles * cin));
    }
}

/// Aᵀ·m·A of `tiles` tiles from tile `first` on, from products as [`transform_inputs`] orders its tiles.
#[inline(always)]
fn transform_products<T: Real>(
    products: &[T],
    cout: usize,
    across: usize,
    first: usize,
    tiles: usize,
    sums: &mut [T],
) {
    #[inline(always)]
    fn one<T: Real, const L: usize>(
        products: &[T],
        at: usize,
        step: usize,
        sums: &mut [T],
        (to, row, pixel): (usize, usize, usize),
        c: usize,
    ) {
        let tile = output_tile::<T, L>(products, at + c, step);
        for (y, values) in tile.iter().enumerate() {
            for (x, value) in values.iter().enumerate() {
                sums[to + y * row + x * pixel + c..][..L].copy_from_slice(value);
            }
        }
    }
    let row = TILE * across * cout;
    for tile in 0..tiles {
        let (ty, tx) = ((first + tile) / across, (first + tile) % across);
        let to = TILE * (ty * row + tx * cout);
        for_channels!(
            cout,
            one(products, tile * cout, tiles * cout, sums, (to, row, cout))
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Band, Scratch, TILE, convolve, transformed_weights};

    /// In f64 the transforms are those of a convolution, to the last digits: of several batches of tiles, the last not
    /// full, and of fewer after them in the same memory.
    #[test]
    fn it_is_the_convolution() {
        let scratch = &mut Scratch::default();
        for (down, across, cin, cout) in [(9, 17, 12, 4), (2, 3, 8, 12)] {
            let (height, width) = (down * TILE + 2, across * TILE + 2);
            let number = |i: usize| ((i * 2_654_435_761) % 1000) as f64 / 500.0 - 1.0;
            let data: Vec<f64> = (0..height * width * cin).map(number).collect();
            let w: Vec<f64> = (0..9 * cin * cout).map(|i| number(i + 7)).collect();
            let band = Band {
                data: &data,
                width,
                channels: cin,
            };
            let factor = transformed_weights(&w, cin, cout);
            let mut found = vec![f64::NAN; down * across * TILE * TILE * cout];
            convolve(&band, &factor, (down, across), cout, scratch, &mut found);
            for (at, found) in found.iter().enumerate() {
                let (pixel, co) = (at / cout, at % cout);
                let (y, x) = (pixel / (across * TILE), pixel % (across * TILE));
                let mut sum = 0.0;
                for tap in 0..9 {
                    let at = ((y + tap / 3) * width + x + tap % 3) * cin;
                    for ci in 0..cin {
                        sum += data[at + ci] * w[(tap * cin + ci) * cout + co];
                    }
                }
                assert!((found - sum).abs() < 1e-12, "({y},{x},{co}): {found} {sum}");
            }
        }
    }
}
