//! channel_sums, channel_affine, channel_distance: by hand, against plain loops, the shaders against the references.

use pixgrad::engine::kernels::{
    ChannelAffine, ChannelCentre, ChannelDistance, ChannelSums, ChannelSumsReduce, View,
    from_quads, to_quads,
};

use crate::common::oracle::{run_f64, wide};
use crate::common::{Data, check, check_within, random, tensor, uniform};

/// One pixel, more than one share, more than 16 vec4s of channels, a batch, a slice.
fn shapes() -> Vec<View> {
    vec![
        View::new(1, 1, 1, 1),
        View::new(2, 5, 7, 3),
        View::new(1, 33, 35, 70),
        View::new(2, 40, 60, 6),
        View::new(2, 5, 6, 48).slice(12, 18),
    ]
}

/// Σ over pixels of (x − centre)^power for [n][C⁺], times scale.
fn plain(view: View, x: &[f64], centre: &[f64], power: i32, scale: f64) -> Vec<f64> {
    let (c, pixels) = (view.c as usize, (view.h * view.w) as usize);
    let mut sums = vec![0.0; view.n as usize * view.padded()];
    for n in 0..view.n as usize {
        for channel in 0..c {
            let at = n * view.padded() + channel;
            let plane = &x[(n * c + channel) * pixels..][..pixels];
            sums[at] = scale
                * plane
                    .iter()
                    .map(|v| (v - centre[at]).powi(power))
                    .sum::<f64>();
        }
    }
    sums
}

#[test]
fn the_references_are_the_definition() {
    for (seed, x) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let data = wide(&tensor(&mut rng, x));
        let len = x.n as usize * x.padded();
        let zeros = vec![0.0; len];
        let reduce = ChannelSumsReduce { x, scale: 0.5 };
        let sums = |square: bool, centre: &[f64]| {
            let first = ChannelSums { x, square };
            let empty = vec![f64::NAN; first.partials_len()];
            let partials = if square {
                run_f64(&first, &[&data, centre, &empty]).remove(2)
            } else {
                run_f64(&first, &[&data, &empty]).remove(1)
            };
            run_f64(&reduce, &[&partials, &vec![f64::NAN; len]]).remove(1)
        };
        let planes = from_quads(x, &data);
        let means = sums(false, &zeros);
        for (got, square) in [(means.clone(), 1), (sums(true, &means), 2)] {
            let centre = if square == 2 { &means } else { &zeros };
            let expected = plain(x, &planes, centre, square, 0.5);
            for (a, b) in got.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-9, "{x:?}: {a} should be {b}");
            }
        }
    }
}

#[test]
fn shaders() {
    for (seed, x) in shapes().into_iter().enumerate() {
        let mut rng = random(30 + seed as u64);
        let len = x.n as usize * x.padded();
        // Positive numbers: sums of both signs have digits that cancel.
        let positive = |data: Vec<f32>| data.into_iter().map(f32::abs).collect::<Vec<_>>();
        let data = positive(tensor(&mut rng, x));
        let flat = View::new(x.n, 1, 1, x.c);
        let centre = tensor(&mut rng, flat);
        let plain = ChannelSums { x, square: false };
        let square = ChannelSums { x, square: true };
        let empty = || Data::PoisonedReals(plain.partials_len());
        check_within(&plain, &[Data::Reals(data.clone()), empty()], 1e-6);
        let bound = [
            Data::Reals(data.clone()),
            Data::Reals(centre.clone()),
            empty(),
        ];
        let partials = check_within(&square, &bound, 1e-6)[0].reals().to_vec();
        let partials = partials.iter().map(|v| *v as f32).collect();
        let reduce = ChannelSumsReduce { x, scale: 0.25 };
        check_within(
            &reduce,
            &[Data::Reals(partials), Data::PoisonedReals(len)],
            1e-6,
        );

        let y = View::new(x.n, x.h, x.w, x.c);
        let bound = [
            Data::Reals(data.clone()),
            Data::Reals(centre.clone()),
            Data::Poisoned(y),
        ];
        check(&ChannelCentre { x, y }, &bound);
        let coefficients = tensor(&mut rng, View::new(2 * x.n, 1, 1, x.c));
        for accumulate in [false, true] {
            let to = if accumulate {
                Data::Reals(tensor(&mut rng, x))
            } else {
                Data::Poisoned(x)
            };
            let affine = ChannelAffine {
                x,
                y: x,
                accumulate,
            };
            let bound = [
                Data::Reals(data.clone()),
                Data::Reals(centre.clone()),
                Data::Reals(coefficients.clone()),
                to,
            ];
            check(&affine, &bound);
        }

        let goal = positive(tensor(&mut rng, View::new(2, 1, 1, x.c)));
        let mut variances = positive(tensor(&mut rng, flat));
        variances[0] = 0.0;
        for deviation in [false, true] {
            let distance = ChannelDistance {
                n: x.n,
                quads: x.quads,
                deviation,
                alpha: 0.75.into(),
            };
            let mut bound = vec![Data::Reals(centre.clone()), Data::Reals(goal.clone())];
            if deviation {
                bound.push(Data::Reals(variances.clone()));
            }
            bound.extend([Data::PoisonedReals(len), Data::PoisonedReals(2 * len)]);
            check(&distance, &bound);
        }
    }
}

/// Activations far from zero that hardly differ: a variance about zero would be rounding.
#[test]
fn variances_about_the_mean_keep_their_digits() {
    let x = View::new(1, 60, 60, 4);
    let data: Vec<f32> = uniform(&mut random(5), x.len())
        .iter()
        .map(|v| 100.0 + 0.01 * v)
        .collect();
    let means = plain(x, &from_quads(x, &wide(&data)), &[0.0; 4], 1, 1.0 / 3600.0);
    let means: Vec<f32> = means.iter().map(|v| *v as f32).collect();
    let square = ChannelSums { x, square: true };
    let empty = Data::PoisonedReals(square.partials_len());
    check(&square, &[Data::Reals(data), Data::Reals(means), empty]);
}

#[test]
fn by_hand() {
    // Two channels of two pixels: (1, 3) and (2, 2); targets of mean 1 and 0, deviation 2 and 1.
    let x = View::new(1, 1, 2, 2);
    let data = to_quads(x, &[1.0, 3.0, 2.0, 2.0]);
    let distance = ChannelDistance {
        n: 1,
        quads: 1,
        deviation: true,
        alpha: 0.5.into(),
    };
    let nan = [f64::NAN; 8];
    let means = [2.0, 2.0, 0.0, 0.0];
    let goal = [1.0, 0.0, 0.0, 0.0, 4.0, 1.0, 0.0, 0.0];
    let variances = [1.0, 0.0, 0.0, 0.0];
    let all = run_f64(&distance, &[&means, &goal, &variances, &nan[..4], &nan]);
    assert_eq!(all[3], [1.0 + 1.0, 4.0 + 1.0, 0.0, 0.0]);
    // The second channel is flat: it has no direction to spread in.
    assert_eq!(all[4], [-0.5, 0.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.0]);
    let affine = ChannelAffine {
        x,
        y: x,
        accumulate: false,
    };
    let y = run_f64(&affine, &[&data, &means, &all[4], &nan]).remove(3);
    assert_eq!(from_quads(x, &y), [1.0, 0.0, 1.0, 1.0]);
}
