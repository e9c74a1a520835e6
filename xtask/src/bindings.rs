//! `cargo xtask test bindings`: pixgrad in other programs. Installs on Debian and Ubuntu what the tests need.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{paths, system, test};

/// What the tests need, as Debian and Ubuntu name it, and a command or a file that shows that it is there.
const NEEDED: [(&str, &str); 8] = [
    ("gcc", "cc"),
    ("g++", "c++"),
    ("pkg-config", "pkg-config"),
    ("valgrind", "valgrind"),
    ("gimp", "gimp-console"),
    ("libgimp2.0-dev", "/usr/include/gimp-2.0/libgimp/gimp.h"),
    ("xvfb", "Xvfb"),
    ("libxkbcommon-x11-0", "/usr/share/doc/libxkbcommon-x11-0"),
];

/// The packages of the workspace in which pixgrad is a part of something else.
const PACKAGES: [&str; 3] = ["pixgrad-python", "pixgrad-c", "canvas"];

pub fn test() -> Result<(), String> {
    install()?;
    test::ensure("clippy", "clippy")?;
    let packages = PACKAGES.iter().flat_map(|name| ["--package", name]);
    let arguments: Vec<&str> = ["clippy", "--release", "--all-targets"]
        .into_iter()
        .chain(packages)
        .chain(["--", "-D", "warnings"])
        .collect();
    paths::run(&mut paths::cargo(&arguments))?;
    let scratch = paths::root().join("target").join("bindings");
    let python = environment(&scratch)?;
    python_package(&python)?;
    c_library()?;
    gimp(&python, &scratch)?;
    clusters(&python)?;
    canvas()
}

/// Installs what is missing.
fn install() -> Result<(), String> {
    for (package, shows) in NEEDED {
        if !shows.starts_with('/') {
            system::ensure(&[shows], package)?;
        } else if !Path::new(shows).exists() {
            system::install(package)
                .map_err(|error| format!("{package} is needed, and {error}"))?;
        }
    }
    Ok(())
}

/// A Python environment with what the tests import; its interpreter.
fn environment(scratch: &Path) -> Result<PathBuf, String> {
    let folder = scratch.join("python");
    let python = folder.join("bin").join("python");
    if !python.exists() {
        let system = system::ensure(&["python3"], "python3")?;
        // Debian packs it apart from Python.
        let pip = Command::new(&system)
            .args(["-c", "import ensurepip"])
            .output();
        if !pip.is_ok_and(|output| output.status.success()) {
            system::install("python3-venv")?;
        }
        paths::run(Command::new(system).args(["-m", "venv"]).arg(&folder))?;
    }
    let needed = [
        "maturin>=1.9.4,<2",
        "numpy",
        "pytest",
        "pillow",
        "mypy",
        "safetensors",
        "tqdm",
        "typing_extensions",
        "ray[data]",
    ];
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet"])
        .args(needed);
    paths::run(&mut install)?;
    Ok(python)
}

/// `pip install bindings/python`, into the environment of the tests.
fn python_package(python: &Path) -> Result<(), String> {
    let folder = paths::root().join("bindings").join("python");
    // Without isolation pip looks for maturin where programs are.
    let mut path = vec![python.parent().unwrap_or(python).to_path_buf()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let path = std::env::join_paths(path).map_err(|error| format!("PATH: {error}"))?;
    let mut build = Command::new(python);
    build.env("PATH", path).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--force-reinstall",
    ]);
    paths::run(build.arg(&folder))?;
    // As the tests have it: for another set of features all of it would be built once more.
    test::build()?;
    let mut tests = Command::new(python);
    tests.args(["-m", "pytest", "-q"]).current_dir(&folder);
    paths::run(tests.env("PIXGRAD_BIN", paths::pixgrad()?))
}

fn c_library() -> Result<(), String> {
    let folder = paths::root().join("bindings").join("c");
    paths::run(&mut paths::cargo(&[
        "test",
        "--release",
        "--package",
        "pixgrad-c",
    ]))?;
    paths::run(&mut Command::new(folder.join("tests/run.sh")))
}

fn gimp(python: &Path, scratch: &Path) -> Result<(), String> {
    let folder = paths::root().join("bindings").join("gimp");
    let plugins = scratch.join("gimp");
    paths::run(Command::new(folder.join("install.sh")).arg(&plugins))?;
    let mut tests = Command::new(python);
    tests
        .args(["-m", "pytest", "-q", "tests"])
        .current_dir(&folder);
    paths::run(tests.env("PIXGRAD_GIMP_PLUGINS", &plugins))
}

/// The scripts for clusters, and a folder on a cluster of this machine.
fn clusters(python: &Path) -> Result<(), String> {
    let mut tests = Command::new(python);
    tests
        .args(["-m", "pytest", "-q", "slurm", "ray"])
        .current_dir(paths::root().join("examples"));
    paths::run(tests.env("PIXGRAD_BIN", paths::pixgrad()?))
}

/// The window, on a virtual display.
fn canvas() -> Result<(), String> {
    paths::run(&mut paths::cargo(&[
        "test",
        "--release",
        "--package",
        "canvas",
    ]))
}
