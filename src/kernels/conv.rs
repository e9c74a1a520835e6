//! Convolution, forward and backward with respect to its input.

use super::View;
use super::conv_channels::Input;
use super::conv_windows::Lines;
use super::items::{Items, with_items};
use crate::device::{Alternatives, Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv",
    text: include_str!("../../wgsl/conv.wgsl"),
    variants: VARIANTS,
};

pub(super) const VARIANTS: &[&[&str]] = with_items![
    [],
    ["ACCUMULATE"],
    ["MASKED"],
    ["MASKED", "ACCUMULATE"],
    ["BIAS"],
    ["BIAS", "RELU"],
];

/// A convolution with zeros outside the image:
/// `y (+)= alpha·(x° ⋆ w + bias)`, x° being x with `input_dilation − 1` zeros between neighbouring pixels.
///
/// The backward pass with respect to the input is the same operation with the weights of
/// [`arrange_weights_backward`], `pad' = (kernel − 1)·dilation − pad` and stride and `input_dilation` exchanged.
///
/// Bindings: `x`, `w` ([`arrange_weights`]), `y`, then `bias` and, with `relu`, the mask written; or, with `masked`,
/// the mask through which x is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv {
    /// Input.
    pub x: View,
    /// Output; its height and width are the caller's arithmetic.
    pub y: View,
    /// Height and width of the window. This and the next four have one number for rows and one for columns.
    pub kernel: [u32; 2],
    /// Step of the window.
    pub stride: [u32; 2],
    /// Zeros before the first row and column of x°.
    pub pad: [u32; 2],
    /// 1, or the stride of the convolution whose backward pass this is.
    pub input_dilation: [u32; 2],
    /// Positions of x° from one of the window to the next.
    pub dilation: [u32; 2],
    /// Factor on the result.
    pub alpha: f32,
    /// Adds a bias.
    pub bias: bool,
    /// Clamps at zero and writes the mask of positive elements; needs `bias`.
    pub relu: bool,
    /// Reads x through a mask; excludes `bias`.
    pub masked: bool,
    /// Adds to y.
    pub accumulate: bool,
    /// Each image of the batch has weights of its own, one set after the other.
    pub weights_per_image: bool,
    /// One vec4 of output channels per invocation where there could be two: half the registers, more loads, the same
    /// result.
    pub narrow: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    kernel: [u32; 2],
    stride: [u32; 2],
    pad: [u32; 2],
    input_dilation: [u32; 2],
    dilation: [u32; 2],
    /// Channels of x and of y in a group, where there are groups.
    group: [u32; 2],
    alpha: f32,
    image_weights: u32,
    /// vec4s of x that a vec4 of y reads, where there are groups.
    span: u32,
}

impl Params {
    /// With so many channels of x and of y in a group, and vec4s of x that a vec4 of y reads.
    pub(super) fn in_groups(self, group: [u32; 2], span: u32) -> Self {
        Self {
            group,
            span,
            ..self
        }
    }
}

impl Conv {
    /// A plain convolution `y = x ⋆ w` by a square window with stride 1 and no padding, to be adapted by struct update.
    #[must_use]
    pub fn new(x: View, y: View, kernel: u32) -> Self {
        Self {
            x,
            y,
            kernel: [kernel; 2],
            stride: [1; 2],
            pad: [0; 2],
            input_dilation: [1; 2],
            dilation: [1; 2],
            alpha: 1.0,
            bias: false,
            relu: false,
            masked: false,
            accumulate: false,
            weights_per_image: false,
            narrow: false,
        }
    }

    /// Elements of one set of packed weights.
    #[must_use]
    pub fn weights_len(&self) -> usize {
        self.taps() as usize * self.x.padded() * self.y.padded()
    }

    /// Positions of the window.
    pub(super) fn taps(&self) -> u32 {
        self.kernel.iter().product()
    }

    /// The variant of `source` for these operands and this numbering of invocations.
    pub(super) fn variant(&self, source: &'static Source) -> Shader {
        let definitions = self.operands().chain(self.items().definitions());
        source.with(&definitions.collect::<Vec<_>>())
    }

    /// The definitions that say what is read and written beside x, w and y.
    pub(super) fn operands(&self) -> impl Iterator<Item = &'static str> + use<> {
        [
            ("BIAS", self.bias),
            ("RELU", self.relu),
            ("MASKED", self.masked),
            ("ACCUMULATE", self.accumulate),
        ]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
    }

    /// Whether this is a convolution of stride 1 by a square window of `kernel` that keeps the image's size.
    pub(super) fn is_same(&self, kernel: u32) -> bool {
        let fits = self.kernel == [kernel; 2] && self.pad == [kernel / 2; 2];
        let dense = self.is_dense();
        fits && dense && (self.x.n, self.x.h, self.x.w) == (self.y.n, self.y.h, self.y.w)
    }

    /// Whether neighbouring positions of y see neighbouring pixels of x, in windows without gaps.
    pub(super) fn is_dense(&self) -> bool {
        [self.stride, self.input_dilation, self.dilation] == [[1; 2]; 3]
    }

    /// The work of the convolution in so many groups.
    pub(super) fn work_of(&self, groups: u32) -> Work {
        // Of a dilated input only every input_dilation-th row and column has weight.
        let window = u64::from(self.taps());
        let dilation: u32 = self.input_dilation.iter().product();
        let seen = u64::from(self.x.c / groups);
        let per_output = window * seen / u64::from(dilation);
        Work {
            flop: 2 * per_output.max(1) * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes() + window * seen * u64::from(self.y.c) * 4,
        }
    }

    /// Pieces of a row, as `wgsl/shared/window.wgsl` counts them.
    pub(super) fn pieces(&self) -> u32 {
        let apart = self.input_dilation[1];
        apart * self.y.w.div_ceil(apart).div_ceil(8)
    }

    /// What the time of a convolution depends on, for people and for files: shapes and operands.
    pub(super) fn shape(&self) -> String {
        let (x, y) = (self.x, self.y);
        let mut shape = format!(
            "{} of {}x{}x{} to {}x{}x{}, window {}, stride {}, padding {}, dilation {}",
            x.n,
            x.c,
            x.h,
            x.w,
            y.c,
            y.h,
            y.w,
            both(self.kernel),
            both(self.stride),
            both(self.pad),
            both(self.input_dilation)
        );
        if self.dilation != [1; 2] {
            shape += &format!(", taps {} apart", both(self.dilation));
        }
        for operand in self.operands() {
            shape += &format!(" {operand}");
        }
        shape
    }

    /// The bindings behind y: bias, ReLU mask and mask, where there are any.
    pub(super) fn more<'b, T: Real>(
        &self,
        b: &mut Bindings<'b, T>,
    ) -> (&'b [T], Option<&'b mut [u32]>, &'b [u32]) {
        (
            if self.bias { b.input() } else { &[] },
            self.relu.then(|| b.words_mut()),
            if self.masked { b.words() } else { &[] },
        )
    }

    /// Strips of the output, and pairs of vec4s of output channels.
    pub(super) fn items(&self) -> Items {
        if self.narrow {
            Items::single(self.y, self.y.strips)
        } else {
            Items::new(self.y, self.y.strips)
        }
    }

    /// The same with half the registers, if there is such a way.
    pub(super) fn narrowed(&self) -> Option<Self> {
        let narrow = Self {
            narrow: true,
            ..*self
        };
        (!self.narrow && self.y.quads.is_multiple_of(2)).then_some(narrow)
    }
}

impl Kernel for Conv {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.variant(&SOURCE)
    }

    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![
            Slot::IN,
            Slot::IN,
            if self.accumulate {
                Slot::IN_OUT
            } else {
                Slot::OUT
            },
        ];
        slots.extend(self.bias.then_some(Slot::IN));
        slots.extend(self.relu.then_some(Slot::WORDS_OUT));
        slots.extend(self.masked.then_some(Slot::WORDS_IN));
        slots
    }

    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            kernel: self.kernel,
            stride: self.stride,
            pad: self.pad,
            input_dilation: self.input_dilation,
            dilation: self.dilation,
            group: [0; 2],
            alpha: self.alpha,
            image_weights: if self.weights_per_image {
                (self.weights_len() / 4) as u32
            } else {
                0
            },
            span: 0,
        }
    }

    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }

    fn work(&self) -> Work {
        self.work_of(1)
    }

    fn alternatives(&self) -> Option<Alternatives> {
        let narrow = self.narrowed()?;
        Some(Alternatives {
            shape: self.shape(),
            kernels: vec![Box::new(narrow)],
        })
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, w, y) = (b.input(), b.input(), b.output());
        let (bias, relu, mask) = self.more(&mut b);
        if self.in_phases::<T>() {
            let lines = Lines::new(self, x, mask);
            let rows = self.phase_rows();
            self.tasks(rows, bias, y, relu, |n, first, count, scratch| {
                self.phase_sums(&lines, w, (n, first, count), scratch)
            });
            return;
        }
        let fill = |n: usize, position: usize, row: &mut [T]| {
            self.fill_row(x, mask, n, position, row);
        };
        let as_it_lies = self.is_same(1) && !self.masked;
        if self.by_channels::<T>() {
            let x = if as_it_lies {
                Input::AsItLies(x)
            } else {
                Input::Filled(fill)
            };
            self.channels(x, w, bias, y, relu);
        } else if as_it_lies {
            let rows = self.rows_per_task::<T>();
            self.tasks(rows, bias, y, relu, |n, first, count, scratch| {
                self.pixel_sums(x, w, (n, first, count), scratch)
            });
        } else {
            self.rows(w, bias, y, relu, fill);
        }
    }
}

/// A number for rows and one for columns, for people: once where they are the same.
fn both([rows, columns]: [u32; 2]) -> String {
    if rows == columns {
        rows.to_string()
    } else {
        format!("{rows}x{columns}")
    }
}

/// `[out,in,kh,kw]` as every framework has it → rows (ky·kw + kx)·in⁺ + ci of out⁺ columns, both channel counts rounded
/// up to a multiple of 4 with zeros.
#[must_use]
pub fn arrange_weights(weight: &[f32], out: u32, input: u32, kernel: [u32; 2]) -> Vec<f32> {
    pack(
        weight,
        [out as usize, input as usize],
        kernel,
        |ky, kx, ci, co| (ky, kx, ci, co),
        (input, out),
    )
}

/// The weights of the backward pass: rotated by 180° and transposed, in the layout of [`arrange_weights`].
#[must_use]
pub fn arrange_weights_backward(
    weight: &[f32],
    out: u32,
    input: u32,
    kernel: [u32; 2],
) -> Vec<f32> {
    let last = kernel.map(|side| side as usize - 1);
    pack(
        weight,
        [out as usize, input as usize],
        kernel,
        |ky, kx, ci, co| (last[0] - ky, last[1] - kx, co, ci),
        (out, input),
    )
}

fn pack(
    weight: &[f32],
    [out, input]: [usize; 2],
    kernel: [u32; 2],
    place: impl Fn(usize, usize, usize, usize) -> (usize, usize, usize, usize),
    (rows, columns): (u32, u32),
) -> Vec<f32> {
    let (rows, columns) = (
        rows.next_multiple_of(4) as usize,
        columns.next_multiple_of(4) as usize,
    );
    let [height, width] = kernel.map(|side| side as usize);
    let mut packed = vec![0.0; height * width * rows * columns];
    for co in 0..out {
        for ci in 0..input {
            for ky in 0..height {
                for kx in 0..width {
                    let (y, x, row, column) = place(ky, kx, ci, co);
                    packed[((y * width + x) * rows + row) * columns + column] =
                        weight[((co * input + ci) * height + ky) * width + kx];
                }
            }
        }
    }
    packed
}
