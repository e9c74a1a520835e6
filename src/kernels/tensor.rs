//! Tensors and their one layout, as `wgsl/shared/tensor.wgsl` describes it.

use crate::device::{Kind, Recording, ValueId};

/// The largest buffer of a tensor: the kernels count its vec4s in a u32.
pub const MAX_TENSOR_BYTES: u64 = u32::MAX as u64 * 16;

/// Most rows or columns of an image: as many workgroups stand along one axis of a grid.
pub const MAX_SIDE: u32 = 65_535;

/// The shape of a tensor and where it lies in its buffer; the WGSL struct `View`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct View {
    /// Images in the batch.
    pub n: u32,
    /// Rows.
    pub h: u32,
    /// Columns.
    pub w: u32,
    /// Channels.
    pub c: u32,
    /// vec4s per pixel of this tensor: ⌈c/4⌉.
    pub quads: u32,
    /// vec4s before this tensor's first channel in each pixel of the buffer.
    pub offset: u32,
    /// vec4s per pixel of the buffer.
    pub stride: u32,
    /// ⌈w/8⌉: strips per row.
    pub strips: u32,
}

impl View {
    /// A tensor that fills its buffer.
    #[must_use]
    pub fn new(n: u32, h: u32, w: u32, c: u32) -> Self {
        let quads = c.div_ceil(4);
        Self {
            n,
            h,
            w,
            c,
            quads,
            offset: 0,
            stride: quads,
            strips: w.div_ceil(8),
        }
    }

    /// Channels `first..first + c` of this tensor.
    ///
    /// # Panics
    /// Where `first` is no multiple of 4, or there are no such channels: a bug in the caller.
    #[must_use]
    pub fn slice(&self, first: u32, c: u32) -> Self {
        assert!(
            first.is_multiple_of(4) && first + c <= self.quads * 4,
            "slice {first}+{c} of {self:?}"
        );
        Self {
            c,
            quads: c.div_ceil(4),
            offset: self.offset + first / 4,
            ..*self
        }
    }

    /// Elements of the whole buffer, padding included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pixels() * self.stride as usize * 4
    }

    /// Whether the tensor has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels of all images: n·h·w.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.n as usize * self.h as usize * self.w as usize
    }

    /// Elements that mean something: n·h·w·c.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.pixels() * self.c as usize
    }

    /// Elements from one pixel to the next in the buffer.
    #[must_use]
    pub fn pixel_stride(&self) -> usize {
        self.stride as usize * 4
    }

    /// Index of element (n, y, x, 0) in the buffer.
    #[must_use]
    pub fn at(&self, n: usize, y: usize, x: usize) -> usize {
        ((n * self.h as usize + y) * self.w as usize + x) * self.pixel_stride()
            + self.offset as usize * 4
    }

    /// Words of this tensor's bit mask.
    #[must_use]
    pub fn mask_len(&self) -> usize {
        self.n as usize * self.h as usize * self.strips as usize * self.quads as usize
    }

    /// Index of the mask word of (n, y, strip, quad).
    #[must_use]
    pub fn mask_at(&self, n: usize, y: usize, strip: usize, quad: usize) -> usize {
        ((n * self.h as usize + y) * self.strips as usize + strip) * self.quads as usize + quad
    }

    /// Words of the mask of maxima of which this is the pooled tensor.
    #[must_use]
    pub fn maxima_len(&self) -> usize {
        self.n as usize * self.h as usize * self.groups() * self.quads as usize
    }

    /// Index of the mask of maxima's word of (n, y, group, quad).
    #[must_use]
    pub fn maxima_at(&self, n: usize, y: usize, group: usize, quad: usize) -> usize {
        ((n * self.h as usize + y) * self.groups() + group) * self.quads as usize + quad
    }

    /// ⌈w/2⌉: groups of two pixels per row.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.w.div_ceil(2) as usize
    }

    /// Bytes of the meaningful elements, for the cost model.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.elements() as u64 * 4
    }

    /// The padded channel count: 4·quads.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.quads as usize * 4
    }
}

/// A tensor of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor {
    /// Its value.
    pub value: ValueId,
    /// Its shape.
    pub view: View,
}

impl Tensor {
    /// A tensor that lives within an iteration.
    pub fn transient(recording: &mut Recording, label: impl Into<String>, view: View) -> Self {
        Self::of_kind(recording, label, view, Kind::Real)
    }

    /// A tensor that lives within a run of its program, in memory as `kind`.
    pub fn of_kind(
        recording: &mut Recording,
        label: impl Into<String>,
        view: View,
        kind: Kind,
    ) -> Self {
        Self {
            value: recording.transient(label, kind, view.len()),
            view,
        }
    }

    /// A tensor kept from one iteration to the next.
    pub fn persistent(recording: &mut Recording, label: impl Into<String>, view: View) -> Self {
        Self {
            value: recording.persistent(label, Kind::Real, view.len()),
            view,
        }
    }

    /// A slice of its channels.
    #[must_use]
    pub fn slice(&self, first: u32, c: u32) -> Self {
        Self {
            value: self.value,
            view: self.view.slice(first, c),
        }
    }
}

/// `[N,C,H,W]` as every framework has it → this engine's layout, padding zeroed.
#[must_use]
pub fn to_quads<T: Copy + Default>(view: View, nchw: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); view.len()];
    for_each_element(view, |from, to| out[to] = nchw[from]);
    out
}

/// This engine's layout → `[N,C,H,W]`.
#[must_use]
pub fn from_quads<T: Copy + Default>(view: View, packed: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); view.elements()];
    for_each_element(view, |to, from| out[to] = packed[from]);
    out
}

/// Calls `visit(nchw index, packed index)` for every element.
fn for_each_element(view: View, mut visit: impl FnMut(usize, usize)) {
    let (h, w, c) = (view.h as usize, view.w as usize, view.c as usize);
    for n in 0..view.n as usize {
        for y in 0..h {
            for x in 0..w {
                for channel in 0..c {
                    visit(
                        ((n * c + channel) * h + y) * w + x,
                        view.at(n, y, x) + channel,
                    );
                }
            }
        }
    }
}
