//! margin: value and gradient against the definition, ties, the clamp, finite differences and the shaders; the term.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Margin, MarginBackward, View, from_quads, to_quads};
use pixgrad::engine::objective::{self, Labels, Term};

use crate::common::{Data, check, random, tensor};
use crate::cross_entropy::{labels, scores, shapes};
use crate::term::Case;

/// The best class but the label, lowest index of equals, and sign·(its score − the label's).
fn plain(z: &[f64], label: usize, targeted: bool) -> (usize, f64) {
    let mut best = None;
    for class in 0..z.len() {
        if class != label && best.is_none_or(|best: usize| z[class] > z[best]) {
            best = Some(class);
        }
    }
    let best = best.expect("two classes");
    let margin = z[best] - z[label];
    (best, if targeted { margin } else { -margin })
}

/// Checks value and gradient of every image, weights as given, on all devices.
fn check_against_plain(margin: Margin, dz: View, input: &[f32], labels: &[u32], weights: &[f32]) {
    let z = margin.z;
    let classes = z.c as usize;
    let planes: Vec<f64> = from_quads(z, input).into_iter().map(f64::from).collect();
    let data = |last| {
        [
            Data::Reals(input.to_vec()),
            Data::Words(labels.to_vec()),
            Data::Reals(weights.to_vec()),
            last,
        ]
    };
    let out = check(&margin, &data(Data::PoisonedReals(z.n as usize)));
    let least = -f64::from(margin.confidence);
    let answers: Vec<(usize, f64)> = planes
        .chunks(classes)
        .zip(labels)
        .map(|(z, label)| plain(z, *label as usize, margin.targeted))
        .collect();
    for (i, (_, m)) in answers.iter().enumerate() {
        let expected = f64::from(weights[i]) * m.max(least);
        let got = out[0].reals()[i];
        assert!(
            (got - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
            "{margin:?}: image {i} has {got}, should be {expected}"
        );
    }
    for accumulate in [false, true] {
        let kernel = MarginBackward {
            forward: margin,
            dz,
            alpha: 2.5,
            accumulate,
        };
        let before = tensor(&mut random(5), dz);
        let target = if accumulate {
            Data::Reals(before.clone())
        } else {
            Data::Poisoned(dz)
        };
        let out = from_quads(dz, check(&kernel, &data(target))[0].reals());
        let before = from_quads(dz, &before);
        for (at, got) in out.iter().enumerate() {
            let (i, class) = (at / classes, at % classes);
            let (other, m) = answers[i];
            let sign = if margin.targeted { 2.5 } else { -2.5 };
            let mut expected = if accumulate {
                f64::from(before[at])
            } else {
                0.0
            };
            if m >= least && class == other {
                expected += sign * f64::from(weights[i]);
            }
            if m >= least && class == labels[i] as usize {
                expected -= sign * f64::from(weights[i]);
            }
            assert!(
                (got - expected).abs() <= 1e-12,
                "{kernel:?}: element {at} is {got}, should be {expected}"
            );
        }
    }
}

#[test]
fn by_hand() {
    // The best class but 1 is 2, the first of two equals; 1 is 3 below it.
    let z = View::new(1, 1, 1, 5);
    let values = to_quads(z, &[1.0, 4.0, 7.0, -2.0, 7.0]);
    for (targeted, confidence, expected, slope) in [
        (true, 0.0, 3.0, 1.0),
        (false, 0.0, 0.0, 0.0),
        (false, 2.0, -2.0, 0.0),
        (false, 3.0, -3.0, -1.0),
        (false, 5.0, -3.0, -1.0),
    ] {
        let margin = Margin {
            z,
            targeted,
            confidence,
        };
        let data = |last| {
            [
                Data::Reals(values.clone()),
                Data::Words(vec![1]),
                Data::Reals(vec![2.0]),
                last,
            ]
        };
        let out = check(&margin, &data(Data::PoisonedReals(1)));
        assert_eq!(out[0].reals(), [2.0 * expected], "{margin:?}");
        let backward = MarginBackward {
            forward: margin,
            dz: z,
            alpha: 1.0,
            accumulate: false,
        };
        let dz = from_quads(z, check(&backward, &data(Data::Poisoned(z)))[0].reals());
        let slope = 2.0 * slope;
        assert_eq!(dz, [0.0, -slope, slope, 0.0, 0.0], "{margin:?}");
    }
}

#[test]
fn the_definition_everywhere() {
    for (seed, (z, dz)) in shapes().into_iter().enumerate() {
        let (labels, weights) = labels(z);
        let input = scores(seed as u64, z);
        for targeted in [true, false] {
            for confidence in [0.0, 4.0, 100.0] {
                let margin = Margin {
                    z,
                    targeted,
                    confidence,
                };
                check_against_plain(margin, dz, &input, &labels, &weights);
            }
        }
    }
}

/// Many equal scores all over the classes: the lowest index wins, on every device.
#[test]
fn ties() {
    for (seed, (z, dz)) in shapes().into_iter().enumerate() {
        let (labels, weights) = labels(z);
        let margin = Margin {
            z,
            targeted: true,
            confidence: 1.0,
        };
        let input: Vec<f32> = tensor(&mut random(seed as u64), z)
            .iter()
            .map(|v| (v * 2.0).round())
            .collect();
        check_against_plain(margin, dz, &input, &labels, &weights);
        let all_equal: Vec<f32> = to_quads(z, &vec![-3.0; z.elements()]);
        check_against_plain(margin, dz, &all_equal, &labels, &weights);
    }
}

#[test]
fn the_term() {
    for (seed, (z, dz)) in shapes().into_iter().enumerate() {
        for (targeted, confidence) in [(true, 0.5), (false, 0.5), (false, 50.0)] {
            let input = scores(60 + seed as u64, z);
            let (labels, weights) = labels(z);
            let least = -f64::from(confidence);
            Case {
                name: &format!("margin {seed}, targeted {targeted}, confidence {confidence}"),
                x: z,
                dx: dz,
                input: &input,
                make: &|device: &Device| -> Box<dyn Term> {
                    let labels = Labels::new(device, z, &labels, &weights).expect("labels");
                    Box::new(objective::Margin::new(labels, targeted, confidence, -1.75))
                },
                plain: &|i, z| {
                    let m = plain(z, labels[i] as usize, targeted).1.max(least);
                    -1.75 * f64::from(weights[i]) * m
                },
                // So small that neither the best class nor the clamp changes.
                step: 1e-6,
                error: 1e-8,
            }
            .check();
        }
    }
}
