//! Where things are, and cargo started there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // Cargo tells it at run time; the compiled-in path would be wrong after the directory was moved.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// Cargo's target directory.
///
/// It is found from this very program, which cargo put at `<target directory>/debug/xtask`: right for every way to
/// choose the target directory or the target.
pub fn target() -> Result<PathBuf, String> {
    let this = env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let target = this.parent().and_then(Path::parent);
    Ok(target
        .ok_or("this program is not in a target directory")?
        .to_owned())
}

/// The release build of the tool.
pub fn pixgrad() -> Result<PathBuf, String> {
    Ok(target()?
        .join("release")
        .join(format!("pixgrad{}", env::consts::EXE_SUFFIX)))
}

/// `cargo` with these arguments, in the workspace's root.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    // A relative directory is meant from where the user is, not from the root.
    if let Some(target) = env::var_os("CARGO_TARGET_DIR")
        && let Ok(target) = std::path::absolute(target)
    {
        command.env("CARGO_TARGET_DIR", target);
    }
    command
}

/// Builds the release binary.
pub fn build_pixgrad() -> Result<(), String> {
    run(&mut cargo(&[
        "build",
        "--release",
        "--package",
        "pixgrad",
        "--bin",
        "pixgrad",
    ]))
}

/// Runs a command to its end; an error that names it unless it succeeds.
pub fn run(command: &mut Command) -> Result<(), String> {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name} could not be started: {error}")),
    }
}
