//! The kernels: one file per WGSL file, with its parameters, bindings, dispatch size and reference.

pub mod about_mean;
pub mod adam;
pub mod adaptive_avg_pool;
pub mod affine;
pub mod alpha_norm;
pub mod avg_pool;
pub mod ball;
pub mod binary;
pub mod blur;
mod bounds;
pub mod channel_affine;
pub mod channel_distance;
pub mod channel_scale;
pub mod channel_sums;
pub mod clip_small;
pub mod colour;
pub mod conv;
pub mod conv1x1;
pub mod conv3x3;
pub mod conv3x3_coop;
pub mod conv3x3_form;
pub mod conv3x3_narrow;
pub mod conv3x3_pool;
pub mod conv3x3_tile;
pub mod conv3x3_winograd;
mod conv_channels;
pub mod conv_depthwise;
pub mod conv_grouped;
pub mod conv_naive;
mod conv_phases;
mod conv_reference;
mod conv_windows;
pub mod copy_channels;
pub mod copy_rows;
pub mod covariance;
pub mod cross_entropy;
mod decay;
pub mod direction;
pub mod elementwise;
pub mod ema;
mod error;
pub mod evolve;
mod filters;
mod flat;
pub mod fourier;
pub mod global_max_pool;
pub mod gradient_step;
pub mod gram;
pub mod group_norm;
pub mod guide;
pub mod interpolate;
mod items;
pub mod keep_best;
pub mod layer_norm;
pub mod lbfgs_direction;
pub mod lbfgs_products;
pub mod lbfgs_recursion;
pub mod lbfgs_step;
pub mod lrn;
pub mod margin;
pub mod matmul;
pub mod max_pool;
pub mod moments;
pub mod multiply_add;
pub mod multiply_add_coop;
pub mod pad;
pub mod pair_kernel;
pub mod percentile;
pub mod pick;
pub mod pixels;
pub mod pointwise;
pub mod pyramid;
pub mod quantiles;
pub mod random;
pub mod record;
pub mod relu;
pub mod rescale;
pub mod resize;
pub mod roll;
mod rows;
pub mod select;
pub mod select_channels;
pub mod shuffle;
pub mod softmax;
pub mod sort;
pub mod squared_difference;
pub mod sum;
mod tensor;
pub mod tv;
pub mod tv_beta;
pub mod unit_vectors;
pub mod warp;
pub mod weigh;
mod winograd;

pub use about_mean::{AboutMean, Stretch};
pub use adam::Adam;
pub use adaptive_avg_pool::{AdaptiveAvgPool, AdaptiveAvgPoolBackward};
pub use affine::Affine;
pub use alpha_norm::{AlphaNorm, AlphaNormBackward};
pub use avg_pool::{AvgPool, AvgPoolBackward};
pub use ball::{Ball, BallNorm};
pub use binary::{
    Binary, BinaryBackward, BinarySums, Derivative, Operation, record_binary_backward,
};
pub use blur::{Blur, record_blur};
pub use channel_affine::{ChannelAffine, ChannelCentre};
pub use channel_distance::ChannelDistance;
pub use channel_scale::{ChannelLeak, ChannelLeakBackward, ChannelScale};
pub use channel_sums::{ChannelSums, ChannelSumsReduce, record_channel_sums};
pub use clip_small::{ClipSmall, PixelContribution, PixelNorm};
pub use colour::{Colour, ColourBackward};
pub use conv::Conv;
pub use conv_depthwise::ConvDepthwise;
pub use conv_grouped::ConvGrouped;
pub use conv_naive::ConvNaive;
pub use conv1x1::Conv1x1;
pub use conv3x3::Conv3x3;
pub use conv3x3_coop::{Conv3x3Coop, Factors};
pub use conv3x3_form::Conv3x3Form;
pub use conv3x3_narrow::Conv3x3Narrow;
pub use conv3x3_pool::{Conv3x3Pool, Conv3x3Unpool};
pub use conv3x3_tile::Conv3x3Tile;
pub use conv3x3_winograd::{Conv3x3Winograd, WinogradTile};
pub use copy_channels::CopyChannels;
pub use copy_rows::CopyRows;
pub use covariance::{DiagonalScale, Ridge};
pub use cross_entropy::{CrossEntropy, CrossEntropyBackward};
pub use direction::{Direction, DirectionBackward};
pub use elementwise::{Clamp, Combine, Fill, Round};
pub use ema::{Ema, EmaRead};
pub use error::WarpError;
pub use evolve::{Breed, Judge, Replace};
pub use filters::Filters;
pub use fourier::{FourierColumns, FourierRows, Spectrum, SpectrumScale, Twiddles};
pub use global_max_pool::{GlobalMaxPool, GlobalMaxPoolBackward};
pub use gradient_step::{GradientStep, StepSize};
pub use gram::{Gram, GramReduce};
pub use guide::{Guide, GuideBackward, GuideMatch};
pub use interpolate::{Along, Interpolate, InterpolateBackward, Taps};
pub use keep_best::{DecideBest, KeepBest};
pub use layer_norm::{LayerNorm, LayerNormBackward};
pub use lbfgs_direction::LbfgsDirection;
pub use lbfgs_products::LbfgsProducts;
pub use lbfgs_recursion::LbfgsRecursion;
pub use lbfgs_step::LbfgsStep;
pub use lrn::{Lrn, LrnBackward};
pub use margin::{Margin, MarginBackward};
pub use matmul::{Matmul, Matrix, Product};
pub use max_pool::{MaxPool, MaxPoolBackward};
pub use moments::{
    Moments, MomentsDifference, MomentsReduce, record_moments, record_moments_difference,
};
pub use multiply_add::MultiplyAdd;
pub use multiply_add_coop::MultiplyAddCoop;
pub use pad::{Edge, Pad, PadBackward};
pub use pair_kernel::{PairKernel, PairSums, VectorKernel};
pub use percentile::Percentile;
pub use pick::Pick;
pub use pixels::Pixels;
pub use pointwise::{Function, Pointwise, PointwiseBackward};
pub use pyramid::{PyramidDown, PyramidUp};
pub use quantiles::Quantiles;
pub use random::Uniform;
pub use record::Record;
pub use relu::{Relu, ReluBackward};
pub use rescale::{Normalization, Rescale};
pub use resize::{Axis, Resize, ResizeFilter, record_resize};
pub use roll::Roll;
pub use select::{SELECTION_WORDS, Select, SelectBackward};
pub use select_channels::{SelectChannels, SelectChannelsBackward};
pub use shuffle::{SEGMENT_WORDS, Shuffle, Unshuffle};
pub use softmax::{Softmax, SoftmaxBackward};
pub use sort::{MergeRuns, SortChunks, Sorted, record_sort};
pub use squared_difference::{SquaredDifference, SquaredDifferenceBackward};
pub use sum::Sum;
pub use tensor::{MAX_SIDE, MAX_TENSOR_BYTES, Tensor, View, from_quads, to_quads};
pub use tv::{Tv, TvBackward};
pub use tv_beta::{TvBeta, TvBetaBackward};
pub use unit_vectors::UnitVectors;
pub use warp::{Warp, WarpBackward, WarpDraw};
pub use weigh::Weigh;

use crate::device::{Recording, Source, ValueId};

/// Every WGSL file with all its variants: the tests compile each for every backend.
pub const SOURCES: &[&Source] = &[
    &about_mean::SOURCE,
    &adam::SOURCE,
    &adaptive_avg_pool::SOURCE,
    &affine::SOURCE,
    &alpha_norm::SOURCE,
    &avg_pool::BACKWARD,
    &avg_pool::SOURCE,
    &ball::SOURCE,
    &binary::SOURCE,
    &blur::SOURCE,
    &channel_affine::SOURCE,
    &channel_distance::SOURCE,
    &channel_scale::SOURCE,
    &channel_sums::SOURCE,
    &clip_small::SOURCE,
    &colour::SOURCE,
    &conv1x1::SOURCE,
    &conv3x3::SOURCE,
    &conv3x3_coop::SOURCE,
    &conv3x3_pool::SOURCE,
    &conv3x3_tile::SOURCE,
    &conv3x3_winograd::SOURCE,
    &conv3x3_winograd::SOURCE_4,
    &conv::SOURCE,
    &conv_depthwise::SOURCE,
    &conv_grouped::SOURCE,
    &conv_naive::SOURCE,
    &copy_channels::SOURCE,
    &copy_rows::SOURCE,
    &covariance::SOURCE,
    &cross_entropy::SOURCE,
    &direction::SOURCE,
    &elementwise::SOURCE,
    &ema::SOURCE,
    &evolve::SOURCE,
    &global_max_pool::SOURCE,
    &gradient_step::SOURCE,
    &fourier::SOURCE,
    &gram::REDUCE_SOURCE,
    &gram::SOURCE,
    &group_norm::SOURCE,
    &guide::MATCH_SOURCE,
    &guide::SOURCE,
    &layer_norm::SOURCE,
    &lbfgs_direction::SOURCE,
    &lbfgs_products::SOURCE,
    &lbfgs_recursion::SOURCE,
    &lbfgs_step::SOURCE,
    &interpolate::SOURCE,
    &keep_best::SOURCE,
    &lrn::BACKWARD,
    &lrn::SOURCE,
    &margin::SOURCE,
    &matmul::SOURCE,
    &max_pool::BACKWARD,
    &max_pool::SOURCE,
    &moments::SOURCE,
    &multiply_add::SOURCE,
    &multiply_add_coop::SOURCE,
    &pad::SOURCE,
    &pair_kernel::SOURCE,
    &percentile::SOURCE,
    &pick::SOURCE,
    &pixels::SOURCE,
    &pointwise::SOURCE,
    &pyramid::SOURCE,
    &quantiles::SOURCE,
    &random::SOURCE,
    &record::SOURCE,
    &relu::BACKWARD,
    &relu::SOURCE,
    &rescale::SOURCE,
    &resize::SOURCE,
    &select::SOURCE,
    &select_channels::SOURCE,
    &roll::SOURCE,
    &shuffle::SOURCE,
    &softmax::BACKWARD,
    &softmax::SOURCE,
    &sort::SOURCE,
    &squared_difference::SOURCE,
    &sum::SOURCE,
    &tv::SOURCE,
    &tv_beta::SOURCE,
    &unit_vectors::SOURCE,
    &warp::DRAW,
    &warp::SOURCE,
    &weigh::SOURCE,
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
