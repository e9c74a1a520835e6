//! The end of every reduction.

use super::flat;
use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Work};

/// `wgsl/sum.wgsl`.
pub const SOURCE: Source = Source {
    name: "sum",
    text: include_str!("../../wgsl/sum.wgsl"),
    variants: &[&[]],
};

/// `losses[i, slot] = scale·Σ partials[i, ..]` for every image i of a batch, in a fixed order.
///
/// Bindings: `partials` (reals, [n, parts]), `losses` (reals, [n, slots]; other slots stay as they are).
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// Images.
    pub n: u32,
    /// Partials of each image.
    pub parts: u32,
    /// Factor on the sum.
    pub scale: Scalar,
    /// Losses of each image.
    pub slots: u32,
    /// Which of them to write.
    pub slot: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    n: u32,
    parts: u32,
    slots: u32,
    slot: u32,
    scale: f32,
}

impl Kernel for Sum {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            n: self.n,
            parts: self.parts,
            slots: self.slots,
            slot: self.slot,
            scale: self.scale.get(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(self.n)
    }
    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.n) * u64::from(self.parts),
            bytes: u64::from(self.n) * u64::from(self.parts) * 4,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (partials, losses) = (b.input(), b.output());
        let (parts, slots) = (self.parts as usize, self.slots as usize);
        let scale = f64::from(self.scale.get());
        for image in 0..self.n as usize {
            let own = &partials[image * parts..(image + 1) * parts];
            let sum: f64 = own.iter().map(|v| v.wide()).sum();
            losses[image * slots + self.slot as usize] = T::of(scale * sum);
        }
    }
}
