//! `cargo bench --bench iteration -- [DEVICE [MODEL [SIZE]]]`: whole style iterations on one device.
//!
//! Prints minimum and median of the wall time per iteration, and, on a GPU, the processor time that recording an
//! iteration's commands takes: all that the engine itself adds to what the driver does.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use pixgrad::{Device, DeviceOptions, Image, Network, Recipe};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let options = DeviceOptions {
        device: arguments.next(),
        ..Default::default()
    };
    let device = Device::new(&options)?;
    let model = arguments
        .next()
        .unwrap_or_else(|| "squeezenet1_1".to_string());
    let size: u32 = arguments
        .next()
        .unwrap_or_else(|| "256".to_string())
        .parse()?;
    let network = Network::load(&device, &model)?;
    let recipe = Recipe::style(picture(size, 1), [picture(size, 2)])
        .size(size)
        .min_size(size)
        .iterations(12);
    let mut run = recipe.compile(&device, &network)?;
    let cost = run.plan()[0].cost;
    let mut times: Vec<Duration> = Vec::new();
    let _ = run.run(|progress| {
        times.push(progress.elapsed);
        ControlFlow::Continue(())
    })?;
    // The first two warm caches and find the length of a submission.
    let mut times = times.split_off(2);
    times.sort();
    let (least, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
    println!("{}", device.info());
    println!(
        "style iteration, {model}, {size}x{size}: min {:.1} ms, median {:.1} ms, {:.2} GFLOP, {:.1} GFLOP/s, \
         {:.1} MiB, {} kernel calls",
        least * 1e3,
        median * 1e3,
        cost.gflop,
        cost.gflop / least,
        cost.total_bytes() as f64 / f64::from(1 << 20),
        cost.dispatches,
    );
    if let Some(gpu) = device.gpu() {
        let used = gpu.usage();
        println!(
            "{} submissions, {} of them longer than 100 ms, the longest {:.1} ms",
            used.submissions,
            used.long_submissions,
            used.longest_us as f64 / 1e3
        );
        let (mut recording, mut finishing) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..20 {
            let mut encoder = gpu
                .device()
                .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let start = Instant::now();
            run.encode(&mut encoder, 1)?;
            recording = recording.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            drop(encoder.finish());
            finishing = finishing.min(start.elapsed().as_secs_f64());
        }
        println!(
            "one iteration's commands: recorded by the engine in {:.0} µs, turned into the driver's by wgpu in {:.0} µs",
            recording * 1e6,
            finishing * 1e6
        );
    }
    Ok(())
}

/// A picture with structure at every scale.
fn picture(size: u32, seed: u32) -> Image {
    let value = |x: u32, y: u32, c: u32| {
        let wave = |k: f32| {
            ((x as f32 * k + (y * seed) as f32 * k * 0.7).sin() + (y as f32 * k).cos()) * 0.1
        };
        let noise = (x ^ y.rotate_left(7))
            .wrapping_mul(2_654_435_761)
            .wrapping_add(c * seed * 977)
            >> 24;
        (0.5 + wave(0.05) + wave(0.2) + noise as f32 / 2550.0).clamp(0.0, 1.0)
    };
    let rgb = (0..size * size * 3)
        .map(|i| value(i / 3 % size, i / 3 / size, i % 3))
        .collect();
    Image::new(size, size, rgb).unwrap_or_else(|e| unreachable!("a square picture: {e}"))
}
