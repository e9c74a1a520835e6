//! What a device can do at most: small kernels that do one thing only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{RUNS, least_and_median};
use crate::Error;
use crate::device::{Buffer, COOP_TILES, Device, Kernel, Kind, Operation};
use crate::kernels::{Conv, CopyRows, MultiplyAdd, MultiplyAddCoop, View};
use crate::schedule::is_allowed_async;

/// The rates that everything else is a percentage of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// 10⁹ f32 operations per second, a multiply-add being two: by chains of them in registers; on the `cpu` device by
    /// a product of matrices, the fastest thing that it does.
    pub fp32_gflops: f64,
    /// The same in f16, where the adapter has it.
    pub fp16_gflops: Option<f64>,
    /// The same by cooperative matrices with factors in f16 and sums in f32, where the adapter has them and they are
    /// right; the best of their sizes.
    #[serde(default)]
    pub coop_gflops: Option<f64>,
    /// 10⁹ bytes per second, read and written, of a copy of large buffers.
    pub copy_gbps: f64,
    /// Microseconds from one small dispatch to the next that depends on it.
    pub dispatch_us: f64,
    /// Whether the kernels computed what they should.
    pub right: bool,
}

/// Long enough to be measured, short enough for every driver.
const LONG: Duration = Duration::from_millis(15);

pub async fn measure(device: &Device) -> Result<Ceilings, Error> {
    let (fp32_gflops, exact) = if device.gpu().is_some() {
        chains(device, false).await?
    } else {
        product(device).await?
    };
    let half = device.info().features.iter().any(|f| f == "shader-f16");
    let fp16 = if half {
        Some(chains(device, true).await?)
    } else {
        None
    };
    let coop = matrices(device).await?;
    let (copy_gbps, same) = copy(device).await?;
    Ok(Ceilings {
        fp32_gflops,
        fp16_gflops: fp16.map(|(rate, _)| rate),
        coop_gflops: coop.map(|(rate, _)| rate),
        copy_gbps,
        dispatch_us: dispatch(device).await?,
        right: exact
            && same
            && fp16.is_none_or(|(_, exact)| exact)
            && coop.is_none_or(|(_, exact)| exact),
    })
}

/// 10⁹ of `amount` per second in the shortest of the times.
fn rate(amount: u64, times: &[Duration]) -> f64 {
    amount as f64 / (least_and_median(times).0 * 1e6).max(1e-9)
}

/// Rate of multiply-adds, and whether their result was right.
async fn chains(device: &Device, half: bool) -> Result<(f64, bool), Error> {
    let len = 1 << 18;
    // Multiples of 1/64 below 1 are exact in f16, and so is every step below.
    let start: Vec<f32> = (0..len * 4).map(|i| (i % 64) as f32 / 64.0).collect();
    let y = device.buffer_from("chains", &start)?;
    // An even number of mirrorings: every chain ends where it began, however often it runs.
    let mut kernel = MultiplyAdd {
        len,
        rounds: 1,
        a: -1.0,
        b: 0.5,
        half,
    };
    loop {
        let time = device.time_async(&kernel, &[&y], 1).await?[0];
        if time >= LONG || kernel.rounds >= 1 << 16 {
            break;
        }
        // At most eightfold, so that no guess from a short run makes a long one.
        let more = LONG.as_secs_f64() / time.as_secs_f64().max(1e-9);
        kernel.rounds = (f64::from(kernel.rounds) * more.clamp(2.0, 8.0)).ceil() as u32;
    }
    let times = device.time_async(&kernel, &[&y], RUNS).await?;
    let unchanged = device.download_async(&y).await? == start;
    // And one that ends elsewhere: x ← x/2 + 1 goes to 2.
    let converging = MultiplyAdd {
        a: 0.5,
        b: 1.0,
        rounds: 4,
        ..kernel
    };
    device.run(&converging, &[&y])?;
    let converged = device
        .download_async(&y)
        .await?
        .iter()
        .all(|v| (v - 8.0).abs() < 0.01);
    Ok((
        rate(Operation::work(&kernel).flop, &times),
        unchanged && converged,
    ))
}

/// Rate of products of cooperative matrices, and whether their result was right; `None` where there are none.
async fn matrices(device: &Device) -> Result<Option<(f64, bool)>, Error> {
    let Some(gpu) = device.gpu() else {
        return Ok(None);
    };
    let mut best: Option<(f64, bool)> = None;
    for tile in COOP_TILES {
        let mut kernel = MultiplyAddCoop {
            groups: 4096,
            tile,
            rounds: 1,
            a: 0.031_25,
            b: 0.031_25,
        };
        if !is_allowed_async(gpu, Kernel::shader(&kernel)).await? {
            continue;
        }
        let y = device.buffer("matrices", Kind::Real, kernel.len())?;
        loop {
            let time = device.time_async(&kernel, &[&y], 1).await?[0];
            // Beyond so many rounds the sums would be rounded.
            if time >= LONG || kernel.rounds >= 1 << 12 {
                break;
            }
            let more = LONG.as_secs_f64() / time.as_secs_f64().max(1e-9);
            let more = f64::from(kernel.rounds) * more.clamp(2.0, 8.0);
            kernel.rounds = (more.ceil() as u32).min(1 << 12);
        }
        let times = device.time_async(&kernel, &[&y], RUNS).await?;
        device.upload(&y, &vec![0.0; kernel.len()])?;
        device.run(&kernel, &[&y])?;
        let reference = Device::cpu();
        let expected = reference.buffer("matrices", Kind::Real, kernel.len())?;
        reference.run(&kernel, &[&expected])?;
        let right = device.download_async(&y).await? == reference.download_async(&expected).await?;
        let rate = rate(Operation::work(&kernel).flop, &times);
        if best.is_none_or(|(most, _)| rate > most) {
            best = Some((rate, right));
        }
    }
    Ok(best)
}

/// Rate of a product of matrices, [4096, 256]·[256, 256]: as a convolution of 1×1.
async fn product(device: &Device) -> Result<(f64, bool), Error> {
    let view = View::new(1, 64, 64, 256);
    let values: Vec<f32> = (0..view.len()).map(|i| (i % 251) as f32 / 251.0).collect();
    let identity: Vec<f32> = (0..256 * 256)
        .map(|i| f32::from(u8::from(i / 256 == i % 256)))
        .collect();
    let kernel = Conv::new(view, view, 1);
    let buffers = [
        device.buffer_from("x", &values)?,
        device.buffer_from("w", &identity)?,
        device.buffer("y", Kind::Real, view.len())?,
    ];
    let bound: Vec<&Buffer> = buffers.iter().collect();
    let times = device.time_async(&kernel, &bound, RUNS).await?;
    let right = device.download_async(&buffers[2]).await? == values;
    Ok((rate(Operation::work(&kernel).flop, &times), right))
}

/// Rate of copying, counting what is read and what is written, and whether the copy is one.
async fn copy(device: &Device) -> Result<(f64, bool), Error> {
    // Beyond the caches of the processor; those of a GPU with its own memory may be larger. A page has little memory.
    let is_little = device.info().is_software() || cfg!(target_arch = "wasm32");
    let most = if is_little { 64 } else { 256 } << 20;
    let row = 1024 * 64 * 4;
    let rows = (device.info().max_binding_bytes.min(most) / row) as u32;
    let view = View::new(1, rows, 1024, 64);
    // Random, so that a driver that compresses memory does not.
    let values: Vec<f32> = (0..view.len() as u32)
        .map(|i| {
            i.wrapping_mul(2_654_435_761)
                .rotate_left(9)
                .wrapping_mul(40_503) as f32
        })
        .collect();
    let (x, y) = (
        device.buffer_from("original", &values)?,
        device.buffer("copy", Kind::Real, view.len())?,
    );
    let kernel = CopyRows {
        x: view,
        y: view,
        from: 0,
        to: 0,
        rows,
        accumulate: false,
    };
    let times = device.time_async(&kernel, &[&x, &y], RUNS).await?;
    let right = device.download_async(&y).await? == values;
    Ok((rate(Operation::work(&kernel).bytes, &times), right))
}

/// Microseconds of a dispatch that does next to nothing.
async fn dispatch(device: &Device) -> Result<f64, Error> {
    let y = device.buffer("little", Kind::Real, 4)?;
    let kernel = MultiplyAdd {
        len: 1,
        rounds: 1,
        a: 0.5,
        b: 0.5,
        half: false,
    };
    let times = device.time_async(&kernel, &[&y], RUNS).await?;
    Ok(least_and_median(&times).0 * 1e3)
}
