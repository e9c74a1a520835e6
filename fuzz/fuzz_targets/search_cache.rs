//! What `search` keeps of a folder's pictures.

#![no_main]

#[allow(dead_code)]
#[path = "../../kernels-tests/robust/doors.rs"]
mod doors;

struct Place {
    folder: tempfile::TempDir,
    network: pixgrad::Network,
}

static PLACE: std::sync::LazyLock<Place> = std::sync::LazyLock::new(|| {
    let place = Place {
        folder: doors::folder(),
        network: pixgrad::Network::load(&pixgrad::Device::cpu(), "squeezenet1_1")
            .expect("embedded"),
    };
    // Makes the file that the others take the place of.
    doors::search_cache(None, place.folder.path(), &place.network);
    place
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    doors::search_cache(Some(bytes), PLACE.folder.path(), &PLACE.network);
});
