//! Gradients whose scales are all equally strong.

use super::{Filter, Site};
use crate::device::Recording;
use crate::kernels::{
    Normalization, PyramidDown, PyramidUp, Rescale, Tensor, View, record_moments,
};

/// Least root mean square that a level is divided by.
const EPSILON: f32 = 1e-10;

/// Laplacian-pyramid gradient normalisation, as in TensorFlow's `DeepDream` notebook: the gradient is split into
/// octaves of frequencies (Burt and Adelson 1983, "The Laplacian Pyramid as a Compact Image Code"), each is divided by
/// its root mean square (at least 1e-10) in each image, and they are added up again.
///
/// A level is split only while its halves have two pixels a side: small images have fewer levels. The notebook would go
/// on to single pixels. A tile is split only while its sides are even, so that every level is a tile, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laplacian {
    /// Splits: levels of detail beside what is left, at most. The notebook has 4.
    pub levels: u32,
    /// Whether the image is a tile, whose opposite edges meet.
    pub wrap: bool,
}

impl Laplacian {
    /// Levels of detail of an image of this shape.
    fn splits(self, view: View) -> u32 {
        let ([mut h, mut w], mut splits) = ([view.h, view.w], 0);
        let whole = |side: u32| !self.wrap || side.is_multiple_of(2);
        while splits < self.levels && h.min(w) > 2 && whole(h) && whole(w) {
            (h, w) = (h.div_ceil(2), w.div_ceil(2));
            splits += 1;
        }
        splits
    }
}

/// Records the pyramid of `x`, from the finest level to what is left. The first level takes the place of `x`.
fn record_split(recording: &mut Recording, x: Tensor, splits: u32, wrap: bool) -> Vec<Tensor> {
    let mut levels = vec![x];
    let mut fine = x;
    for _ in 0..splits {
        let view = PyramidDown::coarse(fine.view);
        let coarse = Tensor::transient(recording, "pyramid level", view);
        let down = PyramidDown {
            fine: fine.view,
            coarse: coarse.view,
            wrap,
        };
        recording.call("pyramid down", down, &[fine.value, coarse.value]);
        record_up(recording, coarse, fine, -1.0, wrap);
        levels.push(coarse);
        fine = coarse;
    }
    levels
}

/// Records the sum of a pyramid, into its first level.
fn record_merge(recording: &mut Recording, levels: &[Tensor], wrap: bool) {
    for pair in levels.windows(2).rev() {
        record_up(recording, pair[1], pair[0], 1.0, wrap);
    }
}

/// fine += alpha·(coarse, one level up)
fn record_up(recording: &mut Recording, coarse: Tensor, fine: Tensor, alpha: f32, wrap: bool) {
    let up = PyramidUp {
        coarse: coarse.view,
        fine: fine.view,
        alpha,
        wrap,
    };
    recording.call("pyramid up", up, &[coarse.value, fine.value]);
}

impl Filter for Laplacian {
    fn record(&self, recording: &mut Recording, site: Site) -> Tensor {
        let gradient = site.gradient;
        let levels = record_split(recording, gradient, self.splits(gradient.view), self.wrap);
        for &level in &levels {
            let rescale = Rescale {
                x: level.view,
                mode: Normalization::Rms,
                epsilon: EPSILON,
            };
            let moments = record_moments(recording, "pyramid level", level, [0.0; 4]);
            recording.call("pyramid level", rescale, &[moments, level.value]);
        }
        record_merge(recording, &levels, self.wrap);
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Buffer, Device};

    #[test]
    fn levels_stop_at_two_pixels() {
        let of = |h, w, levels, wrap| Laplacian { levels, wrap }.splits(View::new(1, h, w, 3));
        let splits = |h, w, levels| of(h, w, levels, false);
        assert_eq!(splits(224, 224, 4), 4);
        assert_eq!(splits(224, 224, 0), 0);
        // 9, 5, 3, 2
        assert_eq!(splits(9, 500, 4), 3);
        assert_eq!(splits(3, 3, 4), 1);
        assert_eq!(splits(2, 2, 4), 0);
        assert_eq!(splits(1, 64, 4), 0);
        // Tiles: 40×48, 20×24, 10×12, 5×6.
        assert_eq!(of(40, 48, 4, true), 3);
        assert_eq!(of(41, 48, 4, true), 0);
    }

    /// Splitting and merging is the identity, whatever the sizes.
    #[test]
    fn a_pyramid_adds_up_to_what_was_split() {
        let sizes = [(1, 1), (2, 3), (3, 3), (5, 4), (16, 16), (37, 61), (64, 30)];
        for ((h, w), wrap) in sizes
            .into_iter()
            .flat_map(|size| [(size, false), (size, true)])
        {
            let device = Device::cpu();
            let view = View::new(3, h, w, 3);
            let mut recording = Recording::new();
            let x = Tensor::persistent(&mut recording, "x", view);
            let splits = Laplacian { levels: 4, wrap }.splits(view);
            let levels = record_split(&mut recording, x, splits, wrap);
            record_merge(&mut recording, &levels, wrap);
            let buffers: Vec<Buffer> = recording
                .values()
                .iter()
                .map(|v| device.buffer(&v.label, v.kind, v.len).expect("it fits"))
                .collect();
            let values: Vec<f32> = (0..view.len())
                .map(|i| if i % 4 == 3 { 0.0 } else { (i as f32).sin() })
                .collect();
            device.upload(&buffers[0], &values).expect("it fits");
            for call in recording.calls() {
                let bound: Vec<_> = call
                    .values
                    .iter()
                    .map(|id| &buffers[id.0 as usize])
                    .collect();
                device.run(&*call.operation, &bound).expect("a run");
            }
            let back = device.download(&buffers[0]).expect("read back");
            for (got, expected) in back.iter().zip(&values) {
                assert!((got - expected).abs() <= 1e-6, "{h}×{w}: {got} {expected}");
            }
        }
    }
}
