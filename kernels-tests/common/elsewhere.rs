//! The kernel calls of the tests on a device that these programs cannot reach, such as a browser's.
//!
//! With `PIXGRAD_ASK=FOLDER` every call of `run_on` on the adapter is also written into the folder, as a file
//! `HASH.call`: eight bytes with the length of a JSON header, the header, and the words of all bindings. Whoever runs
//! the calls puts beside each a file `HASH.answer` with the words of the bindings that were written. With
//! `PIXGRAD_ANSWERS=FOLDER` the same tests then look into these answers instead of running the adapter.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use pixgrad::engine::device::{Access, Kernel, Kind, fingerprint};
use serde_json::json;

use super::{Data, Output};

fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

static ASK: LazyLock<Option<PathBuf>> = LazyLock::new(|| folder("PIXGRAD_ASK"));
static ANSWERS: LazyLock<Option<PathBuf>> = LazyLock::new(|| folder("PIXGRAD_ANSWERS"));

/// Writes the call where calls are collected.
pub fn ask<K: Kernel>(kernel: &K, data: &[Data]) {
    if let Some(folder) = &*ASK {
        let call = call(kernel, data);
        fs::write(folder.join(format!("{}.call", hash(&call))), call).expect("the call is written");
    }
}

/// What has been answered to the call, where answers are looked for.
///
/// A call that nobody has answered fails its test. An answer that begins with `cannot:` is the reason why it was not
/// run; it may only be a feature that the kernel's definitions ask for.
pub fn answer<K: Kernel>(kernel: &K, data: &[Data]) -> Option<Vec<Output>> {
    let folder = ANSWERS.as_ref()?;
    let path = folder.join(format!("{}.answer", hash(&call(kernel, data))));
    let bytes = fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{kernel:?}: nobody has answered: {}: {error}",
            path.display()
        )
    });
    if let Some(reason) = bytes.strip_prefix(b"cannot:") {
        let reason = String::from_utf8_lossy(reason);
        let optional = ["HALF", "COOP", "LARGE"];
        let shader = kernel.shader();
        assert!(
            shader.definitions().iter().any(|d| optional.contains(d)),
            "{kernel:?}: {reason}"
        );
        eprintln!("{}: not run elsewhere: {reason}", shader.label());
        return None;
    }
    let (words, _) = bytes.as_chunks::<4>();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    let slots = kernel.bindings();
    let written = slots.iter().zip(data).filter(|(slot, _)| slot.writes());
    let outputs = written.map(|(slot, data)| {
        let own = words.by_ref().take(data.words().len());
        match slot.kind {
            Kind::Word => Output::Words(own.collect()),
            _ => Output::Reals(own.map(|word| f64::from(f32::from_bits(word))).collect()),
        }
    });
    Some(outputs.collect())
}

fn hash(call: &[u8]) -> String {
    format!("{:032x}", fingerprint([call]))
}

fn call<K: Kernel>(kernel: &K, data: &[Data]) -> Vec<u8> {
    let shader = kernel.shader();
    let words: Vec<Vec<u32>> = data.iter().map(Data::words).collect();
    let bindings = kernel.bindings().into_iter().zip(&words);
    let bindings = bindings.map(|(slot, words)| {
        let access = match slot.access {
            Access::Read => "read",
            Access::Write => "write",
            Access::ReadWrite => "read_write",
        };
        json!({"access": access, "words": slot.kind == Kind::Word, "len": words.len()})
    });
    let header = json!({
        "source": shader.source.name,
        "definitions": shader.definitions(),
        "params": bytemuck::bytes_of(&kernel.params()),
        "grid": kernel.grid(),
        "bindings": bindings.collect::<Vec<_>>(),
    })
    .to_string();
    let mut call = (header.len() as u64).to_le_bytes().to_vec();
    call.extend(header.as_bytes());
    call.extend(words.iter().flatten().flat_map(|word| word.to_le_bytes()));
    call
}
