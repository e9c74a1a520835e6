//! The end of an iteration: its losses into the ring, and one step more.

use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/record.wgsl`.
pub const SOURCE: Source = Source {
    name: "record",
    text: include_str!("../../wgsl/record.wgsl"),
    variants: &[&[]],
};

/// `ring[(step mod rows)·slots + i] = losses[i]` for every slot i, then `step += 1`.
///
/// Bindings: `losses` (reals, `slots` of them); `ring` (reals, rows·slots; other rows stay); `step`, one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Losses of one iteration.
    pub slots: u32,
    /// Iterations that the ring holds, at least 1.
    pub rows: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    slots: u32,
    rows: u32,
}

impl Kernel for Record {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN_OUT, Slot::WORDS_IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            slots: self.slots,
            rows: self.rows,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [1; 3]
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 2 * 4 * u64::from(self.slots),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (losses, ring, step) = (b.input(), b.output(), b.words_mut());
        let slots = self.slots as usize;
        let row = (step[0] % self.rows) as usize * slots;
        ring[row..row + slots].copy_from_slice(&losses[..slots]);
        step[0] = step[0].wrapping_add(1);
    }
}
