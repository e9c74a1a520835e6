//! Flat indices, as `wgsl/shared/flat.wgsl` describes them: the kernels without a spatial tile.

use std::ops::Range;

use rayon::prelude::*;

use super::View;
use crate::device::{Slot, Tasks};

/// Invocations of a workgroup.
pub(super) const LANES: u32 = 256;
/// Items (vec4s) that one workgroup of a reduction sums into one partial.
pub(super) const SHARE: u32 = 2048;
/// Reals that one task of a reference takes.
pub(super) const TASK: usize = 16 * 1024;

/// The grid of `groups` workgroups; its width is the parameter `columns`. Its last row may be longer than needed.
pub(super) fn grid(groups: u32) -> [u32; 3] {
    let rows = groups.div_ceil(65_535).max(1);
    [groups.div_ceil(rows).max(1), rows, 1]
}

/// The grid of one invocation per item.
pub(super) fn item_grid(items: u32) -> [u32; 3] {
    grid(items.div_ceil(LANES))
}

/// The slot of a result that is written, or added to.
pub(super) fn result(accumulate: bool) -> Slot {
    if accumulate { Slot::IN_OUT } else { Slot::OUT }
}

/// vec4s of a tensor: pixels·quads; of one with more than a u32 counts, which can be planned and is then refused
/// ([`super::MAX_TENSOR_BYTES`]), the greatest u32.
pub(super) fn items(view: View) -> u32 {
    let items = view.pixels() * view.quads as usize;
    u32::try_from(items).unwrap_or(u32::MAX)
}

/// Where `quads` of a pixel (counted over all images) stand in the buffer of `view`.
pub(super) fn place(view: View, pixel: usize, quads: Range<usize>) -> Range<usize> {
    let start = pixel * view.pixel_stride() + view.offset as usize * 4;
    start + quads.start * 4..start + quads.end * 4
}

/// The pixels behind a range of items, each with those of its quads that belong to the range.
pub(super) fn pixels(
    view: View,
    items: Range<usize>,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let quads = view.quads as usize;
    (items.start / quads..items.end.div_ceil(quads)).map(move |pixel| {
        let first = pixel * quads;
        (
            pixel,
            items.start.max(first) - first..items.end.min(first + quads) - first,
        )
    })
}

/// The items, counted over all images, of workgroup `group` of a reduction over `view`.
pub(super) fn share(view: View, group: usize) -> Range<usize> {
    let (parts, items) = (parts(view) as usize, items_of_one(view) as usize);
    let first = group / parts * items;
    let start = first + group % parts * SHARE as usize;
    start..(start + SHARE as usize).min(first + items)
}

/// vec4s of one image of a batch.
pub(super) fn items_of_one(view: View) -> u32 {
    items(View { n: 1, ..view })
}

/// Partials of a reduction over each image of `view`.
pub(super) fn parts(view: View) -> u32 {
    items_of_one(view).div_ceil(SHARE)
}

/// Workgroups, and partials, of a reduction over each image of `view`: n·parts.
pub(super) fn groups(view: View) -> u32 {
    view.n.saturating_mul(parts(view))
}

/// Visits every pixel of `view` in parallel: its number over all images and its elements in `data`, mutably.
pub(super) fn for_each_pixel<T: Send>(
    view: View,
    data: &mut [T],
    visit: impl Fn(usize, &mut [T]) + Sync,
) {
    let stride = view.pixel_stride();
    let per_task = TASK.div_ceil(stride);
    data[..view.len()]
        .par_chunks_mut(per_task * stride)
        .enumerate()
        .run(|(task, chunk)| {
            for (i, pixel) in chunk.chunks_exact_mut(stride).enumerate() {
                let own = place(view, 0, 0..view.quads as usize);
                visit(task * per_task + i, &mut pixel[own]);
            }
        });
}

/// Visits tasks of an array in parallel: the range of their elements, and these, mutably.
pub(super) fn for_each_task<T: Send>(
    data: &mut [T],
    visit: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    data.par_chunks_mut(TASK)
        .enumerate()
        .run(|(task, chunk)| visit(task * TASK..task * TASK + chunk.len(), chunk));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_reach_every_group_and_stay_within_the_limit() {
        for groups in [1, 2, 65_535, 65_536, 131_071, 262_144] {
            let [x, y, z] = grid(groups);
            assert!(x <= 65_535 && y <= 65_535 && z == 1, "{groups}");
            assert!(x * y >= groups && x * (y - 1) < groups, "{groups}");
        }
        // One invocation per vec4 of a 2048×2048×64 tensor.
        assert_eq!(
            item_grid(items(View::new(1, 2048, 2048, 64))),
            [52_429, 5, 1]
        );
    }

    #[test]
    fn a_range_of_items_is_cut_at_pixels() {
        let view = View::new(1, 1, 9, 12); // 3 quads
        let cut: Vec<_> = pixels(view, 2..8).collect();
        assert_eq!(cut, [(0, 2..3), (1, 0..3), (2, 0..2)]);
        assert_eq!(pixels(view, 3..3).count(), 0);
    }
}
