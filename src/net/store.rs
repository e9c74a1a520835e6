//! Where networks are found: embedded in the program, installed in the user's data directory, or at a path.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::embedded::{EMBEDDABLE, EMBEDDED, Embedded};
use super::{NetError, Network, known, weights};

const EXTENSION: &str = "safetensors";
const ONNX: &str = "onnx";

/// What the names of weights files end in; PyTorch's have several.
const EXTENSIONS: [&str; 7] = [EXTENSION, ONNX, "pth", "pt", "ckpt", "th", "bin"];

/// Whether a network's name is meant as the path of a file: it ends as weights files do.
#[must_use]
pub fn is_file(spec: &str) -> bool {
    let extension = Path::new(spec).extension();
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

/// Names of the networks that need no file.
pub fn embedded() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|network| network.name)
}

/// Where a user's own networks are looked for: `PIXGRAD_MODELS` or, without it, `pixgrad/models` in the
/// platform's directory for a user's data. It need not exist.
pub fn models_dir() -> Option<PathBuf> {
    let given = std::env::var_os("PIXGRAD_MODELS").filter(|dir| !dir.is_empty());
    given
        .map(PathBuf::from)
        .or_else(|| Some(dirs::data_local_dir()?.join("pixgrad").join("models")))
}

/// Names of the networks in [`models_dir`], sorted.
pub fn installed() -> Vec<String> {
    models_dir().map_or_else(Vec::new, |dir| installed_in(&dir))
}

fn installed_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == EXTENSION))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Names of the embedded and the installed networks that go all the way to their classes.
pub(super) fn classifiers(dir: Option<&Path>) -> Vec<String> {
    let embedded = EMBEDDED
        .iter()
        .filter(|network| weights::has_classifier(network.reader()));
    let mut names: Vec<String> = embedded.map(|network| network.name.to_owned()).collect();
    let Some(dir) = dir else { return names };
    for name in installed_in(dir) {
        let file = std::fs::File::open(dir.join(format!("{name}.{EXTENSION}")));
        // An embedded network goes before an installed one of its name.
        let hidden = Embedded::find(&name).is_some();
        if !hidden && file.is_ok_and(weights::has_classifier) {
            names.push(name);
        }
    }
    names
}

/// Opens an embedded network, one from `dir`, or a path, in this order.
pub(super) fn open(spec: &str, dir: Option<&Path>) -> Result<Network, NetError> {
    if let Some(network) = Embedded::find(spec) {
        return Network::from_bytes(network.name, &network.file());
    }
    let path = Path::new(spec);
    let is_bare = path.components().count() == 1 && !is_file(spec);
    if is_bare && let Some(dir) = dir {
        let file = dir.join(format!("{spec}.{EXTENSION}"));
        if file.exists() {
            return open_file(&file);
        }
    }
    // A bare word is meant as a name unless there is such a file.
    if spec.is_empty() || is_bare && spec != "." && spec != ".." && !path.exists() {
        return Err(unknown(spec, dir));
    }
    open_file(path)
}

/// A network from a file, named like it.
fn open_file(path: &Path) -> Result<Network, NetError> {
    let path_buf = || path.to_owned();
    if path.is_dir() {
        return Err(NetError::Directory { path: path_buf() });
    }
    let unreadable = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => NetError::NoSuchFile { path: path_buf() },
        _ => NetError::Unreadable {
            path: path_buf(),
            source,
        },
    };
    let name = path
        .file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    if path.extension().is_some_and(|extension| extension == ONNX) {
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        return Network::from_onnx(&name, &bytes, Some(folder.unwrap_or(Path::new("."))));
    }
    let read = weights::from_file(path).map_err(unreadable)?;
    Network::of_weights(&name, read, || known::find(path))
}

fn unknown(name: &str, dir: Option<&Path>) -> NetError {
    if EMBEDDABLE.contains(&name) {
        return NetError::NotEmbedded {
            name: name.to_owned(),
        };
    }
    let installed = dir.map_or_else(Vec::new, installed_in);
    let place = dir.map_or_else(
        || "no directory for them is known".to_owned(),
        |dir| format!("they belong into {}", dir.display()),
    );
    NetError::UnknownNetwork {
        name: name.to_owned(),
        embedded: if EMBEDDED.is_empty() {
            "none".to_owned()
        } else {
            embedded().collect::<Vec<_>>().join(", ")
        },
        installed: if installed.is_empty() {
            format!("none ({place})")
        } else {
            installed.join(", ")
        },
    }
}

#[cfg(all(test, feature = "embed-squeezenet1_1", feature = "embed-vgg19"))]
mod tests {
    use super::*;
    use crate::net::Architecture;

    fn embedded_bytes() -> Vec<u8> {
        EMBEDDED[0].file()
    }

    #[test]
    fn embedded_networks_open() {
        let squeezenet = open("squeezenet1_1", None).unwrap();
        assert_eq!(squeezenet.architecture, Some(Architecture::SqueezeNet1_1));
        assert_eq!(squeezenet.class_names().unwrap().len(), 1000);
        let vgg = open("vgg19", None).unwrap();
        assert_eq!(vgg.architecture, Some(Architecture::Vgg19));
        assert_eq!(vgg.nodes().last().unwrap().name, "relu4_1");
        assert!(!vgg.has_classifier());
    }

    #[test]
    fn installed_networks_and_paths_open_under_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.safetensors");
        std::fs::write(&file, embedded_bytes()).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "not a network").unwrap();
        assert_eq!(installed_in(dir.path()), ["mine"]);
        assert_eq!(open("mine", Some(dir.path())).unwrap().name, "mine");
        assert_eq!(open(file.to_str().unwrap(), None).unwrap().name, "mine");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine.safetensors"), embedded_bytes()).unwrap();
        let message = |spec| open(spec, Some(dir.path())).unwrap_err().to_string();
        for spec in ["resnet50", ""] {
            let message = message(spec);
            for part in ["squeezenet1_1, vgg19", "mine", "path"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[test]
    fn classifiers_are_told_by_their_headers() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("mine.safetensors", &embedded_bytes());
        // The weights themselves are not read.
        write("long.safetensors", &embedded_bytes()[..20_000]);
        write("cut.safetensors", &EMBEDDED[1].file());
        write("vgg19.safetensors", &embedded_bytes());
        write("text.safetensors", b"not a network");
        write("empty.safetensors", b"");
        assert_eq!(
            classifiers(Some(dir.path())),
            ["squeezenet1_1", "long", "mine"]
        );
        assert_eq!(classifiers(None), ["squeezenet1_1"]);
    }

    #[test]
    fn bad_paths_say_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &Path| open(path.to_str().unwrap(), None).unwrap_err();
        assert!(matches!(open(dir.path()), NetError::Directory { .. }));
        assert!(matches!(open(Path::new(".")), NetError::Directory { .. }));
        let missing = dir.path().join("missing.safetensors");
        assert!(matches!(open(&missing), NetError::NoSuchFile { .. }));
        let empty = dir.path().join("empty.safetensors");
        std::fs::write(&empty, "").unwrap();
        assert!(matches!(open(&empty), NetError::Weights(_)));
    }
}
