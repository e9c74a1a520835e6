//! `cargo xtask test`: every check, in order, until the first that fails.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::{adapter, adapters, bindings, paths, web};

/// One check. `cargo xtask test NAME` runs it alone.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<(), String>,
}

const STEPS: [Step; 10] = [
    Step {
        name: "fmt",
        what: "cargo fmt --check",
        run: fmt,
    },
    Step {
        name: "clippy",
        what: "cargo clippy, warnings are errors",
        run: clippy,
    },
    Step {
        name: "wasm",
        what: "cargo clippy for browsers, warnings are errors",
        run: wasm,
    },
    Step {
        name: "adapter",
        what: "the tests built, and a graphics adapter for the shaders",
        run: adapter::ensure,
    },
    Step {
        name: "test",
        what: "cargo test",
        run: test,
    },
    Step {
        name: "robust",
        what: "random recipes and damaged files, in 6 GB of memory",
        run: robust,
    },
    Step {
        name: "doc",
        what: "cargo doc, warnings are errors",
        run: doc,
    },
    Step {
        name: "web",
        what: "the page built, and tested in headless Chromium",
        run: web::test,
    },
    Step {
        name: "adapters",
        what: "the kernels' tests on SwiftShader and through OpenGL ES",
        run: adapters::test,
    },
    Step {
        name: "bindings",
        what: "pixgrad in Python, C and GIMP",
        run: bindings::test,
    },
];

/// Steps that run only when they are named: with them all checks would take an hour on two cores.
const BY_NAME: [&str; 2] = ["bindings", "adapters"];

/// Makes sure of a part of Rust that a minimal installation leaves out, such as that of Rust's own container images.
pub fn ensure(subcommand: &str, component: &str) -> Result<(), String> {
    let found = paths::cargo(&[subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("`cargo {subcommand}` is not there: installing {component}");
    paths::run(Command::new("rustup").args(["component", "add", component]))
        .map_err(|error| format!("`cargo {subcommand}` is not there, and {error}"))
}

fn fmt() -> Result<(), String> {
    ensure("fmt", "rustfmt")?;
    paths::run(&mut paths::cargo(&["fmt", "--all", "--check"]))
}

/// `cargo COMMAND` for the packages that these steps are about. All name the same ones: other packages beside them may
/// ask for other features of the libraries, and all of it would be built again.
pub fn tested(command: &str) -> Command {
    paths::cargo(&[
        command,
        "--release",
        "--package",
        "pixgrad",
        "--package",
        "xtask",
    ])
}

/// Builds the tests, and with them the program.
pub fn build() -> Result<(), String> {
    paths::run(tested("test").arg("--no-run"))
}

fn clippy() -> Result<(), String> {
    ensure("clippy", "clippy")?;
    let mut clippy = tested("clippy");
    // `--all-targets` leaves the test `robust` out.
    clippy.args(["--all-targets", "--test", "robust"]);
    paths::run(clippy.args(["--", "-D", "warnings"]))?;
    // The window for a host's device, whose test runs with `bindings`.
    let canvas = [
        "clippy",
        "--release",
        "--package",
        "canvas",
        "--all-targets",
    ];
    paths::run(paths::cargo(&canvas).args(["--", "-D", "warnings"]))
}

/// A browser lets nothing block: there the calls that do are left out, and nothing may need one.
fn wasm() -> Result<(), String> {
    web::ensure_target()?;
    ensure("clippy", "clippy")?;
    let packages = ["--package", "pixgrad", "--package", "pixgrad-web"];
    let mut command = paths::cargo(&["clippy", "--release", "--target", web::TARGET]);
    let command = command.args(packages).args(["--no-default-features", "--"]);
    paths::run(command.args(["-D", "warnings"]))
}

/// The tests' output goes where ours goes, untouched.
fn test() -> Result<(), String> {
    paths::run(&mut tested("test"))
}

/// Builds first: a compiler needs more memory than the tests may have.
fn robust() -> Result<(), String> {
    paths::run(tested("test").args(["--test", "robust", "--no-run"]))?;
    let mut cargo = tested("test");
    cargo.args(["--test", "robust"]);
    if !cfg!(unix) {
        eprintln!("xtask test: robust: this system has no limit on memory that a shell could set");
        return paths::run(&mut cargo);
    }
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 6000000; exec \"$0\" \"$@\""]);
    limited.arg(cargo.get_program()).args(cargo.get_args());
    if let Some(folder) = cargo.get_current_dir() {
        limited.current_dir(folder);
    }
    // Each of these reserves address space, which counts here and is not memory.
    limited.env("MALLOC_ARENA_MAX", "2");
    // Of an earlier run.
    for path in tried()? {
        let _ = std::fs::remove_file(path);
    }
    let result = paths::run(&mut limited);
    if result.is_err() {
        for path in tried()? {
            let case = std::fs::read_to_string(&path).unwrap_or_default();
            eprintln!(
                "xtask test: robust: {} when it ended: {case:.20000}",
                path.display()
            );
        }
    }
    result
}

/// The files that hold what the tests of `robust` are trying, or were when they ended.
fn tried() -> Result<Vec<PathBuf>, String> {
    let folder = paths::target()?.join("tmp");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "tried");
    Ok(files.map(|file| file.path()).filter(is_one).collect())
}

fn doc() -> Result<(), String> {
    let mut command: Command = paths::cargo(&["doc", "--no-deps", "--release"]);
    paths::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs the steps that are named, all of them where none is. Announcements go to stderr.
pub fn run(names: &[String]) -> ExitCode {
    if let Some(unknown) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != name.as_str()))
    {
        let steps: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        eprintln!(
            "xtask test: there is no step `{unknown}`: {}",
            steps.join(", ")
        );
        return ExitCode::from(2);
    }
    let start = Instant::now();
    for step in STEPS.iter().filter(|step| {
        (names.is_empty() && !BY_NAME.contains(&step.name))
            || names.iter().any(|name| name == step.name)
    }) {
        eprintln!("xtask test: {}: {}", step.name, step.what);
        let start = Instant::now();
        let result = (step.run)();
        let seconds = start.elapsed().as_secs_f32();
        if let Err(error) = result {
            eprintln!(
                "xtask test: {} FAILED after {seconds:.1} s: {error}",
                step.name
            );
            eprintln!(
                "xtask test: to run only this step: cargo xtask test {}",
                step.name
            );
            return ExitCode::FAILURE;
        }
        eprintln!("xtask test: {} ok, {seconds:.1} s", step.name);
    }
    eprintln!("xtask test: all ok, {:.1} s", start.elapsed().as_secs_f32());
    ExitCode::SUCCESS
}
