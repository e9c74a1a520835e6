//! guide, guide_backward: matches, value and gradient against plain loops, ties, finite differences and the shaders;
//! the term.

use pixgrad::device::Device;
use pixgrad::kernels::{Guide, GuideBackward, View, pack, unpack};
use pixgrad::objective::{self, Term};

use crate::common::{Data, check, random, tensor};
use crate::oracle::wide;
use crate::term::Case;

/// x, y and dx: one position, one column, tiles of 64 not filled and overrun on either side, channels around the 16
/// staged at a time, a guide for each image or for all, slices.
fn shapes() -> Vec<(View, View, View)> {
    let same = |(n, h, w), (guides, guide_h, guide_w), c| {
        let x = View::new(n, h, w, c);
        (x, View::new(guides, guide_h, guide_w, c), x)
    };
    vec![
        same((1, 1, 1), (1, 1, 1), 1),
        same((2, 1, 1), (1, 3, 5), 5),
        same((2, 8, 8), (2, 8, 8), 16),
        same((3, 5, 13), (1, 13, 5), 17),
        same((2, 10, 20), (2, 9, 17), 70),
        same((1, 20, 30), (1, 1, 1), 3),
        (
            View::new(2, 6, 11, 24).slice(8, 10),
            View::new(2, 10, 7, 20).slice(4, 10),
            View::new(2, 6, 11, 16).slice(4, 10),
        ),
    ]
}

/// Σ_i max_j ⟨x_i, y_j⟩ of one image and its guide, [C,H,W] arrays, and the matches.
fn plain(x: &[f64], y: &[f64], channels: u32) -> (f64, Vec<u32>) {
    let c = channels as usize;
    let (positions, columns) = (x.len() / c, y.len() / c);
    let (mut sum, mut matches) = (0.0, Vec::new());
    for i in 0..positions {
        let mut best = (f64::NEG_INFINITY, 0);
        for j in 0..columns {
            let mut score = 0.0;
            for k in 0..c {
                score += x[k * positions + i] * y[k * columns + j];
            }
            if score > best.0 {
                best = (score, j as u32);
            }
        }
        sum += best.0;
        matches.push(best.1);
    }
    (sum, matches)
}

/// Image i's guide.
fn own(guides: &[f64], y: View, i: usize) -> &[f64] {
    let each = y.elements() / y.n as usize;
    &guides[i % y.n as usize * each..][..each]
}

/// Matches and values of all images on all devices; returns the matches.
fn check_against_plain(x: View, y: View, input: &[f32], guide: &[f32]) -> Vec<u32> {
    let kernel = Guide { x, y };
    let data = [
        Data::Reals(input.to_vec()),
        Data::Reals(guide.to_vec()),
        Data::PoisonedWords(x.pixels()),
        Data::PoisonedReals((x.n * kernel.parts()) as usize),
    ];
    let out = check(&kernel, &data);
    let (planes, guides) = (unpack(x, &wide(input)), unpack(y, &wide(guide)));
    let each = planes.len() / x.n as usize;
    let positions = (x.h * x.w) as usize;
    for (i, parts) in out[1].reals().chunks(kernel.parts() as usize).enumerate() {
        let (value, matches) = plain(&planes[i * each..][..each], own(&guides, y, i), x.c);
        let got: f64 = parts.iter().sum();
        assert!(
            (got - value).abs() <= 1e-12 * value.abs(),
            "{kernel:?}: image {i} has {got}, should be {value}"
        );
        let got = &out[0].words()[i * positions..][..positions];
        assert_eq!(got, matches, "{kernel:?}: image {i}");
    }
    out[0].words().to_vec()
}

#[test]
fn by_hand() {
    // Columns (1, 0), (0, 2), (1, 0) again; positions (3, 1), (1, 3), (−1, −1).
    let x = View::new(1, 1, 3, 2);
    let y = View::new(1, 3, 1, 2);
    let input = pack(x, &[3.0, 1.0, -1.0, 1.0, 3.0, -1.0]);
    let guide = pack(y, &[1.0, 0.0, 1.0, 0.0, 2.0, 0.0]);
    let kernel = Guide { x, y };
    let data = [
        Data::Reals(input),
        Data::Reals(guide.clone()),
        Data::PoisonedWords(3),
        Data::PoisonedReals(1),
    ];
    let out = check(&kernel, &data);
    assert_eq!(out[0].words(), [0, 1, 0]);
    assert_eq!(out[1].reals(), [3.0 + 6.0 - 1.0]);
    let backward = GuideBackward {
        y,
        dx: x,
        alpha: 3.0,
        accumulate: false,
    };
    let data = [
        Data::Reals(guide),
        Data::Words(vec![0, 1, 0]),
        Data::Poisoned(x),
    ];
    let dx = unpack(x, check(&backward, &data)[0].reals());
    assert_eq!(dx, [3.0, 0.0, 3.0, 0.0, 6.0, 0.0]);
}

#[test]
fn the_definition_everywhere() {
    for (seed, (x, y, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let (input, guide) = (tensor(&mut rng, x), tensor(&mut rng, y));
        let matches = check_against_plain(x, y, &input, &guide);
        for accumulate in [false, true] {
            let backward = GuideBackward {
                y,
                dx,
                alpha: -1.5,
                accumulate,
            };
            let before = tensor(&mut rng, dx);
            let target = if accumulate {
                Data::Reals(before.clone())
            } else {
                Data::Poisoned(dx)
            };
            let data = [
                Data::Reals(guide.clone()),
                Data::Words(matches.clone()),
                target,
            ];
            let out = unpack(dx, check(&backward, &data)[0].reals());
            let (base, guides) = (unpack(dx, &wide(&before)), unpack(y, &wide(&guide)));
            let (positions, columns) = ((x.h * x.w) as usize, (y.h * y.w) as usize);
            let each = positions * x.c as usize;
            for (at, got) in out.iter().enumerate() {
                let (i, channel, position) = (at / each, at % each / positions, at % positions);
                let column = matches[i * positions + position] as usize;
                let expected = -1.5 * own(&guides, y, i)[channel * columns + column]
                    + if accumulate { base[at] } else { 0.0 };
                assert!(
                    (got - expected).abs() <= 1e-12,
                    "{backward:?}: element {at} is {got}, should be {expected}"
                );
            }
        }
    }
}

/// Small whole numbers, whose products are exact: many columns match equally well, and the lowest wins everywhere.
#[test]
fn ties() {
    for (seed, (x, y, _)) in shapes().into_iter().enumerate() {
        let mut rng = random(40 + seed as u64);
        let mut whole = |view| -> Vec<f32> {
            let data = tensor(&mut rng, view);
            data.iter().map(|v| v.round()).collect()
        };
        let (input, guide) = (whole(x), whole(y));
        check_against_plain(x, y, &input, &guide);
        let nothing = check_against_plain(x, y, &vec![0.0; x.len()], &guide);
        assert!(nothing.iter().all(|found| *found == 0));
    }
}

#[test]
fn the_term() {
    for (seed, (x, y, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(80 + seed as u64);
        let (input, guide) = (tensor(&mut rng, x), tensor(&mut rng, y));
        let guides = unpack(y, &wide(&guide));
        Case {
            name: &format!("guide {seed}"),
            x,
            dx,
            input: &input,
            make: &|device: &Device| -> Box<dyn Term> {
                let buffer = device.buffer_from("guide", &guide).expect("a guide");
                Box::new(objective::Guide::new(buffer, y, 1.75))
            },
            plain: &|i, image| 1.75 * plain(image, own(&guides, y, i), x.c).0,
            // So small that no best match changes.
            step: 1e-6,
            error: 1e-7,
        }
        .check();
    }
}
