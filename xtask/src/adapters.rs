//! `cargo xtask test adapters`: the tests of the kernels on two more software adapters: SwiftShader, which Chromium
//! brings with it, and llvmpipe through OpenGL ES.
//!
//! A test that an adapter is known to fail is declared here with the reason. One that fails without being declared is a
//! failure of the step, and so is one that is declared and passes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::{system, test};

/// An adapter, and what it takes to run the tests on it.
struct Adapter {
    name: &'static str,
    /// Features of the package.
    features: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    failures: &'static [Failure],
}

/// A test that an adapter is known to fail.
struct Failure {
    test: &'static str,
    reason: &'static str,
}

/// Where Debian's package `chromium` has its Vulkan driver.
const SWIFTSHADER: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

const ADAPTERS: [Adapter; 2] = [
    Adapter {
        name: "SwiftShader",
        features: &[],
        variables: &[
            ("VK_DRIVER_FILES", SWIFTSHADER),
            ("VK_ICD_FILENAMES", SWIFTSHADER),
            ("PIXGRAD_TEST_DEVICE", "SwiftShader"),
        ],
        failures: &[Failure {
            test: "multiply_add::f16_where_there_is_f16",
            reason: "SwiftShader has no f16 in shaders, which the test wants of a software adapter",
        }],
    },
    Adapter {
        name: "OpenGL ES",
        features: &["pixgrad/gl"],
        variables: &[
            ("PIXGRAD_TEST_BACKEND", "gl"),
            ("EGL_PLATFORM", "surfaceless"),
        ],
        failures: &[Failure {
            test: "multiply_add::f16_where_there_is_f16",
            reason: "OpenGL ES has no f16 in shaders, which the test wants of a software adapter",
        }],
    },
];

/// Installs the adapters, and runs the tests on each.
pub fn test() -> Result<(), String> {
    if !Path::new(SWIFTSHADER).exists() {
        system::install("chromium").map_err(|error| format!("chromium is needed, and {error}"))?;
    }
    for package in ["libegl1", "libgl1-mesa-dri"] {
        if !Path::new("/usr/share/doc").join(package).exists() {
            system::install(package)
                .map_err(|error| format!("{package} is needed, and {error}"))?;
        }
    }
    for adapter in &ADAPTERS {
        adapter.test()?;
    }
    Ok(())
}

impl Adapter {
    fn test(&self) -> Result<(), String> {
        eprintln!("the kernels' tests on {}", self.name);
        let mut cargo = test::tested("test");
        cargo.args(["--test", "kernels", "--features"]);
        cargo.arg(self.features.join(","));
        cargo.envs(self.variables.iter().copied());
        let mut child = cargo
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cargo could not be started: {error}"))?;
        let output = child.stdout.take().ok_or("cargo has no output")?;
        let (mut passed, mut failed) = (Vec::new(), Vec::new());
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            match result(&line) {
                Some((test, true)) => passed.push(test.to_string()),
                Some((test, false)) => failed.push(test.to_string()),
                None => {}
            }
        }
        let status = child.wait().map_err(|error| format!("cargo: {error}"))?;
        if passed.is_empty() {
            return Err(format!("no test has passed on {}: {status}", self.name));
        }
        self.check(&passed, &failed)
    }

    /// Compares what has failed with what was declared.
    fn check(&self, passed: &[String], failed: &[String]) -> Result<(), String> {
        let mut wrong = Vec::new();
        for test in failed {
            match self.failures.iter().find(|known| known.test == test) {
                Some(known) => eprintln!("{}: {test} fails: {}", self.name, known.reason),
                None => wrong.push(format!("{test} fails")),
            }
        }
        for known in self.failures {
            if passed.iter().any(|test| test == known.test) {
                wrong.push(format!("{} passes now: declare it no longer", known.test));
            } else if !failed.iter().any(|test| test == known.test) {
                wrong.push(format!(
                    "{} is declared, and there is no such test",
                    known.test
                ));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(format!("on {}: {}", self.name, wrong.join("; ")))
    }
}

/// A test and whether it has passed, of a line that a test program prints.
fn result(line: &str) -> Option<(&str, bool)> {
    let (test, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    match result {
        "ok" => Some((test, true)),
        "FAILED" => Some((test, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAPTER: Adapter = Adapter {
        name: "an adapter",
        features: &[],
        variables: &[],
        failures: &[Failure {
            test: "a::known",
            reason: "it is so",
        }],
    };

    fn checked(passed: &[&str], failed: &[&str]) -> Result<(), String> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect::<Vec<_>>();
        ADAPTER.check(&owned(passed), &owned(failed))
    }

    #[test]
    fn what_fails_must_be_declared_and_what_is_declared_must_fail() {
        assert_eq!(checked(&["a::other"], &["a::known"]), Ok(()));
        let error = checked(&[], &["a::known", "a::other"]).expect_err("not declared");
        assert!(error.contains("a::other fails"), "{error}");
        let error = checked(&["a::known"], &[]).expect_err("it passes");
        assert!(error.contains("a::known passes now"), "{error}");
        let error = checked(&["a::other"], &[]).expect_err("it is gone");
        assert!(error.contains("no such test"), "{error}");
    }

    #[test]
    fn results_are_read_from_lines() {
        assert_eq!(
            result("test conv::shapes ... ok"),
            Some(("conv::shapes", true))
        );
        assert_eq!(
            result("test conv::shapes ... FAILED"),
            Some(("conv::shapes", false))
        );
        assert_eq!(result("test result: ok. 3 passed"), None);
        assert_eq!(result("running 3 tests"), None);
    }
}
