//! `cargo xtask demo`: a sample photograph in the style of a sample painting.

use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime};

use crate::paths;

const CONTENT: &str = "samples/images/chelsea.png";
const STYLE: &str = "samples/images/starry_night.jpg";
const OUTPUT: &str = "out/demo.png";

/// The demo's own options, each left out where the user gives it: short name, long name, value.
///
/// One scale and one network, so that every device makes the same picture: the rounding errors of two devices grow
/// from scale to scale and with the number of iterations, and `auto` would take another network on a GPU than on `cpu`.
/// So the pictures of two devices agree to 35 dB PSNR or more.
const DEFAULTS: [(Option<char>, &str, &str); 4] = [
    (Some('s'), "size", "256"),
    (None, "min-size", "256"),
    (Some('i'), "iterations", "80"),
    (None, "model", "squeezenet1_1"),
];

/// Builds the tool and runs it; `args` are further options of `pixgrad style` and take precedence over the demo's own.
///
/// The tool itself reports the device and its progress; the exit code is the tool's.
pub fn run(args: &[String]) -> ExitCode {
    let (mut command, output) = match prepare(args) {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("xtask demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (before, clock) = (modified(&output), Instant::now());
    match command.status() {
        Ok(status) => {
            let seconds = clock.elapsed().as_secs_f32();
            // A `--dry-run` or a failure writes no picture.
            if modified(&output) != before {
                println!("{seconds:.1} s after the build: {}", output.display());
            } else if status.success() {
                println!("{seconds:.1} s after the build");
            }
            crate::exit_code(status)
        }
        Err(error) => {
            eprintln!("xtask demo: pixgrad could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The tool, built; its command line; and the picture that it will write.
fn prepare(args: &[String]) -> Result<(Command, PathBuf), String> {
    paths::build_pixgrad()?;
    let root = paths::root();
    let mut command = Command::new(paths::pixgrad()?);
    // Absolute paths: the command runs where the user is, so that the user's own paths mean what they say.
    command
        .arg("style")
        .arg(root.join(CONTENT))
        .arg(root.join(STYLE))
        .args(args);
    for (short, long, value) in DEFAULTS {
        if option(args, short, long).is_none() {
            command.arg(format!("--{long}")).arg(value);
        }
    }
    let output = match option(args, Some('o'), "output") {
        Some(path) => path::absolute(path).unwrap_or_else(|_| path.into()),
        None => {
            let output = root.join(OUTPUT);
            let folder = output.parent().expect("OUTPUT is in a folder");
            fs::create_dir_all(folder)
                .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
            command.arg("--output").arg(&output);
            output
        }
    };
    Ok((command, output))
}

/// The value of an option in any of its spellings: `-s 5`, `-s5`, `-s=5`, `--size 5`, `--size=5`.
fn option<'a>(args: &'a [String], short: Option<char>, long: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(i, arg)| {
        let value = match arg.strip_prefix("--") {
            Some(arg) => arg
                .strip_prefix(long)
                .filter(|rest| rest.is_empty() || rest.starts_with('='))?,
            None => arg.strip_prefix('-')?.strip_prefix(short?)?,
        };
        match value {
            "" => Some(args.get(i + 1).map_or("", String::as_str)),
            value => Some(value.strip_prefix('=').unwrap_or(value)),
        }
    })
}

/// When the file was written last; none where there is no file.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(args: &[&str]) -> Option<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        option(&args, Some('s'), "size").map(str::to_string)
    }

    #[test]
    fn options_are_found_in_every_spelling() {
        for args in [
            &["-s", "5"][..],
            &["-s5"],
            &["-s=5"],
            &["--size", "5"],
            &["--size=5"],
            &["-q", "--size", "5"],
        ] {
            assert_eq!(size(args).as_deref(), Some("5"), "{args:?}");
        }
        assert_eq!(
            size(&["--size"]).as_deref(),
            Some(""),
            "a value that is missing is the tool's to report"
        );
    }

    #[test]
    fn other_options_are_not_taken_for_it() {
        for args in [
            &[][..],
            &["--seed", "5"],
            &["--size-of", "5"],
            &["--style-scale=5"],
            &["size", "5"],
        ] {
            assert_eq!(size(args), None, "{args:?}");
        }
    }

    #[test]
    fn an_option_without_a_short_name_has_none() {
        let args = ["-model".to_string(), "-m".into(), "--model=vgg19".into()];
        assert_eq!(option(&args, None, "model"), Some("vgg19"));
        assert_eq!(option(&args[..2], None, "model"), None);
    }

    #[test]
    fn the_samples_are_there() {
        for sample in [CONTENT, STYLE] {
            assert!(paths::root().join(sample).is_file(), "{sample}");
        }
    }
}
