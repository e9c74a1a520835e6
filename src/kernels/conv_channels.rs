//! How the reference of a convolution computes a small image with many channels: some channels of all pixels at a time.

use rayon::prelude::*;

use super::Conv;
use super::conv_reference::{Sums, Way};
use super::rows::at_least;
use crate::device::Real;

/// Most pixels of an image that is made some channels at a time, and the fewest channels of a task.
const FEW_PIXELS: u32 = 256;
const CHANNELS: usize = 32;

/// Where the input of a convolution comes from: the tensor, or what copies its rows.
pub(super) enum Input<'a, T, F> {
    AsItLies(&'a [T]),
    Filled(F),
}

impl Conv {
    /// Whether tasks first make some channels of all pixels, and not all channels of some rows: of a small image and
    /// many channels most is to read the weights, and so every thread reads its part of them only.
    pub(super) fn by_channels<T: Real>(&self) -> bool {
        let few = self.y.h * self.y.w <= FEW_PIXELS && self.y.padded() >= 2 * CHANNELS;
        few && self.way::<T>() == Way::Direct && !self.weights_per_image
    }

    /// All rows of y as [`Conv::by_channels`] has it. Of x there are the rows that `fill(image, position, row)` copies,
    /// or it is taken as it lies.
    pub(super) fn channels<T: Real>(
        &self,
        x: Input<'_, T, impl Fn(usize, usize, &mut [T]) + Sync>,
        w: &[T],
        bias: &[T],
        y: &mut [T],
        relu: Option<&mut [u32]>,
    ) {
        let (h, cout) = (self.y.h as usize, self.y.padded());
        let runs = self.runs(h);
        let each = cout.div_ceil(rayon::current_num_threads()).max(CHANNELS);
        let each = each.next_multiple_of(16);
        let blocks = |n: usize| -> Vec<Vec<T>> {
            let mut memory = Vec::new();
            let band = match &x {
                Input::AsItLies(x) => (&x[self.x.at(n, 0, 0)..], self.x.pixel_stride()),
                Input::Filled(fill) => {
                    let fill = |position: usize, row: &mut [T]| fill(n, position, row);
                    (self.direct_band(0, h, &mut memory, fill), self.x.padded())
                }
            };
            (0..cout.div_ceil(each))
                .into_par_iter()
                .map(|block| {
                    let channels = block * each..cout.min((block + 1) * each);
                    let mut sums = vec![T::ZERO; runs.len() * channels.len()];
                    self.add_taps(runs, band, w, channels, &mut sums);
                    sums
                })
                .collect()
        };
        let images: Vec<Vec<Vec<T>>> = (0..self.y.n as usize).map(blocks).collect();
        let rows = h.div_ceil(rayon::current_num_threads());
        self.tasks(rows, bias, y, relu, |n, first, count, scratch| {
            let pixels = runs.row_stride * (count - 1) + self.y.w as usize;
            let data = at_least(&mut scratch.sums, pixels * cout);
            for (pixel, to) in data.chunks_mut(cout).enumerate() {
                let pixel = first * runs.row_stride + pixel;
                for (block, to) in images[n].iter().zip(to.chunks_mut(each)) {
                    to.copy_from_slice(&block[pixel * to.len()..][..to.len()]);
                }
            }
            Sums {
                data,
                row_stride: runs.row_stride,
            }
        });
    }
}
