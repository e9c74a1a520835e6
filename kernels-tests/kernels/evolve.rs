//! evolve: breeding against plain arithmetic and in its statistics, judging and replacing against plain loops, whole
//! generations on every device.

use pixgrad::engine::device::{Device, Kind, Recording};
use pixgrad::engine::kernels::random::{random, uniform};
use pixgrad::engine::kernels::{Breed, Judge, Replace, Tensor, View, from_quads};
use pixgrad::engine::optim::{Elites, Evolve};
use rand::Rng;

use crate::common::recorded::{Recorded, devices, is_oracle};
use crate::common::{Data, check, run_on, tensor, uniform as reals};

fn breed(x: View, niches: u32) -> Breed {
    Breed {
        x,
        niches,
        seed: 7,
        mutation_rate: 0.1,
        halving: 1000,
        mutation_eta: 15.0,
        crossover_rate: 0.5,
        crossover_eta: 10.0,
    }
}

/// Words of elites: three random bytes each.
fn elites(niches: u32, view: View, seed: u64) -> Vec<u32> {
    let mut rng = crate::common::random(seed);
    let len = niches * view.h * view.w;
    (0..len).map(|_| rng.random_range(0..1 << 24)).collect()
}

/// What is bred, `[n,c,h,w]`, after every device has been held against the oracle.
fn bred(kernel: Breed, step: u32, elites: &[u32]) -> Vec<f64> {
    let data = [
        Data::Words(vec![step]),
        Data::Words(elites.to_vec()),
        Data::Poisoned(kernel.x),
    ];
    from_quads(kernel.x, check(&kernel, &data)[0].reals())
}

/// Shapes with the number of niches.
fn shapes() -> [(View, u32); 4] {
    [
        (View::new(1, 1, 1, 3), 1),
        (View::new(3, 5, 7, 3), 2),
        (View::new(5, 33, 31, 3), 11),
        (View::new(2, 9, 4, 12).slice(4, 3), 5),
    ]
}

/// The first generation is noise of 8 bits, the same bits on every device, whatever the elites are.
#[test]
fn the_first_generation_is_noise_of_8_bits() {
    for (x, niches) in shapes() {
        let kernel = breed(x, niches);
        let values = bred(kernel, 0, &elites(niches, x, 1));
        let pixels = (x.h * x.w) as usize;
        for (i, value) in values.iter().enumerate() {
            let (image, channel, pixel) = (i / pixels / 3, i / pixels % 3, i % pixels);
            let word = random(7, 0, image as u32, 3 * pixel as u32)[channel];
            assert_eq!(*value, f64::from(word >> 24) / 255.0, "{x:?} {i}");
        }
    }
}

/// Every gene again, by the formulas of the papers, and every choice from the words that it is drawn from.
#[test]
fn genes_are_crossed_and_mutated_by_the_papers_formulas() {
    for (x, niches) in shapes() {
        for (step, kernel) in [
            (1, breed(x, niches)),
            (
                2500,
                Breed {
                    mutation_rate: 1.0,
                    crossover_rate: 1.0,
                    mutation_eta: 2.0,
                    ..breed(x, niches)
                },
            ),
            (
                1,
                Breed {
                    mutation_rate: 0.0,
                    crossover_rate: 1.0,
                    crossover_eta: 0.5,
                    ..breed(x, niches)
                },
            ),
        ] {
            let words = elites(niches, x, 2);
            let values = bred(kernel, step, &words);
            let pixels = x.h * x.w;
            let rate = f64::from(kernel.mutation_rate) / 2f64.powi((step / 1000) as i32);
            for image in 0..x.n {
                let parents = random(7, step, image, 3 * pixels);
                let parent = |which: usize, pixel: u32, channel: u32| {
                    let elite = (parents[which] >> 8) % niches;
                    let word = words[(elite * pixels + pixel) as usize];
                    f64::from(word >> (8 * channel) & 255) / 255.0
                };
                let two = f64::from(parents[2]) < f64::from(kernel.crossover_rate) * 2f64.powi(32);
                for pixel in 0..pixels {
                    let draw = |which| random(7, step, image, 3 * pixel + which);
                    for channel in 0..3 {
                        let c = channel as usize;
                        let (a, b) = (parent(0, pixel, channel), parent(1, pixel, channel));
                        let mut gene = a;
                        if two {
                            let u = f64::from(uniform(draw(1)[c]));
                            let q = 1.0 / (f64::from(kernel.crossover_eta) + 1.0);
                            let beta = if u < 0.5 {
                                (2.0 * u).powf(q)
                            } else {
                                (1.0 / (2.0 * (1.0 - u))).powf(q)
                            };
                            // The two children of SBX, and the gene that is left as it is.
                            gene = match draw(0)[3] >> (24 + 2 * channel) & 3 {
                                0 => 0.5 * ((1.0 + beta) * a + (1.0 - beta) * b),
                                1 => 0.5 * ((1.0 - beta) * a + (1.0 + beta) * b),
                                _ => a,
                            };
                            gene = gene.clamp(0.0, 1.0);
                        }
                        if f64::from(draw(0)[c]) < rate * 2f64.powi(32) {
                            let u = f64::from(uniform(draw(2)[c]));
                            let r = 1.0 / (f64::from(kernel.mutation_eta) + 1.0);
                            gene += if u < 0.5 {
                                (2.0 * u).powf(r) - 1.0
                            } else {
                                1.0 - (2.0 * (1.0 - u)).powf(r)
                            };
                            gene = gene.clamp(0.0, 1.0);
                        }
                        let at = ((image * 3 + channel) * pixels + pixel) as usize;
                        let off = (values[at] - gene).abs();
                        assert!(off < 1e-6, "{kernel:?} {at}: {} {gene}", values[at]);
                    }
                }
            }
        }
    }
}

/// Shares and sizes of the changes of many genes, within five standard deviations.
#[test]
fn shares_are_those_asked_for() {
    let x = View::new(40, 32, 32, 3);
    let count = x.elements() as f64;
    let grey = vec![0x80_8080; 2 * 32 * 32];
    let changed = |step, kernel: &Breed| {
        let data = [
            Data::Words(vec![step]),
            Data::Words(grey.clone()),
            Data::Poisoned(x),
        ];
        let out = run_on(&Device::oracle(), kernel, &data);
        let changes: Vec<f64> = from_quads(x, out[0].reals())
            .iter()
            .map(|v| v - 128.0 / 255.0)
            .collect();
        changes
    };
    for (step, share) in [(1, 0.1), (999, 0.1), (1000, 0.05), (3500, 0.0125)] {
        let changes = changed(step, &breed(x, 2));
        let mutated = changes.iter().filter(|d| d.abs() > 1e-12).count() as f64 / count;
        let deviation = (share * (1.0 - share) / count).sqrt();
        assert!(
            (mutated - share).abs() < 5.0 * deviation,
            "{step}: {mutated}"
        );
        let all: Vec<f64> = changes.into_iter().filter(|d| d.abs() > 1e-12).collect();
        // E|δ| = 1/(η + 2), and δ is symmetric.
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let size = all.iter().map(|d| d.abs()).sum::<f64>() / all.len() as f64;
        let bound = 5.0 * 0.06 / (all.len() as f64).sqrt();
        assert!(mean.abs() < bound * 1.5, "{mean}");
        assert!((size - 1.0 / 17.0).abs() < bound, "{size}");
    }
    // Half of the images have two parents, half of these two different ones; of their genes half are crossed, half of
    // these near the other parent.
    let x = View::new(400, 16, 16, 3);
    let kernel = Breed {
        mutation_rate: 0.0,
        crossover_rate: 0.5,
        ..breed(x, 2)
    };
    let two = [vec![0x40_4040; 256], vec![0xc0_c0c0; 256]].concat();
    let data = [Data::Words(vec![1]), Data::Words(two), Data::Poisoned(x)];
    let out = run_on(&Device::oracle(), &kernel, &data);
    let values = from_quads(x, out[0].reals());
    let mut crossed = 0;
    for (image, values) in (0..).zip(values.chunks(768)) {
        let parents = random(7, 1, image, 768);
        let level = |parent: u32| if (parent >> 8).is_multiple_of(2) { 64.0 } else { 192.0 } / 255.0;
        let (own, other): (f64, f64) = (level(parents[0]), level(parents[1]));
        let share =
            |test: &dyn Fn(f64) -> bool| values.iter().filter(|v| test(**v)).count() as f64 / 768.0;
        // A crossing of equals rounds.
        let kept = share(&|v| (v - own).abs() < 1e-12);
        if kept == 1.0 {
            continue;
        }
        crossed += 1;
        let near = share(&|v| (v - other).abs() < (v - own).abs());
        assert!((kept - 0.5).abs() < 5.0 * 0.018, "{kept}");
        assert!((near - 0.25).abs() < 5.0 * 0.0157, "{near}");
    }
    assert!((57..=143).contains(&crossed), "{crossed} of about 100");
}

#[test]
fn the_best_answer_wins_each_niche() {
    // By hand: three images, four niches.
    let nan = f32::NAN;
    #[rustfmt::skip]
    let scores = [
        0.1, 0.5, nan, nan,
        0.3, 0.5, -1.0, nan,
        0.3, 0.2, -2.0, nan,
    ];
    let kernel = Judge {
        scores: View::new(3, 1, 1, 4),
    };
    let judged = |step, best: [f32; 4]| {
        let data = [
            Data::Reals(scores.to_vec()),
            Data::Words(vec![step]),
            Data::Reals(best.to_vec()),
            Data::PoisonedWords(4),
        ];
        let out = check(&kernel, &data);
        (out[0].reals().to_vec(), out[1].words().to_vec())
    };
    let (best, winner) = judged(0, [9.0; 4]);
    assert_eq!(winner, [1, 0, 1, 3]);
    assert_eq!(best[0], f64::from(0.3f32));
    assert_eq!(best[1..], [0.5, -1.0, f64::from(Judge::LOWEST)]);
    let (best, winner) = judged(5, [0.3, 0.25, -1.5, 0.0]);
    assert_eq!(winner, [3, 0, 1, 3], "an equal score does not replace");
    assert_eq!(best, [f64::from(0.3f32), 0.5, -1.0, 0.0]);

    for (n, niches) in [(1, 1), (7, 255), (20, 257), (3, 1000)] {
        for view in [
            View::new(n, 1, 1, niches),
            View::new(n, 1, 1, niches + 24).slice(8, niches),
        ] {
            let mut rng = crate::common::random(u64::from(n));
            let (scores, before) = (tensor(&mut rng, view), reals(&mut rng, niches as usize));
            let data = [
                Data::Reals(scores.clone()),
                Data::Words(vec![3]),
                Data::Reals(before.clone()),
                Data::PoisonedWords(niches as usize),
            ];
            let out = check(&Judge { scores: view }, &data);
            let of = |i: u32, niche: usize| scores[view.at(i as usize, 0, 0) + niche];
            for (niche, before) in before.iter().enumerate() {
                let all = (0..n).map(|i| of(i, niche));
                let most = all.fold(*before, f32::max);
                let first = (0..n).find(|i| most > *before && of(*i, niche) == most);
                assert_eq!(out[0].reals()[niche], f64::from(most));
                assert_eq!(out[1].words()[niche], first.unwrap_or(n));
            }
        }
    }
}

#[test]
fn winners_replace_elites() {
    for (x, niches) in shapes() {
        let mut rng = crate::common::random(4);
        let mut values = tensor(&mut rng, x);
        for value in &mut values {
            // Levels of 8 bits, and a few values beyond the range.
            *value = (*value * 300.0).round() / 255.0;
        }
        let before = elites(niches, x, 3);
        let winner: Vec<u32> = (0..niches).map(|_| rng.random_range(0..=x.n)).collect();
        let data = [
            Data::Reals(values.clone()),
            Data::Words(winner.clone()),
            Data::Words(before.clone()),
        ];
        let out = check(&Replace { x, niches }, &data);
        let each = (x.h * x.w) as usize;
        for (i, word) in out[0].words().iter().enumerate() {
            let image = winner[i / each] as usize;
            let expected = if image == x.n as usize {
                before[i]
            } else {
                let at = x.at(image, i % each / x.w as usize, i % each % x.w as usize);
                let byte = |c: usize| (values[at + c].clamp(0.0, 1.0) * 255.0).round() as u32;
                byte(0) | byte(1) << 8 | byte(2) << 16
            };
            assert_eq!(*word, expected, "{x:?} {i}");
        }
    }
}

/// Generations on every device, judged by the images' own means: each niche's score never falls and grows much, and it
/// is the score of the elite that is kept.
#[test]
fn generations_improve_every_niche() {
    let view = View::new(24, 6, 5, 3);
    let niches = 3;
    for device in devices() {
        let mut recording = Recording::new();
        let step = recording.persistent("step", Kind::Word, 1);
        let kept = Elites::new(&mut recording, niches, view);
        let image = kept.breed(&mut recording, Evolve::default(), view, step);
        // The mean red, green and blue.
        let mean = Tensor::transient(&mut recording, "mean", View::new(24, 1, 1, 3));
        let pool = pixgrad::engine::kernels::AdaptiveAvgPool {
            x: view,
            y: mean.view,
            scale: 1.0,
        };
        recording.call("mean", pool, &[image.value, mean.value]);
        kept.challenge(&mut recording, image, mean, step);
        let run = Recorded::new(device, recording);
        let mut history: Vec<Vec<f64>> = Vec::new();
        let generations = if is_oracle(device) { 60 } else { 25 };
        for t in 0..generations {
            run.set_words(step, &[t]);
            run.iterate();
            history.push(run.get(kept.best));
        }
        for pair in history.windows(2) {
            assert!(pair[0].iter().zip(&pair[1]).all(|(a, b)| a <= b));
        }
        let (first, last) = (&history[0], &history[history.len() - 1]);
        for niche in 0..niches as usize {
            assert!(last[niche] > first[niche] + 0.05, "{device:?} {history:?}");
        }
        let words = run.words(kept.images);
        for niche in 0..niches as usize {
            let elite = &words[niche * 30..(niche + 1) * 30];
            let levels = elite.iter().map(|word| word >> (8 * niche) & 255);
            let mean = f64::from(levels.sum::<u32>()) / 30.0 / 255.0;
            assert!((mean - last[niche]).abs() < 1e-6, "{device:?} {niche}");
        }
    }
}
