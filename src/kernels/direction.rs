//! How far activations point in a given direction of their channels' space, and the gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/direction.wgsl`.
pub const SOURCE: Source = Source {
    name: "direction",
    text: include_str!("../../wgsl/direction.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// Positions that one workgroup sums into one partial.
const POSITIONS: u32 = 16;
/// The least cosine that the product is multiplied by.
const LEAST_COSINE: f64 = 0.1;
/// What keeps the cosine of a zero vector a number.
const EPSILON: f64 = 1e-4;

/// The mean over the positions of each image of `d·max(0.1, cos)^power`, d = ⟨φ, v⟩, cos = d/(10⁻⁴ + ‖φ‖·‖v‖), in
/// [`Direction::parts`] parts whose plain sum it is.
///
/// Bindings: `x`, `v` (reals, \[n or 1\]\[4·quads\], padding zero), `slopes` (reals, [`Direction::slopes`], for the
/// gradient), `partials` (\[n\]\[parts\]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// The layer.
    pub x: View,
    /// Directions there are: one for each image, or 1 for all.
    pub directions: u32,
    /// The cosine's exponent, 0 or more; 0 leaves the mean of d.
    pub power: f32,
}

/// The gradient of [`Direction`]: `dx (+)= alpha·∂value/∂x`, exactly: where the cosine is below 0.1 its factor is
/// constant.
///
/// Bindings: `x`, `v`, `slopes` (what [`Direction`] wrote), `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DirectionBackward {
    /// The kernel of the value.
    pub forward: Direction,
    /// The gradient, of the shape of x.
    pub dx: View,
    /// Factor on the gradient.
    pub alpha: f32,
    /// Adds to `dx`.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dx: View,
    columns: u32,
    items: u32,
    parts: u32,
    positions: u32,
    directions: u32,
    power: f32,
    scale: f32,
}

impl Direction {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        self.positions().div_ceil(POSITIONS)
    }

    /// Reals of `slopes`: two for each position of each image.
    #[must_use]
    pub fn slopes(&self) -> usize {
        self.x.pixels() * 2
    }

    fn positions(&self) -> u32 {
        self.x.h * self.x.w
    }

    /// The direction of an image.
    fn of<'a, T>(&self, v: &'a [T], image: usize) -> &'a [T] {
        let length = self.x.padded();
        &v[image % self.directions as usize * length..][..length]
    }

    /// d·max(0.1, cos)^power at one position, and the factors of its gradient on v and on φ.
    fn at<T: Real>(&self, phi: &[T], v: &[T]) -> (f64, [f64; 2]) {
        let [mut d, mut of_phi, mut of_v] = [0.0; 3];
        for (phi, v) in phi.iter().zip(v) {
            let (phi, v) = (phi.wide(), v.wide());
            d += phi * v;
            of_phi += phi * phi;
            of_v += v * v;
        }
        let (of_phi, of_v) = (of_phi.sqrt(), of_v.sqrt());
        let cosine = d / (EPSILON + of_phi * of_v);
        let power = f64::from(self.power);
        let factor = cosine.max(LEAST_COSINE).powf(power);
        let slopes = if cosine > LEAST_COSINE {
            [
                factor * (1.0 + power),
                -factor * power * cosine * of_v / of_phi,
            ]
        } else {
            [factor, 0.0]
        };
        (factor * d, slopes)
    }
}

impl Kernel for Direction {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            dx: self.x,
            columns: self.grid()[0],
            items: 0,
            parts: self.parts(),
            positions: self.positions(),
            directions: self.directions,
            power: self.power,
            scale: 1.0 / self.positions() as f32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(self.x.n.saturating_mul(self.parts()))
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.x.elements() as u64,
            bytes: self.x.bytes() + 4 * self.slopes() as u64,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, v, slopes, partials) = (b.input(), b.input(), b.output(), b.output());
        let (positions, parts) = (self.positions() as usize, self.parts() as usize);
        let quads = 0..self.x.quads as usize;
        let share = POSITIONS as usize;
        // Shares of one image after the other, each image's last one shorter where it must be.
        let images = slopes[..self.slopes()].chunks_mut(2 * positions);
        let shares: Vec<&mut [T]> = images.flat_map(|i| i.chunks_mut(2 * share)).collect();
        shares
            .into_par_iter()
            .zip(&mut partials[..self.x.n as usize * parts])
            .enumerate()
            .run(|(group, (slopes, partial))| {
                let image = group / parts;
                let v = self.of(v, image);
                let first = image * positions + group % parts * share;
                let mut sum = 0.0;
                for (i, slope) in slopes.chunks_exact_mut(2).enumerate() {
                    let phi = &x[flat::place(self.x, first + i, quads.clone())];
                    let (value, factors) = self.at(phi, v);
                    sum += value;
                    slope.copy_from_slice(&factors.map(T::of));
                }
                *partial = T::of(sum / positions as f64);
            });
    }
}

impl Kernel for DirectionBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            dx: self.dx,
            columns: self.grid()[0],
            items: flat::items(self.dx),
            scale: self.alpha / self.forward.positions() as f32,
            ..Kernel::params(&self.forward)
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 5 * self.dx.elements() as u64,
            bytes: self.forward.x.bytes() + self.dx.bytes() + 4 * self.forward.slopes() as u64,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, v, slopes, dx) = (b.input(), b.input(), b.input(), b.output());
        let view = self.forward.x;
        let positions = self.forward.positions() as usize;
        let quads = 0..view.quads as usize;
        let scale = T::of(f64::from(self.alpha) / positions as f64);
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let v = self.forward.of(v, pixel / positions);
            let phi = &x[flat::place(view, pixel, quads.clone())];
            let (on_v, on_phi) = (scale * slopes[2 * pixel], scale * slopes[2 * pixel + 1]);
            for ((dx, &v), &phi) in dx.iter_mut().zip(v).zip(phi) {
                let value = on_v * v + on_phi * phi;
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
