//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Writes a file of any kind whole or not at all: `write` fills a temporary file in the directory
/// of `path`, which is then renamed to `path`. Whatever fails, the temporary file is removed and an
/// older file at `path` stays as it was. A symbolic link at `path` stays one: its target is
/// written.
///
/// # Errors
/// What `write` returns, or the error of making, flushing or renaming the temporary file.
pub fn write_atomically<E: From<io::Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let path = path.as_ref();
    let target = resolve(path);
    let temporary = Temporary::beside(&target)?;
    let mut writer = BufWriter::new(&temporary.file);
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    // Before the rename, or a power cut could leave the new name with no content behind it.
    temporary.file.sync_all()?;
    Ok(temporary.rename(&target)?)
}

/// A file that is removed when dropped, unless it was renamed.
struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    /// A new file in the directory of `target`: a rename only stays whole within one file system.
    fn beside(target: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!(".pixgrad-{}-{number}.tmp", std::process::id());
            let path = directory_of(target).join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Temporary { file, path }),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Nothing can be done about a failure, and the error that led here is the one to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Checks that the directory which [`write_atomically`] would use for `path` takes new files.
pub(super) fn check_directory(path: &Path) -> io::Result<()> {
    // The one sure way to know is to make one; it is removed at once.
    Temporary::beside(&resolve(path)).map(drop)
}

/// The directory a file lies in; `.` for a bare file name.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// The file that is meant by `path`: what a symbolic link points to, else `path` itself.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let name = |e: io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result.bin");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();

        let failed = write_atomically(&path, |file| {
            file.write_all(&[7; 100_000])?;
            assert_eq!(names(directory.path()).len(), 2, "target and temporary");
            Err(io::Error::other("disk on fire"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk on fire");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["result.bin"]);

        write_atomically(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["result.bin"]);
    }

    #[test]
    fn a_failed_rename_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a directory");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("inside"), b"").unwrap();
        let result: io::Result<()> = Temporary::beside(&target).and_then(|t| t.rename(&target));
        assert!(result.is_err());
        assert_eq!(names(directory.path()), ["a directory"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
