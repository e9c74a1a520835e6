//! The weights of convolutions in groups as their kernels read them, and which kernel that is.

use super::conv::{arrange_weights, arrange_weights_backward};
use super::{Conv, ConvDepthwise, ConvGrouped, record_conv};
use crate::device::{Recording, ValueId};

/// The weights `[output, input/groups, kh, kw]` of a convolution. Group g of the outputs sees group g of the inputs.
///
/// Its backward pass is a convolution, too, whose weights are these rotated by 180° and transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filters {
    /// Channels of the input, a multiple of `groups`.
    pub input: u32,
    /// Channels of the output, a multiple of `groups`.
    pub output: u32,
    /// At least 1.
    pub groups: u32,
    /// Height and width of the window.
    pub kernel: [u32; 2],
}

/// What a convolution of groups is computed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One group.
    Dense,
    /// Each group has one channel on one side.
    Depthwise,
    /// Anything else.
    Grouped,
}

/// One weight of a window: the channels, and row and column of the window.
#[derive(Debug, Clone, Copy)]
struct Weight {
    input: usize,
    output: usize,
    tap: usize,
    value: f32,
}

impl Filters {
    fn form(&self) -> Form {
        if self.groups == 1 {
            Form::Dense
        } else if self.groups == self.input || self.groups == self.output {
            Form::Depthwise
        } else {
            Form::Grouped
        }
    }

    /// The same of the backward pass.
    #[must_use]
    pub fn turned(&self) -> Self {
        Self {
            input: self.output,
            output: self.input,
            ..*self
        }
    }

    fn taps(&self) -> usize {
        self.kernel.iter().map(|side| *side as usize).product()
    }

    /// Elements of what [`Filters::arrange`] makes.
    #[must_use]
    pub fn len(&self) -> usize {
        let padded = |channels: u32| channels.next_multiple_of(4) as usize;
        let per_tap = match self.form() {
            Form::Dense => padded(self.input) * padded(self.output),
            Form::Depthwise => padded(self.input.max(self.output)),
            Form::Grouped => self.reach().span as usize * 4 * padded(self.output),
        };
        self.taps() * per_tap
    }

    /// Whether there are no weights: never, there is a window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of what [`Filters::arrange_backward`] makes.
    #[must_use]
    pub fn len_backward(&self) -> usize {
        self.turned().len()
    }

    /// The weights of the forward pass, in the layout of the kernel that [`Filters::record`] takes.
    #[must_use]
    pub fn arrange(&self, weight: &[f32]) -> Vec<f32> {
        match self.form() {
            Form::Dense => arrange_weights(weight, self.output, self.input, self.kernel),
            _ => self.place(self.weights(weight)),
        }
    }

    /// The weights of the backward pass.
    #[must_use]
    pub fn arrange_backward(&self, weight: &[f32]) -> Vec<f32> {
        if self.form() == Form::Dense {
            return arrange_weights_backward(weight, self.output, self.input, self.kernel);
        }
        let last = self.taps() - 1;
        self.turned().place(self.weights(weight).map(|w| Weight {
            input: w.output,
            output: w.input,
            // Turning a window by 180° reverses the order of its positions.
            tap: last - w.tap,
            ..w
        }))
    }

    /// All weights with their places.
    fn weights<'a>(&self, weight: &'a [f32]) -> impl Iterator<Item = Weight> + use<'a> {
        let [input, output] = [self.input, self.output].map(|n| (n / self.groups) as usize);
        let taps = self.taps();
        weight.iter().enumerate().map(move |(i, &value)| {
            let (channels, tap) = (i / taps, i % taps);
            let (co, ci) = (channels / input, channels % input);
            Weight {
                input: co / output * input + ci,
                output: co,
                tap,
                value,
            }
        })
    }

    /// The layout of a depthwise or grouped convolution.
    fn place(&self, weights: impl Iterator<Item = Weight>) -> Vec<f32> {
        let mut placed = vec![0.0; self.len()];
        let wide = self.input.max(self.output).next_multiple_of(4) as usize;
        let columns = self.output.next_multiple_of(4) as usize;
        let reach = self.reach();
        let depthwise = self.form() == Form::Depthwise;
        for w in weights {
            let at = if depthwise {
                w.tap * wide + w.input.max(w.output)
            } else {
                let rows = reach.span as usize * 4;
                let row = w.input - reach.first(w.output as u32 / 4) as usize * 4;
                (w.tap * rows + row) * columns + w.output
            };
            placed[at] = w.value;
        }
        placed
    }

    /// Which vec4s of the input a vec4 of the output sees.
    pub(super) fn reach(&self) -> Reach {
        let group = [self.input / self.groups, self.output / self.groups];
        let mut reach = Reach { group, span: 0 };
        for quad in 0..self.output.div_ceil(4) {
            let last = (quad * 4 + 3).min(self.output - 1) / group[1];
            let end = ((last + 1) * group[0]).div_ceil(4);
            reach.span = reach.span.max(end - reach.first(quad));
        }
        reach
    }

    /// Records the convolution, or its backward pass, with the kernel that serves it best. `conv` and `values` are as
    /// for [`record_conv`].
    pub fn record(
        &self,
        recording: &mut Recording,
        label: impl Into<String>,
        conv: Conv,
        values: &[ValueId],
    ) {
        match self.form() {
            Form::Dense => record_conv(recording, label, conv, values),
            Form::Depthwise => recording.call(label, ConvDepthwise(conv), values),
            Form::Grouped => {
                let groups = self.groups;
                recording.call(label, ConvGrouped { conv, groups }, values);
            }
        }
    }
}

/// Which vec4s of the input each vec4 of the output sees, with as many channels to a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Channels of the input and of the output in a group.
    pub group: [u32; 2],
    /// Most vec4s that are seen.
    pub span: u32,
}

impl Reach {
    /// The first vec4 that vec4 `quad` of the output sees.
    pub fn first(&self, quad: u32) -> u32 {
        quad * 4 / self.group[1] * self.group[0] / 4
    }
}
