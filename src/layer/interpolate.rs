//! Other sizes.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::{self, Along, Taps};

/// Which input positions make an output position that falls between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One of them.
    Nearest { round: Round },
    /// Both, by their distance, along each axis.
    Linear,
}

/// Which position counts as the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// The one before.
    Floor,
    /// The one behind.
    Ceil,
    /// The nearest, of two as near the one before.
    PreferFloor,
    /// The nearest, of two as near the one behind.
    PreferCeil,
}

/// Where output positions lie among those of the input (ONNX's `coordinate_transformation_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// Positions are squares; the outer edges meet.
    HalfPixel,
    /// The same, but one output position lies at the first of the input.
    PytorchHalfPixel,
    /// The first positions meet, and the last.
    AlignCorners,
    /// The first positions meet.
    Asymmetric,
}

/// How large the output is, `[h, w]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// As many times the input, rounded down.
    Scale([f32; 2]),
    /// This size, whatever the input.
    Size([u32; 2]),
}

/// The input in another size (ONNX's Resize; no antialiasing).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interpolate {
    pub method: Method,
    pub coordinates: Coordinates,
    pub target: Target,
}

impl Interpolate {
    /// Where the output positions of an axis lie.
    fn along(&self, axis: usize, size: u32, out: u32) -> Along {
        let (size, out) = (f64::from(size), f64::from(out));
        let ratio = match self.target {
            Target::Scale(scale) => f64::from(scale[axis]),
            Target::Size(_) => out / size,
        };
        let half_pixel = (1.0 / ratio, 0.5 / ratio - 0.5);
        let (scale, shift) = match self.coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::PytorchHalfPixel if out > 1.0 => half_pixel,
            Coordinates::AlignCorners if out > 1.0 => ((size - 1.0) / (out - 1.0), 0.0),
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners => (0.0, 0.0),
            Coordinates::Asymmetric => (1.0 / ratio, 0.0),
        };
        Along {
            scale: scale as f32,
            shift: shift as f32,
        }
    }

    fn taps(&self) -> Taps {
        match self.method {
            Method::Linear => Taps::Linear,
            Method::Nearest { round } => match round {
                Round::Floor => Taps::Floor,
                Round::Ceil => Taps::Ceil,
                Round::PreferFloor => Taps::PreferFloor,
                Round::PreferCeil => Taps::PreferCeil,
            },
        }
    }
}

impl Layer for Interpolate {
    fn kind(&self) -> &'static str {
        "interpolate"
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let input = inputs[0];
        let size = match self.target {
            Target::Size(size) => size,
            Target::Scale(scale) => [0, 1].map(|axis| (input[axis] as f32 * scale[axis]) as u32),
        };
        if size.contains(&0) {
            return Err(SizeError::TooSmall { input });
        }
        Ok(size)
    }

    /// Not the same at every unit.
    fn receptive_field(&self, _: usize, _: ReceptiveField) -> Option<ReceptiveField> {
        None
    }

    fn is_local(&self) -> bool {
        false
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let interpolate = kernels::Interpolate {
            x: x.view,
            y: y.view,
            taps: self.taps(),
            along: [
                self.along(0, x.view.h, y.view.h),
                self.along(1, x.view.w, y.view.w),
            ],
        };
        pass.call(interpolate, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let interpolate = kernels::InterpolateBackward {
            dy: dy.view,
            dx: dx.view,
            taps: self.taps(),
            along: [
                self.along(0, dx.view.h, dy.view.h),
                self.along(1, dx.view.w, dy.view.w),
            ],
            accumulate: pass.accumulate,
        };
        pass.call(interpolate, &[dy.value, dx.value]);
        Ok(())
    }
}
