//! What publishing needs: licences that may be passed on, the size that crates.io takes, the Rust that is promised.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let done = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    done.stdout
}

fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_slice(&metadata).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn every_dependency_has_a_licence_that_deny_toml_allows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    let deny: toml::Value =
        toml::from_str(&std::fs::read_to_string(path).expect("deny.toml")).expect("TOML");
    let allowed = deny["licenses"]["allow"].as_array().expect("a list");
    let allowed: Vec<&str> = allowed.iter().filter_map(toml::Value::as_str).collect();
    for package in packages() {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or(""));
        // Some write a slash for `OR`, as it was before SPDX.
        let expression = Expression::parse_mode(licence, ParseMode::LAX);
        let expression = expression.unwrap_or_else(|error| panic!("{name}: {error}"));
        let holds = expression.evaluate(|one| allowed.contains(&one.to_string().as_str()));
        assert!(holds, "{name} has the licence `{licence}`");
    }
}

#[test]
fn no_dependency_needs_a_newer_rust_than_is_promised() {
    let number = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|n| n.parse().expect("a number"))
            .collect()
    };
    let all = packages();
    let promised = |package: &Value| package["rust_version"].as_str().map(number);
    let own = all
        .iter()
        .find(|p| p["name"] == "pixgrad")
        .and_then(promised)
        .expect("promised");
    for package in &all {
        let needs = promised(package).unwrap_or_default();
        // 1.95 and 1.95.0 are the same.
        assert!(
            needs[..needs.len().min(2)] <= own[..2],
            "{} needs {needs:?}",
            package["name"]
        );
    }
}

#[test]
fn the_package_is_small_enough_for_crates_io() {
    let listed = cargo(&["package", "--list", "--allow-dirty"]);
    let listed = String::from_utf8(listed).expect("text");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for name in listed.lines() {
        // What cargo writes itself is not there yet, and small.
        if let Ok(bytes) = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)) {
            packed.write_all(&bytes).expect("packed");
        }
    }
    let bytes = packed.finish().expect("packed").len();
    println!("{bytes} bytes");
    // What crates.io takes at most.
    assert!(bytes < 10 << 20, "{bytes} bytes are too many");
    for needed in [
        "src/lib.rs",
        "wgsl/tv.wgsl",
        "samples/models/NOTICE",
        "CHANGELOG.md",
        "LICENSE-MIT",
    ] {
        assert!(listed.lines().any(|name| name == needed), "{needed}");
    }
}
