//! fourier: against NumPy's own numbers, the plain double sum, the transpose, and the inverse.

use std::f64::consts::TAU;

use pixgrad::engine::kernels::fourier::spectrum_of;
use pixgrad::engine::kernels::{
    FourierColumns, FourierRows, Spectrum, SpectrumScale, Twiddles, View, from_quads, to_quads,
};

use crate::common::oracle::{dot, run_f64, wide};
use crate::common::{Data, check, check_within, random, tensor};

/// Batches, odd and even sizes, 1, primes, channels that fill no quad.
const SHAPES: &[(u32, u32, u32, u32)] = &[
    (1, 1, 1, 3),
    (2, 1, 2, 3),
    (1, 2, 1, 3),
    (2, 5, 7, 3),
    (1, 8, 6, 3),
    (3, 4, 9, 6),
    (1, 31, 17, 3),
    (1, 64, 48, 3),
];

fn spectra() -> impl Iterator<Item = Spectrum> {
    SHAPES
        .iter()
        .map(|&(n, h, w, c)| Spectrum::of(View::new(n, h, w, c)))
}

/// cos and sin of 2πk/n, by the oracle's reference.
fn table(size: u32) -> Vec<f64> {
    let twiddles = Twiddles { size };
    run_f64(&twiddles, &[&vec![f64::NAN; twiddles.view().len()]]).remove(0)
}

#[test]
fn twiddles_are_cosines_and_sines() {
    for size in [1, 2, 3, 4, 7, 8, 12, 97, 256, 509, 65_535] {
        let twiddles = Twiddles { size };
        let data = [Data::Poisoned(twiddles.view())];
        let out = check_within(&twiddles, &data, 2e-7).remove(0);
        for (k, value) in out.reals().chunks(4).enumerate() {
            let angle = TAU * k as f64 / f64::from(size);
            assert!((value[0] - angle.cos()).abs() < 1e-14, "{size} {k}");
            assert!((value[1] - angle.sin()).abs() < 1e-14, "{size} {k}");
        }
    }
    assert_eq!(
        table(4),
        [
            1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0
        ]
    );
}

/// Re X and Im X of [h, half] as NumPy would have them, from one image and channel of the engine's layout.
fn complex(spectrum: Spectrum, packed: &[f64], n: usize, channel: usize) -> Vec<(f64, f64)> {
    let view = spectrum.view();
    (0..view.h as usize * view.w as usize / 2)
        .map(|i| {
            let (j, k) = (i / (view.w as usize / 2), i % (view.w as usize / 2));
            let at = |part: usize| packed[view.at(n, j, 2 * k + part) + channel];
            (at(0), at(1))
        })
        .collect()
}

/// The image by the double sum over the whole spectrum, whose other half is the conjugate.
fn plain(spectrum: Spectrum, packed: &[f64]) -> Vec<f64> {
    let (h, w) = (spectrum.h as usize, spectrum.w as usize);
    let half = w / 2 + 1;
    let mut image = Vec::new();
    for n in 0..spectrum.n as usize {
        for channel in 0..spectrum.c as usize {
            let x = complex(spectrum, packed, n, channel);
            for row in 0..h {
                for col in 0..w {
                    let mut sum = 0.0;
                    for j in 0..h {
                        for k in 0..half {
                            let (re, im) = x[j * half + k];
                            let angle =
                                TAU * ((j * row) as f64 / h as f64 + (k * col) as f64 / w as f64);
                            let twice = if k == 0 || 2 * k == w { 1.0 } else { 2.0 };
                            sum += twice * (re * angle.cos() - im * angle.sin());
                        }
                    }
                    image.push(sum);
                }
            }
        }
    }
    image
}

/// Both passes on the oracle.
fn image(spectrum: Spectrum, packed: &[f64]) -> Vec<f64> {
    let blank = vec![f64::NAN; spectrum.view().len()];
    let adjoint = false;
    let columns = FourierColumns { spectrum, adjoint };
    let rows = run_f64(&columns, &[&table(spectrum.h), packed, &blank]).remove(2);
    let blank = vec![f64::NAN; spectrum.image().len()];
    let sums = FourierRows { spectrum, adjoint };
    run_f64(&sums, &[&table(spectrum.w), &rows, &blank]).remove(2)
}

#[test]
fn both_passes_are_the_double_sum() {
    for (seed, spectrum) in spectra().enumerate().filter(|(_, s)| s.h * s.w < 1_000) {
        let x = wide(&tensor(&mut random(seed as u64), spectrum.view()));
        let got = from_quads(spectrum.image(), &image(spectrum, &x));
        for (got, expected) in got.iter().zip(plain(spectrum, &x)) {
            assert!(
                (got - expected).abs() < 1e-10,
                "{spectrum:?}: {got} should be {expected}"
            );
        }
    }
}

#[test]
fn shaders() {
    for (seed, spectrum) in spectra().enumerate() {
        let mut rng = random(seed as u64);
        let (view, image) = (spectrum.view(), spectrum.image());
        for adjoint in [false, true] {
            let narrow = |size| table(size).iter().map(|v| *v as f32).collect();
            let columns = FourierColumns { spectrum, adjoint };
            check(
                &columns,
                &[
                    Data::Reals(narrow(spectrum.h)),
                    Data::Reals(tensor(&mut rng, view)),
                    Data::Poisoned(view),
                ],
            );
            let (from, to) = if adjoint {
                (image, view)
            } else {
                (view, image)
            };
            let rows = FourierRows { spectrum, adjoint };
            check(
                &rows,
                &[
                    Data::Reals(narrow(spectrum.w)),
                    Data::Reals(tensor(&mut rng, from)),
                    Data::Poisoned(to),
                ],
            );
        }
        for decay in [0.0, 0.85, 1.0, 2.0] {
            let scale = SpectrumScale {
                spectrum,
                gain: 0.125,
                decay,
            };
            check(
                &scale,
                &[Data::Reals(tensor(&mut rng, view)), Data::Poisoned(view)],
            );
        }
    }
}

#[test]
fn the_adjoint_is_the_transpose() {
    for (seed, spectrum) in spectra().enumerate() {
        let mut rng = random(100 + seed as u64);
        let (view, image) = (spectrum.view(), spectrum.image());
        let mut draw = |view| wide(&tensor(&mut rng, view));
        let same = |left: f64, right: f64| {
            assert!(
                (left - right).abs() < 1e-10 * (1.0 + left.abs()),
                "{left} and {right}"
            );
        };
        let blank = vec![f64::NAN; view.len()];
        let (x, v) = (draw(view), draw(view));
        let columns = |adjoint, x: &[f64]| {
            let kernel = FourierColumns { spectrum, adjoint };
            run_f64(&kernel, &[&table(spectrum.h), x, &blank]).remove(2)
        };
        same(dot(&columns(false, &x), &v), dot(&x, &columns(true, &v)));
        let v = draw(image);
        let rows = |adjoint, x: &[f64]| {
            let kernel = FourierRows { spectrum, adjoint };
            let blank = vec![f64::NAN; if adjoint { view.len() } else { image.len() }];
            run_f64(&kernel, &[&table(spectrum.w), x, &blank]).remove(2)
        };
        same(dot(&rows(false, &x), &v), dot(&x, &rows(true, &v)));
    }
}

#[test]
fn scales_are_powers_of_the_frequency() {
    let spectrum = Spectrum::of(View::new(1, 4, 6, 1));
    let ones = to_quads(spectrum.view(), &vec![1.0; spectrum.view().elements()]);
    let scale = SpectrumScale {
        spectrum,
        gain: 0.5,
        decay: 2.0,
    };
    let out = check(
        &scale,
        &[Data::Reals(ones), Data::Poisoned(spectrum.view())],
    );
    let got = from_quads(spectrum.view(), out[0].reals());
    for (j, fy) in [0.0, 0.25, 0.5, 0.25f64].into_iter().enumerate() {
        for k in 0..4 {
            let f: f64 = (fy * fy + f64::from(k) * f64::from(k) / 36.0)
                .sqrt()
                .max(1.0 / 6.0);
            for part in 0..2 {
                let at = j * 8 + 2 * k as usize + part;
                assert!((got[at] - 0.5 / (f * f)).abs() < 1e-12, "{j} {k}");
            }
        }
    }
}

#[test]
fn the_spectrum_of_an_image_is_its_inverse() {
    for (seed, spectrum) in spectra().enumerate() {
        let image_values = tensor(&mut random(200 + seed as u64), spectrum.image());
        let scale = SpectrumScale {
            spectrum,
            gain: 0.03,
            decay: 1.0,
        };
        let x = wide(&spectrum_of(&image_values, scale));
        let blank = vec![f64::NAN; x.len()];
        let scaled = run_f64(&scale, &[&x, &blank]).remove(1);
        for (got, expected) in image(spectrum, &scaled).iter().zip(&image_values) {
            // The spectrum is rounded to f32.
            assert!(
                (got - f64::from(*expected)).abs() < 1e-5,
                "{got} should be {expected}"
            );
        }
    }
}
