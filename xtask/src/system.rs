//! Programs that are not Rust's: looked for, and on Debian and Ubuntu installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::paths;

/// The path of the first of `names` that is there; else `package` is installed.
pub fn ensure(names: &[&str], package: &str) -> Result<PathBuf, String> {
    if let Some(found) = find(names) {
        return Ok(found);
    }
    if !fs::read_to_string("/etc/os-release").is_ok_and(|text| is_debian(&text)) {
        return Err(format!("{package} is needed: install it"));
    }
    eprintln!("installing {package}");
    install(package).map_err(|error| format!("{package} is needed, and {error}"))?;
    find(names).ok_or_else(|| format!("{package} is installed, and none of {names:?} is there"))
}

fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut all = names.iter().flat_map(|name| {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(move |folder| folder.join(&name))
    });
    all.find(|path| path.is_file())
}

/// Installs a package of Debian or Ubuntu.
pub fn install(package: &str) -> Result<(), String> {
    let root = Command::new("id")
        .arg("-u")
        .stderr(Stdio::inherit())
        .output();
    let root = root.is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    // Out-of-date or partly unreachable package lists need not stop the installation: its own result decides.
    if let Err(error) = apt_get(root, &["update"]) {
        eprintln!("{error}");
    }
    apt_get(
        root,
        &["install", "--yes", "--no-install-recommends", package],
    )
}

/// `apt-get` without questions, through sudo for those who are not root and have it.
fn apt_get(root: bool, args: &[&str]) -> Result<(), String> {
    let mut command = if root {
        Command::new("apt-get")
    } else {
        // sudo passes no variables on.
        let mut sudo = Command::new("sudo");
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    paths::run(&mut command)
        .map_err(|error| format!("`apt-get {}` failed ({error})", args.join(" ")))
}

/// Whether the text of an `/etc/os-release` is that of Debian, Ubuntu or a system like them.
pub fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_whitespace())
        .any(|id| matches!(id, "debian" | "ubuntu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_what_is_like_it() {
        assert!(is_debian(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nID=debian\n"
        ));
        assert!(is_debian("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=linuxmint\r\nID_LIKE=\"ubuntu debian\"\r\n"));
        assert!(is_debian("ID='debian'"));
    }

    #[test]
    fn other_systems() {
        assert!(!is_debian(""));
        assert!(!is_debian(
            "ID=fedora\nNAME=\"Not debian\"\nVARIANT_ID=debian\n"
        ));
        assert!(!is_debian("ID=arch\nID_LIKE=\"archlinux\"\n#ID=debian\n"));
        assert!(!is_debian("ID=debianoid\n"));
    }
}
