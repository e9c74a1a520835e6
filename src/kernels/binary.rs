//! Two tensors number by number, one of which may be of one channel, of one position or of one image.

use rayon::prelude::*;

use super::{ChannelSums, ChannelSumsReduce, CopyRows, Tensor, View, flat};
use crate::device::{
    Bindings, Kernel, Kind, Real, Recording, Shader, Slot, Source, Tasks, ValueId, Work,
};

/// The variants of one derivative.
macro_rules! variants {
    ($($derivative:literal),+ $(,)?) => {
        &[
            &["ADD"],
            &["SUB"],
            &["MUL"],
            &["DIV"],
            &["MIN"],
            &["MAX"],
            $(
                &["BACKWARD", $derivative],
                &["BACKWARD", $derivative, "ACCUMULATE"],
                &["BACKWARD", $derivative, "CHANNELS"],
                &["BACKWARD", $derivative, "CHANNELS", "ACCUMULATE"],
                &["BACKWARD", $derivative, "POSITIONS"],
            )+
        ]
    };
}

/// `wgsl/binary.wgsl`.
pub const SOURCE: Source = Source {
    name: "binary",
    text: include_str!("../../wgsl/binary.wgsl"),
    variants: variants!["LINEAR", "PRODUCT", "NUMERATOR", "DENOMINATOR", "EXTREME"],
};

/// What becomes of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a·b`.
    Mul,
    /// `a / b`.
    Div,
    /// The smaller one. Where both are the same each gets half of the gradient, as torch has it.
    Min,
    /// The greater one. Where both are the same each gets half of the gradient, as torch has it.
    Max,
}

/// `y = a ∘ b`. A tensor of one channel stands for one of as many as y has, one of 1×1 positions for one of y's size, one
/// of a single image for one of as many as y has.
///
/// Bindings: `a`, `b`, `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary {
    /// What ∘ is.
    pub operation: Operation,
    /// The first.
    pub a: View,
    /// The second.
    pub b: View,
    /// Output.
    pub y: View,
}

/// How the result depends on one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derivative {
    /// The operation.
    pub operation: Operation,
    /// Whether it is with respect to the second.
    pub second: bool,
}

/// The gradient of [`Binary`] with respect to one of the two, `mine`, which has as many images and positions as y, and
/// one channel or as many as y. Of one channel it is the sum over the channels.
///
/// Bindings: `mine` and `other`, but only where [`Derivative::reads`]; `dy`; `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryBackward {
    /// What it is the gradient of.
    pub of: Derivative,
    /// The one.
    pub mine: View,
    /// The other.
    pub other: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to mine.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

/// What the positions of a share add to the gradient of [`Binary`] with respect to one of the two, `mine`, of 1×1
/// positions: a sum for each channel of y. [`ChannelSumsReduce`] adds them up.
///
/// Bindings: `mine` and `other`, but only where [`Derivative::reads`]; `dy`; `partials`, as of [`ChannelSums`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinarySums {
    /// What it is the gradient of.
    pub of: Derivative,
    /// The one.
    pub mine: View,
    /// The other.
    pub other: View,
    /// Gradient with respect to the output.
    pub dy: View,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    a: View,
    b: View,
    dy: View,
    out: View,
    columns: u32,
    items: u32,
    factor: f32,
    splits: u32,
    share: u32,
    end: [u32; 3],
}

impl Params {
    fn new([a, b, dy, out]: [View; 4], items: u32, grid: [u32; 3]) -> Self {
        Self {
            a,
            b,
            dy,
            out,
            columns: grid[0],
            items,
            factor: 1.0,
            splits: 1,
            share: 0,
            end: [0; 3],
        }
    }
}

impl Operation {
    /// What it is called, for names and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    fn definition(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Sub => "SUB",
            Self::Mul => "MUL",
            Self::Div => "DIV",
            Self::Min => "MIN",
            Self::Max => "MAX",
        }
    }

    fn of<T: Real>(self, a: T, b: T) -> T {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min => {
                if b.is_nan() {
                    b
                } else {
                    a.min(b)
                }
            }
            Self::Max => {
                if b.is_nan() {
                    b
                } else {
                    a.max(b)
                }
            }
        }
    }
}

impl Derivative {
    /// Whether the two tensors are read.
    #[must_use]
    pub fn reads(self) -> bool {
        !matches!(self.operation, Operation::Add | Operation::Sub)
    }

    fn definition(self) -> &'static str {
        match self.operation {
            Operation::Add | Operation::Sub => "LINEAR",
            Operation::Mul => "PRODUCT",
            Operation::Div if self.second => "DENOMINATOR",
            Operation::Div => "NUMERATOR",
            Operation::Min | Operation::Max => "EXTREME",
        }
    }

    fn factor(self) -> f32 {
        let is_negative = match self.operation {
            Operation::Sub => self.second,
            Operation::Min => true,
            _ => false,
        };
        if is_negative { -1.0 } else { 1.0 }
    }

    /// The derivative times `dy`.
    fn times<T: Real>(self, dy: T, mine: T, other: T) -> T {
        let ahead = T::from_f32(self.factor()) * (mine - other);
        match self.operation {
            Operation::Add | Operation::Sub => T::from_f32(self.factor()) * dy,
            Operation::Mul => dy * other,
            Operation::Div if self.second => -(dy / mine) * (other / mine),
            Operation::Div => dy / other,
            Operation::Min | Operation::Max if ahead > T::ZERO => dy,
            Operation::Min | Operation::Max if ahead < T::ZERO => T::ZERO,
            Operation::Min | Operation::Max => T::of(0.5) * dy,
        }
    }

    fn inputs(self) -> Vec<Slot> {
        vec![Slot::IN; if self.reads() { 3 } else { 1 }]
    }
}

/// The numbers of a tensor at each pixel and channel of a larger one.
struct Standing<'a, T> {
    view: View,
    each: usize,
    numbers: &'a [T],
}

impl<'a, T: Real> Standing<'a, T> {
    /// Those of `numbers` at the pixels of `all`.
    fn new(view: View, all: View, numbers: &'a [T]) -> Self {
        Self {
            view,
            each: (all.h * all.w) as usize,
            numbers,
        }
    }

    fn at(&self, pixel: usize, channel: usize) -> T {
        let positions = (self.view.h * self.view.w) as usize;
        let image = if self.view.n == 1 {
            0
        } else {
            pixel / self.each
        };
        let position = if positions == 1 { 0 } else { pixel % self.each };
        let pixel = image * positions + position;
        let channel = if self.view.c == 1 { 0 } else { channel };
        let first = flat::place(self.view, pixel, 0..1).start;
        self.numbers[first + channel]
    }
}

/// What each number of dy adds to a gradient.
struct Parts<'a, T> {
    of: Derivative,
    operands: Option<[Standing<'a, T>; 2]>,
    dy_view: View,
    dy: &'a [T],
}

impl<'a, T: Real> Parts<'a, T> {
    /// From the first bindings of a kernel.
    fn new(of: Derivative, [mine, other, dy]: [View; 3], b: &mut Bindings<'a, T>) -> Self {
        let operands = of.reads().then(|| {
            let mine = Standing::new(mine, dy, b.input());
            [mine, Standing::new(other, dy, b.input())]
        });
        Self {
            of,
            operands,
            dy_view: dy,
            dy: b.input(),
        }
    }

    fn at(&self, pixel: usize, channel: usize) -> T {
        let dy = self.dy[flat::place(self.dy_view, pixel, 0..1).start + channel];
        let [mine, other] = match &self.operands {
            Some(operands) => [0, 1].map(|i: usize| operands[i].at(pixel, channel)),
            None => [T::ZERO; 2],
        };
        self.of.times(dy, mine, other)
    }
}

impl Kernel for Binary {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[self.operation.definition()])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        let views = [self.a, self.b, self.y, self.y];
        Params::new(views, flat::items(self.y), self.grid())
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: self.y.elements() as u64,
            bytes: self.a.bytes() + self.b.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let first = Standing::new(self.a, self.y, b.input());
        let second = Standing::new(self.b, self.y, b.input());
        let y = b.output();
        let channels = self.y.c as usize;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (y, padding) = y.split_at_mut(channels);
            padding.fill(T::ZERO);
            for (c, y) in y.iter_mut().enumerate() {
                *y = self.operation.of(first.at(pixel, c), second.at(pixel, c));
            }
        });
    }
}

impl BinaryBackward {
    /// Whether the gradient is a sum over channels.
    fn sums(&self) -> bool {
        self.dx.c == 1 && self.dy.c > 1
    }

    /// Positions, or vec4s.
    fn items(&self) -> u32 {
        let quads = if self.sums() { 1 } else { self.dx.quads };
        flat::items(View { quads, ..self.dx })
    }
}

impl Kernel for BinaryBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            ("BACKWARD", true),
            (self.of.definition(), true),
            ("CHANNELS", self.sums()),
            ("ACCUMULATE", self.accumulate),
        ];
        let on = definitions
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&on.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = self.of.inputs();
        slots.push(flat::result(self.accumulate));
        slots
    }
    fn params(&self) -> Params {
        let views = [self.mine, self.other, self.dy, self.dx];
        Params {
            factor: self.of.factor(),
            ..Params::new(views, self.items(), self.grid())
        }
    }
    fn grid(&self) -> [u32; 3] {
        if self.sums() {
            flat::grid(self.items().div_ceil(16))
        } else {
            flat::item_grid(self.items())
        }
    }
    fn work(&self) -> Work {
        let operands = if self.of.reads() {
            self.mine.bytes() + self.other.bytes()
        } else {
            0
        };
        Work {
            flop: 3 * self.dy.elements() as u64,
            bytes: operands + self.dy.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let parts = Parts::new(self.of, [self.mine, self.other, self.dy], &mut b);
        let dx = b.output();
        let channels = self.dx.c as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let (dx, padding) = dx.split_at_mut(channels);
            padding.fill(T::ZERO);
            for (c, dx) in dx.iter_mut().enumerate() {
                let value = if self.sums() {
                    let all = 0..self.dy.c as usize;
                    T::of(all.map(|c| parts.at(pixel, c).wide()).sum())
                } else {
                    parts.at(pixel, c)
                };
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}

impl BinarySums {
    fn sums(&self) -> ChannelSums {
        ChannelSums {
            x: self.dy,
            square: false,
        }
    }

    fn share(&self) -> u32 {
        (self.dy.h * self.dy.w).div_ceil(self.sums().splits())
    }
}

impl Kernel for BinarySums {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["BACKWARD", self.of.definition(), "POSITIONS"])
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = self.of.inputs();
        slots.push(Slot::OUT);
        slots
    }
    fn params(&self) -> Params {
        let views = [self.mine, self.other, self.dy, self.dy];
        Params {
            factor: self.of.factor(),
            splits: self.sums().splits(),
            share: self.share(),
            ..Params::new(views, flat::items(self.dy), self.grid())
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.dy.quads.div_ceil(16), self.sums().splits(), self.dy.n]
    }
    fn work(&self) -> Work {
        let operands = if self.of.reads() {
            self.mine.bytes() + self.other.bytes()
        } else {
            0
        };
        Work {
            flop: 3 * self.dy.elements() as u64,
            bytes: operands + self.dy.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let parts = Parts::new(self.of, [self.mine, self.other, self.dy], &mut b);
        let partials = b.output();
        let pixels = (self.dy.h * self.dy.w) as usize;
        let (splits, share) = (self.sums().splits() as usize, self.share() as usize);
        partials[..self.sums().partials_len()]
            .par_chunks_exact_mut(self.dy.padded())
            .enumerate()
            .run(|(i, partial)| {
                let (n, split) = (i / splits, i % splits);
                let own = (split * share).min(pixels)..((split + 1) * share).min(pixels);
                partial.fill(T::ZERO);
                for (c, partial) in partial[..self.dy.c as usize].iter_mut().enumerate() {
                    let all = own.clone().map(|pixel| n * pixels + pixel);
                    *partial = T::of(all.map(|pixel| parts.at(pixel, c).wide()).sum());
                }
            });
    }
}

/// Records the gradient of [`Binary`] with respect to one of the two: `operands` are that one and the other, for a
/// derivative that reads them. `dx` may be of one channel, of one position or both.
pub fn record_binary_backward(
    recording: &mut Recording,
    label: &str,
    of: Derivative,
    operands: Option<[Tensor; 2]>,
    dy: Tensor,
    dx: Tensor,
    accumulate: bool,
) {
    let [mine, other] = operands.map_or([dx.view, dy.view], |both| both.map(|x| x.view));
    let mut values: Vec<ValueId> = operands.iter().flatten().map(|x| x.value).collect();
    values.push(dy.value);
    let positions = |view: View| (view.h, view.w);
    if positions(dx.view) == positions(dy.view) {
        let backward = BinaryBackward {
            of,
            mine,
            other,
            dy: dy.view,
            dx: dx.view,
            accumulate,
        };
        values.push(dx.value);
        recording.call(label, backward, &values);
        return;
    }
    let first = BinarySums {
        of,
        mine,
        other,
        dy: dy.view,
    };
    let len = first.sums().partials_len();
    let partials = recording.transient(format!("{label}, in parts"), Kind::Real, len);
    values.push(partials);
    recording.call(format!("{label}, in parts"), first, &values);
    let view = View::new(dy.view.n, 1, 1, dy.view.c);
    let sums = Tensor::transient(recording, format!("{label}, sums"), view);
    let reduce = ChannelSumsReduce {
        x: dy.view,
        scale: 1.0,
    };
    recording.call(format!("{label}, sums"), reduce, &[partials, sums.value]);
    if dx.view.c == dy.view.c {
        let copy = CopyRows {
            x: sums.view,
            y: dx.view,
            from: 0,
            to: 0,
            rows: 1,
            accumulate,
        };
        recording.call(label, copy, &[sums.value, dx.value]);
    } else {
        let over_channels = BinaryBackward {
            of: Derivative {
                operation: Operation::Add,
                second: false,
            },
            mine: dx.view,
            other: sums.view,
            dy: sums.view,
            dx: dx.view,
            accumulate,
        };
        recording.call(label, over_channels, &[sums.value, dx.value]);
    }
}
