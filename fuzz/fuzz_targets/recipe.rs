//! Recipe files. Those of more than a few iterations or of large images are only read.

#![no_main]

#[allow(dead_code)]
#[path = "../../kernels-tests/robust/doors.rs"]
mod doors;

struct Place {
    folder: tempfile::TempDir,
    network: pixgrad::Network,
}

static PLACE: std::sync::LazyLock<Place> = std::sync::LazyLock::new(|| Place {
    folder: doors::folder(),
    network: pixgrad::Network::load(&pixgrad::Device::cpu(), "squeezenet1_1").expect("embedded"),
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = doors::short_recipe(text, PLACE.folder.path(), &PLACE.network);
});
