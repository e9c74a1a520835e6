//! A graphics adapter to run the shaders on: looked for, and on Debian and Ubuntu installed where there is none.

use std::process::{Command, Stdio};
use std::{env, fs};

use crate::{paths, system, test};

/// Lavapipe, a Vulkan driver that runs on the CPU, as Debian and Ubuntu name it.
const PACKAGE: &str = "mesa-vulkan-drivers";

/// Makes sure that pixgrad finds a graphics adapter, hardware or software; else an error that says what to install.
pub fn ensure() -> Result<(), String> {
    // Together with the tests, which come next: they have a few more features of the libraries, and would build all of
    // it again.
    test::build()?;
    if report_adapters()? {
        return Ok(());
    }
    if !fs::read_to_string("/etc/os-release").is_ok_and(|text| system::is_debian(&text)) {
        return Err(format!(
            "no graphics adapter found: {}",
            advice(env::consts::OS)
        ));
    }
    eprintln!("no graphics adapter found: installing {PACKAGE}");
    system::install(PACKAGE).map_err(|error| {
        format!(
            "no graphics adapter found, and {error}: {}",
            advice(env::consts::OS)
        )
    })?;
    if report_adapters()? {
        return Ok(());
    }
    Err(format!(
        "no graphics adapter found although {PACKAGE} is installed: see `vulkaninfo --summary`"
    ))
}

/// Whether pixgrad finds any adapter besides its `cpu` device; says which kinds.
fn report_adapters() -> Result<bool, String> {
    // A device that the user chose for other runs says nothing about what is there.
    let json = output_of(
        Command::new(paths::pixgrad()?)
            .args(["devices", "--json"])
            .env_remove("PIXGRAD_DEVICE"),
    )?;
    let mut backends = values_of(&json, "backend");
    backends.retain(|backend| backend != "cpu");
    if !backends.is_empty() {
        eprintln!("found: {}", backends.join(", "));
    }
    Ok(!backends.is_empty())
}

/// The standard output of a command that succeeds; its errors go to ours.
fn output_of(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|error| format!("{name} could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}", output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("{name} printed something that is not UTF-8"))
}

/// What to do where nothing is installed by itself.
fn advice(os: &str) -> &'static str {
    match os {
        "macos" => {
            "Metal needs no installation on a Mac; in a virtual machine: brew install molten-vk vulkan-loader"
        }
        "windows" => {
            "install the graphics card's driver; Windows 10 and later bring the software adapter WARP"
        }
        _ => {
            "install a Vulkan driver, as root: apt-get install mesa-vulkan-drivers (Debian, Ubuntu), dnf install \
             mesa-vulkan-drivers (Fedora), pacman -S vulkan-swrast (Arch)"
        }
    }
}

/// Every string that stands as the value of the key `key` anywhere in a JSON document, as it is written there.
///
/// Strings are told from the rest of the document, so that a name such as `a "backend": "b"` is not mistaken for a key.
fn values_of(json: &str, key: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = json;
    while let Some((string, after)) = next_string(rest) {
        rest = after;
        if string == key
            && let Some(value) = after.trim_start().strip_prefix(':')
            && value.trim_start().starts_with('"')
            && let Some((value, after)) = next_string(value)
        {
            values.push(value.to_string());
            rest = after;
        }
    }
    values
}

/// The next string of a JSON text, without its quotation marks and with its escapes, and what follows it.
fn next_string(json: &str) -> Option<(&str, &str)> {
    let (_, text) = json.split_once('"')?;
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&text[..i], &text[i + 1..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_of_a_device_list() {
        let json = r#"{"devices":[{"index":0,"name":"llvmpipe (LLVM 15.0.6, 256 bits)","backend":"vulkan","type":"cpu"},
                       {"index":1, "name": "CPU", "backend" : "cpu", "type": "cpu"}]}"#;
        assert_eq!(values_of(json, "backend"), ["vulkan", "cpu"]);
        assert!(values_of(r#"{"devices":[]}"#, "backend").is_empty());
    }

    #[test]
    fn escapes_do_not_end_a_string() {
        for name in [r#"a\""#, r#"a\\"#, r#"a\\\""#, r#"\"backend\": \"gl"#] {
            let json = format!(r#"{{"name":"{name}","backend":"vulkan"}}"#);
            assert_eq!(values_of(&json, "backend"), ["vulkan"], "{json}");
        }
    }

    #[test]
    fn only_a_key_with_a_string_value_counts() {
        let json = r#"{"driver":"backend","list":["backend",":","x"],"backend":null}"#;
        assert!(values_of(json, "backend").is_empty());
    }

    #[test]
    fn damaged_documents_end_the_search() {
        for json in [
            "",
            "\"",
            "{\"backend",
            "{\"backend\":",
            "{\"backend\":\"vul",
            "{\"backend\":\"a\\",
        ] {
            assert!(values_of(json, "backend").is_empty(), "{json}");
        }
    }
}
