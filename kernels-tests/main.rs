//! Every kernel on a GPU (a software adapter will do) and on the `cpu` device, against its twin in f64; the twins
//! against plain loops.

mod adam;
mod affine;
mod alpha_norm;
mod avg_pool;
mod common;
mod conv;
mod cross_entropy;
mod direction;
mod direction;
mod elementwise;
mod ema;
mod engine;
mod finite;
mod gram;
mod gram_value;
mod guide;
mod limits;
mod lrn;
mod margin;
mod max_pool;
mod networks;
mod oracle;
mod pixels;
mod pools;
mod record;
mod relu;
mod resize;
mod select;
mod shaders;
mod softmax;
mod squared_difference;
mod sum;
mod term;
mod tv;
mod tv_beta;
