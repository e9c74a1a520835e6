//! Where what can be found again at any time is kept.

use std::path::PathBuf;

/// `PIXGRAD_CACHE` or, without it, `pixgrad` in the platform's directory for caches. It need not exist.
pub fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("PIXGRAD_CACHE") {
        return Some(folder.into());
    }
    let caches = if cfg!(windows) {
        set("LOCALAPPDATA").map(PathBuf::from)
    } else if cfg!(target_os = "macos") {
        std::env::home_dir().map(|home| home.join("Library/Caches"))
    } else {
        let in_home = || Some(std::env::home_dir()?.join(".cache"));
        set("XDG_CACHE_HOME").map(PathBuf::from).or_else(in_home)
    };
    Some(caches?.join("pixgrad"))
}
