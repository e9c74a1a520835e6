//! Chains of multiply-adds: what an adapter computes at most.

use super::flat;
use crate::device::{Bindings, HALF, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/multiply_add.wgsl`.
pub const SOURCE: Source = Source {
    name: "multiply_add",
    text: include_str!("../../wgsl/multiply_add.wgsl"),
    variants: &[&[], &[HALF]],
};

/// Steps of a chain in one round.
const STEPS: u32 = 16;
/// Chains of each element.
const CHAINS: u32 = 4;

/// Every element of y becomes the sum of four chains of 16·`rounds` steps x ← a·x + b, which begin at 8, 4, 3 and 1
/// sixteenths of it.
///
/// Nothing but registers is touched in between, after the manner of vkpeak and clpeak. Bindings: `y`, `len`·4 reals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MultiplyAdd {
    /// vec4s of y.
    pub len: u32,
    /// Sixteen steps each.
    pub rounds: u32,
    /// Factor of a step.
    pub a: f32,
    /// Summand of a step.
    pub b: f32,
    /// Computes in f16: only where the adapter has `shader-f16`. The reference computes in its own type all the same.
    pub half: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    len: u32,
    rounds: u32,
    a: f32,
    b: f32,
}

impl Kernel for MultiplyAdd {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.half { &[HALF] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            len: self.len,
            rounds: self.rounds,
            a: self.a,
            b: self.b,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len)
    }
    fn work(&self) -> Work {
        let steps = u64::from(self.rounds * STEPS * CHAINS);
        Work {
            flop: 2 * 4 * u64::from(self.len) * steps,
            bytes: 2 * u64::from(self.len) * 16,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let y = &mut b.output()[..self.len as usize * 4];
        let (a, b) = (T::from_f32(self.a), T::from_f32(self.b));
        flat::for_each_task(y, |_, values| {
            for value in values {
                let mut chains = [0.5, 0.25, 0.1875, 0.0625].map(|part| *value * T::of(part));
                for _ in 0..self.rounds * STEPS {
                    chains = chains.map(|x| a * x + b);
                }
                let [p, q, r, s] = chains;
                *value = (p + q) + (r + s);
            }
        });
    }
}
