//! Every kernel on a GPU (a software adapter will do) and on the `cpu` device, against its twin in f64; the twins
//! against plain loops.

#[path = "../common/mod.rs"]
mod common;

mod about_mean;
mod adam;
mod affine;
mod avg_pool;
mod ball;
mod blur;
mod channel_sums;
mod clip_small;
mod colour;
mod conv;
mod conv3x3_coop;
mod conv3x3_pool;
mod copy_channels;
mod copy_rows;
mod elementwise;
mod ema;
mod evolve;
mod filters;
mod fourier;
mod gradient_step;
mod gram;
mod keep_best;
mod lbfgs_direction;
mod lbfgs_products;
mod lbfgs_recursion;
mod lbfgs_step;
mod lrn;
mod matmul;
mod max_pool;
mod moments;
mod multiply_add;
mod multiply_add_coop;
mod packed;
mod pad;
mod pair_kernel;
mod percentile;
mod pick;
mod pixels;
mod pools;
mod pyramid;
mod random;
mod record;
mod relu;
mod rescale;
mod resize;
mod roll;
mod shaders;
mod softmax;
mod squared_difference;
mod sum;
mod tv;
mod warp;
