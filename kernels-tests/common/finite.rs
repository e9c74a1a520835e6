//! A backward pass against central differences of its forward pass, in f64.

use pixgrad::engine::kernels::{View, from_quads};

/// Half the distance between the two points of a difference.
const STEP: f32 = 1.0 / 512.0;

/// Relative error allowed: the difference's own error is of order `STEP²` times third derivatives of order 1.
const TOLERANCE: f64 = 2e-5;

/// Asserts that `dx` (a buffer of view x) is the derivative of Σ g·forward(x) with respect to x at `input`, on up to
/// 80 elements spread over x. `forward` gives a buffer of view y; the gradient g is one, too.
pub fn assert_derivative(
    what: &str,
    (x, input): (View, &[f32]),
    (y, gradient): (View, &[f32]),
    dx: &[f64],
    forward: impl Fn(&[f32]) -> Vec<f64>,
) {
    let gradient = from_quads(y, gradient);
    let objective = |input: &[f32]| -> f64 {
        let values = from_quads(y, &forward(input));
        values
            .iter()
            .zip(&gradient)
            .map(|(v, g)| v * f64::from(*g))
            .sum()
    };
    let places: Vec<usize> = from_quads(x, &(0..x.len()).collect::<Vec<_>>());
    // A step that shares no factor with the usual shapes reaches every channel, row and column.
    let count = places.len().min(80);
    let (mut error, mut norm) = (0.0, 0.0);
    for i in 0..count {
        let at = places[if count < places.len() {
            i * 97 % places.len()
        } else {
            i
        }];
        let mut moved = input.to_vec();
        moved[at] = input[at] + STEP;
        let (above, high) = (objective(&moved), f64::from(moved[at]));
        moved[at] = input[at] - STEP;
        let (below, low) = (objective(&moved), f64::from(moved[at]));
        let slope = (above - below) / (high - low);
        error += (slope - dx[at]).powi(2);
        norm += slope * slope;
    }
    let (error, norm) = (f64::sqrt(error), f64::sqrt(norm));
    assert!(
        error <= TOLERANCE * norm + 1e-12,
        "{what}: ‖differences − gradient‖ = {error:e}, ‖differences‖ = {norm:e}"
    );
}

#[test]
fn a_wrong_derivative_is_noticed() {
    let view = View::new(1, 2, 3, 5);
    let input: Vec<f32> = (0..view.len()).map(|i| (i as f32 * 0.37).sin()).collect();
    let gradient: Vec<f32> = (0..view.len()).map(|i| (i as f32 * 0.71).cos()).collect();
    let cube = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(3)).collect::<Vec<_>>();
    let derivative: Vec<f64> = input
        .iter()
        .zip(&gradient)
        .map(|(x, g)| 3.0 * f64::from(*x).powi(2) * f64::from(*g))
        .collect();
    let check = |dx: &[f64]| {
        assert_derivative("cube", (view, &input), (view, &gradient), dx, cube);
    };
    check(&derivative);
    let mut wrong = derivative;
    wrong[view.at(0, 1, 1) + 4] += 0.01;
    assert!(std::panic::catch_unwind(|| check(&wrong)).is_err());
}
