//! Where networks are found: embedded in the program, installed in the user's data directory, or at a path.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::catalogue::catalogue_with;
use super::embedded::{EMBEDDABLE, EMBEDDED, Embedded};
use super::weights::Outline;
use super::{NetError, Network, WeightsError, known, onnx, pytorch, weights};

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

/// Whether a network can be installed under a name: it is neither taken for a path nor hidden.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let apart = |c: char| matches!(c, '/' | '\\' | ':' | ',') || c.is_control();
    let is_word = !name.is_empty() && name.trim() == name && !name.contains(apart);
    is_word && !name.starts_with('.') && name != "auto" && !is_file(name)
}

/// A network in the folder of the installed ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installed {
    /// The name of its file without its extension.
    pub name: String,
    /// Its file: `NAME.EXTENSION`, or `NAME/NAME.EXTENSION` where further files belong to it.
    pub path: PathBuf,
}

/// Names of the networks in [`models_dir`], sorted.
pub fn installed() -> Vec<String> {
    models_dir().map_or_else(Vec::new, |dir| names_in(&dir))
}

/// The networks in [`models_dir`], sorted; a name is there twice where it has two files.
pub fn installed_files() -> Vec<Installed> {
    models_dir().map_or_else(Vec::new, |dir| installed_in(&dir))
}

/// The file of an installed network; none where there is no network of that name.
///
/// # Errors
/// [`NetError::Ambiguous`] where two files have that name.
pub fn find_installed(name: &str) -> Result<Option<PathBuf>, NetError> {
    let dir = models_dir();
    dir.map_or(Ok(None), |dir| find_in(&dir, name))
}

/// As [`find_installed`], of a network that must be there.
///
/// # Errors
/// As [`find_installed`]; and [`NetError::UnknownNetwork`] where there is no network of that name.
pub fn installed_path(name: &str) -> Result<PathBuf, NetError> {
    find_installed(name)?.ok_or_else(|| unknown(name, models_dir().as_deref()))
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = installed_in(dir)
        .into_iter()
        .map(|file| file.name)
        .collect();
    names.dedup();
    names
}

fn installed_in(dir: &Path) -> Vec<Installed> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut all: Vec<Installed> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .flat_map(
            |path| match path.file_name().and_then(|name| name.to_str()) {
                Some(name) if path.is_dir() => named(&path, name),
                _ => network_at(path).into_iter().collect(),
            },
        )
        .collect();
    all.sort();
    all
}

/// The files of one network, whatever their extension.
fn find_in(dir: &Path, name: &str) -> Result<Option<PathBuf>, NetError> {
    if !is_name(name) {
        return Ok(None);
    }
    let mut found = named(dir, name);
    found.extend(named(&dir.join(name), name));
    match &found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.path.clone())),
        [first, second, ..] => Err(NetError::Ambiguous {
            name: name.to_owned(),
            first: first.path.clone(),
            second: second.path.clone(),
        }),
    }
}

/// The networks of that name directly in a folder.
fn named(dir: &Path, name: &str) -> Vec<Installed> {
    let paths = EXTENSIONS.map(|extension| dir.join(format!("{name}.{extension}")));
    paths.into_iter().filter_map(network_at).collect()
}

/// What is installed at a path; none where it is no file of a network.
fn network_at(path: PathBuf) -> Option<Installed> {
    let name = path.file_stem()?.to_str()?.to_owned();
    let extension = path.extension()?.to_str()?;
    let is_one = EXTENSIONS.contains(&extension) && is_name(&name) && path.is_file();
    // Files of this extension hold anything, such as the numbers of an ONNX file.
    let is_one = is_one && (extension != "bin" || file_format(&path) == Some("pytorch"));
    is_one.then_some(Installed { name, path })
}

/// The format of a weights file, by its first bytes: `pytorch`, else `onnx` if it is called so, else `safetensors`.
/// None where it cannot be read.
#[must_use]
pub fn file_format(path: &Path) -> Option<&'static str> {
    let mut start = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(512).read_to_end(&mut start).ok()?;
    let is_onnx = path.extension().is_some_and(|extension| extension == ONNX);
    Some(match pytorch::is_start(&start) {
        _ if is_onnx => "onnx",
        true => "pytorch",
        false => "safetensors",
    })
}

/// What the header of an installed safetensors file says, which is all that is read of it, or that of an embedded
/// network.
///
/// # Errors
/// Where the header cannot be read, does not fit the length of the file, or is of no architecture that is known.
pub fn outline(name: &str, path: Option<&Path>) -> Result<Outline, NetError> {
    let wrong = |problem| WeightsError {
        network: name.to_owned(),
        problem,
    };
    let outline = match (path, Embedded::find(name)) {
        (Some(path), _) => {
            let unreadable = |source| NetError::Unreadable {
                path: path.to_owned(),
                source,
            };
            let file = std::fs::File::open(path).map_err(unreadable)?;
            let length = file.metadata().map_err(unreadable)?.len();
            weights::outline(file, Some(length))
        }
        (None, Some(embedded)) => weights::outline(embedded.reader(), None),
        (None, None) => return Err(unknown(name, models_dir().as_deref())),
    };
    Ok(outline.map_err(wrong)?)
}

/// Names of the embedded and the installed networks that go all the way to their classes, as far as this can be told
/// without reading whole files: those in ONNX files are left out.
pub(super) fn classifiers(dir: Option<&Path>) -> Vec<String> {
    let embedded = EMBEDDED
        .iter()
        .filter(|network| weights::has_classifier(network.reader()));
    let mut names: Vec<String> = embedded.map(|network| network.name.to_owned()).collect();
    let Some(dir) = dir else { return names };
    for Installed { name, path } in installed_in(dir) {
        // An embedded network goes before an installed one of its name.
        let hidden = Embedded::find(&name).is_some() || names.contains(&name);
        let is_classifier = || match file_format(&path) {
            Some("safetensors") => std::fs::File::open(&path).is_ok_and(weights::has_classifier),
            Some("pytorch") => weights::is_pytorch_classifier(&path),
            _ => false,
        };
        if !hidden && is_classifier() {
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
    if is_bare
        && let Some(dir) = dir
        && let Some(file) = find_in(dir, spec)?
    {
        return open_file(&file);
    }
    // A bare word is meant as a name unless there is such a file.
    if spec.is_empty() || is_bare && spec != "." && spec != ".." && !path.exists() {
        return Err(unknown(spec, dir));
    }
    open_file(path)
}

/// A network from a file, named like it.
fn open_file(path: &Path) -> Result<Network, NetError> {
    let name = path.file_stem().unwrap_or(path.as_os_str());
    open_file_as(path, &name.to_string_lossy())
}

/// A network from a file, under a name.
///
/// # Errors
/// As [`Network::open`].
pub fn open_file_as(path: &Path, name: &str) -> Result<Network, NetError> {
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
    if path.extension().is_some_and(|extension| extension == ONNX) {
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        return Network::from_onnx(name, &bytes, Some(folder.unwrap_or(Path::new("."))));
    }
    let read = weights::from_file(path).map_err(unreadable)?;
    Network::of_weights(name, read, || known::find(path))
}

/// The files beside an ONNX file that hold its numbers, as paths relative to its folder.
///
/// # Errors
/// Where the file cannot be read or is no ONNX file.
pub fn onnx_data_files(path: &Path) -> Result<Vec<PathBuf>, NetError> {
    let bytes = std::fs::read(path).map_err(|source| NetError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let network = path.file_stem().unwrap_or_default().to_string_lossy();
    let locations = onnx::data_files(&bytes).map_err(|problem| NetError::Onnx {
        network: network.into_owned(),
        problem: Box::new(problem),
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(locations
        .into_iter()
        .filter(|file| folder.join(file).is_file())
        .collect())
}

fn unknown(name: &str, dir: Option<&Path>) -> NetError {
    if EMBEDDABLE.contains(&name) {
        return NetError::NotEmbedded {
            name: name.to_owned(),
        };
    }
    let installed = dir.map_or_else(Vec::new, names_in);
    let catalogue = catalogue_with(dir).unwrap_or_default();
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
        hint: match catalogue.iter().any(|entry| entry.name == name) {
            true => format!("; `pixgrad models get {name}` downloads it"),
            false => String::new(),
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
        assert_eq!(names_in(dir.path()), ["mine"]);
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

    #[test]
    fn installed_networks_are_found_whatever_their_extension() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        // A zip archive's first bytes.
        for extension in ["pth", "pt", "ckpt", "th", "bin"] {
            write(&format!("{extension}_net.{extension}"), b"PK\x03\x04");
        }
        write("graph.onnx", b"");
        write("large/large.onnx", b"");
        write("large/weights.bin", b"numbers");
        write("numbers.bin", b"numbers");
        write(".hidden.pth", b"PK\x03\x04");
        write("other/inside.onnx", b"");
        std::fs::create_dir(dir.path().join("folder.pth")).unwrap();
        let expected = [
            "bin_net", "ckpt_net", "graph", "large", "pt_net", "pth_net", "th_net",
        ];
        assert_eq!(names_in(dir.path()), expected);
        for name in expected {
            assert!(find_in(dir.path(), name).unwrap().is_some(), "{name}");
        }
        for name in [
            "hidden", ".hidden", "inside", "folder", "numbers", "../graph",
        ] {
            assert!(find_in(dir.path(), name).unwrap().is_none(), "{name}");
        }
        write("graph.safetensors", &embedded_bytes());
        assert_eq!(names_in(dir.path()), expected, "each name once");
        let error = open("graph", Some(dir.path())).unwrap_err().to_string();
        for part in ["graph.onnx", "graph.safetensors"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn names_are_no_paths() {
        for name in ["resnet50", "my network", "v1.2", "größe"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "", " a", "a/b", "a\\b", "c:", ".a", "..", "auto", "a.pth", "a,b", "a\n",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_header_says_what_the_network_does() {
        for embedded in EMBEDDED {
            let said = outline(embedded.name, None).unwrap();
            let network = open(embedded.name, None).unwrap();
            assert_eq!(Some(said.architecture), network.architecture);
            assert_eq!(said.classes, network.classes());
            assert_eq!(said.last_layer, network.nodes().last().unwrap().name);
            let parameters = network.parameters().iter();
            let count: usize = parameters.map(|parameter| parameter.values.len()).sum();
            assert_eq!(said.parameters, count);
            assert_eq!(said.metadata, network.metadata);
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.safetensors");
        let whole = embedded_bytes();
        for (bytes, word) in [
            (&whole[..whole.len() - 1], "truncated"),
            (&whole[..100], "truncated"),
            (&[&whole[..], b"more"].concat(), "describes"),
            (b"", "is empty"),
            (b"text", "only 4 bytes"),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = outline("mine", Some(&file)).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
