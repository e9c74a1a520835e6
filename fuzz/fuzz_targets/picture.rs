//! Picture files.

#![no_main]

#[allow(dead_code)]
#[path = "../../kernels-tests/robust/doors.rs"]
mod doors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doors::picture(bytes));
