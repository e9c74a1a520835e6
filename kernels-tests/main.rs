//! Every kernel on a GPU (a software adapter will do) and on the `cpu` device, against its twin in f64; the twins
//! against plain loops.

mod affine;
mod avg_pool;
mod common;
mod conv;
mod finite;
mod lrn;
mod max_pool;
mod pools;
mod relu;
mod shaders;
mod softmax;
