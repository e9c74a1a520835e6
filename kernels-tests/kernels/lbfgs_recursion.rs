//! lbfgs_recursion: every decision by hand, all in one batch, and the direction against the two loops over vectors.

use pixgrad::engine::kernels::LbfgsRecursion;
use rand::Rng;

use crate::common::lbfgs_plain::two_loops;
use crate::common::oracle::dot;
use crate::common::{Data, Output, check, check_within, random};

/// One image before an iteration, with a history of two pairs, and what must become of it.
#[derive(Clone)]
struct Image {
    what: &'static str,
    /// Status, head, count, rejected, evaluations, accepted, resets, skipped.
    words: [u32; 8],
    /// Value, step length, squared gradient, radius.
    scalars: [f32; 4],
    losses: [f32; 2],
    /// ss, sy, ys, yy, qs, qy, qq, ⟨g₀,s⟩ of the trial.
    own: [f32; 8],
    expect_words: [u32; 8],
    /// As `scalars`.
    expect_scalars: [f64; 4],
    /// The coefficients of s_0, s_1, y_0, y_1 and q; action; slot.
    expect: ([f64; 5], f64, f64),
}

const KEEP: f64 = 0.0;
const ACCEPT: f64 = 1.0;
const RESTART: f64 = 2.0;
const WAIT: f64 = 3.0;

/// 16 elements, a first step of 0.5: a steepest direction is 0.5·4/‖q‖ times −q.
fn kernel(n: u32) -> LbfgsRecursion {
    LbfgsRecursion {
        n,
        history: 2,
        slots: 2,
        elements: 16,
        step_size: 0.5,
    }
}

/// Value 10 at the base and ⟨g₀,s⟩ = −1; a trial of value 9 with ‖q‖ = 2 is accepted and its pair stored.
fn running() -> Image {
    Image {
        what: "accepted, the first pair",
        words: [1, 0, 0, 3, 7, 2, 0, 0],
        scalars: [10.0, 0.25, 9.0, 0.125],
        losses: [4.0, 5.0],
        own: [4.0, 1.0, 1.0, 0.5, -0.5, 0.25, 4.0, -1.0],
        expect_words: [1, 1, 1, 0, 8, 3, 0, 0],
        expect_scalars: [9.0, 1.0, 4.0, 0.125],
        // α = −qs/sy = 0.5, on y: −0.5; γ = 2: −2 on q and −1 on y; β = −2·qy − yy = −1; on s: α − β = 1.5.
        expect: ([1.5, 0.0, -1.0, 0.0, -2.0], ACCEPT, 0.0),
    }
}

/// No pair in the history, and the trial is rejected.
fn rejected(what: &'static str, losses: [f32; 2], factor: f64) -> Image {
    Image {
        what,
        losses,
        expect_words: [1, 0, 0, 4, 8, 2, 0, 0],
        expect_scalars: [10.0, 0.25 * factor, 9.0, 0.125],
        expect: ([0.0; 5], KEEP, 2.0),
        ..running()
    }
}

/// Nothing but the evaluation is counted, whatever the trial was.
fn stays(image: Image) -> Image {
    let mut expect_words = image.words;
    expect_words[0] = 2;
    expect_words[4] += 1;
    Image {
        expect_words,
        expect_scalars: [10.0, 0.0, 9.0, 0.125],
        expect: ([0.0; 5], KEEP, 2.0),
        ..image
    }
}

fn images() -> Vec<Image> {
    let begins = Image {
        what: "the first iteration",
        words: [0; 8],
        scalars: [0.0; 4],
        expect_words: [1, 0, 0, 0, 1, 0, 0, 0],
        expect_scalars: [9.0, 1.0, 4.0, 0.5],
        expect: ([0.0, 0.0, 0.0, 0.0, -1.0], ACCEPT, 2.0),
        ..running()
    };
    let waits = |what, losses, qq| {
        let mut image = Image {
            what,
            losses,
            expect_words: [0, 0, 0, 0, 1, 0, 0, 0],
            expect_scalars: [0.0; 4],
            expect: ([0.0; 5], WAIT, 2.0),
            ..begins.clone()
        };
        image.own[6] = qq;
        image
    };
    let no_number = |mut image: Image| {
        image.what = "the gradient is no number";
        image.own[4..7].fill(f32::NAN);
        image.losses = [4.0, 5.0];
        image
    };
    let flat = |mut image: Image, sy: f32| {
        image.own[1] = sy;
        image.own[2] = sy;
        image
    };
    let with_a_pair = Image {
        words: [1, 1, 1, 3, 7, 2, 0, 0],
        ..running()
    };
    let last_chance = Image {
        words: [1, 1, 1, 19, 7, 2, 0, 0],
        losses: [40.0, 5.0],
        expect_words: [1, 1, 0, 0, 8, 2, 1, 0],
        expect_scalars: [10.0, 1.0, 9.0, 0.5],
        // 0.5·4/3 times the gradient of the base.
        expect: ([0.0, 0.0, 0.0, 0.0, -2.0 / 3.0], RESTART, 2.0),
        ..running()
    };
    vec![
        running(),
        begins.clone(),
        waits("the first loss is no number", [f32::NAN, 1.0], 4.0),
        waits("the first loss is infinite", [f32::INFINITY, 1.0], 4.0),
        waits("the first gradient is no number", [4.0, 5.0], f32::NAN),
        waits("the first gradient is infinite", [4.0, 5.0], f32::INFINITY),
        Image {
            what: "the start is stationary",
            own: [4.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0, -1.0],
            expect_words: [2, 0, 0, 0, 1, 0, 0, 0],
            expect_scalars: [9.0, 0.0, 0.0, 0.5],
            expect: ([0.0; 5], ACCEPT, 2.0),
            ..begins
        },
        // f − f₀ − ⟨g₀,s⟩ = 2: the parabola's minimum is at a quarter.
        rejected("rejected", [6.0, 5.0], 0.25),
        rejected("rejected by far", [600.0, 5.0], 0.1),
        rejected("hardly rejected", [5.0, 5.0], 0.5),
        rejected("the loss is no number", [f32::NAN, 5.0], 0.1),
        rejected("the loss is infinite", [f32::INFINITY, 5.0], 0.1),
        no_number(rejected("", [4.0, 5.0], 0.1)),
        last_chance.clone(),
        Image {
            what: "nothing moves",
            words: [1, 1, 1, 3, 7, 2, 0, 0],
            own: [0.0; 8],
            ..last_chance
        },
        stays(Image {
            what: "the last chance of steepest descent",
            words: [1, 0, 0, 19, 7, 2, 0, 0],
            losses: [40.0, 5.0],
            ..running()
        })
        .counted(20),
        stays(Image {
            what: "stopped",
            words: [2, 0, 0, 20, 7, 2, 0, 0],
            ..running()
        }),
        Image {
            what: "no curvature, no pair before: steepest descent goes faster",
            expect_words: [1, 0, 0, 0, 8, 3, 0, 1],
            expect_scalars: [9.0, 1.0, 4.0, 0.25],
            expect: ([0.0, 0.0, 0.0, 0.0, -0.5], ACCEPT, 2.0),
            ..flat(running(), -0.5)
        },
        Image {
            what: "no curvature, but a pair",
            expect_words: [1, 1, 1, 0, 8, 3, 0, 1],
            // With the stored pair, qs = 0.5 and qy = 0.25: α = −0.5, β = 0.
            expect: ([-0.5, 0.0, 1.0, 0.0, -2.0], ACCEPT, 2.0),
            ..flat(with_a_pair.clone(), 1e-7)
        },
        Image {
            what: "a rise below rounding, and the slope agrees",
            losses: [5.0, 5.000_005],
            // The value stays the least one.
            expect_words: [1, 1, 1, 0, 8, 3, 0, 1],
            expect_scalars: [10.0, 1.0, 4.0, 0.125],
            expect: ([-0.5, 0.0, 1.0, 0.0, -2.0], ACCEPT, 2.0),
            ..flat(with_a_pair.clone(), 1e-7)
        },
        Image {
            what: "a rise below rounding, but the slope has turned up",
            losses: [5.0, 5.000_005],
            own: [4.0, 1.0, 1.0, 0.5, 1.5, 0.25, 4.0, -1.0],
            expect_words: [1, 1, 1, 4, 8, 2, 0, 0],
            expect_scalars: [10.0, 0.125, 9.0, 0.125],
            expect: ([0.0; 5], KEEP, 2.0),
            ..with_a_pair
        },
        rejected(
            "a rise below rounding of steepest descent",
            [5.0, 5.000_005],
            0.5,
        ),
        // Products that no vectors have: α = −1, d = −q + y + 3s, ⟨q,d⟩ = −1 + 5 + 3.
        Image {
            what: "the direction goes up",
            own: [1.0, 1.0, 1.0, 1.0, 1.0, 5.0, 1.0, -1.0],
            expect_words: [1, 1, 0, 0, 8, 3, 1, 0],
            expect_scalars: [9.0, 1.0, 1.0, 0.5],
            expect: ([0.0, 0.0, 0.0, 0.0, -2.0], ACCEPT, 0.0),
            ..running()
        },
    ]
}

impl Image {
    fn counted(mut self, rejected: u32) -> Self {
        self.expect_words[3] = rejected;
        self
    }
}

#[test]
fn every_decision() {
    let images = images();
    let n = images.len();
    // Products of the stored pair, and its Gram matrix: ss = 4, sy = 1, yy = 0.5.
    let pair = [0.3, 0.2, 0.2, 0.1, 0.5, 0.25, 4.0, -1.0];
    let gram = {
        let mut gram = [0.0; 16];
        for (at, value) in [(0, 4.0), (2, 1.0), (8, 1.0), (10, 0.5)] {
            gram[at] = value;
        }
        gram
    };
    let products = images.iter().flat_map(|i| [pair, [0.0; 8], i.own].concat());
    let data = [
        Data::Reals(images.iter().flat_map(|i| i.losses).collect()),
        Data::Reals(products.collect()),
        Data::Reals(gram.repeat(n)),
        Data::Reals(images.iter().flat_map(|i| i.scalars).collect()),
        Data::Words(images.iter().flat_map(|i| i.words).collect()),
        Data::PoisonedReals(8 * n),
    ];
    let out = check(&kernel(n as u32), &data);
    let finite = |output: &Output| output.reals().iter().all(|v| v.is_finite());
    assert!(finite(&out[0]) && finite(&out[1]) && finite(&out[3]));
    let near = |got: &[f64], expected: &[f64]| {
        got.iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(0.1))
    };
    for (i, image) in images.iter().enumerate() {
        let what = image.what;
        assert_eq!(out[2].words()[8 * i..][..8], image.expect_words, "{what}");
        let scalars = &out[1].reals()[4 * i..][..4];
        assert!(near(scalars, &image.expect_scalars), "{what}: {scalars:?}");
        let (coefficients, action, slot) = image.expect;
        let expected = [&coefficients[..], &[image.expect_scalars[1], action, slot]].concat();
        let got = &out[3].reals()[8 * i..][..8];
        assert!(near(got, &expected), "{what}: {got:?} is not {expected:?}");
    }
}

/// Steps over a convex quadratic, two images at a time, until the ring has gone round: each direction is that of the
/// plain two loops over the vectors.
#[test]
fn the_direction_is_that_of_the_two_loops() {
    const LEN: usize = 24;
    for (history, steps) in [(1, 4), (3, 9), (10, 14), (127, 5)] {
        let m = history as usize;
        let recursion = LbfgsRecursion {
            n: 2,
            history,
            slots: 1,
            elements: LEN as u32,
            step_size: 0.1,
        };
        let mut rng = random(u64::from(history));
        let mut vector = || -> Vec<f64> { (0..LEN).map(|_| rng.random_range(-1.0..1.0)).collect() };
        // The ring of each image as it is on the device, and the pairs in order.
        let mut slots = vec![vec![(vec![0.0; LEN], vec![0.0; LEN]); m]; 2];
        let mut pairs: Vec<Vec<(Vec<f64>, Vec<f64>)>> = vec![Vec::new(); 2];
        let mut gram = vec![0.0f32; 2 * 4 * m * m];
        let mut scalars = vec![0.0f32; 8];
        let mut words = vec![0u32; 16];
        for step in 0..steps {
            let mut products = Vec::new();
            let mut new = Vec::new();
            for slots in &slots {
                let s = vector();
                let y: Vec<f64> = s
                    .iter()
                    .enumerate()
                    .map(|(i, s)| s * (1.0 + (i % 4) as f64))
                    .collect();
                let q = vector();
                for (v, w) in slots.iter().chain([&(s.clone(), y.clone())]) {
                    let row = [
                        (&s, v),
                        (&s, w),
                        (&y, v),
                        (&y, w),
                        (&q, v),
                        (&q, w),
                        (&q, &q),
                    ];
                    products.extend(row.map(|(a, b)| dot(a, b) as f32));
                    products.push(-1.0);
                }
                new.push((s, y, q));
            }
            let value = 10.0 - step as f32;
            let data = [
                Data::Reals(vec![value; 2]),
                Data::Reals(products),
                Data::Reals(gram.clone()),
                Data::Reals(scalars.clone()),
                Data::Words(words.clone()),
                Data::PoisonedReals(2 * (2 * m + 4)),
            ];
            // A recursion of `history` steps on products in f32, each of which is rounded.
            let out = check_within(&recursion, &data, 1e-4);
            let narrow = |i: usize| -> Vec<f32> {
                let reals: &[f64] = out[i].reals();
                reals.iter().map(|v| *v as f32).collect()
            };
            gram = narrow(0);
            scalars = narrow(1);
            words = out[2].words().to_vec();
            for (image, (s, y, q)) in new.into_iter().enumerate() {
                let row = &out[3].reals()[image * (2 * m + 4)..][..2 * m + 4];
                assert_eq!(row[2 * m + 2], 1.0, "accepted");
                if step > 0 {
                    let slot = row[2 * m + 3] as usize;
                    assert_eq!(slot, (step - 1) % m);
                    slots[image][slot] = (s.clone(), y.clone());
                    pairs[image].push((s, y));
                    if pairs[image].len() > m {
                        pairs[image].remove(0);
                    }
                }
                let expected = if step == 0 {
                    let scale = 0.1 * (LEN as f64).sqrt() / dot(&q, &q).sqrt();
                    q.iter().map(|q| -scale * q).collect()
                } else {
                    two_loops(&pairs[image], &q)
                };
                let d: Vec<f64> = (0..LEN)
                    .map(|i| {
                        let of_pairs = slots[image].iter().enumerate();
                        row[2 * m] * q[i]
                            + of_pairs
                                .map(|(j, (s, y))| row[j] * s[i] + row[m + j] * y[i])
                                .sum::<f64>()
                    })
                    .collect();
                let off: Vec<f64> = d.iter().zip(&expected).map(|(a, b)| a - b).collect();
                let error = (dot(&off, &off) / dot(&expected, &expected)).sqrt();
                // The products were rounded to f32.
                assert!(
                    error <= 1e-4,
                    "history {history}, step {step}: off by {error:e}"
                );
            }
        }
    }
}
