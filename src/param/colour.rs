//! Colours that the optimizer may move freely (Olah et al. 2017, "Feature Visualization", Distill; Lucid's
//! `to_valid_rgb`): axes along which the colours of natural images vary independently, and a sigmoid that keeps pixels
//! in (0, 1).

use super::{Map, Mapped};
use crate::device::{Recording, ValueId};
use crate::kernels::{self, ColourBackward, Tensor, View};

/// A root of the covariance of the colours of ImageNet's pixels, rows R, G, B, as Lucid has it.
const COVARIANCE_ROOT: [[f64; 3]; 3] =
    [[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]];

/// The mean colour of ImageNet, as Lucid has it.
const MEAN: [f32; 3] = [0.48, 0.46, 0.41];

/// Pixels are taken to be no nearer to 0 and 1 than this where a sigmoid is inverted.
const MARGIN: f64 = 1e-3;

/// rgb = σ(M·t): M makes colours of decorrelated channels, σ is the sigmoid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// M is the root of the covariance of natural colours divided by the norm of its longest column; else it is 1.
    pub decorrelate: bool,
    /// σ is the sigmoid; else it is the identity, which keeps nothing within \[0, 1\], and the mean colour is added to
    /// decorrelated channels.
    pub sigmoid: bool,
}

/// `COVARIANCE_ROOT` over the norm of its longest column.
fn decorrelated() -> [[f64; 3]; 3] {
    let norm = |i: usize| {
        COVARIANCE_ROOT
            .iter()
            .map(|row| row[i] * row[i])
            .sum::<f64>()
            .sqrt()
    };
    let longest = (0..3).map(norm).fold(0.0, f64::max);
    COVARIANCE_ROOT.map(|row| row.map(|v| v / longest))
}

/// The inverse of a regular matrix.
fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    // Column i is the cross product of the other two rows, over the determinant.
    let cross = |a: [f64; 3], b: [f64; 3]| {
        [
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        ]
    };
    let columns = [cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])];
    let determinant: f64 = m[0].iter().zip(columns[0]).map(|(a, b)| a * b).sum();
    [0, 1, 2].map(|row| columns.map(|column| column[row] / determinant))
}

impl Colour {
    fn matrix(&self) -> [[f64; 3]; 3] {
        if self.decorrelate {
            decorrelated()
        } else {
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        }
    }

    fn bias(&self) -> [f32; 3] {
        if self.decorrelate && !self.sigmoid {
            MEAN
        } else {
            [0.0; 3]
        }
    }

    fn kernel(&self, x: View, y: View) -> kernels::Colour {
        kernels::Colour {
            x,
            y,
            matrix: self.matrix().map(|row| row.map(|v| v as f32)),
            bias: self.bias(),
            sigmoid: self.sigmoid,
        }
    }
}

impl Map for Colour {
    fn forward(&self, recording: &mut Recording, x: Tensor, _: ValueId) -> Mapped {
        forward(recording, "colour", x, |y| self.kernel(x.view, y))
    }

    fn backward(
        &self,
        recording: &mut Recording,
        mapped: &Mapped,
        dy: Tensor,
        _: ValueId,
    ) -> Tensor {
        backward(recording, "backward colour", mapped, dy, |x| {
            self.kernel(x, mapped.y.view)
        })
    }

    /// Under a sigmoid, pixels are first brought into \[0.001, 0.999\].
    fn preimage(&self, view: View, y: &[f32]) -> Vec<f32> {
        let matrix = inverse(self.matrix());
        let bias = self.bias();
        let mut x = vec![0.0; y.len()];
        for (x, y) in x
            .chunks_exact_mut(view.padded())
            .zip(y.chunks_exact(view.padded()))
        {
            let t = [0, 1, 2].map(|i| {
                let y = f64::from(y[i]) - f64::from(bias[i]);
                if !self.sigmoid {
                    return y;
                }
                let y = y.clamp(MARGIN, 1.0 - MARGIN);
                (y / (1.0 - y)).ln()
            });
            for (x, row) in x.iter_mut().zip(matrix) {
                *x = row.iter().zip(t).map(|(m, t)| m * t).sum::<f64>() as f32;
            }
        }
        x
    }
}

/// Records a [`kernels::Colour`] from x to a tensor of the same shape.
pub(super) fn forward(
    recording: &mut Recording,
    label: &str,
    x: Tensor,
    kernel: impl Fn(View) -> kernels::Colour,
) -> Mapped {
    let View { n, h, w, c, .. } = x.view;
    let y = Tensor::transient(recording, label, View::new(n, h, w, c));
    recording.call(label, kernel(y.view), &[x.value, y.value]);
    Mapped {
        x,
        y,
        saved: Vec::new(),
    }
}

/// Records its gradient.
pub(super) fn backward(
    recording: &mut Recording,
    label: &str,
    mapped: &Mapped,
    dy: Tensor,
    kernel: impl Fn(View) -> kernels::Colour,
) -> Tensor {
    let View { n, h, w, c, .. } = mapped.x.view;
    let dx = Tensor::transient(recording, label, View::new(n, h, w, c));
    let backward = ColourBackward {
        forward: kernel(dx.view),
        dy: dy.view,
    };
    if backward.forward.sigmoid {
        recording.call(label, backward, &[dy.value, mapped.y.value, dx.value]);
    } else {
        recording.call(label, backward, &[dy.value, dx.value]);
    }
    dx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_lucids() {
        let expected = [
            [0.562_829, 0.194_825, 0.043_295],
            [0.584_476, 0.0, -0.108_236],
            [0.584_476, -0.194_825, 0.064_942],
        ];
        for (got, expected) in decorrelated()
            .iter()
            .flatten()
            .zip(expected.iter().flatten())
        {
            assert!((got - expected).abs() < 1e-6, "{got} should be {expected}");
        }
    }

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let (m, inverse) = (decorrelated(), inverse(decorrelated()));
        for (i, row) in m.iter().enumerate() {
            for j in 0..3 {
                let sum: f64 = row.iter().zip(inverse).map(|(m, row)| m * row[j]).sum();
                let expected = f64::from(u8::from(i == j));
                assert!((sum - expected).abs() < 1e-12, "{i} {j}: {sum}");
            }
        }
    }
}
