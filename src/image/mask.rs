//! Masks: one number per pixel, and what it comes to where a layer's units look.

use super::{Filter, Image, ImageError, luma};

/// How much each pixel of a picture counts, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[height][width]`.
    pub values: Vec<f32>,
}

/// Where a layer's units look along one axis: unit i at `start + i·stride`, in pixel indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Centre of unit 0.
    pub start: f64,
    /// Pixels from one unit to the next.
    pub stride: f64,
    /// Units.
    pub count: u32,
}

impl Mask {
    /// White counts, black does not: the luma of the picture, and nothing where it is transparent.
    #[must_use]
    pub fn of(picture: &Image) -> Self {
        let mut values = luma(picture);
        for (i, value) in values.iter_mut().enumerate() {
            let opacity = picture.alpha.as_ref().map_or(1.0, |alpha| alpha[i]);
            *value = (*value * opacity).clamp(0.0, 1.0);
        }
        Self {
            width: picture.width,
            height: picture.height,
            values,
        }
    }

    /// Whether nothing counts: no pixel is brighter than half an 8-bit step.
    #[must_use]
    pub fn is_black(&self) -> bool {
        self.values.iter().all(|v| *v < 0.5 / 255.0)
    }

    /// The mask at another size, antialiased.
    ///
    /// # Errors
    /// A side of 0 or too many pixels.
    pub fn resize(&self, width: u32, height: u32) -> Result<Self, ImageError> {
        let gray = self.values.iter().flat_map(|v| [*v; 3]).collect();
        let image = Image::new(self.width, self.height, gray)?;
        let image = image.resize(width, height, Filter::Bilinear)?;
        Ok(Self {
            width,
            height,
            values: image.rgb.iter().step_by(3).copied().collect(),
        })
    }

    /// For every unit of a layer, the mean over the box around its centre that is as wide as the distance to the next:
    /// `[rows.count][columns.count]`. Of a box that lies partly outside, the part inside.
    #[must_use]
    pub fn at(&self, rows: Grid, columns: Grid) -> Vec<f32> {
        let (width, height) = (self.width as usize, self.height as usize);
        let (across, down) = (shares(columns, width), shares(rows, height));
        let mut result = Vec::with_capacity(across.len() * down.len());
        for (top, down) in &down {
            for (left, across) in &across {
                let mut sum = 0.0;
                for (y, a) in (*top..).zip(down) {
                    for (x, b) in (*left..).zip(across) {
                        sum += a * b * f64::from(self.values[y * width + x]);
                    }
                }
                result.push(sum as f32);
            }
        }
        result
    }
}

/// For each unit the first pixel of its box, and what share of the box each pixel from there on has.
fn shares(grid: Grid, size: usize) -> Vec<(usize, Vec<f64>)> {
    let end = size as f64;
    (0..grid.count)
        .map(|i| {
            // Pixel k reaches from k to k + 1 here.
            let centre = grid.start + 0.5 + f64::from(i) * grid.stride;
            let centre = centre.clamp(0.5, end - 0.5);
            let (low, high) = (centre - 0.5 * grid.stride, centre + 0.5 * grid.stride);
            let (low, high) = (low.max(0.0), high.min(end));
            let first = low.floor() as usize;
            let last = (high.ceil() as usize).clamp(first + 1, size);
            let inside = |k: usize| high.min(k as f64 + 1.0) - low.max(k as f64);
            let weights = (first..last).map(|k| inside(k) / (high - low));
            (first, weights.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(width: u32, values: &[f32]) -> Mask {
        Mask {
            width,
            height: values.len() as u32 / width,
            values: values.to_vec(),
        }
    }

    #[test]
    fn white_counts_unless_it_is_transparent() {
        let picture =
            Image::new(2, 2, vec![1., 1., 1., 0., 0., 0., 1., 0., 0., 1., 1., 1.]).unwrap();
        let found = Mask::of(&picture.clone().with_alpha(vec![1., 1., 1., 0.25]).unwrap());
        for (value, expected) in found.values.iter().zip([1.0, 0.0, 0.299, 0.25]) {
            assert!((value - expected).abs() < 1e-6, "{value}, {expected}");
        }
        assert!(!found.is_black());
        assert!(mask(2, &[0.0, 0.001]).is_black());
    }

    #[test]
    fn boxes_by_hand() {
        let row = mask(5, &[1.0, 0.0, 0.5, 1.0, 0.0]);
        let at = |start, stride, count| {
            let one = Grid {
                start: 0.0,
                stride: 1.0,
                count: 1,
            };
            row.at(
                one,
                Grid {
                    start,
                    stride,
                    count,
                },
            )
        };
        // Each pixel its own unit.
        assert_eq!(at(0.0, 1.0, 5), row.values);
        // Between two pixels each: VGG's pools.
        assert_eq!(at(0.5, 2.0, 2), [0.5, 0.75]);
        // Three pixels, the outer ones cut by half.
        assert_eq!(
            at(1.0, 2.0, 2),
            [(0.5 + 0.0 + 0.25) / 2.0, (0.25 + 1.0 + 0.0) / 2.0]
        );
        // Boxes beyond the edges: what is inside.
        assert_eq!(
            at(0.0, 4.0, 2),
            [(1.0 + 0.0 + 0.25) / 2.5, (0.25 + 1.0) / 2.5]
        );
        assert_eq!(at(-7.0, 1.0, 1), [1.0]);
        assert_eq!(at(9.0, 1.0, 1), [0.0]);
    }

    #[test]
    fn a_constant_stays_at_every_size() {
        let half = mask(7, &[0.5; 35]);
        for (width, height) in [(7, 5), (3, 9), (1, 1), (20, 2)] {
            let other = half.resize(width, height).unwrap();
            assert_eq!((other.width, other.height), (width, height));
            let grid = |count| Grid {
                start: 0.7,
                stride: 1.9,
                count,
            };
            let values = other
                .values
                .iter()
                .copied()
                .chain(other.at(grid(3), grid(4)));
            for value in values {
                assert!((value - 0.5).abs() < 1e-6, "{value}");
            }
        }
    }
}
