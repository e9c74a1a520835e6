//! Sorts the rows of a matrix of numbers.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::flat;
use crate::device::{
    Bindings, Kernel, Kind, Real, Recording, Shader, Slot, Source, Tasks, ValueId, Work,
};

/// `wgsl/sort.wgsl`.
pub const SOURCE: Source = Source {
    name: "sort",
    text: include_str!("../../wgsl/sort.wgsl"),
    variants: &[&[], &["MERGE"]],
};

/// Numbers that are sorted in workgroup memory.
const CHUNK: u32 = 1024;

/// Sorts each chunk of 1024 numbers of each row, and the rest of the row. Equal numbers keep their order; −0 is below
/// 0.
///
/// Bindings: `x` (reals, [rows, stride]); `y` (reals, [rows, len]); `order` (words, [rows, len]): which place in its
/// row each number of y came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortChunks {
    /// Rows.
    pub rows: u32,
    /// Numbers of each row.
    pub len: u32,
    /// From one row of x to the next.
    pub stride: u32,
}

/// Merges neighbouring sorted runs of `run` numbers, the first with the second, the third with the fourth and so on.
///
/// Bindings: `x` (reals, [rows, len]), `places` (words, the same), `y`, `order`, as [`SortChunks`] leaves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeRuns {
    /// Rows.
    pub rows: u32,
    /// Numbers of each row.
    pub len: u32,
    /// Numbers of a run.
    pub run: u32,
}

/// Sorted rows.
#[derive(Debug, Clone, Copy)]
pub struct Sorted {
    /// The numbers, [rows, len].
    pub values: ValueId,
    /// Which place in its row each came from.
    pub order: ValueId,
}

/// Records the sort of the rows of `x`.
pub fn record_sort(recording: &mut Recording, label: &str, x: ValueId, sort: SortChunks) -> Sorted {
    let SortChunks { rows, len, .. } = sort;
    let numbers = rows as usize * len as usize;
    let make = |recording: &mut Recording| Sorted {
        values: recording.transient(label, Kind::Real, numbers),
        order: recording.transient(label, Kind::Word, numbers),
    };
    let mut sorted = make(recording);
    recording.call(label, sort, &[x, sorted.values, sorted.order]);
    let mut run = CHUNK;
    while run < len {
        let merged = make(recording);
        let bound = [sorted.values, sorted.order, merged.values, merged.order];
        recording.call(label, MergeRuns { rows, len, run }, &bound);
        sorted = merged;
        run *= 2;
    }
    sorted
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    rows: u32,
    len: u32,
    stride: u32,
    parts: u32,
    run: u32,
}

fn compare<T: Real>(a: T, b: T) -> Ordering {
    a.wide().total_cmp(&b.wide())
}

impl SortChunks {
    fn parts(&self) -> u32 {
        self.len.div_ceil(CHUNK)
    }
}

impl Kernel for SortChunks {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT, Slot::WORDS_OUT]
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            rows: self.rows,
            len: self.len,
            stride: self.stride,
            parts: self.parts(),
            run: 0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(self.rows.saturating_mul(self.parts()))
    }
    fn work(&self) -> Work {
        let chunk = self.len.min(CHUNK).next_power_of_two();
        let steps = u64::from(chunk.ilog2()) * u64::from(chunk.ilog2() + 1) / 2;
        let groups = u64::from(self.rows) * u64::from(self.parts());
        Work {
            flop: groups * u64::from(CHUNK / 2) * steps * 2,
            bytes: 12 * u64::from(self.rows) * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y, order) = (b.input(), b.output(), b.words_mut());
        let [rows, len, stride] = [self.rows, self.len, self.stride].map(|v| v as usize);
        y[..rows * len]
            .par_chunks_exact_mut(len)
            .zip(order[..rows * len].par_chunks_exact_mut(len))
            .enumerate()
            .run(|(row, (y, order))| {
                let x = &x[row * stride..][..len];
                for (i, place) in order.iter_mut().enumerate() {
                    *place = i as u32;
                }
                for order in order.chunks_mut(CHUNK as usize) {
                    // A stable sort.
                    order.sort_by(|a, b| compare(x[*a as usize], x[*b as usize]));
                }
                for (y, place) in y.iter_mut().zip(order) {
                    *y = x[*place as usize];
                }
            });
    }
}

impl Kernel for MergeRuns {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["MERGE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::OUT, Slot::WORDS_OUT]
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            rows: self.rows,
            len: self.len,
            stride: self.len,
            parts: self.len.div_ceil(flat::LANES),
            run: self.run,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(self.rows.saturating_mul(self.len.div_ceil(flat::LANES)))
    }
    fn work(&self) -> Work {
        let numbers = u64::from(self.rows) * u64::from(self.len);
        Work {
            flop: 4 * numbers * u64::from(self.run.ilog2() + 1),
            bytes: 16 * numbers,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, places, y, order) = (b.input(), b.words(), b.output(), b.words_mut());
        let [rows, len, run] = [self.rows, self.len, self.run].map(|v| v as usize);
        y[..rows * len]
            .par_chunks_exact_mut(len)
            .zip(order[..rows * len].par_chunks_exact_mut(len))
            .enumerate()
            .run(|(row, (y, order))| {
                let (x, places) = (&x[row * len..][..len], &places[row * len..][..len]);
                for first in (0..len).step_by(2 * run) {
                    let middle = (first + run).min(len);
                    let end = (first + 2 * run).min(len);
                    let (mut left, mut right) = (first, middle);
                    for to in first..end {
                        let is_left = right == end
                            || left < middle && compare(x[right], x[left]) != Ordering::Less;
                        let from = if is_left { &mut left } else { &mut right };
                        y[to] = x[*from];
                        order[to] = places[*from];
                        *from += 1;
                    }
                }
            });
    }
}
