//! elementwise: by hand, and the shaders against the references.

use pixgrad::engine::kernels::{Clamp, Combine, Fill, Round};

use crate::common::{Data, check, random, uniform};

#[test]
fn by_hand() {
    let combine = Combine {
        len: 4,
        alpha: 2.0,
        beta: -0.5,
    };
    let data = [
        Data::Reals(vec![1.0, 2.0, 3.0, 4.0]),
        Data::Reals(vec![2.0, 0.0, -2.0, 8.0]),
    ];
    assert_eq!(check(&combine, &data)[0].reals(), [1.0, 4.0, 7.0, 4.0]);
    let clamp = Clamp {
        len: 4,
        low: -0.5,
        high: 1.0,
    };
    let data = [Data::Reals(vec![-1.0, 0.0, 0.75, 2.0])];
    assert_eq!(check(&clamp, &data)[0].reals(), [-0.5, 0.0, 0.75, 1.0]);
    let fill = Fill { len: 4, value: 1.5 };
    assert_eq!(check(&fill, &[Data::PoisonedReals(4)])[0].reals(), [1.5; 4]);
}

#[test]
fn every_length_and_nothing_beyond_it() {
    for len in [4, 1_020, 1_024, 1_028, 70_004] {
        let mut rng = random(u64::from(len));
        // Two vec4s more than asked for must stay as they are.
        let total = len as usize + 8;
        let tail = vec![0.5; 8];
        let mut reals = || [uniform(&mut rng, len as usize), tail.clone()].concat();
        let combine = Combine {
            len,
            alpha: 0.3,
            beta: 0.7,
        };
        let clamp = Clamp {
            len,
            low: -0.25,
            high: 0.4,
        };
        let fill = Fill { len, value: -3.0 };
        let outputs = [
            check(&combine, &[Data::Reals(reals()), Data::Reals(reals())]),
            check(&clamp, &[Data::Reals(reals())]),
            check(&fill, &[Data::Reals(reals())]),
        ];
        for output in outputs {
            assert_eq!(output[0].reals().len(), total);
            assert_eq!(output[0].reals()[len as usize..], [0.5; 8]);
        }
    }
}

/// Halves go up, what is below a half by the last bit does not, and what lies outside [0, 1] comes to its ends.
#[test]
fn rounding_by_hand() {
    let steps = 255.0;
    let below = f32::from_bits(0.5f32.to_bits() - 1);
    let x = vec![
        -3.0,
        0.0,
        below,
        0.5,
        127.0 / 255.0,
        1.4 / 255.0,
        1.6 / 255.0,
        1.5,
    ];
    let kernel = Round { len: 8, steps };
    let y = check(&kernel, &[Data::Reals(x), Data::PoisonedReals(8)]).remove(0);
    let y: Vec<f64> = y.reals().iter().map(|y| y * 255.0).collect();
    for (got, expected) in y
        .iter()
        .zip([0.0, 0.0, 127.0, 128.0, 127.0, 1.0, 2.0, 255.0])
    {
        assert!((got - expected).abs() < 1e-12, "{got} should be {expected}");
    }
    // What is rounded already stays, and every step is reached.
    let x: Vec<f32> = (0..256).map(|i| i as f32 / 255.0).collect();
    let kernel = Round { len: 256, steps };
    let y = check(&kernel, &[Data::Reals(x.clone()), Data::PoisonedReals(256)]).remove(0);
    for (i, y) in y.reals().iter().enumerate() {
        assert!((y - i as f64 / 255.0).abs() < 1e-12);
    }
    let x = uniform(&mut random(4), 70_004);
    let kernel = Round { len: 70_004, steps };
    let y = check(
        &kernel,
        &[Data::Reals(x.clone()), Data::PoisonedReals(x.len())],
    )
    .remove(0);
    for (x, y) in x.iter().zip(y.reals()) {
        let expected = (f64::from(x.clamp(0.0, 1.0)) * 255.0).round() / 255.0;
        assert!((y - expected).abs() < 1e-12, "{x}");
    }
}
