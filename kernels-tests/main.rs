//! Every kernel on a GPU (a software adapter will do) and on the `cpu` device, against its twin in f64; the twins
//! against plain loops.

mod adam;
mod affine;
mod avg_pool;
mod colour;
mod common;
mod conv;
mod elementwise;
mod ema;
mod engine;
mod finite;
mod fourier;
mod gram;
mod gram_value;
mod limits;
mod lrn;
mod maps;
mod max_pool;
mod networks;
mod oracle;
mod pixels;
mod pools;
mod random;
mod record;
mod relu;
mod resize;
mod roll;
mod shaders;
mod softmax;
mod squared_difference;
mod sum;
mod tv;
mod warp;
