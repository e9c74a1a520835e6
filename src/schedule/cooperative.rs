//! Whether an adapter's cooperative matrices compute what they should: drivers for them are young, and some do not.

use crate::device::{Buffer, DeviceError, Gpu, Kind, Operation};
use crate::kernels::{Conv, Conv3x3, Conv3x3Coop, Conv3x3Form, Factors, View};

/// How far a convolution with factors in f16 may be from one in f32: ‖y − y'‖/‖y'‖.
const TOLERANCE: f64 = 2e-3;
/// And how far with factors of 22 digits, where the sums are those of f32.
const EXACT_TOLERANCE: f64 = 1e-5;

/// A convolution of numbers that differ from place to place, with sizes that fill no tile and as many channels as large layers have, by
/// both kernels; `exact` with factors of 22 digits.
pub(super) fn test(gpu: &Gpu, tile: u32, exact: bool) -> Result<bool, DeviceError> {
    let (x, y) = (View::new(1, 11, 21, 508), View::new(1, 11, 21, 36));
    let conv = Conv {
        pad: 1,
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
    let filled = |label: &str, len: usize, seed: f32| -> Result<Buffer, DeviceError> {
        let buffer = gpu.buffer(label, Kind::Real, len)?;
        // Also of several magnitudes.
        let values: Vec<f32> = (0..len)
            .map(|i| (i as f32 * seed).sin() * (1 + i % 37 * (i % 5)) as f32)
            .collect();
        gpu.write(&buffer, bytemuck::cast_slice(&values))?;
        Ok(buffer)
    };
    let (pixels, weights) = (
        filled("x", x.len(), 0.37)?,
        filled("w", conv.weights_len(), 1.7)?,
    );
    let result = |operation: &dyn Operation| -> Result<Vec<f32>, DeviceError> {
        let y = gpu.buffer("y", Kind::Real, y.len())?;
        let params = gpu.params_buffer(&Gpu::params_bytes(operation, [0; 3]))?;
        let bound = [&pixels, &weights, &y];
        let dispatch = gpu.dispatch(operation, &bound, &params, 0, operation.grid())?;
        gpu.time([&dispatch])?;
        Ok(bytemuck::pod_collect_to_vec(&gpu.read(&y)?))
    };
    let expected = result(&plain)?;
    // A driver that does not compile them, or an adapter without the memory for them, has none.
    let Ok(found) = result(&coop) else {
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
