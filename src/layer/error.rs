//! What can be wrong with a layer.

use super::{Function, SizeError};

/// What is wrong with the options of a layer, or with its inputs. Each message continues "layer `x` ...".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// It makes no channel.
    #[error("has no channels")]
    NoChannels,
    /// It is for another number of channels than its input has.
    #[error("{does} {expected} channels, but its input has {found}")]
    Channels {
        /// What it does with them: `convolves` or `normalizes`.
        does: &'static str,
        /// Channels that it is for.
        expected: u32,
        /// Channels of its input.
        found: u32,
    },
    /// It adds layers of different channels.
    #[error("adds a layer of {other} channels to one of {first}")]
    DifferentChannels {
        /// Channels of the first input.
        first: u32,
        /// Channels of another.
        other: u32,
    },
    /// It sums up an even number of channels, or too many.
    #[error("sums up {channels} channels; it must be an odd number of at most 17")]
    SummedChannels {
        /// Channels that it sums up.
        channels: u32,
    },
    /// It picks out a channel that its input does not have.
    #[error("picks out channel {channel}, counted from 0, but its input has {channels}")]
    NoSuchChannel {
        /// The channel.
        channel: u32,
        /// Channels of its input.
        channels: u32,
    },
    /// It makes no position.
    #[error("makes {width}x{height} positions")]
    NoPositions {
        /// Columns that it makes.
        width: u32,
        /// Rows that it makes.
        height: u32,
    },
    /// Its window has no position.
    #[error("has a window of {width}x{height} positions")]
    EmptyWindow {
        /// Columns of the window.
        width: u32,
        /// Rows of the window.
        height: u32,
    },
    /// Its window is too large to say where in it the maximum is.
    #[error("has a window of {width}x{height} positions; the maximum is taken of at most {most}")]
    LargeWindow {
        /// Columns of the window.
        width: u32,
        /// Rows of the window.
        height: u32,
        /// Most positions of a window.
        most: u32,
    },
    /// Its windows are all at one place.
    #[error("has a stride of 0")]
    NoStride,
    /// The positions of its windows are all at one place.
    #[error("has a dilation of 0")]
    NoDilation,
    /// Its channels are not divided among its groups.
    #[error(
        "has {groups} groups, which do not divide its {input} input channels and {output} output channels"
    )]
    Groups {
        /// Groups of channels.
        groups: u32,
        /// Channels of its input.
        input: u32,
        /// Channels of its output.
        output: u32,
    },
    /// It adds as many rows or columns to its output as a step of its window, or more.
    #[error(
        "has an output padding of {padding}; it must be less than its stride or its dilation, {least}"
    )]
    OutputPadding {
        /// The output padding along an axis.
        padding: u32,
        /// The larger of stride and dilation along that axis.
        least: u32,
    },
    /// A window may see nothing but padding.
    #[error(
        "has a padding of {padding} where its window reaches over {extent} positions: a window may not lie wholly \
         outside"
    )]
    WidePadding {
        /// The padding along an axis.
        padding: u32,
        /// What the window reaches over along that axis.
        extent: u32,
    },
    /// A factor on its size is not positive, or no number.
    #[error("scales its input by {} and {}", .scale[0], .scale[1])]
    Scale {
        /// Factors on the rows and on the columns.
        scale: [f32; 2],
    },
    /// What it adds to a variance is no number, or negative.
    #[error("adds {epsilon} to a variance")]
    Epsilon {
        /// What it adds.
        epsilon: f32,
    },
    /// A number of its function is none, or one with which it is not defined.
    #[error("cannot compute {function:?}: not every number of it makes sense")]
    Function {
        /// The function with its numbers.
        function: Function,
    },
    /// Convolutions round their size down.
    #[error("rounds its size up, which a convolution does not")]
    RoundedUp,
    /// It has no output for inputs of their size.
    #[error(transparent)]
    Size(#[from] SizeError),
}

impl LayerError {
    /// The channels of the input, if a layer that `does` something with `expected` channels has as many.
    pub(super) fn check_channels(
        does: &'static str,
        expected: u32,
        found: u32,
    ) -> Result<u32, Self> {
        if expected == found {
            Ok(found)
        } else {
            Err(Self::Channels {
                does,
                expected,
                found,
            })
        }
    }
}

/// A layer's backward pass reads what the layer does not say that it reads: a bug in the layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pass} reads its {what} but does not say so")]
pub struct UndeclaredRead {
    /// The name of the pass.
    pub pass: String,
    /// `input` or `output`.
    pub what: &'static str,
}
