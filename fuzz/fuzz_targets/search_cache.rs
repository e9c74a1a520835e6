//! What `search` keeps of a folder's pictures.

#![no_main]

#[path = "../place.rs"]
mod place;

use place::{FOLDER, NETWORK, doors};

libfuzzer_sys::fuzz_target!(
    init: {
        // Makes the file that the others take the place of.
        doors::search_cache(None, FOLDER.path(), &NETWORK);
    },
    |bytes: &[u8]| {
        doors::search_cache(Some(bytes), FOLDER.path(), &NETWORK);
    }
);
