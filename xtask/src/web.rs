//! `cargo xtask web`: the page and the npm package, built into `web/dist`; a server that shows it on this machine; its
//! tests in a headless browser.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::{paths, serve, system, test};

/// The target of browsers.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Where people look at the page.
const ADDRESS: &str = "127.0.0.1:8788";

/// Makes sure that Rust can compile for browsers.
pub fn ensure_target() -> Result<(), String> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    if installed.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(TARGET)) {
        return Ok(());
    }
    eprintln!("installing the target {TARGET}");
    paths::run(Command::new("rustup").args(["target", "add", TARGET]))
        .map_err(|error| format!("the target {TARGET} is needed, and {error}"))
}

pub fn run(args: &[String]) -> ExitCode {
    let result = match args {
        [] => build(),
        [option] if option == "--serve" => build().and_then(|()| {
            let dist = paths::root().join("web/dist");
            serve::serve(&dist, ADDRESS)
        }),
        [option] if option == "--test" => test_with_kernels(),
        _ => {
            eprintln!("xtask web: it takes --serve, --test or nothing");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask web: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds page and package into `web/dist`.
fn build() -> Result<(), String> {
    ensure_target()?;
    let (root, package) = (paths::root(), ["--package", "pixgrad-web"]);
    let mut module = paths::cargo(&["build", "--profile", "web", "--target", TARGET]);
    paths::run(module.args(package))?;
    paths::run(&mut paths::cargo(&[
        "build",
        "--release",
        "--package",
        "pixgrad-bindgen",
    ]))?;
    let dist = root.join("web/dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    }
    let release = paths::pixgrad()?;
    let release = release.parent().unwrap_or(Path::new("target/release"));
    let target = release.parent().unwrap_or(Path::new("target"));
    let bindgen = release.join(format!("pixgrad-bindgen{}", std::env::consts::EXE_SUFFIX));
    let module = target.join(TARGET).join("web/pixgrad_web.wasm");
    paths::run(Command::new(bindgen).arg(module).arg(dist.join("package")))?;
    copy(&root.join("web/page"), &dist)?;
    copy(&root.join("web/package"), &dist.join("package"))?;
    copy(&root.join("samples/images"), &dist.join("samples"))?;
    let networks = dist.join("package/networks");
    copy(&root.join("samples/models"), &networks)?;
    eprintln!(
        "{}: the page; {}: the npm package",
        dist.display(),
        dist.join("package").display()
    );
    Ok(())
}

/// Copies the files of a folder; of networks only what a page needs, and what their licences ask for.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(told)?;
    for entry in fs::read_dir(from).map_err(told)? {
        let path = entry.map_err(told)?.path();
        let name = path.file_name().unwrap_or_default();
        let is_tool = path.extension().is_some_and(|e| e == "py") || name == "requirements.txt";
        if path.is_file() && !is_tool {
            fs::copy(&path, to.join(name)).map_err(told)?;
        }
    }
    Ok(())
}

/// Builds the page, and tests it in headless Chromium with a software adapter; installs what that needs.
pub fn test() -> Result<(), String> {
    test::build()?;
    build()?;
    browser(None)
}

/// The same, and the tests of the kernels with the browser as their device: ten minutes more.
fn test_with_kernels() -> Result<(), String> {
    test::build()?;
    build()?;
    let calls = paths::root().join("target").join("web").join("calls");
    let told = |error: std::io::Error| format!("{}: {error}", calls.display());
    if calls.exists() {
        fs::remove_dir_all(&calls).map_err(told)?;
    }
    fs::create_dir_all(&calls).map_err(told)?;
    eprintln!(
        "the kernels' tests write their calls into {}",
        calls.display()
    );
    kernels("PIXGRAD_ASK", &calls)?;
    browser(Some(&calls))?;
    eprintln!("the kernels' tests again, with the browser's answers");
    kernels("PIXGRAD_ANSWERS", &calls)
}

/// Runs the tests in the browser, with the kernel calls of a folder where there is one.
fn browser(calls: Option<&Path>) -> Result<(), String> {
    let chromium = system::ensure(
        &["chromium", "chromium-browser", "google-chrome"],
        "chromium",
    )?;
    let node = system::ensure(&["node", "nodejs"], "nodejs")?;
    let folder = paths::root().join("web/test");
    if !folder.join("node_modules/playwright-core").exists() {
        let npm = system::ensure(&["npm"], "npm")?;
        eprintln!("installing playwright-core into web/test/node_modules");
        let mut install = Command::new(npm);
        paths::run(
            install
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&folder),
        )?;
    }
    let mut tests = Command::new(node);
    tests
        .arg("run.mjs")
        .current_dir(&folder)
        .env("PIXGRAD_CHROMIUM", chromium)
        .env("PIXGRAD_BINARY", paths::pixgrad()?);
    if let Some(calls) = calls {
        tests.env("PIXGRAD_CALLS", calls);
    }
    paths::run(&mut tests)
}

/// The tests of the kernels, told of the folder of their calls, see `kernels-tests/common/elsewhere.rs`.
fn kernels(variable: &str, calls: &Path) -> Result<(), String> {
    let mut tests = test::tested("test");
    tests.args(["--test", "kernels", "--", "--quiet"]);
    paths::run(tests.env(variable, calls))
}
