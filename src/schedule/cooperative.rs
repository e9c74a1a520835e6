//! Whether an adapter's cooperative matrices compute what they should: drivers for them are young, and some do not.

use crate::device::{Buffer, DeviceError, Gpu, Kind, Operation};
use crate::kernels::{Conv, Conv3x3, Conv3x3Coop, Conv3x3Form, Factors, View};

/// How far a convolution with factors in f16 may be from one in f32: ‖y − y'‖/‖y'‖.
const TOLERANCE: f64 = 2e-3;
/// And how far with factors of 22 digits, where the sums are those of f32.
const EXACT_TOLERANCE: f64 = 1e-5;

/// A convolution of numbers that differ from place to place, with sizes that fill no tile and as many channels as large
/// layers have, by both kernels; `exact` with factors of 22 digits.
pub(super) async fn test(gpu: &Gpu, tile: u32, exact: bool) -> Result<bool, DeviceError> {
    let (x, y) = (View::new(1, 11, 21, 508), View::new(1, 11, 21, 36));
    let conv = Conv {
        pad: [1; 2],
        ..Conv::new(x, y, 3)
    };
    let (factors, tolerance) = if exact {
        (Factors::Both, EXACT_TOLERANCE)
    } else {
        (Factors::Rounded, TOLERANCE)
    };
    let coop = Conv3x3Form::of(conv).and_then(|form| Conv3x3Coop::serve(form, tile, factors));
    let (Some(plain), Some(coop)) = (Conv3x3::serve(conv), coop) else {
        return Ok(false);
    };
    let filled =
        |label: &str, len: usize, value: fn(usize) -> f32| -> Result<Buffer, DeviceError> {
            let buffer = gpu.buffer(label, Kind::Real, len)?;
            let values: Vec<f32> = (0..len).map(value).collect();
            gpu.write(&buffer, bytemuck::cast_slice(&values))?;
            Ok(buffer)
        };
    // Of several magnitudes, some weights below what f16 has all its digits of, and of the same sign like what is
    // behind a ReLU: sums that are rounded towards zero are then farthest off.
    let pixel = |i: usize| (i as f32 * 0.37).sin().abs() * (1 + i % 37 * (i % 5)) as f32;
    let weight = |i: usize| (i as f32 * 1.7).sin().abs() * 0.1f32.powi((i % 6) as i32);
    let (pixels, weights) = (
        filled("x", x.len(), pixel)?,
        filled("w", conv.weights_len(), weight)?,
    );
    let result = async |operation: &dyn Operation| -> Result<Vec<f32>, DeviceError> {
        let y = gpu.buffer("y", Kind::Real, y.len())?;
        let params = gpu.params_buffer(&Gpu::params_bytes(operation, [0; 3]))?;
        let bound = [&pixels, &weights, &y];
        let dispatch = gpu.dispatch(operation, &bound, &params, 0, operation.grid())?;
        gpu.time([&dispatch]).await?;
        Ok(bytemuck::pod_collect_to_vec(&gpu.read(&y).await?))
    };
    let expected = result(&plain).await?;
    // A driver that does not compile them, or an adapter without the memory for them, has none.
    let Ok(found) = result(&coop).await else {
        return gpu.check().map(|()| false).map_err(|error| {
            let hint = "with the variable PIXGRAD_COOP=0 no cooperative matrices are used";
            DeviceError::Lost(format!(
                "{error}, in a test of cooperative matrices; {hint}"
            ))
        });
    };
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| square(a - b))
        .sum();
    let norm: f64 = expected.iter().map(|b| square(*b)).sum();
    Ok(error.sqrt() <= tolerance * norm.sqrt())
}
