//! Other sizes.

use super::{BackwardPass, ForwardPass, Layer, LayerError, ReceptiveField, SizeError};
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
///
/// It has a receptive field where the size is scaled and a whole number of pixels lies from one unit to the next: one
/// that may be a position wider than what a unit sees, and whose centre may be a fraction of a pixel. It is never
/// computed in bands.
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

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        match self.target {
            Target::Size([height, width]) if height == 0 || width == 0 => {
                Err(LayerError::NoPositions { width, height })
            }
            Target::Scale(scale) if !scale.iter().all(|s| s.is_finite() && *s > 0.0) => {
                Err(LayerError::Scale { scale })
            }
            _ => Ok(inputs[0]),
        }
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

    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        let Target::Scale(scale) = self.target else {
            return None;
        };
        let scale = f64::from(scale[axis]);
        // As scales are written in f32, 1/3 is not one.
        let stride = f64::from(inputs.stride) / scale;
        let whole = stride.round();
        if whole < 1.0 || (stride - whole).abs() > 1e-6 * whole {
            return None;
        }
        let first = match self.coordinates {
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => 0.5 / scale - 0.5,
            Coordinates::Asymmetric => 0.0,
            Coordinates::AlignCorners => return None,
        };
        Some(ReceptiveField {
            // At most one position away on each side.
            size: inputs.size + 2 * inputs.stride,
            stride: whole as u32,
            start: inputs.start + first * f64::from(inputs.stride),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scaled_unit_sees() {
        let of = |method, coordinates, scale| Interpolate {
            method,
            coordinates,
            target: Target::Scale([scale; 2]),
        };
        let input = ReceptiveField {
            size: 11,
            stride: 4,
            start: 1.5,
        };
        // Unit 0 at twice the size lies a quarter of a position before unit 0.
        let doubled = of(Method::Linear, Coordinates::HalfPixel, 2.0);
        let field = ReceptiveField {
            size: 19,
            stride: 2,
            start: 0.5,
        };
        assert_eq!(doubled.receptive_field(0, input), Some(field));
        let odd = of(Method::Linear, Coordinates::HalfPixel, 3.0);
        assert_eq!(odd.receptive_field(0, input), None);
        let halved = of(Method::Linear, Coordinates::Asymmetric, 0.5);
        let field = halved.receptive_field(1, input).expect("a field");
        assert_eq!((field.stride, field.start), (8, 1.5));
    }

    #[test]
    fn sizes_are_rounded_down() {
        let of = |target| Interpolate {
            method: Method::Linear,
            coordinates: Coordinates::HalfPixel,
            target,
        };
        let scaled = of(Target::Scale([1.5, 0.7]));
        assert_eq!(scaled.size(&[[5, 10]]), Ok([7, 7]));
        assert_eq!(
            scaled.size(&[[5, 1]]),
            Err(SizeError::TooSmall { input: [5, 1] })
        );
        assert_eq!(of(Target::Size([3, 9])).size(&[[5, 1]]), Ok([3, 9]));
        assert!(of(Target::Scale([0.0, 1.0])).channels(&[3]).is_err());
        assert!(of(Target::Size([0, 1])).channels(&[3]).is_err());
    }
}
