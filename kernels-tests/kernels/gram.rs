//! gram, gram_reduce: against plain loops, the shaders against the references, accuracy, and the gradient as a
//! convolution.

use pixgrad::engine::kernels::{Conv, Conv1x1, Gram, GramReduce, View, from_quads, to_quads};
use rand::Rng;

use crate::common::oracle::{assert_derivative, derivative, dot, run_f64, wide};
use crate::common::{Data, check, check_within, random, tensor};

/// Views and splits: channel counts around a tile of 64, pixel counts around the 16 that are staged, more splits than
/// pixels, a batch, a slice.
fn shapes() -> Vec<(View, u32)> {
    vec![
        (View::new(1, 1, 1, 1), 1),
        (View::new(1, 1, 3, 5), 4),
        (View::new(2, 4, 4, 6), 2),
        (View::new(1, 5, 7, 3), 1),
        (View::new(1, 4, 9, 64), 3),
        (View::new(2, 3, 7, 70), 2),
        (View::new(1, 2, 9, 131), 2),
        (View::new(1, 17, 19, 16), 40),
        (View::new(2, 5, 6, 48).slice(12, 18), 3),
    ]
}

fn reduce(gram: Gram, scale: f32) -> GramReduce {
    GramReduce {
        n: gram.f.n,
        channels: gram.f.c,
        splits: gram.splits,
        scale,
    }
}

/// scale·FFᵀ of each image of an [N,C,H,W] array, as [n][c][c].
fn plain(view: View, f: &[f64], scale: f64) -> Vec<f64> {
    let (c, pixels) = (view.c as usize, (view.h * view.w) as usize);
    let mut gram = Vec::new();
    for n in 0..view.n as usize {
        for i in 0..c {
            for j in 0..c {
                let row = |channel: usize| &f[(n * c + channel) * pixels..][..pixels];
                gram.push(scale * dot(row(i), row(j)));
            }
        }
    }
    gram
}

/// Both steps on the oracle.
fn gram_f64(gram: Gram, scale: f32, f: &[f64]) -> Vec<f64> {
    let partial = run_f64(&gram, &[f, &vec![f64::NAN; gram.partial_len()]]).remove(1);
    let empty = vec![f64::NAN; Gram::view(gram.f).len()];
    run_f64(&reduce(gram, scale), &[&partial, &empty]).remove(1)
}

#[test]
fn by_hand() {
    let view = View::new(1, 1, 2, 2);
    let gram = Gram { f: view, splits: 2 };
    let f = to_quads(view, &[1.0, 2.0, 3.0, 4.0]); // channel 0 is (1, 2), channel 1 (3, 4)
    let g = gram_f64(gram, 0.5, &f);
    assert_eq!(g[0..2], [2.5, 5.5]);
    assert_eq!(g[4..6], [5.5, 12.5]);
    assert_eq!(g.iter().sum::<f64>(), 2.5 + 5.5 + 5.5 + 12.5); // the padding is zero
}

#[test]
fn the_references_are_the_definition() {
    for (seed, (f, splits)) in shapes().into_iter().enumerate() {
        let gram = Gram { f, splits };
        let data = wide(&tensor(&mut random(seed as u64), f));
        let got = gram_f64(gram, 0.25, &data);
        let expected = plain(f, &from_quads(f, &data), 0.25);
        let side = f.padded();
        for n in 0..f.n as usize {
            for i in 0..side {
                for j in 0..side {
                    let value = got[(n * side + i) * side + j];
                    let c = f.c as usize;
                    let wanted = if i < c && j < c {
                        expected[(n * c + i) * c + j]
                    } else {
                        0.0
                    };
                    assert!(
                        (value - wanted).abs() <= 1e-12,
                        "{gram:?} ({n},{i},{j}): {value} should be {wanted}"
                    );
                    assert_eq!(value, got[(n * side + j) * side + i], "{gram:?}: symmetric");
                }
            }
        }
    }
}

#[test]
fn shaders() {
    for (seed, (f, splits)) in shapes().into_iter().enumerate() {
        let gram = Gram { f, splits };
        let mut rng = random(30 + seed as u64);
        let data = [
            Data::Reals(tensor(&mut rng, f)),
            Data::PoisonedReals(gram.partial_len()),
        ];
        let partial = check(&gram, &data)[0].reals().to_vec();
        let partial = partial.iter().map(|&v| v as f32).collect();
        let data = [Data::Reals(partial), Data::Poisoned(Gram::view(f))];
        check(&reduce(gram, 0.25), &data);
    }
}

#[test]
fn splits() {
    // relu1_1 of a 512² image: 512 pixels each, 8 MiB; of a 4096² one: 4096 pixels each.
    assert_eq!(Gram::splits_for(View::new(1, 512, 512, 64)), 512);
    assert_eq!(Gram::splits_for(View::new(1, 4096, 4096, 64)), 4096);
    assert_eq!(Gram::splits_for(View::new(1, 64, 64, 512)), 8);
    assert_eq!(Gram::splits_for(View::new(8, 64, 64, 512)), 2);
    assert_eq!(Gram::splits_for(View::new(1, 1, 1, 1)), 1);
}

/// Long sums of positive numbers, as after a ReLU, to 1e-6: the partials of every split, and their sum.
#[test]
fn accurate_over_many_pixels() {
    let f = View::new(1, 512, 512, 6);
    let gram = Gram {
        f,
        splits: Gram::splits_for(f),
    };
    let mut rng = random(60);
    let values: Vec<f32> = (0..f.elements())
        .map(|_| rng.random_range(-1.0f32..1.0).max(0.0))
        .collect();
    let data = [
        Data::Reals(to_quads(f, &values)),
        Data::PoisonedReals(gram.partial_len()),
    ];
    let partial = check_within(&gram, &data, 1e-6)[0].reals().to_vec();
    let partial = partial.iter().map(|&v| v as f32).collect();
    let data = [Data::Reals(partial), Data::Poisoned(Gram::view(f))];
    check_within(&reduce(gram, 1.0 / 262_144.0), &data, 1e-6);
}

/// ∂⟨M, scale·FᵀF⟩/∂F = 2·scale·F·M for a symmetric M: a 1×1 convolution with the matrix as weights.
#[test]
fn the_gradient_is_a_convolution() {
    for (seed, (f, splits)) in [
        (View::new(1, 5, 7, 6), 3),
        (View::new(1, 4, 6, 24).slice(4, 10), 2),
    ]
    .into_iter()
    .enumerate()
    {
        let gram = Gram { f, splits };
        let (upstream, scale) = (1.5, 0.125);
        let mut rng = random(70 + seed as u64);
        let data = wide(&tensor(&mut rng, f));
        let direction = wide(&tensor(&mut rng, f));
        // The Gram matrix of something else is symmetric and zero in the padding.
        let m = gram_f64(gram, 1.0, &wide(&tensor(&mut rng, f)));
        let numeric = derivative(&data, &direction, |x| {
            upstream * dot(&m, &gram_f64(gram, scale, x))
        });
        let df = View::new(f.n, f.h, f.w, f.c);
        let conv = Conv {
            alpha: 2.0 * scale * upstream as f32,
            ..Conv::new(f, df, 1)
        };
        let conv = Conv1x1::serve(conv).expect("a 1×1 convolution");
        let gradient = run_f64(&conv, &[&data, &m, &vec![f64::NAN; df.len()]]).remove(2);
        let analytic = dot(&from_quads(df, &gradient), &from_quads(f, &direction));
        assert_derivative(&gram, numeric, analytic);
    }
}
