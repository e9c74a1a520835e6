//! Every kernel on a GPU (a software adapter will do) and on the `cpu` device, against its twin in f64; the twins
//! against plain loops.

mod adam;
mod common;
mod conv;
mod elementwise;
mod ema;
mod gram;
mod networks;
mod oracle;
mod record;
mod shaders;
mod squared_difference;
mod sum;
mod tv;
