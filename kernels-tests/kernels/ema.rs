//! ema: against the recurrence, unbiased, and the shaders against the references.

use pixgrad::engine::kernels::{Ema, EmaRead};

use crate::common::{Data, check, check_within, random, uniform};

#[test]
fn by_hand() {
    let ema = Ema {
        len: 4,
        decay: 0.75,
    };
    let data = [
        Data::Reals(vec![1.0, -2.0, 0.0, 4.0]),
        Data::Reals(vec![0.0, 1.0, 2.0, 4.0]),
    ];
    assert_eq!(check(&ema, &data)[0].reals(), [0.25, 0.25, 1.5, 4.0]);
}

/// The average of a constant is that constant, after any number of steps.
#[test]
fn a_constant_is_its_own_average() {
    for decay in [0.0f32, 0.5, 0.99, 0.999] {
        for t in [1u32, 2, 10, 50, 69, 500, 10_000] {
            let constant = 3.0;
            // What t steps of the recurrence leave, in closed form.
            let average = constant * (1.0 - f64::from(decay).powi(t as i32));
            let read = EmaRead { len: 4, decay };
            let data = [
                Data::Reals(vec![average as f32; 4]),
                Data::Words(vec![t]),
                Data::PoisonedReals(4),
            ];
            for value in check_within(&read, &data, 1e-6)[0].reals() {
                assert!(
                    (value - constant).abs() <= 1e-6,
                    "decay {decay}, t = {t}: {value}"
                );
            }
        }
    }
}

#[test]
fn before_the_first_step_it_is_zero() {
    let read = EmaRead {
        len: 4,
        decay: 0.99,
    };
    let data = [
        Data::Reals(vec![0.0; 4]),
        Data::Words(vec![0]),
        Data::PoisonedReals(4),
    ];
    assert_eq!(check(&read, &data)[0].reals(), [0.0; 4]);
}

#[test]
fn long_arrays() {
    for len in [4, 1_020, 1_024, 1_028, 70_004] {
        let mut rng = random(u64::from(len));
        let mut reals = || Data::Reals(uniform(&mut rng, len as usize));
        check(&Ema { len, decay: 0.99 }, &[reals(), reals()]);
        let out = Data::PoisonedReals(len as usize);
        check(
            &EmaRead { len, decay: 0.99 },
            &[reals(), Data::Words(vec![7]), out],
        );
    }
}
