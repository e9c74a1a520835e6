//! Files that appear whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::NamedTempFile;

/// Temporary files of this process that are being written.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A temporary file is named so, with letters of chance between.
const PREFIX: &str = ".pixgrad-";
const SUFFIX: &str = ".tmp";

/// A temporary file that is younger than this may not be locked yet by the process that makes it.
const YOUNG: Duration = Duration::from_secs(10);

/// Writes a file of any kind whole or not at all: `write` fills a temporary file in the directory of `path`, which is
/// then renamed to `path`. Whatever fails, the temporary file is removed and an older file at `path` stays as it was. A
/// symbolic link at `path` stays one: its target is written, whether it was there or not. What is no regular file, such
/// as a pipe or a device, is written to.
///
/// # Errors
/// What `write` returns, or the error of making, flushing or renaming the temporary file.
pub fn write_atomically<E: From<io::Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let target = resolve(path.as_ref());
    if is_special(&target) {
        // Formats go back in what they write, which a pipe does not.
        let mut whole = tempfile::tempfile()?;
        fill(&whole, write)?;
        whole.rewind()?;
        io::copy(&mut whole, &mut File::options().write(true).open(&target)?)?;
        return Ok(());
    }
    let temporary = Unfinished::beside(&target)?;
    fill(temporary.file.as_file(), write)?;
    // Before the rename, or a power cut could leave the new name with no content behind it.
    temporary.file.as_file().sync_all()?;
    temporary.persist(&target)?;
    Ok(())
}

fn fill<E: From<io::Error>>(
    file: &File,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut writer = BufWriter::new(file);
    write(&mut writer)?;
    writer.flush()?;
    Ok(())
}

/// Removes the files that this process has begun to write, for one that is about to end at once.
pub fn remove_unfinished() {
    for path in UNFINISHED.lock().drain(..) {
        let _ = fs::remove_file(path);
    }
}

/// A temporary file that is removed when dropped, unless it was renamed. It is locked for as long as it is written.
struct Unfinished {
    file: NamedTempFile,
    listed: Listed,
}

/// A path for as long as it is in [`UNFINISHED`].
struct Listed(PathBuf);

impl Listed {
    fn new(path: &Path) -> Self {
        UNFINISHED.lock().push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        UNFINISHED.lock().retain(|path| *path != self.0);
    }
}

impl Unfinished {
    /// A new file in the directory of `target`: a rename only stays whole within one file system.
    fn beside(target: &Path) -> io::Result<Self> {
        let directory = directory_of(target);
        remove_left_over(directory);
        // Opened here and not by `tempfile`, which would let nobody else read it: the user's umask decides that.
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .make_in(directory, |path| File::create_new(path))?;
        // Some file systems have no locks. What is left over there stays.
        let _ = file.as_file().lock();
        let listed = Listed::new(file.path());
        Ok(Self { file, listed })
    }

    fn persist(self, target: &Path) -> io::Result<()> {
        let Self { file, listed } = self;
        file.persist(target).map_err(|e| e.error)?;
        drop(listed);
        Ok(())
    }
}

/// Removes temporary files of processes that are gone: nobody has them locked.
fn remove_left_over(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let age = entry.metadata().and_then(|about| about.modified());
        let old = age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > YOUNG));
        let unlocked = || match File::open(entry.path()).map(|file| file.try_lock()) {
            Ok(Ok(())) => true,
            Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => false,
        };
        if old && unlocked() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Checks that [`write_atomically`] will be able to write to `path`, as far as its directory says so.
pub(super) fn check_directory(path: &Path) -> io::Result<()> {
    let target = resolve(path);
    if is_special(&target) {
        return Ok(());
    }
    // The one sure way to know is to make one; it is removed at once.
    Unfinished::beside(&target).map(drop)
}

/// The directory a file lies in; `.` for a bare file name.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// The file that is meant by `path`: what a symbolic link points to, there or not, else `path` itself.
fn resolve(path: &Path) -> PathBuf {
    // As many links in a row as Linux follows.
    const LINKS: usize = 40;
    let mut target = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = directory_of(&target).join(next),
            Err(_) => break,
        }
    }
    target
}

/// The file that is written when [`write_atomically`] writes to `path`, there or not: two paths of one file have the
/// same place. `None` of what is no file, such as a pipe, or standard output (`-`).
#[must_use]
pub fn place_of(path: &Path) -> Option<PathBuf> {
    let target = resolve(path);
    if path.as_os_str() == "-" || is_special(&target) {
        return None;
    }
    let folder = directory_of(&target);
    let folder = folder
        .canonicalize()
        .or_else(|_| std::path::absolute(folder))
        .ok()?;
    let name = target.file_name()?;
    let place = folder.join(name);
    // These systems do not tell `A` from `a`.
    let ignores_case = cfg!(any(windows, target_os = "macos"));
    Some(if ignores_case {
        place.to_string_lossy().to_lowercase().into()
    } else {
        place
    })
}

/// Whether it is there and neither a file nor a directory.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
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

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_stays_a_link_and_its_target_is_written() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("there")).unwrap();
        let (file, link) = (
            directory.path().join("there/file"),
            directory.path().join("link"),
        );
        std::os::unix::fs::symlink("there/file", &link).unwrap();
        write_atomically(&link, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(directory.path()), ["link", "there"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_stays_one() {
        use std::os::unix::fs::FileTypeExt;
        let null = Path::new("/dev/null");
        write_atomically(null, |out| out.write_all(b"new")).unwrap();
        check_directory(null).unwrap();
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
    }

    #[test]
    fn what_a_process_that_is_gone_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let age = |path: &Path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        for name in [
            ".pixgrad-left.tmp",
            ".pixgrad-used.tmp",
            ".pixgrad-new.tmp",
            "other.tmp",
        ] {
            fs::write(at(name), b"").unwrap();
        }
        let used = File::open(at(".pixgrad-used.tmp")).unwrap();
        used.lock().unwrap();
        for name in [".pixgrad-left.tmp", ".pixgrad-used.tmp", "other.tmp"] {
            age(&at(name));
        }
        write_atomically(at("result"), |out| out.write_all(b"new")).unwrap();
        let left = [
            ".pixgrad-new.tmp",
            ".pixgrad-used.tmp",
            "other.tmp",
            "result",
        ];
        assert_eq!(names(directory.path()), left);
    }
}
