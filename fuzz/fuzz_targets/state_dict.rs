//! Weights as PyTorch saves them.

#![no_main]

#[allow(dead_code)]
#[path = "../../kernels-tests/robust/doors.rs"]
mod doors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doors::network(bytes, "pth"));
