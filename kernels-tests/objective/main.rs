//! Every term of the objective, with the kernels that only it uses: its value against the definition, its gradient
//! against central differences, the devices against the f64 reference.

#[path = "../common/mod.rs"]
mod common;

mod alpha_norm;
mod channel_statistics;
mod content;
mod cross_entropy;
mod direction;
mod guide;
mod guide_match;
mod margin;
mod mmd;
mod quantiles;
mod select;
mod sliced_wasserstein;
mod sort;
mod term;
mod tv_beta;
mod unit_vectors;
mod wasserstein;
mod weigh;
