//! Recipe files. Those of more than a few iterations or of large images are only read.

#![no_main]

#[path = "../place.rs"]
mod place;

use place::{FOLDER, NETWORK, doors};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = doors::short_recipe(text, FOLDER.path(), &NETWORK);
});
