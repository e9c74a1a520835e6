//! Everything that the crate is made of. Programs that embed pixgrad use what the crate's root names; this is for its
//! own tests, command line and bindings, and may change with every version.
//!
//! A room uses only those after it: bench, methods, run, compile, spec, schedule, plan, param, optim, objective, net,
//! layer, kernels, image, device. `docs/architecture.md` says what lives in each.

#[cfg(feature = "bench")]
#[path = "bench/mod.rs"]
pub mod bench;
#[path = "compile/mod.rs"]
pub mod compile;
#[path = "device/mod.rs"]
pub mod device;
#[path = "image/mod.rs"]
pub mod image;
#[path = "kernels/mod.rs"]
pub mod kernels;
#[path = "layer/mod.rs"]
pub mod layer;
#[path = "methods/mod.rs"]
pub mod methods;
#[path = "net/mod.rs"]
pub mod net;
#[path = "objective/mod.rs"]
pub mod objective;
#[path = "optim/mod.rs"]
pub mod optim;
#[path = "param/mod.rs"]
pub mod param;
#[path = "plan/mod.rs"]
pub mod plan;
#[path = "run/mod.rs"]
pub mod run;
#[path = "schedule/mod.rs"]
pub mod schedule;
#[path = "spec/mod.rs"]
pub mod spec;
