//! colour: by hand, against the definition, and its gradient.

use pixgrad::engine::kernels::{Colour, ColourBackward, View, from_quads, to_quads};

use crate::common::oracle::{assert_derivative, dot, run_f64, wide};
use crate::common::{Data, check, random, tensor};

const MATRIX: [[f32; 3]; 3] = [[0.5, 2.0, -1.0], [0.0, 1.5, 0.25], [-3.0, 0.125, 1.0]];

fn colour(x: View, y: View, sigmoid: bool) -> Colour {
    Colour {
        x,
        y,
        matrix: MATRIX,
        bias: [0.5, -0.25, 1.0],
        sigmoid,
    }
}

/// x, y and dy: batches, odd sizes, slices.
fn shapes() -> Vec<[View; 3]> {
    vec![
        [View::new(1, 1, 1, 3); 3],
        [View::new(2, 5, 7, 3); 3],
        [View::new(3, 17, 16, 3); 3],
        [
            View::new(2, 9, 4, 12).slice(8, 3),
            View::new(2, 9, 4, 8).slice(4, 3),
            View::new(2, 9, 4, 16).slice(0, 3),
        ],
    ]
}

#[test]
fn by_hand() {
    let view = View::new(1, 1, 1, 3);
    let data = |x: [f32; 3]| [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
    let kernel = colour(view, view, false);
    let y = check(&kernel, &data([1.0, 2.0, 4.0])).remove(0);
    assert_eq!(from_quads(view, y.reals()), [1.0, 3.75, 2.25]);
    // Far out the sigmoid is 0 or 1, and a number.
    let kernel = Colour {
        matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        bias: [0.0; 3],
        sigmoid: true,
        ..kernel
    };
    let y = check(&kernel, &data([0.0, 500.0, -500.0])).remove(0);
    let y = from_quads(view, y.reals());
    assert_eq!(y[..2], [0.5, 1.0]);
    assert!(y[2].abs() < 1e-40, "{}", y[2]);
    let y = check(&kernel, &data([3.0f32.ln(), -(3.0f32.ln()), 0.0])).remove(0);
    let y = from_quads(view, y.reals());
    assert!((y[0] - 0.75).abs() < 1e-7 && (y[1] - 0.25).abs() < 1e-7);
}

#[test]
fn every_pixel_is_the_definition() {
    for (seed, [x, y, _]) in shapes().into_iter().enumerate() {
        for sigmoid in [false, true] {
            let kernel = colour(x, y, sigmoid);
            let values = tensor(&mut random(seed as u64), x);
            let out = check(&kernel, &[Data::Reals(values.clone()), Data::Poisoned(y)]);
            let (from, to) = (from_quads(x, &wide(&values)), from_quads(y, out[0].reals()));
            let plane = (x.h * x.w) as usize;
            for (at, got) in to.iter().enumerate() {
                let (n, i, pixel) = (at / plane / 3, at / plane % 3, at % plane);
                let t: f64 = (0..3)
                    .map(|j| f64::from(MATRIX[i][j]) * from[(n * 3 + j) * plane + pixel])
                    .sum::<f64>()
                    + f64::from(kernel.bias[i]);
                let expected = if sigmoid { 1.0 / (1.0 + (-t).exp()) } else { t };
                assert!(
                    (got - expected).abs() < 1e-12,
                    "{kernel:?}: {got} should be {expected}"
                );
            }
        }
    }
}

#[test]
fn the_gradient_is_the_derivative_of_the_value() {
    for (seed, [x, y, dy]) in shapes().into_iter().enumerate() {
        for sigmoid in [false, true] {
            let mut rng = random(50 + seed as u64);
            let forward = colour(x, y, sigmoid);
            let values = tensor(&mut rng, x);
            let (upstream, direction) = (tensor(&mut rng, dy), wide(&tensor(&mut rng, x)));
            let at = |t: f64| {
                let moved: Vec<f64> = wide(&values)
                    .iter()
                    .zip(&direction)
                    .map(|(x, d)| x + t * d)
                    .collect();
                run_f64(&forward, &[&moved, &vec![f64::NAN; y.len()]]).remove(1)
            };
            let weighted = |t: f64| dot(&from_quads(dy, &wide(&upstream)), &from_quads(y, &at(t)));
            // Of fourth order, so that its error is that of f64.
            let h = 3e-4;
            let numeric = (8.0 * (weighted(h) - weighted(-h)) - weighted(2.0 * h)
                + weighted(-2.0 * h))
                / (12.0 * h);
            let backward = ColourBackward { forward, dy };
            let blank = vec![f64::NAN; x.len()];
            let gradient = if sigmoid {
                run_f64(&backward, &[&wide(&upstream), &at(0.0), &blank]).remove(2)
            } else {
                run_f64(&backward, &[&wide(&upstream), &blank]).remove(1)
            };
            let analytic = dot(&from_quads(x, &gradient), &from_quads(x, &direction));
            assert_derivative(&backward, numeric, analytic);
            let narrow: Vec<f32> = at(0.0)
                .iter()
                .map(|v| if v.is_nan() { 0.0 } else { *v as f32 })
                .collect();
            let mut data = vec![Data::Reals(upstream)];
            if sigmoid {
                data.push(Data::Reals(narrow));
            }
            data.push(Data::Poisoned(x));
            check(&backward, &data);
        }
    }
}
