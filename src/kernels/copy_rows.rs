//! Rows of one tensor written to, or added to, rows of another.

use rayon::prelude::*;

use super::rows::{gradient_definition, row_position, rows_mut};
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/copy_rows.wgsl`.
pub const SOURCE: Source = Source {
    name: "copy_rows",
    text: include_str!("../../wgsl/copy_rows.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// `y[n, to + r, x, c] (+)= x[n, from + r, x, c]` for `rows` rows r. The other rows of y stay as they are.
///
/// Bindings: `x`; `y`, of the same n, w and c.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRows {
    /// The input.
    pub x: View,
    /// The output.
    pub y: View,
    /// First row of x.
    pub from: u32,
    /// First row of y.
    pub to: u32,
    /// Number of rows; those of x and of y must exist.
    pub rows: u32,
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
    rows: u32,
    columns: u32,
    items: u32,
}

impl CopyRows {
    /// What is written.
    fn copied(&self) -> View {
        View {
            h: self.rows,
            ..self.y
        }
    }
}

impl Kernel for CopyRows {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(gradient_definition(self.accumulate))
    }
    fn bindings(&self) -> Vec<Slot> {
        let all = self.rows == self.y.h;
        vec![Slot::IN, flat::result(self.accumulate || !all)]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            from: self.from,
            to: self.to,
            rows: self.rows,
            columns: self.grid()[0],
            items: flat::items(self.copied()),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.copied()))
    }
    fn work(&self) -> Work {
        let bytes = self.copied().bytes();
        Work {
            flop: 0,
            bytes: if self.accumulate { 3 } else { 2 } * bytes,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (from, to, rows) = (self.from as usize, self.to as usize, self.rows as usize);
        let quads = 0..self.y.quads as usize;
        rows_mut(self.y, y).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.y, place);
            if !(to..to + rows).contains(&yy) {
                return;
            }
            for (xx, pixel) in row.chunks_exact_mut(self.y.pixel_stride()).enumerate() {
                let own = flat::place(self.y, 0, quads.clone());
                let at = self.x.at(n, yy - to + from, xx);
                let values = &x[at..at + self.y.padded()];
                if !self.accumulate {
                    pixel[own].copy_from_slice(values);
                    continue;
                }
                for (y, &x) in pixel[own].iter_mut().zip(values) {
                    *y += x;
                }
            }
        });
    }
}
