//! Checkpoints.

#![no_main]

#[path = "../place.rs"]
mod place;

use place::{FOLDER, NETWORK, doors};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doors::checkpoint(bytes, FOLDER.path(), &NETWORK));
