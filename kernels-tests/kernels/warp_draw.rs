//! warp_draw: what is drawn against what was asked for, and chains that cannot be.

use std::collections::HashSet;

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::WarpDraw;

use crate::common::{Data, check, run_on};

/// Lucid's standard chain.
pub fn standard(n: u32, seed: u32) -> WarpDraw {
    let scales: Vec<f32> = (0..=10u8).map(|i| 0.9 + 0.02 * f32::from(i)).collect();
    let mut degrees: Vec<f32> = (-10..=10i8).map(f32::from).collect();
    degrees.extend([0.0; 5]);
    WarpDraw::new(n, seed, [8, 4], &scales, &degrees, false).expect("a valid chain")
}

/// Everything at its limit.
pub fn wild(n: u32, seed: u32) -> WarpDraw {
    let degrees: Vec<f32> = (0..40u8).map(|i| 37.0 * f32::from(i)).collect();
    let scales = [0.5, 0.7, 1.0, 1.3, 2.0];
    WarpDraw::new(n, seed, [7, 1024], &scales, &degrees, false).expect("a valid chain")
}

/// The words of all images at a step, the same on all devices.
pub fn draw(kernel: &WarpDraw, n: u32, step: u32) -> Vec<u32> {
    let words = n as usize * WarpDraw::WORDS;
    let data = [Data::Words(vec![step]), Data::PoisonedWords(words)];
    check(kernel, &data)[0].words().to_vec()
}

/// The affine map and the shift that a draw's words stand for, in pixels.
pub fn read(words: &[u32]) -> ([f64; 4], [f64; 2]) {
    let word = |i: usize| f64::from(words[i] as i32);
    (
        [0, 1, 2, 3].map(|i| word(i) / 8_192.0),
        [word(4) / 16_384.0, word(5) / 16_384.0],
    )
}

/// Every draw is one that the lists and ranges allow, and all that they allow are drawn.
#[test]
fn draws_are_what_was_asked_for() {
    let scales = [0.5, 0.9, 2.0];
    let degrees = [-10.0, 0.0, 45.0, 200.0];
    let kernel = WarpDraw::new(1, 3, [3, 2], &scales, &degrees, false).expect("valid");
    let mut seen = HashSet::new();
    for step in 0..12_000 {
        let out = run_on(
            &Device::oracle(),
            &kernel,
            &[Data::Words(vec![step]), Data::PoisonedWords(8)],
        );
        let ([a, b, c, lower], shift) = read(out[0].words());
        assert!(a == lower && b == -c, "a rotation and a scale");
        let close = |u: f64, v: f64| (u - v).abs() < 2e-4;
        let of = |s: f32, r: f32| {
            let (sin, cos) = f64::from(r).to_radians().sin_cos();
            close(a, cos / f64::from(s)) && close(c, sin / f64::from(s))
        };
        let chosen: Vec<_> = (0..3)
            .flat_map(|s| (0..4).map(move |r| (s, r)))
            .filter(|&(s, r)| of(scales[s], degrees[r]))
            .collect();
        assert_eq!(chosen.len(), 1, "one scale and one angle make {a}, {c}");
        // shift = A·d + e, d in {−1, 0, 1}, e in {−1½, −½, ½, 1½}.
        let offsets: Vec<_> = (0..9)
            .map(|i| [f64::from(i % 3) - 1.0, f64::from(i / 3) - 1.0])
            .flat_map(|d| {
                (0..16).map(move |i| (d, [f64::from(i % 4) - 1.5, f64::from(i / 4) - 1.5]))
            })
            .filter(|(d, e)| {
                close(shift[0], a * d[0] + b * d[1] + e[0])
                    && close(shift[1], c * d[0] + a * d[1] + e[1])
            })
            .collect();
        assert!(!offsets.is_empty(), "{shift:?} is no shift");
        seen.insert((chosen[0], format!("{:?}", offsets[0])));
    }
    let pairs: HashSet<_> = seen.iter().map(|(pair, _)| *pair).collect();
    assert_eq!(pairs.len(), 12, "all scales and angles");
    // At 45° no two pairs of offsets make the same shift: all 144 of them.
    let at = |pair| seen.iter().filter(|(p, _)| *p == pair).count();
    assert!((140..=144).contains(&at((0, 2))), "{}", at((0, 2)));
}

#[test]
fn draws_depend_on_seed_step_and_image() {
    let first = draw(&standard(3, 1), 3, 0);
    assert_eq!(first, draw(&standard(3, 1), 3, 0));
    assert_ne!(first, draw(&standard(3, 1), 3, 1));
    assert_ne!(first, draw(&standard(3, 2), 3, 0));
    assert_ne!(first[..8], first[8..16]);
    assert_ne!(first[8..16], first[16..]);
    assert_eq!(first[..8], draw(&standard(1, 1), 1, 0));
    let shared = WarpDraw::new(70, 1, [8, 4], &[0.9, 1.0, 1.1], &[0.0, 5.0], true).expect("valid");
    let words = draw(&shared, 70, 4);
    assert!(words.chunks(8).all(|w| *w == words[..8]));
}

#[test]
fn chains_that_cannot_be_are_refused() {
    let message = |jitter, scales: &[f32], degrees: &[f32]| {
        let refused = WarpDraw::new(1, 0, jitter, scales, degrees, false).expect_err("refused");
        refused.to_string()
    };
    assert!(message([0, 0], &[], &[0.0]).contains("no scales"));
    assert!(message([0, 0], &[1.0], &[]).contains("no angles"));
    assert!(message([0, 0], &[1.0; 24], &[0.0; 25]).contains("more than 48"));
    assert!(message([0, 0], &[1.0, 0.4], &[0.0]).contains("0.4"));
    assert!(message([0, 0], &[f32::NAN], &[0.0]).contains("NaN"));
    assert!(message([0, 0], &[1.0], &[f32::INFINITY]).contains("inf"));
    assert!(message([0, 1025], &[1.0], &[0.0]).contains("1025"));
}
