//! Networks that can be downloaded: where their files are, and what tells that they are the right ones.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::store;

/// What the program knows of itself.
const TORCHVISION: &str = include_str!("torchvision.toml");

/// The user's own entries, in the folder of the installed networks.
const FILE: &str = "catalogue.toml";

/// Fewer digits of a SHA-256 tell too little.
const DIGITS: usize = 8;

/// A network that can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// What it is called once it is installed.
    pub name: String,
    /// Where its file is.
    pub url: String,
    /// The length of the file in bytes, if it is known.
    pub size: Option<u64>,
    /// The SHA-256 of the file or its first digits, at least 8, hexadecimal.
    pub sha256: String,
}

impl CatalogueEntry {
    /// The name of the file at its URL: `resnet50-0676ba61.pth`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or(&self.url);
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The name of the file once it is installed: `resnet50.pth`.
    #[must_use]
    pub fn installed_name(&self) -> String {
        let extension = Path::new(self.file_name()).extension();
        let extension = extension.map_or_else(Default::default, |e| e.to_string_lossy());
        format!("{}.{extension}", self.name)
    }

    fn check(mut self) -> Result<Self, CatalogueProblem> {
        self.sha256.make_ascii_lowercase();
        let wrong = |problem: fn(String, String) -> CatalogueProblem, found: &str| {
            Err(problem(self.name.clone(), found.to_owned()))
        };
        if !store::is_name(&self.name) {
            return Err(CatalogueProblem::Name {
                name: self.name.clone(),
            });
        }
        let is_hexadecimal = self.sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hexadecimal || !(DIGITS..=64).contains(&self.sha256.len()) {
            return wrong(
                |name, found| CatalogueProblem::Hash { name, found },
                &self.sha256,
            );
        }
        let is_web = ["http://", "https://"]
            .iter()
            .any(|scheme| self.url.starts_with(scheme));
        if !is_web || !store::is_file(self.file_name()) {
            return wrong(
                |name, found| CatalogueProblem::Url { name, found },
                &self.url,
            );
        }
        Ok(self)
    }
}

/// A catalogue as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default)]
    network: Vec<CatalogueEntry>,
}

/// What is wrong with the user's catalogue.
#[derive(Debug, thiserror::Error)]
#[error("the catalogue {} {problem}", .path.display())]
pub struct CatalogueError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: CatalogueProblem,
}

/// What can be wrong with a catalogue. Each message continues "the catalogue x ...".
#[derive(Debug, thiserror::Error)]
pub enum CatalogueProblem {
    #[error("cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error(
        "cannot be understood; expected are tables like `[[network]]`, each with name, url, sha256 and perhaps size"
    )]
    Toml(#[source] toml::de::Error),
    #[error(
        "has the name `{name}`, which cannot be the name of a network: it must have neither `/`, `\\`, `:` nor `,`, no \
         `.` at its start and no extension of a weights file at its end"
    )]
    Name { name: String },
    #[error(
        "has the sha256 `{found}` of `{name}`; expected are 8 to 64 hexadecimal digits, from the first on"
    )]
    Hash { name: String, found: String },
    #[error(
        "has the url `{found}` of `{name}`; expected is one of http or https that ends in the name of a file of \
         weights, such as https://example.org/{name}.pth"
    )]
    Url { name: String, found: String },
}

/// The networks that can be downloaded: those of `catalogue.toml` in [`models_dir`](super::models_dir), then those that
/// the program knows. A name that is there twice means the first.
///
/// # Errors
/// Says what is wrong with `catalogue.toml`.
pub fn catalogue() -> Result<Vec<CatalogueEntry>, CatalogueError> {
    catalogue_with(store::models_dir().as_deref())
}

pub(super) fn catalogue_with(dir: Option<&Path>) -> Result<Vec<CatalogueEntry>, CatalogueError> {
    let mut entries = Vec::new();
    if let Some(dir) = dir {
        let path = dir.join(FILE);
        let own = match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(CatalogueProblem::Unreadable(error)),
        };
        entries = own.map_err(|problem| CatalogueError { path, problem })?;
    }
    for entry in parse(TORCHVISION).expect("a test reads it") {
        if entries.iter().all(|own| own.name != entry.name) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn parse(text: &str) -> Result<Vec<CatalogueEntry>, CatalogueProblem> {
    let entries: Entries = toml::from_str(text).map_err(CatalogueProblem::Toml)?;
    entries
        .network
        .into_iter()
        .map(CatalogueEntry::check)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Architecture, known};

    #[test]
    fn the_programs_own_entries_are_files_of_known_networks() {
        let entries = parse(TORCHVISION).unwrap();
        for (i, entry) in entries.iter().enumerate() {
            let CatalogueEntry { name, sha256, .. } = entry;
            let stem = Path::new(entry.file_name()).file_stem().unwrap();
            let stem = stem.to_str().unwrap();
            assert!(stem.ends_with(&format!("-{sha256}")), "{stem}");
            // Each is known by its hash, too.
            let path = Path::new(entry.file_name());
            assert_eq!(known::find(path), Some(known::Trained::AsUsual), "{stem}");
            let of = |suffix| name.strip_suffix(suffix).unwrap_or(name);
            let architecture = [of(""), of("_v2"), of("_torchvision")]
                .into_iter()
                .find_map(Architecture::from_name);
            assert!(architecture.is_some(), "{name}");
            assert!(super::super::embedded().all(|embedded| embedded != name));
            assert!(entries[..i].iter().all(|other| other.name != *name));
        }
        // `googlenet_bvlc` is Caffe's; the two embedded ones have other names.
        for architecture in Architecture::ALL {
            let name = architecture.name();
            let found = entries.iter().any(|entry| entry.name.starts_with(name));
            assert_eq!(found, name != "googlenet_bvlc", "{name}");
        }
    }

    #[test]
    fn names_of_files() {
        let entry = |url: &str| CatalogueEntry {
            name: "mine".to_owned(),
            url: url.to_owned(),
            size: None,
            sha256: "12345678".to_owned(),
        };
        let of = entry("https://example.org/a/resnet50-0676ba61.pth?raw=true");
        assert_eq!(of.file_name(), "resnet50-0676ba61.pth");
        assert_eq!(of.installed_name(), "mine.pth");
        assert!(entry("https://example.org/").check().is_err());
        assert!(entry("ftp://example.org/a.pth").check().is_err());
    }

    #[test]
    fn the_users_entries_go_first_and_say_what_is_wrong_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let with = |text: &str| {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            catalogue_with(Some(dir.path()))
        };
        let own = "[[network]]\nname = \"resnet50\"\nurl = \"http://x/y.onnx\"\nsha256 = \"ABCDEF0123\"\nsize = 5\n";
        let entries = with(own).unwrap();
        assert_eq!(entries[0].url, "http://x/y.onnx");
        assert_eq!(entries[0].sha256, "abcdef0123");
        let count = |name: &str| entries.iter().filter(|entry| entry.name == name).count();
        assert_eq!((count("resnet50"), count("resnet18")), (1, 1));
        for (change, word) in [
            (("resnet50", "a/b"), "`a/b`"),
            (("resnet50", "a.pth"), "`a.pth`"),
            (("ABCDEF0123", "abc"), "8 to 64"),
            (("ABCDEF0123", "abcdefgh"), "8 to 64"),
            (("http://x/y.onnx", "y.onnx"), "http or https"),
            (("size", "length"), "name, url, sha256"),
        ] {
            let text = own.replace(change.0, change.1);
            let error = with(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
