//! random: the hash by hand, the same words on every device, and that they look uniform and independent.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::random::{random, uniform, uniform_below};
use pixgrad::engine::kernels::{Uniform, View, from_quads};

use crate::common::{Data, GPU, check, run_on};

/// The formula of the paper, once more, in 64-bit arithmetic.
fn plain(v: [u64; 4]) -> [u64; 4] {
    let m = 1u64 << 32;
    let mut v = v.map(|v| (v * 1_664_525 + 1_013_904_223) % m);
    for round in 0..2 {
        if round == 1 {
            v = v.map(|v| v ^ (v / 65_536));
        }
        for (to, a, b) in [(0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)] {
            v[to] = (v[to] + v[a] * v[b] % m) % m;
        }
    }
    v
}

#[test]
fn the_hash_is_the_papers_formula() {
    for seed in [0, 1, 77, u32::MAX] {
        for step in [0, 1, 2, 1_000_000] {
            for (image, index) in [(0, 0), (0, 1), (3, 0), (u32::MAX, 9)] {
                let expected = plain([seed, step, image, index].map(u64::from)).map(|v| v as u32);
                assert_eq!(random(seed, step, image, index), expected);
            }
        }
    }
}

#[test]
fn reals_are_in_range_and_exact() {
    assert_eq!(uniform(0), 0.0);
    assert_eq!(uniform(255), 0.0);
    assert_eq!(uniform(1 << 31), 0.5);
    assert_eq!(uniform(u32::MAX), 1.0 - 1.0 / 16_777_216.0);
    assert_eq!(uniform_below(u32::MAX, 1), 0);
    assert_eq!(uniform_below(17, 5), 2);
}

#[test]
fn noise_is_the_same_number_on_every_device() {
    for y in [
        View::new(1, 1, 1, 1),
        View::new(3, 5, 7, 3),
        View::new(2, 33, 31, 6),
        View::new(2, 4, 9, 24).slice(8, 7),
    ] {
        for step in [0, 5] {
            let kernel = Uniform {
                y,
                seed: 9,
                low: 0.0,
                high: 1.0,
            };
            let data = [Data::Words(vec![step]), Data::Poisoned(y)];
            let expected = check(&kernel, &data);
            let values = from_quads(y, expected[0].reals());
            for (i, value) in values.iter().enumerate() {
                let (h, w, c) = (y.h as usize, y.w as usize, y.c as usize);
                let (pixel, channel) = (i % (h * w), i / (h * w) % c);
                let index = pixel * y.quads as usize + channel / 4;
                let image = i / (h * w * c);
                let word = random(9, step, image as u32, index as u32)[channel % 4];
                assert_eq!(*value, f64::from(word >> 8) / 16_777_216.0, "{y:?} {i}");
            }
            // Not near: the same bits.
            for device in [&Device::cpu(), &*GPU] {
                let actual = run_on(device, &kernel, &data);
                assert_eq!(from_quads(y, actual[0].reals()), values, "{device:?}");
            }
        }
    }
    let range = Uniform {
        y: View::new(1, 64, 64, 3),
        seed: 1,
        low: -0.25,
        high: 0.5,
    };
    let out = check(&range, &[Data::Words(vec![3]), Data::Poisoned(range.y)]);
    let values = from_quads(range.y, out[0].reals());
    assert!(values.iter().all(|v| (-0.25..0.5).contains(v)));
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean - 0.125).abs() < 0.01, "{mean}");
}

/// Mean and variance of each word as of a uniform number, and no correlation between words, or between neighbours in
/// any of the four arguments. Bounds are five standard deviations of 10⁴ draws.
#[test]
fn draws_are_uniform_and_independent() {
    let count = 10_000;
    let centred = |word: u32| f64::from(uniform(word)) - 0.5;
    let mean = |f: &dyn Fn(u32) -> f64| (0..count).map(f).sum::<f64>() / f64::from(count);
    let five = 5.0 / f64::from(count).sqrt();
    let series: [fn(u32) -> [u32; 4]; 4] = [
        |i| random(i, 1, 0, 0),
        |i| random(5, i, 0, 1),
        |i| random(5, 1, i, 0),
        |i| random(5, 1, 2, i),
    ];
    for (which, draw) in series.iter().enumerate() {
        for a in 0..4 {
            let average = mean(&|i| centred(draw(i)[a]));
            assert!(average.abs() < five * 0.289, "{which} {a}: mean {average}");
            let variance = mean(&|i| centred(draw(i)[a]).powi(2));
            assert!(
                (variance * 12.0 - 1.0).abs() < five,
                "{which} {a}: variance {variance}"
            );
            for b in 0..4 {
                let next = mean(&|i| centred(draw(i)[a]) * centred(draw(i + 1)[b]));
                assert!(next.abs() * 12.0 < five, "{which} {a} {b}: {next}");
                let other = mean(&|i| centred(draw(i)[a]) * centred(draw(i)[b]));
                assert!(
                    a == b || other.abs() * 12.0 < five,
                    "{which} {a} {b}: {other}"
                );
            }
            // Remainders, which use the low bits.
            for r in 0..5 {
                let share = mean(&|i| f64::from(u8::from(uniform_below(draw(i)[a], 5) == r)));
                assert!((share - 0.2).abs() < five * 0.4, "{which} {a} {r}: {share}");
            }
        }
    }
}
