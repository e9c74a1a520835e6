//! elementwise: by hand, and the shaders against the twins.

use pixgrad::kernels::{Clamp, Combine, Fill};

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
