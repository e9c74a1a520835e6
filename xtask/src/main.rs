//! The project's own commands, run as `cargo xtask COMMAND`. Standard library only, so that it builds in a second.

mod adapter;
mod adapters;
mod bindings;
mod demo;
mod paths;
mod results;
mod serve;
mod system;
mod test;
mod web;

use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

Usage: cargo xtask COMMAND

  demo [OPTION...]   Build pixgrad and stylize a sample photograph on the best device there is. The options are those
                     of `pixgrad style`, for example --device llvmpipe or --size 512.
  test [STEP...]     Run every check but bindings and adapters, or only the steps named: fmt, clippy, wasm, adapter,
                     test, robust, doc, web, bindings, adapters. What they need and is not there is installed on Debian
                     and Ubuntu: a software Vulkan driver for the step `adapter`, Chromium, Node and playwright-core for
                     `web`, GIMP, valgrind, Xvfb and Ray for `bindings`.
  web [--serve]      Build the page and the npm package into web/dist; with --serve show the page on this machine, with
                     --test test it in headless Chromium, and also the kernels.
  docs               Generate docs/cli.md from the command line's definition.
  results            Check the benchmarks in benches/results and write their table into its README.md.
  help               Print this text.
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".into());
    let args: Vec<String> = args.collect();
    match command.as_str() {
        "demo" => demo::run(&args),
        "test" => test::run(&args),
        "web" => web::run(&args),
        "docs" => docs(),
        "results" => results::run(),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("xtask: there is no command `{other}`: demo, test, web, docs, results, help");
            ExitCode::from(2)
        }
    }
}

/// `cargo xtask docs`: the test that compares `docs/cli.md` with the command line's definition writes it first.
fn docs() -> ExitCode {
    let mut command = paths::cargo(&[
        "test",
        "--release",
        "--package",
        "pixgrad",
        "--bin",
        "pixgrad",
        "cli::reference",
    ]);
    match paths::run(command.env("PIXGRAD_WRITE_DOCS", "1")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask docs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a child process as our own; 1 where a signal ended it.
fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
