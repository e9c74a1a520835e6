//! What made a picture: its recipe, and what the recipe was run with. A picture file carries it as a text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::{Origin, Run};
use crate::Error;
use crate::image::is_stdin;
use crate::net;
use crate::spec::{Embedded, Picture, Recipe, RecipeError};

/// A recipe, and what it was run with.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The recipe, with the paths of its pictures as the user gave them.
    pub recipe: Recipe,
    /// What it was run with.
    pub provenance: Provenance,
}

/// What a recipe was run with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program's version.
    pub version: String,
    /// The device's name.
    pub device: String,
    /// The network's name.
    pub model: String,
    /// A hash of the network: architecture, preprocessing and weights.
    pub weights: String,
    /// Iterations over all scales. Fewer than the recipe's where the run was stopped.
    pub iterations: u64,
    /// What was done with the images of the run to make the picture; none: the first of them is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// The pictures of the recipe, in its order.
    #[serde(default)]
    pub pictures: Vec<MadeOf>,
}

/// A picture that a recipe names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOf {
    /// As the recipe has it.
    pub path: PathBuf,
    /// A hash of its size, colours and alpha.
    pub hash: String,
}

/// How `visualize` makes one picture of the images of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finish {
    /// Whether the contrast is enlarged.
    #[serde(default)]
    pub stretch: bool,
    /// The side of the square that is cut out of the middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<u32>,
}

/// The second part of the text.
#[derive(Serialize, Deserialize)]
struct Section {
    made: Provenance,
}

/// Why a file's text is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum MadeError {
    /// The picture says nothing.
    #[error("'{}' holds no recipe of pixgrad", .0.display())]
    Nothing(PathBuf),
    /// The text is damaged, or another program's.
    #[error("the recipe in '{}' cannot be read", .path.display())]
    Damaged {
        /// The picture.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// A command made the picture that is no recipe.
    #[error("'{}' was made by a command that is no recipe: {line}", .path.display())]
    Command {
        /// The picture.
        path: PathBuf,
        /// The command, as a shell reads it.
        line: String,
    },
    /// A picture that the recipe names is not there.
    #[error(
        "'{}' was made of '{}', which is neither there nor beside it: put it back or change to its folder",
        .path.display(),
        .missing.display()
    )]
    Missing {
        /// The picture that was made.
        path: PathBuf,
        /// The picture that it was made of.
        missing: PathBuf,
    },
}

impl Made {
    /// What the picture file says, `file` being its bytes and `path` its name. The recipe is checked as any other when
    /// it is run.
    ///
    /// # Errors
    /// [`MadeError::Nothing`], [`MadeError::Damaged`], or [`MadeError::Command`].
    pub fn of(path: &Path, file: &[u8]) -> Result<Self, MadeError> {
        match Origin::of(path, file)? {
            Origin::Recipe(made) => Ok(*made),
            Origin::Command(made) => Err(MadeError::Command {
                path: path.to_path_buf(),
                line: made.line(),
            }),
        }
    }

    /// Of a recipe file's table with one more, `made`.
    pub(super) fn parse(mut recipe: toml::Table) -> Result<Self, toml::de::Error> {
        let mut made = toml::Table::new();
        made.extend(recipe.remove_entry("made"));
        let section: Section = made.try_into()?;
        Ok(Self {
            recipe: recipe.try_into()?,
            provenance: section.made,
        })
    }

    /// The text that a picture file carries: the recipe as TOML with one more table, `made`.
    ///
    /// # Errors
    /// [`RecipeError::Unwritable`] when a picture is in memory only, or a term is the program's own.
    pub fn to_text(&self) -> Result<String, Error> {
        let section = Section {
            made: self.provenance.clone(),
        };
        let recipe = toml::to_string(&self.recipe).map_err(RecipeError::Unwritable)?;
        let made = toml::to_string(&section).map_err(RecipeError::Unwritable)?;
        let version = &self.provenance.version;
        Ok(format!(
            "# pixgrad {version} made this picture. `pixgrad run` makes it again, `pixgrad show` prints this.\n\
             {recipe}\n{made}"
        ))
    }

    /// Makes absolute paths relative: those within one of the folders start there, of others the file's name is left.
    /// So the text does not tell where a user's files lie.
    pub fn hide(&mut self, folders: &[PathBuf]) {
        self.change_paths(|path| {
            if path.is_absolute() {
                let mut inside = folders
                    .iter()
                    .filter_map(|folder| path.strip_prefix(folder).ok());
                let inside = inside.next().map(Path::to_path_buf);
                let name = || path.file_name().map(PathBuf::from);
                *path = inside.or_else(name).unwrap_or_default();
            }
            Ok(())
        })
        .unwrap_or_else(|never: std::convert::Infallible| match never {});
    }

    /// Looks for the pictures of the recipe, and for its weights file: relative paths start at the current folder or,
    /// where nothing is there, at the folder of the picture, `path`.
    ///
    /// # Errors
    /// [`MadeError::Missing`] with the picture that is not there.
    pub fn find_pictures(&mut self, path: &Path) -> Result<(), MadeError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        self.change_paths(|needed| {
            if needed.exists() {
                return Ok(());
            }
            let beside = folder.join(&*needed);
            if !beside.exists() {
                return Err(MadeError::Missing {
                    path: path.to_path_buf(),
                    missing: needed.clone(),
                });
            }
            *needed = beside;
            Ok(())
        })
    }

    /// Changes the paths of recipe and provenance alike.
    fn change_paths<E>(
        &mut self,
        mut change: impl FnMut(&mut PathBuf) -> Result<(), E>,
    ) -> Result<(), E> {
        let of_recipe = self.recipe.pictures_mut().filter_map(Picture::file_mut);
        let stamps = self.provenance.pictures.iter_mut().map(|p| &mut p.path);
        let stamps = stamps.filter(|path| !is_stdin(&**path));
        of_recipe.chain(stamps).try_for_each(&mut change)?;
        if net::is_file(&self.recipe.model) {
            let mut path = PathBuf::from(&self.recipe.model);
            change(&mut path)?;
            self.recipe.model = path.display().to_string();
        }
        self.recipe.labels.iter_mut().try_for_each(change)?;
        Ok(())
    }
}

impl Run {
    /// What made the image as it is now. `recipe` is that of the run, with the paths that are to be told; pictures in
    /// memory have none and so no hash.
    #[must_use]
    pub fn made(&self, recipe: &Recipe, finish: Option<Finish>) -> Made {
        let network = &self.compiled.network;
        let mut recipe = recipe.clone();
        if recipe.model == "auto" {
            recipe.model.clone_from(&network.graph().name);
        }
        let pictures = recipe.pictures_mut().zip(self.compiled.pictures.all());
        let pictures = pictures.filter_map(|(picture, image)| match picture {
            Picture::File(path) => Some(MadeOf {
                path: path.clone(),
                hash: Fingerprint::of_image(image).to_string(),
            }),
            Picture::Memory(_) => None,
        });
        let pictures = pictures.collect();
        Made {
            recipe,
            provenance: Provenance {
                version: env!("CARGO_PKG_VERSION").to_string(),
                device: network.device().info().name.clone(),
                model: network.graph().name.clone(),
                weights: Fingerprint::of_network(network.graph()).to_string(),
                iterations: self.done(),
                finish,
                pictures,
            },
        }
    }

    /// What the file of the picture that gives the result its shape holds besides pixels.
    #[must_use]
    pub fn embedded(&self) -> &Embedded {
        &self.compiled.pictures.embedded
    }

    /// What is not as it was when a picture was made: one sentence for each picture, and one for the network.
    #[must_use]
    pub fn differences(&self, before: &Provenance) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut recipe = self.recipe().clone();
        let mut told = BTreeSet::new();
        for (picture, image) in recipe.pictures_mut().zip(self.compiled.pictures.all()) {
            let Picture::File(path) = picture else {
                continue;
            };
            let stamp = before.pictures.iter().find(|stamp| stamp.path == *path);
            let is_other = stamp.is_some_and(|s| !Fingerprint::is_of_image(&s.hash, image));
            if is_other && told.insert(path.clone()) {
                sentences.push(format!(
                    "'{}' is not the picture that it was when the result was made",
                    path.display()
                ));
            }
        }
        if !Fingerprint::is_of_network(&before.weights, self.compiled.network.graph()) {
            sentences.push(format!(
                "the network {} is not the one that the result was made with",
                self.compiled.network.graph().name
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Made, toml::de::Error> {
        Made::parse(toml::from_str(text)?)
    }

    fn made() -> Made {
        Made {
            recipe: Recipe::style("/home/me/a.png", ["b/ä.png"]).size(64),
            provenance: Provenance {
                version: "0.1.0".into(),
                device: "cpu".into(),
                model: "squeezenet1_1".into(),
                weights: "12".into(),
                iterations: 7,
                finish: Some(Finish {
                    stretch: true,
                    crop: Some(5),
                }),
                pictures: vec![MadeOf {
                    path: "/home/me/a.png".into(),
                    hash: "34".into(),
                }],
            },
        }
    }

    #[test]
    fn the_text_says_it_all() {
        let made = made();
        let text = made.to_text().expect("a text");
        assert_eq!(parse(&text), Ok(made));
    }

    #[test]
    fn a_text_is_checked_as_a_recipe_file_is() {
        let text = made().to_text().expect("a text");
        assert!(
            parse(&text.replace("seed", "sead")).is_err(),
            "an unknown key"
        );
        assert!(parse(&text.replace("[made]", "[mode]")).is_err());
        assert!(parse(&text[..text.len() - 20]).is_err());
    }

    #[test]
    fn paths_of_the_users_machine_are_hidden() {
        for (folder, expected) in [
            ("/home/me", "a.png"),
            ("/home", "me/a.png"),
            ("/srv", "a.png"),
        ] {
            let mut made = made();
            made.recipe.model = "/home/me/net.safetensors".into();
            made.hide(&[folder.into()]);
            let text = made.to_text().expect("a text");
            assert!(!text.contains("/home"), "{text}");
            assert!(
                text.contains(&format!("\"{expected}\"")) && text.contains("b/ä.png"),
                "{text}"
            );
            assert_eq!(made.provenance.pictures[0].path, Path::new(expected));
        }
    }

    #[test]
    fn pictures_are_looked_for_here_and_beside_the_result() {
        let folder = tempfile::tempdir().expect("a folder");
        let result = folder.path().join("result.png");
        let mut made = made();
        made.hide(&["/home/me".into()]);
        let error = made.clone().find_pictures(&result).expect_err("no picture");
        assert!(
            matches!(error, MadeError::Missing { missing, .. } if missing == Path::new("a.png"))
        );
        std::fs::create_dir(folder.path().join("b")).expect("a folder");
        for name in ["a.png", "b/ä.png"] {
            std::fs::write(folder.path().join(name), "").expect("a file");
        }
        made.find_pictures(&result).expect("both are there");
        assert_eq!(
            made.provenance.pictures[0].path,
            folder.path().join("a.png")
        );
        let text = made.to_text().expect("a text");
        assert!(
            text.contains(&folder.path().join("b/ä.png").display().to_string()),
            "{text}"
        );
    }
}
