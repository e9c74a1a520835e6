//! moments: by hand, against plain sums over each image, and the shaders against the reference.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{
    Moments, MomentsDifference, MomentsReduce, Tensor, View, from_quads, record_moments,
    record_moments_difference, to_quads,
};

use crate::common::oracle::{run_f64, wide};
use crate::common::recorded::{Recorded, devices};
use crate::common::{Data, check, check_within, random, tensor};

/// Shapes of a, and of b: as a, one image, one pixel; slices; sizes around a workgroup's share.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 1),
        same(3, 5, 7, 3),
        same(2, 9, 4, 6),
        same(1, 32, 64, 4), // exactly one share
        same(3, 33, 63, 3),
        same(2, 70, 61, 10),
        (View::new(3, 6, 5, 13), View::new(1, 6, 5, 13)),
        (View::new(3, 6, 5, 3), View::new(1, 1, 1, 3)),
        (
            View::new(2, 5, 10, 24).slice(8, 11),
            View::new(2, 5, 10, 20).slice(4, 11),
        ),
    ]
}

/// Σ|v|, Σv, Σv², max|v|.
pub fn plain(v: &[f64]) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for v in v {
        sums[0] += v.abs();
        sums[1] += v;
        sums[2] += v * v;
        sums[3] = f64::max(sums[3], v.abs());
    }
    sums
}

fn assert_near(what: &str, got: &[f64], expected: [f64; 4], size: [f64; 4], tolerance: f64) {
    for i in 0..4 {
        assert!(
            (got[i] - expected[i]).abs() <= tolerance * size[i],
            "{what}, moment {i}: {} should be {}",
            got[i],
            expected[i]
        );
    }
}

#[test]
fn by_hand() {
    // Two images of two pixels and two channels.
    let a = View::new(2, 1, 2, 2);
    let values = [1.0, -2.0, 3.0, -5.0, 0.0, 0.0, 0.0, 0.5];
    let kernel = Moments {
        a,
        centre: [0.0; 4],
    };
    assert_eq!(kernel.parts(), 1);
    let data = [Data::Reals(to_quads(a, &values)), Data::PoisonedReals(8)];
    let partials = check(&kernel, &data)[0].reals().to_vec();
    assert_eq!(partials, [11.0, -3.0, 39.0, 5.0, 0.5, 0.5, 0.25, 0.5]);
    // About (1, 3): 0 −3 | 0 −8 and −1 −1 | −3 −2.5.
    let kernel = Moments {
        a,
        centre: [1.0, 3.0, 0.0, 0.0],
    };
    let about = check(&kernel, &data)[0].reals().to_vec();
    assert_eq!(about, [11.0, -11.0, 73.0, 8.0, 7.5, -7.5, 17.25, 3.0]);
    // The same as a difference to one pixel.
    let b = View::new(1, 1, 1, 2);
    let [values, partials] = data;
    let data = [values, Data::Reals(to_quads(b, &[1.0, 3.0])), partials];
    assert_eq!(check(&MomentsDifference { a, b }, &data)[0].reals(), about);
    // Parts of one image, and of the next.
    let parts = [
        [1.0, 1.0, 1.0, 1.0],
        [2.0, -2.0, 4.0, 2.0],
        [3.0, 3.0, 9.0, 3.0],
        [0.5, -0.5, 0.25, 0.5],
    ];
    let data = [Data::Reals(parts.concat()), Data::PoisonedReals(8)];
    let moments = check(&MomentsReduce { n: 2, parts: 2 }, &data);
    let expected = [3.0, -1.0, 5.0, 2.0, 3.5, 2.5, 9.25, 3.0];
    assert_eq!(moments[0].reals(), expected);
}

/// Every part, and both stages, against the sums over an image; the shaders to 1e-6.
#[test]
fn plain_sums_everywhere() {
    for (seed, (a, b)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let (av, bv) = (tensor(&mut rng, a), tensor(&mut rng, b));
        let (an, bn) = (from_quads(a, &wide(&av)), from_quads(b, &wide(&bv)));
        let planes = (a.h * a.w) as usize;
        let each = planes * a.c as usize;
        let of_b = |i: usize| {
            if b.pixels() == 1 {
                bn[i / planes % a.c as usize]
            } else {
                bn[i % bn.len()]
            }
        };
        let difference = MomentsDifference { a, b };
        let moments = Moments {
            a,
            centre: [0.0; 4],
        };
        let parts = moments.parts() as usize;
        let partials = || Data::PoisonedReals(a.n as usize * parts * 4);
        let one = check_within(&moments, &[Data::Reals(av.clone()), partials()], 1e-6);
        let inputs = [Data::Reals(av), Data::Reals(bv), partials()];
        let two = check_within(&difference, &inputs, 1e-6);
        let reduce = MomentsReduce {
            n: a.n,
            parts: parts as u32,
        };
        let v: Vec<f64> = an.iter().enumerate().map(|(i, a)| a - of_b(i)).collect();
        for (got, v) in [(one, an), (two, v)] {
            let partials: Vec<f32> = got[0].reals().iter().map(|&v| v as f32).collect();
            let exact = vec![f64::NAN; a.n as usize * 4];
            let moments = run_f64(&reduce, &[got[0].reals(), &exact]).remove(1);
            for (i, moments) in moments.chunks(4).enumerate() {
                let expected = plain(&v[i * each..][..each]);
                let [sum, _, square, largest] = expected;
                let size = [sum, sum, square, largest];
                assert_near(&format!("{a:?} image {i}"), moments, expected, size, 1e-12);
            }
            let data = [Data::Reals(partials), Data::PoisonedReals(a.n as usize * 4)];
            check_within(&reduce, &data, 1e-6);
        }
    }
}

/// More parts than a workgroup has invocations.
#[test]
fn many_parts() {
    let reduce = MomentsReduce { n: 3, parts: 700 };
    let partials: Vec<f32> = tensor(&mut random(7), View::new(3, 1, 700, 4))
        .iter()
        .map(|v| v.abs())
        .collect();
    let data = [Data::Reals(partials.clone()), Data::PoisonedReals(12)];
    let moments = check_within(&reduce, &data, 1e-6);
    for (i, moments) in moments[0].reals().chunks(4).enumerate() {
        let own = &partials[i * 2800..][..2800];
        for (k, got) in moments.iter().enumerate() {
            let values = own.iter().skip(k).step_by(4).map(|&v| f64::from(v));
            let expected = if k == 3 {
                values.fold(0.0, f64::max)
            } else {
                values.sum()
            };
            assert!((got - expected).abs() <= 1e-12 * expected);
        }
    }
}

/// Both stages as they are recorded, on every device: each image has its own moments.
#[test]
fn recorded() {
    let (a, b) = (View::new(3, 41, 67, 3), View::new(1, 41, 67, 3));
    let mut rng = random(11);
    let (av, bv) = (wide(&tensor(&mut rng, a)), wide(&tensor(&mut rng, b)));
    let (an, bn) = (from_quads(a, &av), from_quads(b, &bv));
    let each = bn.len();
    for device in devices() {
        let mut recording = Recording::new();
        let at = Tensor::persistent(&mut recording, "a", a);
        let bt = Tensor::persistent(&mut recording, "b", b);
        let centre = [0.5, -0.25, 0.125, 0.0];
        let one = record_moments(&mut recording, "a", at, centre);
        let two = record_moments_difference(&mut recording, "a - b", at, bt);
        let run = Recorded::new(device, recording);
        run.set(at.value, &av);
        run.set(bt.value, &bv);
        run.iterate();
        let (one, two) = (run.get(one), run.get(two));
        for i in 0..3 {
            let own = &an[i * each..][..each];
            let plane = each / 3;
            let about: Vec<f64> = (0..each)
                .map(|j| own[j] - f64::from(centre[j / plane]))
                .collect();
            let difference: Vec<f64> = own.iter().zip(&bn).map(|(a, b)| a - b).collect();
            for (got, v) in [(&one, about), (&two, difference)] {
                let expected = plain(&v);
                let [sum, _, square, largest] = expected;
                let what = format!("{device:?} image {i}");
                let size = [sum, sum, square, largest];
                assert_near(&what, &got[i * 4..][..4], expected, size, 1e-6);
            }
        }
    }
}
