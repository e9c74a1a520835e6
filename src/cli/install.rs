//! `pixgrad models import`, `remove` and `path`: the folder of the installed networks.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use pixgrad::engine::image::write_atomically;
use pixgrad::engine::net;
use serde_json::json;

use super::{Global, Usage, terminal};

/// Install a network from a file
///
/// The file is copied once it is clear that it opens. Files beside an ONNX file that hold its numbers are copied, too.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A .safetensors, .onnx or .pth file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What the network is called from now on [default: the name of the file without its extension]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Replace an installed network of that name
    #[arg(long)]
    force: bool,
}

/// Why a network cannot be installed, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("no folder for networks is known; set PIXGRAD_MODELS to the one that they shall be in")]
    NoFolder,
    #[error(
        "`{name}` is installed already, as {}; --name gives the new network another name, --force replaces the old one",
        .path.display()
    )]
    Taken { name: String, path: PathBuf },
    #[error(
        "`{name}` is the name of a network that is part of the program, which goes before an installed one; --name \
         gives the new one another name"
    )]
    OfEmbedded { name: String },
    #[error("there is a folder {} already; --name gives the network another name", .path.display())]
    Folder { path: PathBuf },
    #[error("`{name}` is part of the program: {rest}")]
    Embedded { name: String, rest: &'static str },
    #[error("'{}' cannot be removed", .path.display())]
    NotRemoved { path: PathBuf, source: io::Error },
}

/// The folder of the installed networks, which need not exist.
pub fn folder() -> Result<PathBuf, InstallError> {
    net::models_dir().ok_or(InstallError::NoFolder)
}

/// Whether a network of that name is part of the program.
pub fn is_embedded(name: &str) -> bool {
    net::embedded().any(|embedded| embedded == name)
}

pub fn import(args: &ImportArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let ImportArgs { file, name, force } = args;
    let name = match name {
        Some(name) => name.clone(),
        None => {
            let stem = file.file_stem().unwrap_or(file.as_os_str());
            stem.to_string_lossy().into_owned()
        }
    };
    if !net::is_name(&name) {
        return Err(Usage(format!(
            "`{name}` cannot be the name of a network: it must have neither `/`, `\\`, `:` nor `,`, no `.` at its \
             start and no extension of a weights file at its end; --name gives another one"
        ))
        .into());
    }
    let folder = folder()?;
    let installed = net::find_installed(&name)?;
    if !force {
        if is_embedded(&name) {
            return Err(InstallError::OfEmbedded { name }.into());
        }
        if let Some(path) = installed {
            return Err(InstallError::Taken { name, path }.into());
        }
    }
    drop(net::open_file_as(file, &name)?);
    let is_onnx = net::file_format(file) == Some("onnx");
    let data = match is_onnx {
        true => net::onnx_data_files(file)?,
        false => Vec::new(),
    };
    fs::create_dir_all(&folder).with_context(|| not_written(&folder))?;
    let file_name = format!("{name}.{}", extension(file));
    let target = if data.is_empty() {
        let target = folder.join(file_name);
        write_atomically(&target, |copy| {
            io::copy(&mut File::open(file)?, copy).map(drop)
        })
        .with_context(|| not_written(&target))?;
        target
    } else {
        let place = folder.join(&name);
        import_folder(file, &file_name, &data, &place, installed.as_deref())?;
        place.join(file_name)
    };
    if let Some(old) = installed.filter(|old| *old != target && old.exists()) {
        remove_files(&old)?;
    }
    if is_embedded(&name) {
        global.note(format_args!(
            "note: `{name}` stays the embedded network; the installed one is reached by its path"
        ));
    }
    let bytes = fs::metadata(&target).map_or(0, |about| about.len());
    if global.json {
        terminal::print_json(
            &json!({ "name": name, "path": target, "bytes": bytes, "data": data }),
        )?;
    } else {
        let beside = match data.len() {
            0 => String::new(),
            1 => ", with a file of numbers beside it".to_string(),
            count => format!(", with {count} files of numbers beside it"),
        };
        terminal::print(format_args!(
            "{name}: {}, {}{beside}",
            target.display(),
            terminal::bytes(bytes)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn not_written(path: &Path) -> String {
    format!("'{}' cannot be written", path.display())
}

/// What the name of the installed file ends in: as the file's own, or what its first bytes say.
fn extension(file: &Path) -> String {
    let own = file.file_name().unwrap_or_default().to_string_lossy();
    match file.extension() {
        Some(extension) if net::is_file(&own) => extension.to_string_lossy().into_owned(),
        _ if net::file_format(file) == Some("pytorch") => "pth".to_string(),
        _ => "safetensors".to_string(),
    }
}

/// A folder that is removed when dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies a network of several files into a hidden folder, which is then renamed to `place`. What was there of the
/// network `old` is replaced.
fn import_folder(
    file: &Path,
    file_name: &str,
    data: &[PathBuf],
    place: &Path,
    old: Option<&Path>,
) -> anyhow::Result<()> {
    let hidden = |what: &str| {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        place.with_file_name(format!(".{name}.{}.{what}", std::process::id()))
    };
    // What is not the old network's is not ours to remove.
    let replaces = match old.filter(|old| old.parent() == Some(place)) {
        Some(old) => holds_only(place, old)?,
        None => false,
    };
    if place.exists() && !replaces {
        return Err(InstallError::Folder {
            path: place.to_path_buf(),
        }
        .into());
    }
    let new = Removed(hidden("new"));
    let from = file.parent().unwrap_or(Path::new(""));
    let copies = data
        .iter()
        .map(|path| (from.join(path), new.0.join(path)))
        .chain([(file.to_path_buf(), new.0.join(file_name))]);
    for (source, target) in copies {
        copy(&source, &target).with_context(|| not_written(&target))?;
    }
    if replaces {
        let replaced = Removed(hidden("old"));
        fs::rename(place, &replaced.0).with_context(|| not_written(place))?;
        if let Err(error) = fs::rename(&new.0, place) {
            // What was there shall stay, if need be where it is now.
            let _ = fs::rename(&replaced.0, place);
            std::mem::forget(replaced);
            return Err(error).with_context(|| not_written(place));
        }
        return Ok(());
    }
    fs::rename(&new.0, place).with_context(|| not_written(place))
}

/// Whether a folder holds the ONNX file `network` with its files of numbers and nothing else.
fn holds_only(folder: &Path, network: &Path) -> anyhow::Result<bool> {
    let data = net::onnx_data_files(network).unwrap_or_default();
    let mut own: Vec<PathBuf> = data.iter().map(|file| folder.join(file)).collect();
    own.push(network.to_path_buf());
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if !own.contains(&path) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Copies a file to the disk, with the folders that it is in.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut written = File::create_new(target)?;
    io::copy(&mut File::open(source)?, &mut written)?;
    written.flush()?;
    written.sync_all()
}

pub fn remove(name: &str, global: &Global) -> anyhow::Result<ExitCode> {
    let folder = folder()?;
    // Of two files of one name each can be removed by its own.
    let is_plain = Path::new(name).components().count() == 1 && net::is_file(name);
    let as_file = net::installed_files()
        .into_iter()
        .find(|file| is_plain && file.path == folder.join(name));
    let path = match as_file {
        Some(file) => file.path,
        None => match net::find_installed(name)? {
            Some(path) => path,
            None if is_embedded(name) => {
                return Err(InstallError::Embedded {
                    name: name.to_string(),
                    rest: "only installed networks can be removed",
                }
                .into());
            }
            None => net::installed_path(name)?,
        },
    };
    let removed = remove_files(&path)?;
    if global.json {
        let removed: Vec<_> = removed
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        terminal::print_json(&json!({ "name": name, "removed": removed }))?;
    } else {
        for path in removed {
            terminal::print(format_args!("removed {}", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the file of an installed network, and what belongs to it in a folder of its own. Other files stay there.
fn remove_files(path: &Path) -> Result<Vec<PathBuf>, InstallError> {
    let parent = path.parent().unwrap_or(Path::new(""));
    let has_folder = parent.file_name().is_some() && parent.file_name() == path.file_stem();
    let data = match has_folder && net::file_format(path) == Some("onnx") {
        // What cannot be read leaves its numbers behind.
        true => net::onnx_data_files(path).unwrap_or_default(),
        false => Vec::new(),
    };
    // The network itself goes first: without it, nothing is left that is half a network.
    let all: Vec<PathBuf> = std::iter::once(path.to_path_buf())
        .chain(data.iter().map(|file| parent.join(file)))
        .collect();
    for path in &all {
        fs::remove_file(path).map_err(|source| InstallError::NotRemoved {
            path: path.clone(),
            source,
        })?;
    }
    if has_folder {
        // Those that are not empty stay.
        for folder in data.iter().flat_map(|file| file.ancestors().skip(1)) {
            let _ = fs::remove_dir(parent.join(folder));
        }
        let _ = fs::remove_dir(parent);
    }
    Ok(all)
}

pub fn path(name: Option<&str>, global: &Global) -> anyhow::Result<ExitCode> {
    let folder = folder()?;
    let path = match name {
        None => folder,
        Some(name) => match net::find_installed(name)? {
            Some(path) => path,
            None if is_embedded(name) => {
                return Err(InstallError::Embedded {
                    name: name.to_string(),
                    rest: "it has no file",
                }
                .into());
            }
            None => net::installed_path(name)?,
        },
    };
    if global.json {
        terminal::print_json(&match name {
            Some(name) => json!({ "name": name, "path": path.display().to_string() }),
            None => json!({ "directory": path.display().to_string() }),
        })?;
    } else {
        terminal::print(path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
