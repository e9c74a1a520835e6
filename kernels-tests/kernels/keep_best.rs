//! keep_best: the decision and the copy by hand and against plain loops; whole attacks over several iterations.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{DecideBest, KeepBest, Tensor, View, from_quads, to_quads};
use pixgrad::engine::optim::record_keep_best;
use rand::Rng;

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, site};
use crate::common::{Data, check, random, tensor};

const MAX: f64 = DecideBest::FARTHEST as f64;

/// The decision on every device: best distances and flags.
fn decide(
    kernel: DecideBest,
    losses: &[f32],
    distances: &[f32],
    step: u32,
    best: &[f32],
) -> (Vec<f64>, Vec<u32>) {
    let data = [
        Data::Reals(losses.to_vec()),
        Data::Reals(distances.to_vec()),
        Data::Words(vec![step]),
        Data::Reals(best.to_vec()),
        Data::PoisonedWords(best.len()),
    ];
    let out = check(&kernel, &data);
    (out[0].reals().to_vec(), out[1].words().to_vec())
}

#[test]
fn by_hand() {
    let kernel = DecideBest {
        n: 8,
        slots: 2,
        slot: 1,
        threshold: -0.5,
    };
    // Slot 0 would decide the other way. Success and nearer; at the threshold; above it; as near as before; farther;
    // a loss, then a distance that is no number; an infinite distance.
    let nan = f32::NAN;
    let losses = [
        [9.0, -1.0],
        [9.0, -0.5],
        [-9.0, -0.25],
        [9.0, -1.0],
        [9.0, -1.0],
        [-9.0, nan],
        [9.0, -1.0],
        [9.0, f32::NEG_INFINITY],
    ]
    .concat();
    let distances = [1.0, 1.5, 1.0, 2.0, 3.0, 1.0, nan, f32::INFINITY];
    let (best, keep) = decide(kernel, &losses, &distances, 7, &[2.0; 8]);
    assert_eq!(best, [1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    assert_eq!(keep, [1, 1, 0, 0, 0, 0, 0, 0]);
    // In iteration 0 nothing was kept before, whatever the buffer holds, and every image is the best so far.
    let (best, keep) = decide(kernel, &losses, &distances, 0, &[0.5; 8]);
    assert_eq!(best, [1.0, 1.5, MAX, 2.0, 3.0, MAX, MAX, MAX]);
    assert_eq!(keep, [1; 8]);
    // NaN of either sign and any payload fails.
    for bits in [0x7f80_0001, 0x7fc0_0000, 0xff80_0001, 0xffff_ffff] {
        let losses = [0.0, f32::from_bits(bits)].repeat(8);
        let (best, keep) = decide(kernel, &losses, &[1.0; 8], 7, &[2.0; 8]);
        assert_eq!((best, keep), (vec![2.0; 8], vec![0; 8]), "{bits:#x}");
    }
}

/// More images than a workgroup has invocations, every slot.
#[test]
fn the_decision_everywhere() {
    for n in [1u32, 3, 255, 256, 257, 700] {
        for (slots, slot) in [(1, 0), (3, 0), (3, 2)] {
            let mut rng = random(u64::from(n * 8 + slot));
            let mut some = |len: u32| -> Vec<f32> {
                (0..len).map(|_| rng.random_range(0..4) as f32).collect()
            };
            let (losses, distances, before) = (some(n * slots), some(n), some(n));
            let kernel = DecideBest {
                n,
                slots,
                slot,
                threshold: 1.0,
            };
            let (best, keep) = decide(kernel, &losses, &distances, 3, &before);
            for i in 0..n as usize {
                let success = losses[i * slots as usize + slot as usize] <= 1.0;
                let better = success && distances[i] < before[i];
                let expected = if better { distances[i] } else { before[i] };
                assert_eq!(best[i], f64::from(expected), "{kernel:?} image {i}");
                assert_eq!(keep[i], u32::from(better), "{kernel:?} image {i}");
            }
        }
    }
}

#[test]
fn the_copy_everywhere() {
    for (seed, (x, y)) in [
        (View::new(1, 1, 1, 1), View::new(1, 1, 1, 1)),
        (View::new(3, 5, 7, 3), View::new(3, 5, 7, 3)),
        (View::new(5, 33, 31, 3), View::new(5, 33, 31, 3)),
        (
            View::new(3, 5, 10, 24).slice(8, 11),
            View::new(3, 5, 10, 16).slice(4, 11),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        for pattern in [0b00000u32, 0b01010, 0b10101, 0b11111] {
            let mut rng = random(seed as u64);
            let keep: Vec<u32> = (0..x.n).map(|i| pattern >> i & 1).collect();
            let (new, old) = (tensor(&mut rng, x), tensor(&mut rng, y));
            let kernel = KeepBest { x, y };
            let data = [
                Data::Reals(new.clone()),
                Data::Words(keep.clone()),
                Data::Reals(old.clone()),
            ];
            let got = images(y, check(&kernel, &data)[0].reals());
            let (new, old) = (images(x, &wide(&new)), images(y, &wide(&old)));
            for (i, got) in got.iter().enumerate() {
                let expected = if keep[i] == 1 { &new[i] } else { &old[i] };
                assert_eq!(got, expected, "{kernel:?} {keep:?} image {i}");
            }
        }
    }
}

/// Six iterations of four images, one of which never succeeds, with an origin each and with one for all.
#[test]
fn an_attack_keeps_the_nearest_success_of_each_image() {
    // 37·61 pixels are more than one share of a reduction.
    let view = View::new(4, 37, 61, 3);
    let (slots, slot, threshold) = (3, 1, 0.0);
    let nan = f64::NAN;
    // Per iteration the deciding loss of each image, and the size of its perturbation.
    let iterations = [
        ([1.0, -1.0, 0.5, nan], [1.0, 5.0, 1.0, 0.1]),
        ([-1.0, -1.0, 0.5, nan], [4.0, 4.0, 1.0, 0.2]),
        ([-1.0, -1.0, -0.5, 3.0], [2.0, 4.5, 6.0, 0.3]),
        ([-1.0, nan, -0.5, 3.0], [3.0, 1.0, 6.5, 0.4]),
        ([0.5, 2.0, 0.0, 3.0], [0.5, 0.5, 5.0, 0.5]),
        ([-1.0, -1.0, -0.5, f64::INFINITY], [2.5, 4.2, 5.5, 0.6]),
    ];
    // Which iteration each image is kept from after each of them.
    let kept_from = [
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [2, 1, 2, 0],
        [2, 1, 2, 0],
        [2, 1, 4, 0],
        [2, 1, 4, 0],
    ];
    let succeeded_by = [Some(1), Some(0), Some(2), None];
    for shared in [false, true] {
        for device in devices() {
            let mut recording = Recording::new();
            let site = site(&mut recording, view, slots as u32);
            let image = site.x;
            let origin_view = View::new(if shared { 1 } else { 4 }, 37, 61, 3);
            let origin = Tensor::persistent(&mut recording, "origin", origin_view);
            let kept = record_keep_best(
                &mut recording,
                image,
                origin,
                site.losses,
                site.slots,
                slot as u32,
                threshold,
                site.step,
            );
            let run = Recorded::new(device, recording);
            let start = wide(&tensor(&mut random(1), origin_view));
            run.set(origin.value, &start);
            let start = from_quads(origin_view, &start);
            let each = view.elements() / 4;
            // What an earlier scale might have left.
            run.set(kept.distance, &[0.0; 4]);

            let mut evaluated: Vec<Vec<Vec<f64>>> = Vec::new();
            for (t, (deciding, sizes)) in iterations.iter().enumerate() {
                let noise = from_quads(view, &wide(&tensor(&mut random(10 + t as u64), view)));
                let x: Vec<f64> = (0..view.elements())
                    // f32 on every device, so that what is kept can be compared bit for bit.
                    .map(|e| start[e % start.len()] + 0.01 * sizes[e / each] * noise[e].signum())
                    .map(|v| f64::from(v as f32))
                    .collect();
                run.set(image.value, &to_quads(view, &x));
                // The other slots would decide the other way.
                let mut all: Vec<f64> = deciding.iter().flat_map(|l| [-l; 3]).collect();
                for (i, l) in deciding.iter().enumerate() {
                    all[i * slots + slot] = *l;
                }
                run.set(site.losses, &all);
                run.set_words(site.step, &[t as u32]);
                run.iterate();
                evaluated.push(x.chunks(each).map(<[f64]>::to_vec).collect());

                let got = images(kept.image.view, &run.get(kept.image.value));
                let distance = run.get(kept.distance);
                for i in 0..4 {
                    let from = kept_from[t][i];
                    assert_eq!(got[i], evaluated[from][i], "{device:?} t = {t} image {i}");
                    if succeeded_by[i].is_none_or(|first| t < first) {
                        assert_eq!(distance[i], MAX, "{device:?} t = {t} image {i}");
                        continue;
                    }
                    let expected: f64 = evaluated[from][i]
                        .iter()
                        .enumerate()
                        .map(|(e, v)| (v - start[(i * each + e) % start.len()]).powi(2))
                        .sum();
                    let what = format!("shared {shared}, t = {t}, image {i}, distance");
                    assert_images(device, &what, &[vec![distance[i]]], &[vec![expected]], 1e-6);
                }
            }
        }
    }
}
