//! Pixels as points of a space without bounds (Carlini and Wagner 2017, "Towards Evaluating the Robustness of Neural
//! Networks", section V-B): no step leaves the box.

use super::{Map, Mapped, colour};
use crate::device::{Recording, ValueId};
use crate::kernels::{self, Tensor, View};

/// x = ½·(tanh w + 1), of three channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tanh;

/// What 2x − 1 is multiplied by before its inverse tangent is taken, so that pixels at 0 and 1 have one.
const SHRINK: f64 = 0.999_999;

/// ½·(tanh w + 1) is the sigmoid of 2w.
fn kernel(x: View, y: View) -> kernels::Colour {
    kernels::Colour {
        x,
        y,
        matrix: [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]],
        bias: [0.0; 3],
        sigmoid: true,
    }
}

impl Map for Tanh {
    fn forward(&self, recording: &mut Recording, x: Tensor, _: ValueId) -> Mapped {
        colour::forward(recording, "tanh", x, |y| kernel(x.view, y))
    }

    fn backward(
        &self,
        recording: &mut Recording,
        mapped: &Mapped,
        dy: Tensor,
        _: ValueId,
    ) -> Tensor {
        colour::backward(recording, "backward tanh", mapped, dy, |x| {
            kernel(x, mapped.y.view)
        })
    }

    /// atanh((2x − 1)·0.999999); pixels outside \[0, 1\] count as 0 or 1.
    fn preimage(&self, view: View, y: &[f32]) -> Vec<f32> {
        let mut w = vec![0.0; y.len()];
        for (w, y) in w
            .chunks_exact_mut(view.padded())
            .zip(y.chunks_exact(view.padded()))
        {
            for (w, &y) in w.iter_mut().zip(&y[..view.c as usize]) {
                *w = ((2.0 * f64::from(y).clamp(0.0, 1.0) - 1.0) * SHRINK).atanh() as f32;
            }
        }
        w
    }
}
