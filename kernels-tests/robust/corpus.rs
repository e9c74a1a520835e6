//! Inputs that failed once, each for ever: `corpus/NAME.KIND`. What a file is tells its extension.

use std::fs;

use pixgrad::Network;

use crate::doors;
use crate::files::root;

#[test]
fn what_failed_once_is_read_or_refused() {
    let folder = doors::folder();
    let network = Network::load(&doors::device(), "squeezenet1_1").expect("embedded");
    let entries = fs::read_dir(root().join("kernels-tests/robust/corpus")).expect("the corpus");
    let mut asked = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        let bytes = fs::read(&path).expect("a file");
        let kind = path.extension().unwrap_or_default().to_string_lossy();
        eprintln!("{}", path.display());
        match &*kind {
            "toml" => {
                let text = String::from_utf8_lossy(&bytes);
                let _ = doors::recipe(&text, folder.path(), &network);
            }
            "pth" | "onnx" | "safetensors" => doors::network(&bytes, &kind),
            "picture" => doors::picture(&bytes),
            "checkpoint" => doors::checkpoint(&bytes, folder.path(), &network),
            "cache" => drop(doors::search_cache(Some(&bytes), folder.path(), &network)),
            other => panic!("{}: there is no door for .{other}", path.display()),
        }
        asked += 1;
    }
    assert!(asked >= 6, "{asked} cases");
}
