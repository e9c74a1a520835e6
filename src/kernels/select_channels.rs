//! Channels in another order, some perhaps several times or not at all.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/select_channels.wgsl`.
pub const SOURCE: Source = Source {
    name: "select_channels",
    text: include_str!("../../wgsl/select_channels.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// `y[…, c] = x[…, channels[c]]`.
///
/// Bindings: `x`; `table` ([`selection`] of the channels); `y`, of the same n, h and w.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectChannels {
    /// Input.
    pub x: View,
    /// Output.
    pub y: View,
}

/// The gradient of [`SelectChannels`]: each channel of dx gets the sum of those of dy that show it.
///
/// Bindings: `dy`; `table` ([`selection_backward`] of the channels); `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectChannelsBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The table of [`SelectChannels`], zero for padding channels.
#[must_use]
pub fn selection(channels: &[u32]) -> Vec<u32> {
    let mut table = channels.to_vec();
    table.resize(channels.len().next_multiple_of(4), 0);
    table
}

/// The table of [`SelectChannelsBackward`] for an input of `inputs` channels, all of `channels` being among them: where
/// the list of each channel of the input begins in the table, padding channels included, and where the last one ends;
/// then the lists of the outputs' channels.
#[must_use]
pub fn selection_backward(channels: &[u32], inputs: u32) -> Vec<u32> {
    let padded = inputs.next_multiple_of(4);
    let mut table = vec![0; padded as usize + 1];
    let mut lists = Vec::with_capacity(channels.len());
    let start = padded + 1;
    for input in 0..padded {
        table[input as usize] = start + lists.len() as u32;
        lists.extend(
            (0..)
                .zip(channels)
                .filter_map(|(output, &c)| (c == input).then_some(output)),
        );
    }
    table[padded as usize] = start + lists.len() as u32;
    table.extend::<Vec<u32>>(lists);
    table
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    from: View,
    to: View,
    columns: u32,
    items: u32,
}

impl Params {
    fn new(from: View, to: View) -> Self {
        Self {
            from,
            to,
            columns: flat::item_grid(flat::items(to))[0],
            items: flat::items(to),
        }
    }
}

impl Kernel for SelectChannels {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.x, self.y)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 2 * self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, table, y) = (b.input(), b.words(), b.output());
        let channels = self.y.c as usize;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let x = &x[flat::place(self.x, pixel, 0..self.x.quads as usize)];
            let (y, padding) = y.split_at_mut(channels);
            padding.fill(T::ZERO);
            for (y, &c) in y.iter_mut().zip(table) {
                *y = x[c as usize];
            }
        });
    }
}

impl Kernel for SelectChannelsBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["BACKWARD", "ACCUMULATE"]
        } else {
            &["BACKWARD"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params::new(self.dy, self.dx)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: self.dy.elements() as u64,
            bytes: self.dy.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, table, dx) = (b.input(), b.words(), b.output());
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let dy = &dy[flat::place(self.dy, pixel, 0..self.dy.quads as usize)];
            for (dx, range) in dx.iter_mut().zip(table.windows(2)) {
                let list = &table[range[0] as usize..range[1] as usize];
                let value: T = list.iter().map(|&c| dy[c as usize]).sum();
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
