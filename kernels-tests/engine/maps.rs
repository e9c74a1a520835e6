//! Every differentiable map: the same on all devices, its gradient by central differences, its preimage, its draws, and
//! all of them in a plan.

use std::ops::ControlFlow;

use std::sync::Arc;

use pixgrad::Network;
use pixgrad::engine::device::{Device, Kind, Recording};
use pixgrad::engine::kernels::{Tensor, View, from_quads, to_quads};
use pixgrad::engine::net::{self, Architecture, NodeId};
use pixgrad::engine::objective::{Content, Tv};
use pixgrad::engine::param::{Chain, Colour, Fourier, Jitter, Map, Round, Tanh, Warp};
use pixgrad::engine::plan::{Iteration, Placed, Problem};
use pixgrad::engine::schedule::Executor;

use crate::common::oracle::{dot, wide};
use crate::common::{GPU, Output, TOLERANCE, random, same, tensor, uniform};

type Maps = Vec<Arc<dyn Map>>;

fn warp(seed: u32, chain: &Chain) -> Warp {
    Warp::new(seed, chain).expect("a valid chain")
}

/// Maps that depend on the step.
fn random_maps(shared: bool) -> Maps {
    let chain = Chain {
        shared,
        ..Chain::default()
    };
    let larger = Chain {
        pad: 3,
        jitter: [0, 9],
        ..chain.clone()
    };
    vec![
        Arc::new(Jitter {
            shared,
            ..Jitter::new(3, 4)
        }),
        Arc::new(warp(3, &chain)),
        Arc::new(warp(4, &larger)),
    ]
}

/// Maps that do not, with a gradient that is their derivative, for images of this width.
fn fixed_maps(width: u32) -> Maps {
    let fourier = |decay| Fourier { width, decay };
    let colour = |decorrelate, sigmoid| Colour {
        decorrelate,
        sigmoid,
    };
    vec![
        Arc::new(Jitter {
            fixed: [2, -5],
            ..Jitter::new(3, 0)
        }),
        Arc::new(fourier(1.0)),
        Arc::new(fourier(0.85)),
        Arc::new(colour(false, false)),
        Arc::new(colour(false, true)),
        Arc::new(colour(true, false)),
        Arc::new(colour(true, true)),
        Arc::new(Tanh),
    ]
}

fn smooth_maps(width: u32) -> Maps {
    let mut maps = fixed_maps(width);
    maps.extend(random_maps(false));
    maps
}

const SHAPES: &[(u32, u32, u32)] = &[(1, 1, 1), (2, 5, 7), (2, 8, 6), (3, 9, 16)];

/// A map's input for images of a shape, and its output.
fn views(map: &dyn Map, n: u32, h: u32, w: u32) -> (View, View) {
    let image = View::new(n, h, w, 3);
    let x = map.input(image);
    // A transformation takes the image; what it shows the network may be larger.
    let x = if map.output(x) == image && x.w >= w {
        x
    } else {
        image
    };
    (x, map.output(x))
}

/// y and dx of a map at one step, all memory poisoned before.
fn run(
    device: &Device,
    map: &dyn Map,
    x: View,
    step: u32,
    values: &[f64],
    upstream: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let mut recording = Recording::new();
    let at = recording.persistent("step", Kind::Word, 1);
    let input = Tensor::persistent(&mut recording, "x", x);
    let mapped = map.forward(&mut recording, input, at);
    assert_eq!(mapped.y.view, map.output(x), "{map:?}");
    let dy = Tensor::persistent(&mut recording, "dy", mapped.y.view);
    let dx = map.backward(&mut recording, &mapped, dy, at);
    assert_eq!(dx.view, x, "{map:?}");
    let buffers: Vec<_> = recording
        .values()
        .iter()
        .map(|v| {
            let buffer = device.buffer(&v.label, v.kind, v.len).expect("it fits");
            match v.kind {
                Kind::Real | Kind::Wide | Kind::Half | Kind::Packed | Kind::Rectified => {
                    device.upload(&buffer, &vec![f32::NAN; v.len])
                }
                Kind::Word => device.upload_words(&buffer, &vec![u32::MAX; v.len]),
            }
            .expect("it fits");
            buffer
        })
        .collect();
    let buffer = |id: pixgrad::engine::device::ValueId| &buffers[id.0 as usize];
    device.upload_words(buffer(at), &[step]).expect("it fits");
    device
        .upload_f64(buffer(input.value), values)
        .expect("it fits");
    device
        .upload_f64(buffer(dy.value), upstream)
        .expect("it fits");
    for call in recording.calls() {
        let bound: Vec<_> = call.values.iter().map(|&id| buffer(id)).collect();
        device
            .run(&*call.operation, &bound)
            .unwrap_or_else(|e| panic!("{}: {e}", call.label));
    }
    let read = |tensor: Tensor| {
        device
            .download_f64(buffer(tensor.value))
            .expect("read back")
    };
    (read(mapped.y), read(dx))
}

fn forward(device: &Device, map: &dyn Map, x: View, step: u32, values: &[f64]) -> Vec<f64> {
    run(
        device,
        map,
        x,
        step,
        values,
        &vec![0.0; map.output(x).len()],
    )
    .0
}

/// Every element is written, padding is zero.
fn assert_whole(map: &dyn Map, view: View, data: &[f64]) {
    for pixel in data.chunks(view.padded()) {
        assert!(pixel.iter().all(|v| v.is_finite()), "{map:?}: {pixel:?}");
        assert!(
            pixel[view.c as usize..].iter().all(|v| *v == 0.0),
            "{map:?}: {pixel:?}"
        );
    }
}

#[test]
fn devices_agree() {
    for &(n, h, w) in SHAPES {
        let mut maps = smooth_maps(w);
        maps.push(Arc::new(Round));
        for (seed, map) in maps.iter().enumerate() {
            let (x, y) = views(&**map, n, h, w);
            let mut rng = random(seed as u64);
            let (values, upstream) = (wide(&tensor(&mut rng, x)), wide(&tensor(&mut rng, y)));
            for step in [0, 6] {
                let at = |device: &Device| run(device, &**map, x, step, &values, &upstream);
                let expected = at(&Device::oracle());
                assert_whole(&**map, y, &expected.0);
                assert_whole(&**map, x, &expected.1);
                for device in [&Device::cpu(), &*GPU] {
                    let actual = at(device);
                    for (actual, expected) in [(actual.0, &expected.0), (actual.1, &expected.1)] {
                        same(
                            &Output::Reals(actual),
                            &Output::Reals(expected.clone()),
                            TOLERANCE,
                        )
                        .unwrap_or_else(|e| panic!("{map:?} on {device:?}: {e}"));
                    }
                }
            }
        }
    }
}

/// Σ v·map(x) by central differences along random directions, for the draw of one step.
#[test]
fn gradients_are_derivatives() {
    let device = Device::oracle();
    for &(n, h, w) in SHAPES {
        for (seed, map) in smooth_maps(w).iter().enumerate() {
            let (x, y) = views(&**map, n, h, w);
            let mut rng = random(100 + seed as u64);
            let (values, upstream) = (wide(&tensor(&mut rng, x)), wide(&tensor(&mut rng, y)));
            for step in 0..4 {
                let direction = wide(&tensor(&mut rng, x));
                let value = |t: f64| {
                    let moved: Vec<f64> = values
                        .iter()
                        .zip(&direction)
                        .map(|(x, d)| x + t * d)
                        .collect();
                    dot(&forward(&device, &**map, x, step, &moved), &upstream)
                };
                let gradient = run(&device, &**map, x, step, &values, &upstream).1;
                // Of fourth order.
                let t = 3e-4;
                let numeric =
                    (8.0 * (value(t) - value(-t)) - value(2.0 * t) + value(-2.0 * t)) / (12.0 * t);
                let analytic = dot(&gradient, &direction);
                assert!(
                    (numeric - analytic).abs() <= 1e-9 * numeric.abs().max(1.0),
                    "{map:?} of {x:?}: {analytic} should be {numeric}"
                );
            }
        }
    }
}

/// The gradient goes through rounding as if it were not there.
#[test]
fn rounding_lets_the_gradient_through() {
    let view = View::new(2, 5, 7, 3);
    let mut rng = random(9);
    let (values, upstream) = (wide(&tensor(&mut rng, view)), wide(&tensor(&mut rng, view)));
    let (y, dx) = run(&Device::oracle(), &Round, view, 0, &values, &upstream);
    assert_eq!(dx, upstream);
    for (x, y) in values.iter().zip(y) {
        let expected = (x.clamp(0.0, 1.0) * 255.0).round() / 255.0;
        assert!((y - expected).abs() < 1e-12, "{x} to {y}");
    }
}

#[test]
fn preimages_lead_back() {
    for &(n, h, w) in SHAPES {
        let image = View::new(n, h, w, 3);
        // Not too near to 0 and 1, where a sigmoid is not inverted.
        let picture = uniform(&mut random(5), image.elements());
        let picture: Vec<f32> = picture.iter().map(|v| 0.5 + 0.49 * v).collect();
        let picture = to_quads(image, &picture);
        // All but jitter, which begins at the picture itself.
        for map in fixed_maps(w).iter().skip(1) {
            let x = map.preimage(image, &picture);
            let view = map.input(image);
            assert_eq!(x.len(), view.len(), "{map:?}");
            assert_whole(&**map, view, &wide(&x));
            for device in [&Device::oracle(), &Device::cpu(), &*GPU] {
                let y = forward(device, &**map, view, 0, &wide(&x));
                for (got, expected) in y.iter().zip(&picture) {
                    let error = (got - f64::from(*expected)).abs();
                    assert!(
                        error < 1e-5,
                        "{map:?} on {device:?}: {got} should be {expected}"
                    );
                }
            }
        }
        // Black and white have preimages too.
        let ends: Vec<f32> = (0..image.elements()).map(|i| (i % 2) as f32).collect();
        let ends = to_quads(image, &ends);
        for (map, near) in [
            (&Tanh as &dyn Map, 1e-6),
            (
                &Colour {
                    decorrelate: true,
                    sigmoid: true,
                },
                1.1e-3,
            ),
        ] {
            let x = wide(&map.preimage(image, &ends));
            let y = forward(&Device::oracle(), map, image, 0, &x);
            for (got, expected) in y.iter().zip(&ends) {
                assert!(
                    (got - f64::from(*expected)).abs() < near,
                    "{map:?}: {got}, {expected}"
                );
            }
        }
    }
}

/// lucent's `fft_image`: real and imaginary parts in sixteenths, and what NumPy 2's
/// `irfft2(X·scale, s=(h, w), norm="ortho")/4` makes of them.
#[test]
fn fourier_is_numpys() {
    for (h, w, expected) in [(3, 4, &NUMPY_EVEN[..]), (4, 5, &NUMPY_ODD[..])] {
        let image = View::new(1, h, w, 1);
        let map = Fourier {
            width: w,
            decay: 1.0,
        };
        let x = map.input(image);
        let values: Vec<f64> = (0..x.elements())
            .map(|i| (7 * i * i % 17) as f64 / 16.0)
            .collect();
        let got = forward(&Device::oracle(), &map, x, 0, &to_quads(x, &values));
        for (got, expected) in from_quads(image, &got).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-7, "{got} should be {expected}");
        }
    }
}

/// See [`fourier_is_numpys`].
#[rustfmt::skip]
const NUMPY_EVEN: [f64; 12] = [
    1.2090120852, -0.7092432584, -0.3642673984, 0.8929037386,
    0.2109786409, -0.1446771420, -0.3806665475, 0.1282874651,
    0.0414271428, -0.7157506439, -0.1752180456, 0.0072139633,
];

/// See [`fourier_is_numpys`].
#[rustfmt::skip]
const NUMPY_ODD: [f64; 20] = [
    1.6309189741, -0.8440663781, -0.3701368176, -0.2540622828, 1.4794589254,
    0.4910845297, -0.0774131477, -0.1790127990, -0.1176691218, 0.2673347223,
    0.0211943156, -0.3302226737, -0.7731265070, 0.0998480662, -0.3104200007,
    0.0928701581, -0.6388987762, -0.3589512341, -0.1024232928, 0.2736933399,
];

#[test]
fn starts_are_small_and_repeat() {
    let image = View::new(2, 33, 40, 3);
    let map = Fourier {
        width: 40,
        decay: 1.0,
    };
    let start = map.start(image, 7);
    let view = map.input(image);
    assert_whole(&map, view, &wide(&start));
    assert_eq!(start, map.start(image, 7));
    assert_ne!(start, map.start(image, 8));
    let values = from_quads(view, &wide(&start));
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|v| v * v).sum::<f64>() / count).sqrt();
    assert!(mean.abs() < 5.0 * 0.01 / count.sqrt(), "{mean}");
    assert!(
        (deviation - 0.01).abs() < 5.0 * 0.01 / (2.0 * count).sqrt(),
        "{deviation}"
    );
}

/// A draw depends on the seed, the step and the image, and on nothing else.
#[test]
fn draws_repeat() {
    let view = View::new(2, 24, 21, 3);
    let one = View { n: 1, ..view };
    let values = wide(&tensor(&mut random(1), one));
    let twice = [values.clone(), values.clone()].concat();
    for shared in [false, true] {
        for map in &random_maps(shared) {
            let at = |step| forward(&GPU, &**map, view, step, &twice);
            let (first, next) = (at(5), at(6));
            assert_eq!(first, at(5), "{map:?}");
            assert_ne!(first, next, "{map:?}");
            let (left, right) = first.split_at(first.len() / 2);
            assert_eq!(left == right, shared, "{map:?}");
            // The first image of a batch is the image alone.
            assert_eq!(left, forward(&GPU, &**map, one, 5, &values), "{map:?}");
        }
    }
    for (a, b) in random_maps(false).iter().zip([
        Arc::new(Jitter::new(9, 4)) as Arc<dyn Map>,
        Arc::new(warp(9, &Chain::default())),
    ]) {
        let [a, b] = [a, &b].map(|map| forward(&GPU, &**map, one, 0, &values));
        assert_ne!(a, b, "another seed, another draw");
    }
}

#[test]
fn the_images_of_a_batch_do_not_see_each_other() {
    let view = View::new(2, 9, 7, 3);
    for map in &fixed_maps(7) {
        let (x, _) = views(&**map, 2, 9, 7);
        let (x1, _) = views(&**map, 1, 9, 7);
        let values = wide(&tensor(&mut random(2), x));
        let both = forward(&Device::oracle(), &**map, x, 0, &values);
        assert_eq!(both.len(), view.len());
        for (part, expected) in values.chunks(x1.len()).zip(both.chunks(view.len() / 2)) {
            let alone = forward(&Device::oracle(), &**map, x1, 0, part);
            assert_eq!(alone, expected, "{map:?}");
        }
    }
}

#[test]
fn chains_are_checked() {
    let message = |chain: &Chain| Warp::new(1, chain).expect_err("refused").to_string();
    let good = Chain::default();
    let scales = vec![3.0];
    assert!(
        message(&Chain {
            scales,
            ..good.clone()
        })
        .contains("the scale 3")
    );
    assert!(
        message(&Chain {
            pad: 2_000,
            ..good.clone()
        })
        .contains("2000")
    );
    assert!(
        message(&Chain {
            fill: f32::NAN,
            ..good
        })
        .contains("NaN")
    );
}

/// What a plan's calls compute at a parameter and a step.
struct Plotted(Executor);

impl Plotted {
    fn new(device: &Device, n: u32) -> Self {
        let graph = net::Network::random(Architecture::Vgg19, 10, 3, 7).expect("a random network");
        let network = Network::new(device, graph);
        let image = View::new(n, 19, 22, 3);
        let graph = network.graph();
        let node = graph.find("relu1_2").expect("a layer");
        let shape = graph.shape(node, image.h, image.w).expect("a shape");
        let view = View::new(1, shape.height, shape.width, shape.channels);
        let target = to_quads(view, &uniform(&mut random(11), view.elements()));
        let target = device.buffer_from("target", &target).expect("it fits");
        let terms = [
            Placed {
                node,
                term: Box::new(Content::new(target, view, 3.0)),
                group: 0,
                labels: None,
            },
            Placed {
                node: NodeId(0),
                term: Box::new(Tv::new(0.5)),
                group: 1,
                labels: None,
            },
        ];
        let parameterisation: Maps = vec![
            Arc::new(Fourier {
                width: image.w,
                decay: 1.0,
            }),
            Arc::new(Colour {
                decorrelate: true,
                sigmoid: true,
            }),
        ];
        let transformations: Maps = vec![
            Arc::new(Jitter::new(1, 3)),
            Arc::new(warp(1, &Chain::default())),
        ];
        let problem = Problem {
            parameterisation: &parameterisation,
            transformations: &transformations,
            ..Problem::new(&network, image, &terms)
        };
        let plan = Iteration::new(&problem).expect("a plan");
        Self(Executor::new(device, plan).expect("an executor"))
    }

    /// Losses and gradient.
    fn evaluate(&mut self, parameter: &[f64], step: u32) -> (f64, Vec<f64>) {
        let device = self.0.device().clone();
        let (input, at) = (self.0.handles().parameter, self.0.handles().step);
        device
            .upload_f64(self.0.buffer(input.value), parameter)
            .expect("it fits");
        device
            .upload_words(self.0.buffer(at), &[step])
            .expect("it fits");
        let _ = self
            .0
            .run(1, &mut |_| ControlFlow::Continue(()))
            .expect("an iteration");
        let plan = self.0.handles();
        let slots = plan.groups.len();
        let losses = device
            .download_f64(self.0.buffer(plan.ring))
            .expect("losses");
        let gradient = device
            .download_f64(self.0.buffer(plan.gradient.value))
            .expect("a gradient");
        (
            losses[step as usize * slots..][..slots].iter().sum(),
            gradient[..input.view.len()].to_vec(),
        )
    }
}

/// Fourier, colour, jitter and warp around a network: the gradient with respect to the spectrum is the derivative of
/// the objective, and the GPU and `cpu` have the same.
#[test]
fn a_plan_goes_through_its_maps() {
    let mut oracle = Plotted::new(&Device::oracle(), 2);
    let view = oracle.0.handles().parameter.view;
    assert_eq!(view, View::new(2, 19, 24, 3));
    let parameter = wide(&tensor(&mut random(3), view));
    let (loss, gradient) = oracle.evaluate(&parameter, 2);
    assert_ne!(
        loss,
        oracle.evaluate(&parameter, 3).0,
        "another step, another draw"
    );
    for seed in 0..3 {
        let direction = wide(&tensor(&mut random(40 + seed), view));
        // Small enough that hardly a ReLU changes sides.
        let t = 1e-6;
        let mut at = |t: f64| {
            let moved: Vec<f64> = parameter
                .iter()
                .zip(&direction)
                .map(|(x, d)| x + t * d)
                .collect();
            oracle.evaluate(&moved, 2).0
        };
        let numeric = (at(t) - at(-t)) / (2.0 * t);
        let analytic = dot(&gradient, &direction);
        let scale = dot(&gradient, &gradient).sqrt();
        assert!(
            (numeric - analytic).abs() < 1e-5 * scale.max(analytic.abs()),
            "{analytic} should be {numeric}"
        );
    }
    for device in [&Device::cpu(), &*GPU] {
        let actual = Plotted::new(device, 2).evaluate(&parameter, 2);
        assert!((actual.0 - loss).abs() < 1e-5 * loss, "{device:?}");
        // A whole network's tolerance.
        same(
            &Output::Reals(actual.1),
            &Output::Reals(gradient.clone()),
            1e-4,
        )
        .unwrap_or_else(|e| panic!("{device:?}: {e}"));
    }
}
