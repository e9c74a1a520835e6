//! The scheduler's promises: what it creates, what it reads back, and that it computes the same on every device.

use std::ops::ControlFlow;

use pixgrad::engine::device::{Call, Device, DeviceOptions, Kind, Stored, ValueId};
use pixgrad::engine::image::{Filter, Image, psnr};
use pixgrad::engine::kernels::{CopyRows, View};
use pixgrad::engine::methods::StyleLoss;
use pixgrad::engine::plan::Place;
use pixgrad::{Init, Outcome, TermKind, TermSpec};
use pixgrad::{Network, Precision, Recipe};

use crate::common::{GPU, noise, open_gpu, random, sample, uniform};

fn style() -> Recipe {
    Recipe::style(
        sample("chelsea.png", 72, 48),
        [sample("starry_night.jpg", 90, 72)],
    )
    .iterations(12)
}

#[test]
fn nothing_is_created_and_only_losses_are_read_while_it_runs() {
    // A device of its own, since other tests run at the same time.
    let device = &open_gpu();
    let gpu = device.gpu().expect("a GPU");
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let mut run = style().compile(device, &network).expect("a valid recipe");
    let before = gpu.usage();
    let mut losses = Vec::new();
    let outcome = run
        .run(|p| {
            losses.push(p.loss);
            ControlFlow::Continue(())
        })
        .expect("a run");
    let used = gpu.usage() - before;
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(losses.len(), 12);
    assert_eq!((used.buffers, used.bind_groups, used.pipelines), (0, 0, 0));
    let slots = run.executor().handles().groups.len() as u64;
    assert_eq!(
        used.bytes_read,
        12 * slots * 4,
        "the losses of 12 iterations and nothing else"
    );
    assert!(used.submissions >= 1);
    assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
}

#[test]
fn the_plan_is_what_is_allocated() {
    let device = &*GPU;
    let gpu = device.gpu().expect("a GPU");
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let run = style().compile(device, &network).expect("a valid recipe");
    let layout = &run.executor().program().layout;
    let planned: u64 = layout.bytes();
    assert_eq!(
        planned,
        run.plan()[0].cost.buffer_bytes,
        "the dry plan and the real one differ"
    );
    let mut seen = std::collections::HashSet::new();
    let allocated: u64 = (0..layout.places.len() as u32)
        .filter(|i| layout.places[*i as usize].is_some())
        .map(|i| run.executor().buffer(pixgrad::engine::device::ValueId(i)))
        .filter(|buffer| seen.insert(buffer.address()))
        .filter_map(|buffer| Some(buffer.wgpu()?.buffer.size()))
        .sum();
    assert_eq!(planned, allocated);
    drop(run);
    assert!(gpu.check().is_ok());
}

/// Whatever the plan, no two values that are alive at one call have a byte in common.
#[test]
fn values_that_are_alive_share_no_byte() {
    for (model, precision, size, memory) in [
        ("vgg19", Precision::F32, 128, None),
        ("vgg19", Precision::F16, 128, None),
        ("squeezenet1_1", Precision::F16, 512, Some(36 << 20)),
    ] {
        let mut recipe = style().size(size).min_size(size);
        recipe.precision = precision;
        let device = Device::new(&DeviceOptions {
            device: Some("cpu".into()),
            memory,
            ..Default::default()
        });
        let device = device.expect("the processor");
        let network = Network::load(&device, model).expect("an embedded network");
        let run = recipe.compile(&device, &network).expect("a valid recipe");
        let plan = run.executor().program();
        let (values, calls) = (plan.recording.values(), plan.recording.calls());
        assert_eq!(
            calls.len() > 200,
            memory.is_some(),
            "bands: {}",
            calls.len()
        );
        let life = |i: usize| {
            let touches = |call: &Call| call.values.contains(&ValueId(i as u32));
            Some(calls.iter().position(touches)?..=calls.iter().rposition(touches)?)
        };
        let placed: Vec<_> = (0..values.len())
            .filter_map(|i| {
                let Place { slot, offset } = plan.layout.places[i]?;
                let end = offset + values[i].kind.buffer_bytes(values[i].len);
                assert!(end <= plan.layout.slots[slot], "{}", values[i].label);
                Some((i, slot, offset..end, life(i)))
            })
            .collect();
        let mut neighbours = 0;
        for (n, (a, slot, bytes, life)) in placed.iter().enumerate() {
            for (b, other, others, of_other) in &placed[n + 1..] {
                let (Some(life), Some(of_other)) = (life, of_other) else {
                    continue;
                };
                if slot == other && life.start() <= of_other.end() && of_other.start() <= life.end()
                {
                    neighbours += 1;
                    let apart = bytes.end <= others.start || others.end <= bytes.start;
                    assert!(apart, "{} and {}", values[*a].label, values[*b].label);
                }
            }
        }
        assert!(neighbours > 10, "{neighbours}");
    }
}

/// What a kernel reads and what it writes, side by side in one buffer; the bytes around them stay.
#[test]
fn bindings_may_lie_in_one_buffer() {
    let (x, y) = (View::new(1, 5, 7, 4), View::new(1, 6, 7, 4));
    let data = noise(7, 20, 6).rgb;
    let reals = |view: View| data[..view.len()].to_vec();
    for device in [&Device::cpu(), &Device::oracle(), &*GPU] {
        for kind in [Kind::Real, Kind::Packed] {
            let all = device.buffer("all", Kind::Real, 1024).expect("memory");
            device.upload(&all, &[9.0; 1024]).expect("it fits");
            let own = all.viewed(1024, kind, x.len());
            let copy = all.viewed(2048, kind, y.len());
            device.upload(&own, &reals(x)).expect("it fits");
            device.upload(&copy, &reals(y)).expect("it fits");
            let rows = CopyRows {
                x,
                y,
                from: 2,
                to: 1,
                rows: 3,
                accumulate: false,
            };
            let stored = Stored::on(Box::new(rows), &[(kind, x.len()), (kind, y.len())]);
            device
                .run(&*stored.expect("stored so"), &[&own, &copy])
                .expect("it runs");
            let found = device.download(&copy).expect("reals");
            let mut expected = reals(y);
            expected[28..112].copy_from_slice(&data[56..140]);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-4, "{device:?} {kind:?}");
            }
            let kept = device.download(&own).expect("reals");
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4;
            assert!(kept.iter().zip(&data).all(near), "{device:?} {kind:?}");
            let around = device.download(&all).expect("reals");
            let of_copy = kind.buffer_bytes(y.len()) as usize / 4;
            let neighbours = around[..256].iter().chain(&around[512 + of_copy..]);
            assert!(
                neighbours.clone().count() > 300 && neighbours.clone().all(|v| *v == 9.0),
                "{device:?} {kind:?}"
            );
        }
    }
}

#[test]
fn gpu_and_cpu_paint_the_same_picture() {
    let mut pictures = Vec::new();
    for device in [&Device::cpu(), &*GPU] {
        let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
        let mut run = style().compile(device, &network).expect("a valid recipe");
        let _ = run.run(|_| ControlFlow::Continue(())).expect("a run");
        pictures.push(run.image().expect("a picture"));
    }
    let db = psnr(&pictures[0], &pictures[1]).expect("equal sizes");
    assert!(db >= 45.0, "{db} dB");
    let still = psnr(&pictures[0], &sample("chelsea.png", 72, 48)).expect("equal sizes");
    assert!(still < 30.0, "the picture has not changed: {still} dB");
}

#[test]
fn scales_hand_the_picture_on() {
    for device in [&Device::cpu(), &*GPU] {
        let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
        let mut recipe = style().size(64).min_size(32);
        recipe.optimizer.iterations = 4;
        recipe.optimizer.initial_iterations = Some(20);
        let mut run = recipe.compile(device, &network).expect("a valid recipe");
        let sizes: Vec<_> = run.plan().iter().map(|s| (s.width, s.iterations)).collect();
        assert_eq!(sizes, [(32, 20), (45, 4), (64, 4)]);
        let mut losses = Vec::new();
        let _ = run
            .run(|p| {
                losses.push((p.scale.0, p.loss));
                ControlFlow::Continue(())
            })
            .expect("a run");
        assert_eq!(losses.len(), 28);
        // A finer scale begins well below where a start from the photograph would.
        assert!(losses[20].1 < 0.6 * losses[0].1, "{device:?}: {losses:?}");
        assert_eq!(run.image().expect("a picture").size(), (64, 43));
    }
}

#[test]
fn a_run_pauses_goes_on_and_stops() {
    let device = &*GPU;
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let finish = |pauses: &[u64]| {
        let mut run = style().compile(device, &network).expect("a valid recipe");
        for most in pauses {
            assert_eq!(
                run.run_for(*most, |_| ControlFlow::Continue(()))
                    .expect("a run"),
                Outcome::Paused
            );
        }
        assert_eq!(
            run.run(|_| ControlFlow::Continue(())).expect("a run"),
            Outcome::Finished
        );
        run.image().expect("a picture")
    };
    assert_eq!(finish(&[]), finish(&[1, 5]), "pauses change nothing");
    let mut run = style()
        .iterations(1000)
        .compile(device, &network)
        .expect("a valid recipe");
    let outcome = run.run(|p| {
        if p.iteration == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(outcome.expect("a run"), Outcome::Stopped);
    assert!((3..500).contains(&run.done()), "{}", run.done());
}

/// `Run::encode` into an encoder of the host program does what `Run::run` does.
#[test]
fn iterations_can_be_encoded_by_the_host() {
    let device = &*GPU;
    let gpu = device.gpu().expect("a GPU");
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let mut ran = style()
        .iterations(3)
        .compile(device, &network)
        .expect("a valid recipe");
    let _ = ran.run(|_| ControlFlow::Continue(())).expect("a run");
    let mut encoded = style()
        .iterations(3)
        .compile(device, &network)
        .expect("a valid recipe");
    let mut encoder = gpu
        .device()
        .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoded.encode(&mut encoder, 3).expect("a GPU");
    gpu.submit(encoder);
    assert_eq!(
        encoded.image().expect("a picture"),
        ran.image().expect("a picture")
    );
}

/// mmd with the polynomial kernel (xᵀy)², divided by 4C², is the `gram` term: Li et al. 2017, section 4.1.
#[test]
fn gram_is_the_polynomial_mmd() {
    let (c, n, m) = (5usize, 12usize, 20usize);
    let mut rng = random(77);
    let f: Vec<Vec<f64>> = (0..n)
        .map(|_| uniform(&mut rng, c).iter().map(|v| f64::from(*v)).collect())
        .collect();
    let s: Vec<Vec<f64>> = (0..m)
        .map(|_| uniform(&mut rng, c).iter().map(|v| f64::from(*v)).collect())
        .collect();
    let kernel = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>().powi(2);
    let mean = |a: &[Vec<f64>], b: &[Vec<f64>]| {
        a.iter()
            .flat_map(|x| b.iter().map(move |y| kernel(x, y)))
            .sum::<f64>()
            / (a.len() * b.len()) as f64
    };
    let mmd = (mean(&f, &f) + mean(&s, &s) - 2.0 * mean(&f, &s)) / (4.0 * (c * c) as f64);
    for device in [&Device::oracle(), &Device::cpu(), &*GPU] {
        let gram = crate::common::gram_value::value(device, &f, &s);
        assert!(
            (gram - mmd).abs() <= 1e-6 * mmd,
            "{device:?}: {gram} should be {mmd}"
        );
    }
}

#[test]
fn every_start_runs_and_seeds_repeat() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let picture = sample("coffee.jpg", 60, 40);
    for init in [
        Init::Noise,
        Init::Gray,
        Init::Stats,
        Init::Picture(picture.into()),
    ] {
        let paint = |seed| {
            let recipe = style().iterations(2).init(init.clone()).seed(seed);
            let mut run = recipe.compile(&device, &network).expect("a valid recipe");
            let _ = run.run(|_| ControlFlow::Continue(())).expect("a run");
            run.image().expect("a picture")
        };
        assert_eq!(paint(1), paint(1), "{init:?}");
        assert_eq!(
            paint(1) == paint(2),
            matches!(init, Init::Picture(_)),
            "{init:?}"
        );
    }
}

/// The losses with most kernels of their own, through the shaders: a tiny picture comes nearer to its style, and as
/// near as on the processor.
#[test]
fn wasserstein_and_gaussian_styles_on_every_device() {
    for loss in ["wasserstein", "mmd-gaussian"] {
        let loss = loss.parse::<StyleLoss>().expect("a loss");
        let values: Vec<(f32, f32)> = [&Device::cpu(), &*GPU]
            .into_iter()
            .map(|device| {
                let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
                let mut recipe = Recipe::texture([sample("starry_night.jpg", 40, 32)], 40, 32)
                    .style_losses(&[loss])
                    .iterations(8);
                recipe.image.min_size = None;
                for style in recipe.terms.iter_mut().filter_map(|t| t.kind.style_mut()) {
                    style.layers = vec!["relu_conv1".into(), "fire2/concat".into()];
                }
                let mut run = recipe.compile(device, &network).expect("a valid recipe");
                let mut losses = Vec::new();
                let _ = run
                    .run(|p| {
                        losses.push(p.terms[0]);
                        ControlFlow::Continue(())
                    })
                    .expect("a run");
                (losses[0], losses[7])
            })
            .collect();
        for (first, last) in &values {
            assert!(*last < 0.8 * first, "{loss:?}: {values:?}");
        }
        let (cpu, gpu) = (values[0], values[1]);
        assert!((cpu.0 - gpu.0).abs() < 1e-3 * cpu.0, "{loss:?}: {values:?}");
        assert!((cpu.1 - gpu.1).abs() < 0.02 * cpu.1, "{loss:?}: {values:?}");
    }
}

#[test]
fn weights_and_terms_add_up() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let recipe = style().init(Init::Noise);
    let one = recipe.gradient(&network).expect("a gradient");
    assert!((one.terms.iter().sum::<f32>() - one.loss).abs() <= 1e-6 * one.loss);
    let mut doubled = recipe.clone();
    doubled.term_mut(TermKind::is_style).expect("a term").weight *= 2.0;
    let two = doubled.gradient(&network).expect("a gradient");
    assert!((two.terms[1] - 2.0 * one.terms[1]).abs() <= 1e-5 * two.terms[1]);
    assert_eq!((two.terms[0], two.terms[2]), (one.terms[0], one.terms[2]));
}

/// A term of no weight at the layers that are pooled keeps these in memory, each a tensor of its own.
#[test]
fn pools_inside_convolutions_change_nothing() {
    for device in [&Device::cpu(), &*GPU] {
        let network = Network::load(device, "vgg19").expect("the embedded network");
        // Odd sizes on the way: 51×35, 25×17, 12×8.
        let mut fused = Recipe::style(
            sample("chelsea.png", 51, 35),
            [sample("starry_night.jpg", 40, 32)],
        )
        .init(Init::Noise);
        fused.image.min_size = None;
        let mut apart = fused.clone();
        let pooled = TermSpec::content(sample("chelsea.png", 51, 35))
            .layers(["relu1_2", "relu2_2", "relu3_4"])
            .weight(0.0);
        apart.terms.push(pooled);
        let bytes = |recipe: &Recipe| {
            recipe.dry_run(&network).expect("a plan")[0]
                .cost
                .buffer_bytes
        };
        assert!(bytes(&fused) < bytes(&apart));
        let (one, other) = (
            fused.gradient(&network).expect("a gradient"),
            apart.gradient(&network).expect("a gradient"),
        );
        let sum = |f: fn(&f32, &f32) -> f32| -> f32 {
            one.gradient
                .iter()
                .zip(&other.gradient)
                .map(|(a, b)| f(a, b))
                .sum()
        };
        let difference = (sum(|a, b| (a - b).powi(2)) / sum(|_, b| b.powi(2))).sqrt();
        assert!(difference <= 1e-5, "{device:?}: {difference:e}");
        assert!(
            (one.loss - other.loss).abs() <= 1e-6 * other.loss,
            "{device:?}"
        );
    }
}

#[test]
fn the_image_reaches_a_texture_of_the_host() {
    let device = &*GPU;
    let gpu = device.gpu().expect("a GPU");
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let mut recipe = style().iterations(2);
    recipe.optimizer.average = 0.0;
    let mut run = recipe.compile(device, &network).expect("a valid recipe");
    let _ = run.run(|_| ControlFlow::Continue(())).expect("a run");
    let size = wgpu::Extent3d {
        width: 72,
        height: 48,
        depth_or_array_layers: 1,
    };
    let texture = |format, width| {
        gpu.device().create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width, ..size },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    };
    let target = texture(wgpu::TextureFormat::Rgba8Unorm, 72);
    let encode = || {
        gpu.device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    };
    let mut encoder = encode();
    run.copy_to_texture(&mut encoder, &target)
        .expect("a texture that fits");
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let back = gpu
        .raw_buffer("texture", 512 * 48, usage)
        .expect("a buffer");
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(512),
        rows_per_image: None,
    };
    encoder.copy_texture_to_buffer(
        target.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &back,
            layout,
        },
        size,
    );
    gpu.submit(encoder);
    back.map_async(wgpu::MapMode::Read, .., |_| ());
    gpu.wait(None).expect("the GPU finishes");
    let bytes = gpu.mapped(&back, 512 * 48).expect("the bytes");
    let expected = run.image().expect("a picture").to_rgb8();
    for (i, pixel) in expected.chunks(3).enumerate() {
        let at = i / 72 * 512 + i % 72 * 4;
        assert_eq!(&bytes[at..at + 3], pixel, "pixel {i}");
        assert_eq!(bytes[at + 3], 255);
    }
    let wrong = [
        texture(wgpu::TextureFormat::Rgba8Unorm, 71),
        texture(wgpu::TextureFormat::Rgba16Float, 72),
    ];
    for wrong in &wrong {
        assert!(run.copy_to_texture(&mut encode(), wrong).is_err());
    }
}

/// A Gram target takes the image's long side, whether its size is asked for or is the content's own.
#[test]
fn targets_follow_the_size() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let style_terms = |recipe: &Recipe| recipe.gradient(&network).expect("a gradient").terms[1];
    let (content, painting) = (
        sample("chelsea.png", 48, 32),
        sample("starry_night.jpg", 96, 76),
    );
    let recipe = |painting: Image| {
        let mut recipe = Recipe::style(content.clone(), [painting]);
        recipe.image.min_size = None;
        recipe
    };
    let shrunk = painting
        .resize(48, 38, Filter::Bicubic)
        .expect("a smaller one")
        .clamp();
    let native = style_terms(&recipe(painting.clone()));
    assert_eq!(native, style_terms(&recipe(painting.clone()).size(48)));
    assert_eq!(
        style_terms(&recipe(painting).size(48)),
        style_terms(&recipe(shrunk.clone()).size(48))
    );
    assert_eq!(native, style_terms(&recipe(shrunk)));
}

#[test]
fn a_target_too_narrow_for_a_layer_is_named() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let recipe = Recipe::style(
        sample("chelsea.png", 48, 32),
        [sample("starry_night.jpg", 90, 6)],
    )
    .size(48);
    let Err(error) = recipe.compile(&device, &network) else {
        panic!("a target of 48x3 pixels")
    };
    let message = error.to_string();
    assert!(
        message.contains("target of term `gram` is 48x3"),
        "{message}"
    );
}
