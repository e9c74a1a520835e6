//! `cargo bench --bench convolution [-- DEVICE]`: the convolution kernels against the plain one, on one adapter.
//!
//! Wall time of single submissions, minimum of several; each result is compared with the plain kernel's.

use std::time::Instant;

use pixgrad::device::{Buffer, Device, DeviceOptions, Kind, Operation};
use pixgrad::kernels::{Conv, Conv1x1, Conv3x3, ConvNaive, View};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let device = Device::new(&DeviceOptions {
        device: name,
        ..Default::default()
    })?;
    println!("{}", device.info());
    println!(
        "{:<24} {:>8} {:>10} {:>10}",
        "kernel", "GFLOP", "ms", "GFLOP/s"
    );
    for (size, cin, cout, kernel) in [
        (256, 64, 64, 3),
        (64, 256, 256, 3),
        (32, 512, 512, 3),
        (256, 64, 4, 3),
        (63, 128, 16, 1),
        (31, 48, 192, 1),
        (224, 3, 64, 7),
    ] {
        let x = View::new(1, size, size, cin);
        let y = View::new(1, size, size, cout);
        let conv = Conv {
            pad: kernel / 2,
            bias: true,
            relu: true,
            ..Conv::new(x, y, kernel)
        };
        let buffers = buffers(&device, &conv)?;
        let plain = measure(&device, "conv_naive", &ConvNaive(conv), &buffers)?;
        let fast = match (Conv3x3::serve(conv), Conv1x1::serve(conv)) {
            (Some(kernel), _) => measure(&device, "conv3x3", &kernel, &buffers)?,
            (_, Some(kernel)) => measure(&device, "conv1x1", &kernel, &buffers)?,
            _ => measure(&device, "conv", &conv, &buffers)?,
        };
        let distance = plain
            .1
            .iter()
            .zip(&fast.1)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum::<f64>()
            .sqrt();
        let norm = plain
            .1
            .iter()
            .map(|a| f64::from(*a).powi(2))
            .sum::<f64>()
            .sqrt();
        println!(
            "  {size}² {cin}→{cout}: {:.1}× the plain kernel, difference {:.1e}",
            plain.0 / fast.0,
            distance / norm
        );
    }
    Ok(())
}

fn buffers(device: &Device, conv: &Conv) -> Result<Vec<Buffer>, Box<dyn std::error::Error>> {
    let random = |len: usize, scale: f32| -> Vec<f32> {
        (0..len as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5) * scale)
            .collect()
    };
    let weights = (conv.kernel * conv.kernel) as usize * conv.x.padded() * conv.y.padded();
    Ok(vec![
        device.buffer_from("x", &random(conv.x.len(), 2.0))?,
        device.buffer_from("w", &random(weights, 0.1))?,
        device.buffer("y", Kind::Real, conv.y.len())?,
        device.buffer_from("bias", &random(conv.y.padded(), 0.1))?,
        device.buffer("mask", Kind::Word, conv.y.mask_len())?,
    ])
}

fn measure(
    device: &Device,
    name: &str,
    kernel: &dyn Operation,
    buffers: &[Buffer],
) -> Result<(f64, Vec<f32>), Box<dyn std::error::Error>> {
    let refs: Vec<&Buffer> = buffers.iter().collect();
    let mut best = f64::INFINITY;
    let started = Instant::now();
    for _ in 0..7 {
        let start = Instant::now();
        device.run(kernel, &refs)?;
        if let Some(gpu) = device.gpu() {
            gpu.wait(None)?;
        }
        best = best.min(start.elapsed().as_secs_f64());
        if started.elapsed().as_secs_f64() > 10.0 {
            break;
        }
    }
    let flop = kernel.work().flop as f64;
    println!(
        "{name:<24} {:>8.2} {:>10.2} {:>10.1}",
        flop / 1e9,
        best * 1e3,
        flop / 1e9 / best
    );
    Ok((best, device.download(&buffers[2])?))
}
