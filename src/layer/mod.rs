//! The kinds of layers, one file each.
//!
//! A layer's file holds all that is to be known of its kind: what it makes of its inputs' shapes, which pixels it sees,
//! what it needs of its parameters and of the forward pass, and which kernels compute it and its gradient. The graph,
//! the plan and the weights files know layers only through the trait [`Layer`].
//!
//! To add a kind `x`: `src/layer/x.rs` with the struct and its `impl Layer`, and its two lines below. A graph takes it
//! with [`GraphBuilder::push`](crate::net::GraphBuilder::push). What a layer does not say of itself has a default: one
//! input, an output of the input's shape, no parameters, nothing kept for the backward pass.

mod adaptive_avg_pool;
mod add;
mod avg_pool;
mod binary;
mod binary_constant;
mod channel_affine;
mod concat;
mod conv;
mod conv_transpose;
mod error;
mod global_avg_pool;
mod global_max_pool;
mod group_norm;
mod input;
mod interpolate;
mod layer_norm;
mod lrn;
mod max_pool;
mod normalize;
mod pad;
mod parameter;
mod pass;
mod pointwise;
mod prelu;
mod receptive_field;
mod relu;
mod select_channels;
mod softmax;
mod window;

use std::any::Any;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use add::Add;
pub use avg_pool::AvgPool;
pub use binary::{Binary, Operation};
pub use binary_constant::BinaryConstant;
pub use channel_affine::ChannelAffine;
pub use concat::Concat;
pub use conv::Conv;
pub use conv_transpose::ConvTranspose;
pub use error::{LayerError, UndeclaredRead};
pub use global_avg_pool::GlobalAvgPool;
pub use global_max_pool::GlobalMaxPool;
pub use group_norm::GroupNorm;
pub use input::Input;
pub use interpolate::{Coordinates, Interpolate, Method, Round, Target};
pub use layer_norm::LayerNorm;
pub use lrn::Lrn;
pub use max_pool::MaxPool;
pub use normalize::Normalize;
pub use pad::{Edge, Pad};
pub use parameter::{Arrange, ParameterBuffers, ParameterShape, Role};
pub use pass::{BackwardPass, ForwardPass};
pub use pointwise::{Function, Pointwise};
pub use prelu::PRelu;
pub use receptive_field::ReceptiveField;
pub use relu::Relu;
pub use select_channels::SelectChannels;
pub use softmax::Softmax;
pub use window::Window;

use crate::Error;
use crate::device::ValueId;

/// Size of a layer's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub channels: u32,
    pub height: u32,
    pub width: u32,
}

/// Why a layer has no output for inputs of some size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A larger image would do.
    #[error("its input of {}x{} positions is too small", .input[1], .input[0])]
    TooSmall {
        /// Height and width.
        input: [u32; 2],
    },
    /// It is for inputs of one size.
    #[error(
        "its input must be of {}x{} positions, but is {}x{}",
        .expected[1], .expected[0], .found[1], .found[0]
    )]
    Fixed {
        /// Height and width that it is for.
        expected: [u32; 2],
        /// Height and width of its input.
        found: [u32; 2],
    },
    /// The inputs differ in size.
    #[error("its inputs have different sizes: {}x{} and {}x{}", .first[1], .first[0], .other[1], .other[0])]
    Different { first: [u32; 2], other: [u32; 2] },
}

/// One kind of layer with its options. `[h, w]` is a number for rows and one for columns, wherever it stands.
pub trait Layer: Any + Debug + Send + Sync {
    /// What the kind is called, for messages: `conv`.
    fn kind(&self) -> &'static str;

    /// How many inputs it takes.
    fn inputs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    /// Channels of the output, from those of each input.
    ///
    /// # Errors
    /// What is wrong with the layer's own options or with the channels.
    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        Ok(inputs[0])
    }

    /// The window that the layer slides over its input, if it does.
    fn window(&self) -> Option<Window> {
        None
    }

    /// The same layer with another window, if it has one.
    fn with_window(&self, _window: Window) -> Option<Arc<dyn Layer>> {
        None
    }

    /// `[h, w]` of the output, from that of each input.
    ///
    /// # Errors
    /// Where there is no output for inputs of this size.
    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let first = inputs[0];
        if let Some(&other) = inputs.iter().find(|size| **size != first) {
            return Err(SizeError::Different { first, other });
        }
        self.window().map_or(Ok(first), |window| window.size(first))
    }

    /// Which pixels a unit sees along an axis (0 for rows, 1 for columns), from those that its inputs together see.
    /// `None` where it sees the whole image.
    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        Some(match self.window() {
            Some(window) => inputs.under(
                window.extent()[axis],
                window.stride[axis],
                window.before[axis],
            ),
            None => inputs,
        })
    }

    /// Whether what a unit sees has to do with the size of the image because the layer sums up all positions. Layers
    /// behind it know no places any more.
    fn is_global(&self) -> bool {
        false
    }

    /// Whether a unit sees what lies around it and nothing else, wherever it is: so the image can be seen in bands.
    fn is_local(&self) -> bool {
        !self.is_global()
    }

    /// Whether no unit is ever negative; `inputs` says it of all inputs together.
    fn is_rectified(&self, inputs: bool) -> bool;

    /// Whether the output is the inputs' channels one after another, so that these can be computed in their place in
    /// it.
    fn joins(&self) -> bool {
        false
    }

    /// The tensors of numbers that it was trained to have.
    fn parameters(&self) -> Vec<ParameterShape> {
        Vec::new()
    }

    /// Whether the backward pass reads the inputs: [`BackwardPass::input`].
    fn reads_input(&self) -> bool {
        false
    }

    /// Whether the backward pass reads the output: [`BackwardPass::output`].
    fn reads_output(&self) -> bool {
        false
    }

    /// Records the kernels that make the output. Returns what else the backward pass needs, such as masks:
    /// [`BackwardPass::saved`].
    ///
    /// # Errors
    /// [`Error::Device`] where parameters do not fit the device.
    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error>;

    /// Records the kernels that make the gradient with respect to input number `input` of that with respect to the
    /// output.
    ///
    /// # Errors
    /// [`Error::Device`] where parameters do not fit the device.
    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error>;
}

impl dyn Layer {
    /// The layer as one of a certain kind, if it is.
    #[must_use]
    pub fn of_kind<L: Layer>(&self) -> Option<&L> {
        (self as &dyn Any).downcast_ref()
    }

    /// Whether the layer is of a certain kind.
    #[must_use]
    pub fn is<L: Layer>(&self) -> bool {
        self.of_kind::<L>().is_some()
    }

    /// The output's shape, from that of each input.
    ///
    /// # Errors
    /// Those of [`Layer::channels`] and of [`Layer::size`].
    pub fn shape(&self, inputs: &[Shape]) -> Result<Shape, LayerError> {
        let channels: Vec<u32> = inputs.iter().map(|x| x.channels).collect();
        let sizes: Vec<[u32; 2]> = inputs.iter().map(|x| [x.height, x.width]).collect();
        let channels = self.channels(&channels)?;
        let [height, width] = self.size(&sizes)?;
        Ok(Shape {
            channels,
            height,
            width,
        })
    }
}

/// Two layers are the same if they are of one kind with the same options, which is what they print.
impl PartialEq for dyn Layer {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}
