//! cross_entropy: value and gradient against the definition, finite differences and the shaders; the term.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{CrossEntropy, CrossEntropyBackward, View, from_quads, to_quads};
use pixgrad::engine::objective::{self, Labels, Term};

use crate::common::{Data, check, random, run_on, tensor};
use crate::term::Case;

/// z and dz: two classes, every count of padding channels, a classifier's thousand and more than one round of a
/// workgroup's 1024, slices.
pub fn shapes() -> Vec<(View, View)> {
    let same = |n, c| (View::new(n, 1, 1, c), View::new(n, 1, 1, c));
    vec![
        same(1, 2),
        same(2, 3),
        same(3, 4),
        same(2, 5),
        same(3, 1000),
        same(2, 2050),
        (
            View::new(3, 1, 1, 24).slice(8, 10),
            View::new(3, 1, 1, 20).slice(4, 10),
        ),
    ]
}

/// Scores of some spread.
pub fn scores(seed: u64, view: View) -> Vec<f32> {
    tensor(&mut random(seed), view)
        .iter()
        .map(|v| v * 6.0)
        .collect()
}

/// A label for each image, the first and the last class among them, and a weight, one of them negative.
pub fn labels(view: View) -> (Vec<u32>, Vec<f32>) {
    let at = |i: u32| [view.c - 1, 0, view.c / 2][i as usize % 3];
    let weight = |i: u32| [1.5, -0.75, 0.25][i as usize % 3];
    (
        (0..view.n).map(at).collect(),
        (0..view.n).map(weight).collect(),
    )
}

/// −ln softmax(z)[label].
fn plain(z: &[f64], label: u32) -> f64 {
    let sum: f64 = z.iter().map(|v| v.exp()).sum();
    sum.ln() - z[label as usize]
}

#[test]
fn by_hand() {
    // Two equal scores: p = 1/2. Scores ln 1, ln 3 and label 1: p = 3/4.
    let z = View::new(2, 1, 1, 2);
    let values = to_quads(z, &[5.0, 5.0, 0.0, 3.0_f32.ln()]);
    let data = |last| {
        [
            Data::Reals(values.clone()),
            Data::Words(vec![0, 1]),
            Data::Reals(vec![1.0, 2.0]),
            last,
        ]
    };
    let out = check(&CrossEntropy { z }, &data(Data::PoisonedReals(2)));
    let expected = [2.0_f64.ln(), 2.0 * (4.0_f64 / 3.0).ln()];
    for (got, expected) in out[0].reals().iter().zip(expected) {
        assert!((got - expected).abs() <= 1e-7);
    }
    let backward = CrossEntropyBackward {
        z,
        dz: z,
        alpha: 1.0,
        accumulate: false,
    };
    let dz = from_quads(z, check(&backward, &data(Data::Poisoned(z)))[0].reals());
    for (got, expected) in dz.iter().zip([-0.5, 0.5, 0.5, -0.5]) {
        assert!((got - expected).abs() <= 1e-7);
    }
}

#[test]
fn the_reference_is_the_definition_and_the_shader_the_reference() {
    for (seed, (z, dz)) in shapes().into_iter().enumerate() {
        let input = scores(seed as u64, z);
        let (labels, weights) = labels(z);
        let planes: Vec<f64> = from_quads(z, &input).into_iter().map(f64::from).collect();
        let data = |last| {
            [
                Data::Reals(input.clone()),
                Data::Words(labels.clone()),
                Data::Reals(weights.clone()),
                last,
            ]
        };
        let kernel = CrossEntropy { z };
        let out = check(&kernel, &data(Data::PoisonedReals(z.n as usize)));
        for (i, own) in planes.chunks(z.c as usize).enumerate() {
            let expected = f64::from(weights[i]) * plain(own, labels[i]);
            let got = out[0].reals()[i];
            assert!(
                (got - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
                "{kernel:?}: image {i} has {got}, should be {expected}"
            );
        }
        for accumulate in [false, true] {
            let kernel = CrossEntropyBackward {
                z,
                dz,
                alpha: -2.0,
                accumulate,
            };
            let before = tensor(&mut random(30 + seed as u64), dz);
            let target = if accumulate {
                Data::Reals(before.clone())
            } else {
                Data::Poisoned(dz)
            };
            let out = from_quads(dz, check(&kernel, &data(target))[0].reals());
            let before = from_quads(dz, &before);
            for (at, got) in out.iter().enumerate() {
                let (i, class) = (at / z.c as usize, at % z.c as usize);
                let own = &planes[i * z.c as usize..][..z.c as usize];
                let probability = (-plain(own, class as u32)).exp();
                let hit = if class == labels[i] as usize {
                    1.0
                } else {
                    0.0
                };
                let base = if accumulate {
                    f64::from(before[at])
                } else {
                    0.0
                };
                let expected = base - 2.0 * f64::from(weights[i]) * (probability - hit);
                assert!(
                    (got - expected).abs() <= 1e-12,
                    "{kernel:?}: element {at} is {got}, should be {expected}"
                );
            }
        }
    }
}

/// Scores of a hundred overflow no exponential, and where the network is sure, neither value nor gradient cancels.
#[test]
fn great_scores_and_a_sure_network() {
    let z = View::new(4, 1, 1, 6);
    // p − 1 = 5e-18 at the label, in the f32 of all devices; then the same with the label far below the top.
    let mut scores = vec![0.0_f32; 24];
    scores[0] = 40.0;
    scores[6] = 300.0;
    scores[12..18].fill(-200.0);
    scores[18] = 17.0;
    let labels = vec![0, 1, 3, 0];
    let data = |last| {
        [
            Data::Reals(to_quads(z, &scores)),
            Data::Words(labels.clone()),
            Data::Reals(vec![1.0; 4]),
            last,
        ]
    };
    // Each image by itself: a norm over all would hide the smallest.
    let kernel = CrossEntropy { z };
    let expected = [
        (5.0 * (-40.0_f64).exp()).ln_1p(),
        300.0,
        6.0_f64.ln(),
        (5.0 * (-17.0_f64).exp()).ln_1p(),
    ];
    let slope_at_label = [-expected[0], -1.0, -5.0 / 6.0, -expected[3]];
    let backward = CrossEntropyBackward {
        z,
        dz: z,
        alpha: 1.0,
        accumulate: false,
    };
    for device in [&Device::oracle(), &Device::cpu(), &*crate::common::GPU] {
        let out = run_on(device, &kernel, &data(Data::PoisonedReals(4)));
        let dz = run_on(device, &backward, &data(Data::Poisoned(z)));
        let dz = from_quads(z, dz[0].reals());
        for i in 0..4 {
            let got = out[0].reals()[i];
            assert!(
                (got - expected[i]).abs() <= 1e-5 * expected[i],
                "{device:?}: image {i} has {got}, should be {}",
                expected[i]
            );
            let got = dz[i * 6 + labels[i] as usize];
            assert!(
                (got - slope_at_label[i]).abs() <= 1e-5 * slope_at_label[i].abs(),
                "{device:?}: image {i} has slope {got}, should be {}",
                slope_at_label[i]
            );
            let sum: f64 = dz[i * 6..][..6].iter().sum();
            assert!(sum.abs() <= 1e-5 * slope_at_label[i].abs());
        }
    }
}

#[test]
fn the_term() {
    for (seed, (z, dz)) in shapes().into_iter().enumerate() {
        let input = scores(60 + seed as u64, z);
        let (labels, weights) = labels(z);
        Case {
            name: &format!("cross_entropy {seed}"),
            x: z,
            dx: dz,
            input: &input,
            make: &|device: &Device| -> Box<dyn Term> {
                let labels = Labels::new(device, z, &labels, &weights).expect("labels");
                Box::new(objective::CrossEntropy::new(labels, 1.75))
            },
            plain: &|i, z| 1.75 * f64::from(weights[i]) * plain(z, labels[i]),
            step: 1e-4,
            error: 1e-7,
        }
        .check();
    }
}

#[test]
fn labels_that_cannot_be_are_refused() {
    let device = Device::oracle();
    let z = View::new(2, 1, 1, 1000);
    let made = Labels::new(&device, z, &[0, 999], &[1.0, -1.0]).expect("labels");
    made.set_labels(&device, &[998, 3]).expect("labels");
    made.set_weights(&device, &[0.0, 1e-3]).expect("weights");
    let wrong = |scores: View, labels: &[u32], weights: &[f32]| {
        let made = Labels::new(&device, scores, labels, weights);
        made.expect_err("it cannot be").to_string()
    };
    assert_eq!(
        wrong(View::new(2, 13, 14, 1000), &[0, 0], &[1.0, 1.0]),
        "a class is judged by one score for each class, and this layer has 13×14 of them: take `logits`, or a smaller \
         image where `logits` itself has several"
    );
    assert_eq!(
        wrong(View::new(2, 1, 1, 1), &[0, 0], &[1.0, 1.0]),
        "a class is judged against others, and this layer has one channel only"
    );
    assert_eq!(
        wrong(z, &[0, 1000], &[1.0, 1.0]),
        "there is no class 1000: the classes are 0 to 999"
    );
    assert_eq!(
        wrong(z, &[0], &[1.0, 1.0]),
        "1 labels for 2 images: give one for each"
    );
    assert_eq!(
        wrong(z, &[0, 1], &[1.0, f32::NAN]),
        "a weight is NaN: it must be a finite number"
    );
}
