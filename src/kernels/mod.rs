//! The kernels: one file per WGSL file, with its parameters, bindings, dispatch size and twin.

pub mod adaptive_avg_pool;
pub mod affine;
pub mod avg_pool;
pub mod conv;
pub mod conv1x1;
pub mod conv3x3;
pub mod lrn;
pub mod max_pool;
pub mod relu;
mod rows;
pub mod softmax;
mod tensor;

pub use adaptive_avg_pool::{AdaptiveAvgPool, AdaptiveAvgPoolBackward};
pub use affine::Affine;
pub use avg_pool::{AvgPool, AvgPoolBackward};
pub use conv::Conv;
pub use conv1x1::Conv1x1;
pub use conv3x3::Conv3x3;
pub use lrn::{Lrn, LrnBackward};
pub use max_pool::{MaxPool, MaxPoolBackward};
pub use relu::{Relu, ReluBackward};
pub use softmax::{Softmax, SoftmaxBackward};
pub use tensor::{Tensor, View, pack, unpack};

use crate::device::{Recording, Source, ValueId};

/// Every WGSL file with all its variants: the tests compile each for every backend.
pub const SOURCES: &[&Source] = &[
    &adaptive_avg_pool::SOURCE,
    &affine::SOURCE,
    &avg_pool::SOURCE,
    &avg_pool::BACKWARD,
    &conv::SOURCE,
    &conv1x1::SOURCE,
    &conv3x3::SOURCE,
    &lrn::SOURCE,
    &lrn::BACKWARD,
    &max_pool::SOURCE,
    &max_pool::BACKWARD,
    &relu::SOURCE,
    &relu::BACKWARD,
    &softmax::SOURCE,
    &softmax::BACKWARD,
];

/// Records a convolution with the kernel that serves its shape best.
pub fn record_conv(
    recording: &mut Recording,
    label: impl Into<String>,
    conv: Conv,
    values: &[ValueId],
) {
    if let Some(fast) = Conv3x3::serve(conv) {
        recording.call(label, fast, values);
    } else if let Some(fast) = Conv1x1::serve(conv) {
        recording.call(label, fast, values);
    } else {
        recording.call(label, conv, values);
    }
}
