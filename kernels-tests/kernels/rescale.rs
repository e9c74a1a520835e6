//! rescale: every norm by hand and by its definition, image by image; gradients that have no direction.

use pixgrad::engine::kernels::{Normalization, Rescale, View, from_quads, to_quads};

use crate::common::oracle::wide;
use crate::common::{Data, check, random, tensor};
use crate::moments::plain;

const MODES: [Normalization; 7] = [
    Normalization::MeanAbs,
    Normalization::Std,
    Normalization::Rms,
    Normalization::L2,
    Normalization::L1,
    Normalization::Linf,
    Normalization::Sign,
];

fn shapes() -> Vec<View> {
    vec![
        View::new(1, 1, 2, 1),
        View::new(3, 5, 7, 3),
        View::new(2, 9, 4, 13),
        View::new(3, 33, 63, 3),
        View::new(2, 5, 10, 24).slice(8, 11),
    ]
}

/// What the elements of one image are divided by.
pub fn divisor(mode: Normalization, epsilon: f64, image: &[f64]) -> f64 {
    let count = image.len() as f64;
    let mean = image.iter().sum::<f64>() / count;
    let about_mean = image.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let [absolute, _, square, largest] = plain(image);
    match mode {
        Normalization::MeanAbs => absolute / count + epsilon,
        Normalization::Std => about_mean.sqrt() + epsilon,
        Normalization::Rms => (square / count).sqrt().max(epsilon),
        Normalization::L2 => square.sqrt() + epsilon,
        Normalization::L1 => absolute + epsilon,
        Normalization::Linf => largest + epsilon,
        Normalization::Sign => panic!("a sign is no quotient"),
    }
}

/// The bindings: moments of each image, rounded to f32 (unless it is a sign), and the tensor.
fn data(kernel: &Rescale, x: &[f32]) -> Vec<Data> {
    let x64 = from_quads(kernel.x, &wide(x));
    let each = x64.len() / kernel.x.n as usize;
    let moments: Vec<f32> = x64.chunks(each).flat_map(plain).map(|v| v as f32).collect();
    let x = Data::Reals(x.to_vec());
    if kernel.mode == Normalization::Sign {
        vec![x]
    } else {
        vec![Data::Reals(moments), x]
    }
}

fn rescaled(kernel: &Rescale, x: &[f32]) -> Vec<f64> {
    let out = check(kernel, &data(kernel, x));
    from_quads(kernel.x, out[0].reals())
}

#[test]
fn by_hand() {
    // Two images of four pixels: mean |g| 2, variance 5 (mean 0), ‖g‖₂² 20, …; and 10 times that.
    let x = View::new(2, 2, 2, 1);
    let image = [1.0, -3.0, 3.0, -1.0];
    let both: Vec<f32> = image
        .iter()
        .chain(&image.map(|v| 10.0 * v))
        .copied()
        .collect();
    for (mode, divisor) in [
        (Normalization::MeanAbs, 2.0),
        (Normalization::Std, 5f64.sqrt()),
        (Normalization::Rms, 5f64.sqrt()),
        (Normalization::L2, 20f64.sqrt()),
        (Normalization::L1, 8.0),
        (Normalization::Linf, 3.0),
    ] {
        let kernel = Rescale {
            x,
            mode,
            epsilon: 0.0,
        };
        let got = rescaled(&kernel, &to_quads(x, &both));
        for (i, got) in got.iter().enumerate() {
            let expected = f64::from(image[i % 4]) / divisor;
            assert!((got - expected).abs() < 1e-12, "{mode:?}: {got} {expected}");
        }
    }
    let sign = Rescale {
        x: View::new(1, 1, 5, 1),
        mode: Normalization::Sign,
        epsilon: 0.0,
    };
    let got = rescaled(&sign, &to_quads(sign.x, &[2.0, -0.25, 0.0, -0.0, 1e-30]));
    assert_eq!(got, [1.0, -1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn the_definition_everywhere() {
    for (seed, x) in shapes().into_iter().enumerate() {
        for mode in MODES {
            for epsilon in [0.0, 0.3, 5.0] {
                let kernel = Rescale { x, mode, epsilon };
                let values = tensor(&mut random(seed as u64), x);
                let got = rescaled(&kernel, &values);
                let before = from_quads(x, &wide(&values));
                let each = before.len() / x.n as usize;
                for (i, image) in before.chunks(each).enumerate() {
                    for (got, v) in got[i * each..].iter().zip(image) {
                        let expected = match mode {
                            Normalization::Sign => v.signum(),
                            _ => v / divisor(mode, epsilon.into(), image),
                        };
                        // The moments were rounded to f32, and a variance is a difference of them.
                        assert!(
                            (got - expected).abs() <= 1e-6 * expected.abs(),
                            "{kernel:?} image {i}: {got} should be {expected}"
                        );
                    }
                }
            }
        }
    }
}

/// A gradient of zeros beside one that is not, and one too small to have a norm in f32.
#[test]
fn no_direction_is_zero_and_never_nan() {
    let x = View::new(3, 4, 5, 3);
    let mut values = tensor(&mut random(1), x);
    let each = values.len() / 3;
    values[each..2 * each].fill(0.0);
    for v in &mut values[2 * each..] {
        *v *= 1e-30;
    }
    for mode in MODES {
        for epsilon in [0.0, 1e-10] {
            let kernel = Rescale { x, mode, epsilon };
            let mut data = data(&kernel, &values);
            if let [Data::Reals(moments), _] = &mut data[..] {
                // Squares of 1e-30 are no number of f32.
                moments[2 * 4 + 2] = 0.0;
            }
            let got = from_quads(x, check(&kernel, &data)[0].reals());
            let each = got.len() / 3;
            assert!(got[..each].iter().any(|v| v.abs() > 1e-3), "{kernel:?}");
            assert!(got[each..2 * each].iter().all(|v| *v == 0.0), "{kernel:?}");
            assert!(
                got[2 * each..].iter().all(|v| v.abs() <= 60.0),
                "{kernel:?}"
            );
        }
    }
}
