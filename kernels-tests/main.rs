//! Every kernel on a GPU (a software adapter will do) and on the `cpu` device, against its twin in f64; the twins
//! against plain loops.

mod adam;
mod affine;
mod avg_pool;
mod common;
mod conv;
mod elementwise;
mod ema;
mod engine;
mod finite;
mod functions;
mod gram;
mod gram_value;
mod lbfgs;
mod lbfgs_direction;
mod lbfgs_networks;
mod lbfgs_plain;
mod lbfgs_products;
mod lbfgs_recursion;
mod lbfgs_step;
mod limits;
mod lrn;
mod max_pool;
mod networks;
mod oracle;
mod pixels;
mod pools;
mod record;
mod relu;
mod resize;
mod shaders;
mod softmax;
mod squared_difference;
mod sum;
mod tv;
