//! Element-wise helpers over plain arrays.

use super::flat;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/elementwise.wgsl`.
pub const SOURCE: Source = Source {
    name: "elementwise",
    text: include_str!("../../wgsl/elementwise.wgsl"),
    variants: &[&["COMBINE"], &["FILL"], &["CLAMP"], &["ROUND"]],
};

/// `y = alpha·x + beta·y`. With `beta` = 0 what is in `y` must still be a number.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Combine {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// Factor on x.
    pub alpha: f32,
    /// Factor on y.
    pub beta: f32,
}

/// `y = value`, padding included: for anything but 0 in tensors whose channels are no multiple of 4, upload instead.
///
/// Bindings: `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// What to write.
    pub value: f32,
}

/// `y = min(max(y, low), high)`. Padding channels stay zero if `low ≤ 0 ≤ high`, which tensors with padding require.
///
/// Bindings: `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// Least value.
    pub low: f32,
    /// Greatest value, not below `low`.
    pub high: f32,
}

/// `y = round(steps·min(max(x, 0), 1))/steps`, halves up: what is left of x where values are stored in `steps` steps.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// Steps from 0 to 1: 255 in 8 bits.
    pub steps: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    len: u32,
    columns: u32,
    alpha: f32,
    beta: f32,
}

impl Params {
    fn new(len: u32, alpha: f32, beta: f32) -> Self {
        Self {
            len: len / 4,
            columns: flat::item_grid(len / 4)[0],
            alpha,
            beta,
        }
    }
}

impl Kernel for Combine {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["COMBINE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.len, self.alpha, self.beta)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * u64::from(self.len),
            bytes: 3 * 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (alpha, beta) = (T::from_f32(self.alpha), T::from_f32(self.beta));
        flat::for_each_task(&mut y[..self.len as usize], |range, y| {
            for (y, &x) in y.iter_mut().zip(&x[range]) {
                *y = alpha * x + beta * *y;
            }
        });
    }
}

impl Kernel for Fill {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["FILL"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.len, self.value, 0.0)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        b.output()[..self.len as usize].fill(T::from_f32(self.value));
    }
}

impl Kernel for Clamp {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["CLAMP"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.len, self.low, self.high)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * u64::from(self.len),
            bytes: 2 * 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (low, high) = (T::from_f32(self.low), T::from_f32(self.high));
        flat::for_each_task(&mut b.output()[..self.len as usize], |_, y| {
            for y in y {
                *y = y.max(low).min(high);
            }
        });
    }
}

impl Kernel for Round {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["ROUND"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.len, self.steps, 0.0)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * u64::from(self.len),
            bytes: 2 * 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let steps = T::from_f32(self.steps);
        flat::for_each_task(&mut y[..self.len as usize], |range, y| {
            for (y, &x) in y.iter_mut().zip(&x[range]) {
                // The product is rounded as T, then halves are exact in f64.
                let scaled = (steps * x.max(T::ZERO).min(T::ONE)).wide();
                *y = T::of(scaled.round()) / steps;
            }
        });
    }
}
