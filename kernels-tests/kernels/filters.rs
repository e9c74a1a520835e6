//! Filters of the gradient as they are recorded: norms, momentum, the Laplacian pyramid, and filters after filters.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{Normalization, View, from_quads, to_quads};
use pixgrad::engine::optim::{Filter, Laplacian, Momentum, Normalize};

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, is_oracle, site};
use crate::common::{random, tensor};
use crate::pyramid;
use crate::rescale::divisor;

/// Runs filters one after the other on a sequence of gradients, on every device, and holds what comes out of each
/// iteration against `expected`.
fn filtered(
    filters: &[&dyn Filter],
    view: View,
    gradients: &[Vec<f64>],
    expected: &[Vec<Vec<f64>>],
    tolerance: f64,
) {
    for device in devices() {
        let mut recording = Recording::new();
        let site = site(&mut recording, view, 1);
        let mut filtered = site;
        for filter in filters {
            filtered.gradient = filter.record(&mut recording, filtered);
        }
        let run = Recorded::new(device, recording);
        for (t, (gradient, expected)) in gradients.iter().zip(expected).enumerate() {
            run.set(site.gradient.value, gradient);
            run.set_words(site.step, &[t as u32]);
            run.iterate();
            let out = run.get(filtered.gradient.value);
            let what = format!("{filters:?}, iteration {t}");
            let got = images(filtered.gradient.view, &out);
            assert_images(device, &what, &got, expected, tolerance);
            let padded = out.chunks(4).map(|quad| quad[3]);
            assert!(view.c != 3 || padded.into_iter().all(|v| v == 0.0));
        }
    }
}

/// A gradient whose images differ in scale by 10³.
fn gradient(seed: u64, view: View) -> Vec<f64> {
    let mut g = wide(&tensor(&mut random(seed), view));
    let each = g.len() / view.n as usize;
    for (i, g) in g.iter_mut().enumerate() {
        *g = f64::from((*g * 1e-3f64.powi((i / each) as i32)) as f32);
    }
    g
}

#[test]
fn normalize() {
    // Odd sizes; more than one share of 2048 vec4s.
    for view in [View::new(3, 47, 53, 3), View::new(3, 1, 3, 1)] {
        let g = gradient(1, view);
        for mode in [
            Normalization::MeanAbs,
            Normalization::Std,
            Normalization::Rms,
            Normalization::L2,
            Normalization::L1,
            Normalization::Linf,
        ] {
            for epsilon in [0.0, 0.25] {
                let expected = images(view, &g)
                    .into_iter()
                    .map(|image| {
                        let divisor = divisor(mode, epsilon.into(), &image);
                        image.iter().map(|v| v / divisor).collect()
                    })
                    .collect();
                let filter = Normalize { mode, epsilon };
                filtered(
                    &[&filter],
                    view,
                    std::slice::from_ref(&g),
                    &[expected],
                    1e-6,
                );
            }
        }
    }
}

/// m ← μ·m + g over several iterations; a filter that overwrites the gradient does not reach the memory.
#[test]
fn momentum() {
    let view = View::new(3, 9, 7, 3);
    let gradients: Vec<_> = (0..4)
        .map(|t| wide(&tensor(&mut random(t), view)))
        .collect();
    let decay = 0.75;
    let mut m = vec![0.0; view.len()];
    let mut expected = Vec::new();
    for g in &gradients {
        for (m, g) in m.iter_mut().zip(g) {
            *m = decay * *m + g;
        }
        expected.push(images(view, &m));
    }
    let filter = Momentum {
        decay: decay as f32,
    };
    filtered(&[&filter], view, &gradients, &expected, 1e-6);
    let signs: Vec<_> = expected
        .iter()
        .map(|m| {
            m.iter()
                .map(|m| m.iter().map(|v| v.signum()).collect())
                .collect()
        })
        .collect();
    let sign = Normalize {
        mode: Normalization::Sign,
        epsilon: 0.0,
    };
    filtered(&[&filter, &sign], view, &gradients, &signs, 1e-6);
}

/// MI-FGSM (Dong et al. 2018, algorithm 1): m ← μ·m + g/‖g‖₁, and the sign of m. One gradient is zero.
#[test]
fn momentum_of_normalized_gradients() {
    let view = View::new(3, 5, 6, 3);
    let mut gradients: Vec<_> = (10..14).map(|t| gradient(t, view)).collect();
    let each = view.len() / 3;
    gradients[2][each..2 * each].fill(0.0);
    let mut m = vec![vec![0.0; 5 * 6 * 3]; 3];
    let mut expected = Vec::new();
    for g in &gradients {
        for (m, g) in m.iter_mut().zip(images(view, g)) {
            let norm: f64 = g.iter().map(|v| v.abs()).sum();
            for (m, g) in m.iter_mut().zip(g) {
                *m += if norm > 0.0 { g / norm } else { 0.0 };
            }
        }
        expected.push(m.clone());
    }
    let l1 = Normalize {
        mode: Normalization::L1,
        epsilon: 0.0,
    };
    let filters: [&dyn Filter; 2] = [&l1, &Momentum { decay: 1.0 }];
    filtered(&filters, view, &gradients, &expected, 1e-6);
}

/// The notebook's lapnorm on one image `[c,h,w]`, level by level in plain loops.
fn plain_laplacian(image: &[f64], h: usize, w: usize, levels: u32) -> Vec<f64> {
    let mut rms = image.iter().map(|v| v * v).sum::<f64>() / image.len() as f64;
    let planes = |image: &[f64], h: usize, w: usize, f: fn(&[f64], usize, usize) -> Vec<f64>| {
        let plane = image.len() / 3;
        image
            .chunks(plane)
            .flat_map(|p| f(p, h, w))
            .collect::<Vec<f64>>()
    };
    if levels == 0 || h.min(w) <= 2 {
        rms = rms.sqrt().max(1e-10);
        return image.iter().map(|v| v / rms).collect();
    }
    let low = planes(image, h, w, pyramid::plain_down);
    let blurred = planes(&low, h, w, pyramid::plain_up);
    let high: Vec<f64> = image.iter().zip(&blurred).map(|(v, b)| v - b).collect();
    rms = high.iter().map(|v| v * v).sum::<f64>() / high.len() as f64;
    rms = rms.sqrt().max(1e-10);
    let rest = plain_laplacian(&low, h.div_ceil(2), w.div_ceil(2), levels - 1);
    let rest = planes(&rest, h, w, pyramid::plain_up);
    high.iter().zip(&rest).map(|(v, r)| v / rms + r).collect()
}

#[test]
fn laplacian() {
    for (h, w) in [(1, 1), (2, 2), (3, 3), (4, 5), (16, 16), (23, 38), (31, 17)] {
        let view = View::new(3, h, w, 3);
        let g = gradient(u64::from(h * w), view);
        for levels in [0, 1, 4] {
            let expected = images(view, &g)
                .iter()
                .map(|image| plain_laplacian(image, h as usize, w as usize, levels))
                .collect();
            let filter = Laplacian {
                levels,
                wrap: false,
            };
            filtered(
                &[&filter],
                view,
                std::slice::from_ref(&g),
                &[expected],
                2e-6,
            );
        }
    }
}

/// A tile that is moved around by what all levels see as whole pixels has its filtered gradient moved likewise.
#[test]
fn the_laplacian_of_a_tile() {
    let (h, w) = (24, 40);
    let view = View::new(1, h, w, 3);
    let planes = from_quads(view, &gradient(9, view));
    let rolled = |planes: &[f64]| -> Vec<f64> {
        let from = |i: usize| {
            let (plane, row, column) = (i / 960, i / 40 % 24, i % 40);
            (plane * 24 + (row + 16) % 24) * 40 + (column + 8) % 40
        };
        (0..planes.len()).map(|i| planes[from(i)]).collect()
    };
    let filter = |planes: &[f64], wrap: bool| {
        let mut recording = Recording::new();
        let site = site(&mut recording, view, 1);
        let out = Laplacian { levels: 3, wrap }.record(&mut recording, site);
        let oracle = devices().into_iter().find(|device| is_oracle(device));
        let run = Recorded::new(oracle.expect("an oracle"), recording);
        run.set(site.gradient.value, &to_quads(view, planes));
        run.iterate();
        from_quads(view, &run.get(out.value)[..view.len()])
    };
    let off = |wrap: bool| {
        let (moved, still) = (
            filter(&rolled(&planes), wrap),
            rolled(&filter(&planes, wrap)),
        );
        let error: f64 = moved.iter().zip(&still).map(|(a, b)| (a - b).powi(2)).sum();
        (error / still.iter().map(|v| v * v).sum::<f64>()).sqrt()
    };
    assert!(off(true) < 1e-12, "{}", off(true));
    assert!(off(false) > 1e-2, "a test of nothing: {}", off(false));
}

/// A gradient of zeros stays one beside one that is not.
#[test]
fn zero_gradients() {
    let view = View::new(3, 12, 9, 3);
    let mut planes = vec![0.0; view.elements()];
    planes[200] = 1.0;
    let g = to_quads(view, &planes);
    for filter in [
        &Laplacian {
            levels: 4,
            wrap: false,
        } as &dyn Filter,
        &Normalize {
            mode: Normalization::Std,
            epsilon: 0.0,
        },
        &Momentum { decay: 1.0 },
    ] {
        for device in devices() {
            let mut recording = Recording::new();
            let site = site(&mut recording, view, 1);
            let out = filter.record(&mut recording, site);
            let run = Recorded::new(device, recording);
            run.set(site.gradient.value, &g);
            run.iterate();
            let out = images(view, &run.get(out.value));
            assert!(out[0].iter().all(|v| v.is_finite()) && out[0][200] != 0.0);
            assert!(out[1..].concat().iter().all(|v| *v == 0.0), "{filter:?}");
        }
    }
}
