//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

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
    let temporary = beside(&target)?;
    let mut writer = BufWriter::new(temporary.as_file());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    // Before the rename, or a power cut could leave the new name with no content behind it.
    temporary.as_file().sync_all()?;
    temporary.persist(&target).map_err(|e| e.error)?;
    Ok(())
}

/// A new file in the directory of `target`: a rename only stays whole within one file system. It is removed when
/// dropped, unless it was renamed.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    // Opened here and not by `tempfile`, which would let nobody else read it: the user's umask decides that.
    tempfile::Builder::new()
        .prefix(".pixgrad-")
        .suffix(".tmp")
        .make_in(directory_of(target), |path| File::create_new(path))
}

/// Checks that the directory which [`write_atomically`] would use for `path` takes new files.
pub(super) fn check_directory(path: &Path) -> io::Result<()> {
    // The one sure way to know is to make one; it is removed at once.
    beside(&resolve(path)).map(drop)
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
        let result: io::Result<()> = write_atomically(&target, |file| file.write_all(b"new"));
        assert!(result.is_err());
        assert_eq!(names(directory.path()), ["a directory"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_permissions_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (ours, plain) = (
            directory.path().join("ours"),
            directory.path().join("plain"),
        );
        write_atomically(&ours, |file| file.write_all(b"new")).unwrap();
        fs::write(&plain, b"new").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
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
