//! The end of every reduction.

use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/sum.wgsl`.
pub const SOURCE: Source = Source {
    name: "sum",
    text: include_str!("../../wgsl/sum.wgsl"),
    variants: &[&[]],
};

/// `losses[slot] = scale·Σ partials`, in a fixed order.
///
/// Bindings: `partials` (reals, `len` of them), `losses` (reals; other slots stay as they are).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    /// Number of partials.
    pub len: u32,
    /// Factor on the sum.
    pub scale: f32,
    /// Element of `losses` to write.
    pub slot: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    len: u32,
    slot: u32,
    scale: f32,
}

impl Kernel for Sum {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::In, Slot::InOut]
    }
    fn params(&self) -> Params {
        Params {
            len: self.len,
            slot: self.slot,
            scale: self.scale,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [1; 3]
    }
    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.len),
            bytes: u64::from(self.len) * 4,
        }
    }
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (partials, losses) = (b.input(), b.output());
        let sum: f64 = partials[..self.len as usize].iter().map(|v| v.wide()).sum();
        losses[self.slot as usize] = T::of(f64::from(self.scale) * sum);
    }
}
