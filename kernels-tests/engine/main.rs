//! The engine: networks, plans, bands, precision, optimizers, checkpoints, series, tuning and the scheduler's promises.

#[path = "../common/mod.rs"]
mod common;

mod advance;
mod bands;
mod checkpoint;
mod functions;
mod graphs;
mod layers;
mod lbfgs;
mod lbfgs_networks;
mod limits;
mod lost;
mod maps;
mod networks;
mod onnx;
mod pairs;
mod plain;
mod precision;
mod scheduler;
mod series;
mod state_dicts;
mod tile;
mod tune;
mod warm;
