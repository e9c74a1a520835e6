//! Where what can be found again at any time is kept.

use std::path::PathBuf;

/// `PIXGRAD_CACHE` or, without it, `pixgrad` in the platform's directory for caches. It need not exist.
pub fn cache_folder() -> Option<PathBuf> {
    let given = std::env::var_os("PIXGRAD_CACHE").filter(|folder| !folder.is_empty());
    given
        .map(PathBuf::from)
        .or_else(|| Some(dirs::cache_dir()?.join("pixgrad")))
}
