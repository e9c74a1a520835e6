//! unit_vectors: the reference against the moments of the uniform distribution on a sphere, the shader against it.

use pixgrad::engine::kernels::{UnitVectors, View};

use crate::common::oracle::{dot, run_f64_with_words};
use crate::common::{Data, check};

/// The vectors of each image, [vectors, channels].
pub fn directions(kernel: UnitVectors, step: u32) -> Vec<Vec<Vec<f64>>> {
    let poison = vec![f64::NAN; kernel.y.len()];
    let drawn = &run_f64_with_words(&kernel, &[&poison], &[&[step]])[0];
    let (each, padded, c) = (kernel.y.w as usize, kernel.y.padded(), kernel.y.c as usize);
    let vectors: Vec<_> = drawn.chunks(padded).map(|v| v[..c].to_vec()).collect();
    vectors.chunks(each).map(<[_]>::to_vec).collect()
}

#[test]
fn directions_are_the_same_unit_vectors_on_every_device() {
    for (n, vectors, c) in [(1, 4, 1), (2, 7, 3), (3, 64, 64), (1, 300, 33)] {
        let kernel = UnitVectors {
            y: View::new(n, 1, vectors, c),
            seed: 5,
            slot: 2,
        };
        let data = [Data::Words(vec![3]), Data::Poisoned(kernel.y)];
        let found = check(&kernel, &data);
        for v in found[0].reals().chunks(kernel.y.padded()) {
            assert!((dot(v, v) - 1.0).abs() < 1e-12, "{v:?}");
        }
    }
}

/// Mean x² is 1/C, mean x⁴ is 3/(C·(C + 2)), and no two components, images, steps, slots or seeds go together.
#[test]
fn directions_are_alike_in_all_directions() {
    let draw = |seed, slot, step| {
        let kernel = UnitVectors {
            y: View::new(2, 1, 20_000, 3),
            seed,
            slot,
        };
        directions(kernel, step)
    };
    let drawn = draw(1, 0, 0);
    let mean = |of: &dyn Fn(&[f64], &[f64]) -> f64, b: &[Vec<f64>]| {
        let pairs = drawn[0].iter().zip(b);
        pairs.map(|(a, b)| of(a, b)).sum::<f64>() / b.len() as f64
    };
    for i in 0..3 {
        let close = |got: f64, expected: f64| {
            assert!((got - expected).abs() < 0.01, "{got} should be {expected}");
        };
        close(mean(&|v, _| v[i], &drawn[0]), 0.0);
        close(mean(&|v, _| v[i].powi(2), &drawn[0]), 1.0 / 3.0);
        close(mean(&|v, _| v[i].powi(4), &drawn[0]), 0.2);
        close(mean(&|v, _| v[i] * v[(i + 1) % 3], &drawn[0]), 0.0);
        for other in [
            &drawn[1],
            &draw(2, 0, 0)[0],
            &draw(1, 1, 0)[0],
            &draw(1, 0, 1)[0],
        ] {
            close(mean(&|v, w| v[i] * w[i], other), 0.0);
        }
    }
}
