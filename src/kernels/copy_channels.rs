//! Channels of one tensor written to, or added to, channels of another, wherever they begin.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/copy_channels.wgsl`.
pub const SOURCE: Source = Source {
    name: "copy_channels",
    text: include_str!("../../wgsl/copy_channels.wgsl"),
    variants: &[&[], &["KEEP"], &["ACCUMULATE"]],
};

/// `y[n, row, col, to + c] (+)= x[n, row, col, from + c]` for `channels` channels c. Neither needs to begin at a whole
/// vec4.
///
/// In the vec4s that are written, channels of y before `to` stay as they are. Those behind the last one become zero,
/// unless the call adds: so several tensors can be written side by side, the first first.
///
/// Bindings: `x`; `y`, of the same n, h and w.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyChannels {
    /// The input.
    pub x: View,
    /// The output.
    pub y: View,
    /// First channel of x.
    pub from: u32,
    /// First channel of y.
    pub to: u32,
    /// Number of channels; those of x and of y must exist.
    pub channels: u32,
    /// Adds to y.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    from: u32,
    to: u32,
    channels: u32,
    columns: u32,
    items: u32,
    quads: u32,
}

impl CopyChannels {
    /// The vec4s of y that are written.
    fn copied(&self) -> View {
        let quads = (self.to + self.channels).div_ceil(4) - self.to / 4;
        View { quads, ..self.y }
    }

    /// Whether there are channels in the first vec4 that must stay.
    fn keeps(&self) -> bool {
        !self.accumulate && !self.to.is_multiple_of(4)
    }
}

impl Kernel for CopyChannels {
    type Params = Params;

    fn shader(&self) -> Shader {
        let fits = self.channels > 0
            && self.from + self.channels <= self.x.c
            && self.to + self.channels <= self.y.c;
        let same = (self.x.n, self.x.h, self.x.w) == (self.y.n, self.y.h, self.y.w);
        assert!(fits && same, "{self:?}");
        SOURCE.with(match (self.accumulate, self.keeps()) {
            (true, _) => &["ACCUMULATE"],
            (false, true) => &["KEEP"],
            (false, false) => &[],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, flat::result(self.accumulate || self.keeps())]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            from: self.from,
            to: self.to,
            channels: self.channels,
            columns: self.grid()[0],
            items: flat::items(self.copied()),
            quads: self.copied().quads,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.copied()))
    }
    fn work(&self) -> Work {
        let bytes = self.x.pixels() as u64 * u64::from(self.channels) * 4;
        Work {
            flop: 0,
            bytes: if self.accumulate { 3 } else { 2 } * bytes,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (from, to) = (self.from as usize, self.to as usize);
        let count = self.channels as usize;
        let end = (to + count).next_multiple_of(4);
        let first = self.x.offset as usize * 4 + from;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let at = pixel * self.x.pixel_stride() + first;
            if !self.accumulate {
                y[to..end].fill(T::ZERO);
            }
            for (y, &x) in y[to..to + count].iter_mut().zip(&x[at..at + count]) {
                *y = if self.accumulate { *y + x } else { x };
            }
        });
    }
}
