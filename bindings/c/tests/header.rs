//! The header is the one that cbindgen writes. `PIXGRAD_WRITE_HEADER=1` writes it.

use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = Vec::new();
    cbindgen::generate(folder)
        .expect("the sources are understood")
        .write(&mut made);
    let made = String::from_utf8(made).expect("UTF-8");
    let path = folder.join("include/pixgrad.h");
    if std::env::var_os("PIXGRAD_WRITE_HEADER").is_some() {
        std::fs::create_dir_all(folder.join("include")).expect("a folder");
        std::fs::write(&path, &made).expect("a file");
    }
    let committed = std::fs::read_to_string(&path).expect("include/pixgrad.h");
    assert!(
        committed == made,
        "include/pixgrad.h is out of date: PIXGRAD_WRITE_HEADER=1 cargo test --release --package pixgrad-c"
    );
}
