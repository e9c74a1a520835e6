//! resize: against Pillow's own numbers and the definition, and the shaders against the reference.

use pixgrad::engine::device::{Device, Home, Recording};
use pixgrad::engine::kernels::{
    Axis, Resize, ResizeFilter, Tensor, View, from_quads, record_resize, to_quads,
};

use crate::common::oracle::{run_f64, wide};
use crate::common::{Data, GPU, Output, check, random, same, tensor};

const FILTERS: [ResizeFilter; 2] = [ResizeFilter::Bilinear, ResizeFilter::Bicubic];

/// The 5×7 image that Pillow resized: sixteenths, without any symmetry.
fn picture() -> Vec<f64> {
    let value = |i: u32, j: u32| f64::from((7 * i * i + 3 * j * j * j + 5 * i * j) % 17) / 16.0;
    (0..5)
        .flat_map(|i| (0..7).map(move |j| value(i, j)))
        .collect()
}

/// Filter, height, width, and what Pillow 13's `Image.resize` in mode F makes of the picture.
type Reference = (ResizeFilter, u32, u32, &'static [f64]);

#[rustfmt::skip]
const PILLOW: &[Reference] = &[
    (
        ResizeFilter::Bilinear,
        2,
        3,
        &[
            0.46976462, 0.44050804, 0.46590909,
            0.70738637, 0.50016713, 0.45332792,
        ],
    ),
    (
        ResizeFilter::Bilinear,
        2,
        9,
        &[
            0.36931819, 0.50946969, 0.50757575, 0.39867425, 0.33238637, 0.52462119, 0.58743685, 0.47727272, 0.24431819,
            0.68181819, 0.75568181, 0.69791663, 0.53851008, 0.39488637, 0.50978535, 0.49526516, 0.43655303, 0.39488637,
        ],
    ),
    (
        ResizeFilter::Bilinear,
        8,
        4,
        &[
            0.10119048, 0.49250001, 0.40250000, 0.10714286,
            0.34207591, 0.46625000, 0.53484374, 0.33891371,
            0.64601934, 0.42234376, 0.68296874, 0.62667412,
            0.58835566, 0.32078126, 0.46265623, 0.52436757,
            0.63020831, 0.39968750, 0.35640624, 0.37927827,
            0.77157736, 0.65906250, 0.36421877, 0.19140625,
            0.77901787, 0.66953129, 0.55343747, 0.46726191,
            0.77380955, 0.65750003, 0.69999999, 0.69642860,
        ],
    ),
    (
        ResizeFilter::Bicubic,
        2,
        3,
        &[
            0.44282839, 0.44118309, 0.45225269,
            0.73117578, 0.49997443, 0.45706850,
        ],
    ),
    (
        ResizeFilter::Bicubic,
        2,
        9,
        &[
            0.33912888, 0.49677646, 0.50882345, 0.38061485, 0.32719728, 0.52459729, 0.61940277, 0.47437951, 0.20910585,
            0.70103109, 0.79383910, 0.72803414, 0.52896905, 0.39864865, 0.51972336, 0.51004028, 0.44299841, 0.41157103,
        ],
    ),
    (
        ResizeFilter::Bicubic,
        8,
        4,
        &[
            0.02293801, 0.54136282, 0.40699556, 0.03346300,
            0.31477979, 0.48778391, 0.55490661, 0.31247765,
            0.69413388, 0.38968018, 0.69986588, 0.66551977,
            0.61116391, 0.24726427, 0.45458278, 0.57792157,
            0.63528180, 0.35124195, 0.31089225, 0.37162188,
            0.80005491, 0.66942763, 0.34067947, 0.16315061,
            0.80142659, 0.69453031, 0.56220782, 0.46539649,
            0.77613574, 0.66189247, 0.72483540, 0.72526705,
        ],
    ),
];

/// Runs `record_resize` call by call on one device.
fn resized(device: &Device, from: View, to: View, filter: ResizeFilter, x: &[f64]) -> Vec<f64> {
    let mut recording = Recording::new();
    let from = Tensor::persistent(&mut recording, "from", from);
    let to = Tensor::persistent(&mut recording, "to", to);
    record_resize(&mut recording, "resize", from, to, filter, false);
    let buffers: Vec<_> = recording
        .values()
        .iter()
        .map(|v| device.buffer(&v.label, v.kind, v.len).expect("it fits"))
        .collect();
    let buffer = |id: pixgrad::engine::device::ValueId| &buffers[id.0 as usize];
    device.upload_f64(buffer(from.value), x).expect("it fits");
    for call in recording.calls() {
        let bound: Vec<_> = call.values.iter().map(|&id| buffer(id)).collect();
        device
            .run(&*call.operation, &bound)
            .unwrap_or_else(|e| panic!("{}: {e}", call.label));
    }
    device.download_f64(buffer(to.value)).expect("read back")
}

#[test]
fn pillow_agrees() {
    let from = View::new(1, 5, 7, 1);
    for (device, tolerance) in [
        (&Device::oracle(), 1e-7),
        (&Device::cpu(), 1e-6),
        (&*GPU, 1e-6),
    ] {
        for &(filter, h, w, expected) in PILLOW {
            let to = View::new(1, h, w, 1);
            let got = from_quads(
                to,
                &resized(device, from, to, filter, &to_quads(from, &picture())),
            );
            assert_eq!(got.len(), expected.len());
            for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                assert!(
                    (got - expected).abs() <= tolerance,
                    "{device:?}, {filter:?} to {w}×{h}, element {i}: {got} should be {expected}"
                );
            }
        }
    }
}

/// One row, by the definition: every input position weighted by the filter at its distance; with `wrap` those of enough
/// copies to either side, too.
fn plain(filter: ResizeFilter, x: &[f64], size_out: usize, wrap: bool) -> Vec<f64> {
    let scale = x.len() as f64 / size_out as f64;
    let weight = |d: f64| match filter {
        ResizeFilter::Bilinear if d < 1.0 => 1.0 - d,
        ResizeFilter::Bicubic if d < 1.0 => 1.5 * d.powi(3) - 2.5 * d.powi(2) + 1.0,
        ResizeFilter::Bicubic if d < 2.0 => -0.5 * d.powi(3) + 2.5 * d.powi(2) - 4.0 * d + 2.0,
        _ => 0.0,
    };
    (0..size_out)
        .map(|o| {
            let (mut sum, mut total) = (0.0, 0.0);
            let size = x.len() as i64;
            let copies = if wrap { 5 } else { 0 };
            for i in -copies * size..(copies + 1) * size {
                let x = x[i.rem_euclid(size) as usize];
                let d = (i as f64 + 0.5) - (o as f64 + 0.5) * scale;
                let w = weight(d.abs() / scale.max(1.0));
                sum += w * x;
                total += w;
            }
            sum / total
        })
        .collect()
}

/// Sizes before and after: equal, 1, barely different, far apart, with and without common factors.
const SIZES: &[(u32, u32)] = &[
    (1, 1),
    (1, 6),
    (6, 1),
    (7, 7),
    (7, 8),
    (8, 7),
    (5, 23),
    (64, 9),
    (40, 20),
    (20, 40),
    (301, 2),
];

#[test]
fn the_reference_is_the_definition() {
    for (seed, &(size_in, size_out)) in SIZES.iter().enumerate() {
        for (filter, wrap) in FILTERS.into_iter().flat_map(|f| [(f, false), (f, true)]) {
            let (x, y) = (View::new(1, 1, size_in, 1), View::new(1, 1, size_out, 1));
            let row = from_quads(x, &wide(&tensor(&mut random(seed as u64), x)));
            let expected = plain(filter, &row, size_out as usize, wrap);
            let kernel = Resize {
                x,
                y,
                filter,
                axis: Axis::Horizontal,
                wrap,
            };
            let out = run_f64(&kernel, &[&to_quads(x, &row), &vec![f64::NAN; y.len()]]).remove(1);
            for (got, expected) in from_quads(y, &out).iter().zip(&expected) {
                assert!(
                    (got - expected).abs() <= 1e-12,
                    "{kernel:?}: {got} should be {expected}"
                );
            }
        }
    }
}

#[test]
fn shaders() {
    for (seed, &(size_in, size_out)) in SIZES.iter().enumerate() {
        for (filter, wrap) in FILTERS.into_iter().flat_map(|f| [(f, false), (f, true)]) {
            for (axis, x, y) in [
                (
                    Axis::Horizontal,
                    View::new(2, 3, size_in, 3),
                    View::new(2, 3, size_out, 3),
                ),
                (
                    Axis::Vertical,
                    View::new(2, size_in, 5, 16).slice(4, 6),
                    View::new(2, size_out, 5, 12).slice(0, 6),
                ),
            ] {
                let kernel = Resize {
                    x,
                    y,
                    filter,
                    axis,
                    wrap,
                };
                let values = tensor(&mut random(50 + seed as u64), x);
                check(&kernel, &[Data::Reals(values), Data::Poisoned(y)]);
            }
        }
    }
}

/// Positions far from the origin keep their precision.
#[test]
fn long_rows() {
    for (size_in, size_out) in [(8_191, 8_000), (3_001, 16_001), (16_384, 100)] {
        for filter in FILTERS {
            let kernel = Resize {
                x: View::new(1, 1, size_in, 1),
                y: View::new(1, 1, size_out, 1),
                filter,
                axis: Axis::Horizontal,
                wrap: size_in == 8_191,
            };
            let values = tensor(&mut random(90), kernel.x);
            check(&kernel, &[Data::Reals(values), Data::Poisoned(kernel.y)]);
        }
    }
}

#[test]
fn a_constant_stays_and_an_equal_size_is_a_copy() {
    for filter in FILTERS {
        let (from, to) = (View::new(1, 9, 13, 3), View::new(1, 4, 31, 3));
        let constant = vec![0.375; from.elements()];
        let out = resized(
            &Device::oracle(),
            from,
            to,
            filter,
            &to_quads(from, &constant),
        );
        assert!(
            from_quads(to, &out)
                .iter()
                .all(|v| (v - 0.375).abs() <= 1e-12)
        );
        let x = wide(&tensor(&mut random(3), from));
        let copy = resized(&Device::oracle(), from, from, filter, &x);
        same(&Output::Reals(copy), &Output::Reals(x), 1e-15).expect("a copy");
    }
}

#[test]
fn only_what_changes_is_recorded() {
    let record = |h: u32, w: u32| {
        let mut recording = Recording::new();
        let from = Tensor::persistent(&mut recording, "from", View::new(2, 8, 12, 3));
        let to = Tensor::persistent(&mut recording, "to", View::new(2, h, w, 3));
        record_resize(&mut recording, "r", from, to, ResizeFilter::Bicubic, false);
        let between: Vec<usize> = recording
            .values()
            .iter()
            .filter(|v| matches!(v.home, Home::Transient))
            .map(|v| v.len)
            .collect();
        (recording.calls().len(), between)
    };
    assert_eq!(record(8, 12), (1, vec![]));
    assert_eq!(record(8, 5), (1, vec![]));
    assert_eq!(record(3, 12), (1, vec![]));
    assert_eq!(record(3, 5), (2, vec![2 * 8 * 5 * 4]));
}
