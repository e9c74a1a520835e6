//! `cargo xtask test`: every check, in order, until the first that fails.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::{adapter, paths};

/// One check. `cargo xtask test NAME` runs it alone.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<(), String>,
}

const STEPS: [Step; 5] = [
    Step {
        name: "fmt",
        what: "cargo fmt --check",
        run: fmt,
    },
    Step {
        name: "adapter",
        what: "a graphics adapter for the shaders",
        run: adapter::ensure,
    },
    Step {
        name: "clippy",
        what: "cargo clippy, warnings are errors",
        run: clippy,
    },
    Step {
        name: "test",
        what: "cargo test",
        run: test,
    },
    Step {
        name: "doc",
        what: "cargo doc, warnings are errors",
        run: doc,
    },
];

fn fmt() -> Result<(), String> {
    paths::run(&mut paths::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), String> {
    let args = [
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    paths::run(&mut paths::cargo(&args))
}

/// The tests' output goes where ours goes, untouched.
fn test() -> Result<(), String> {
    paths::run(&mut paths::cargo(&["test", "--release", "--workspace"]))
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
    for step in STEPS
        .iter()
        .filter(|step| names.is_empty() || names.iter().any(|name| name == step.name))
    {
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
