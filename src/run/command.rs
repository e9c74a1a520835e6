//! The command line that made a picture, where no single recipe makes it: an adversarial picture, a sheet of several.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::{Made, MadeError, MadeOf};
use crate::Network;
use crate::image::{self, Image};

/// A command line, and what it was run with. A picture file carries it as a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeByCommand {
    /// The arguments behind the program's name.
    pub command: Vec<String>,
    /// What it was run with.
    #[serde(rename = "made")]
    pub provenance: CommandProvenance,
}

/// What a command line was run with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandProvenance {
    /// The program's version.
    pub version: String,
    /// The device's name.
    pub device: String,
    /// The networks, in the order in which they were used.
    #[serde(default)]
    pub networks: Vec<MadeWith>,
    /// The pictures that it was made of, as the command used them: without alpha or cropped where it does that.
    #[serde(default)]
    pub pictures: Vec<MadeOf>,
}

/// A network that a picture was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeWith {
    /// Its name.
    pub model: String,
    /// A hash of architecture, preprocessing and weights.
    pub weights: String,
}

/// What a picture file says of how it was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A recipe.
    Recipe(Box<Made>),
    /// A command that is no recipe.
    Command(MadeByCommand),
}

impl MadeOf {
    /// A picture that a command was given.
    #[must_use]
    pub fn new(path: &Path, image: &Image) -> Self {
        Self {
            path: path.to_path_buf(),
            hash: Fingerprint::of_image(image).to_string(),
        }
    }
}

impl MadeByCommand {
    /// What the command line has made with networks, which are on one device, of pictures.
    #[must_use]
    pub fn new(command: Vec<String>, networks: &[&Network], pictures: Vec<MadeOf>) -> Self {
        let device = networks.first().map(|network| network.device().info());
        let networks = networks.iter().map(|network| MadeWith {
            model: network.graph().name.clone(),
            weights: Fingerprint::of_network(network.graph()).to_string(),
        });
        Self {
            command,
            provenance: CommandProvenance {
                version: env!("CARGO_PKG_VERSION").to_string(),
                device: device.map_or_else(String::new, |info| info.name.clone()),
                networks: networks.collect(),
                pictures,
            },
        }
    }

    /// The text that a picture file carries; none where it cannot be written as TOML.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let text = toml::to_string(self).ok()?;
        let version = &self.provenance.version;
        Some(format!(
            "# pixgrad {version} made this picture by a command, which `pixgrad show` prints.\n{text}"
        ))
    }

    /// The command as a shell reads it. Whoever made the picture may have put control characters into it: those are
    /// replaced.
    #[must_use]
    pub fn line(&self) -> String {
        let words = self.command.iter().map(|word| quoted(word));
        let words = std::iter::once("pixgrad".to_string()).chain(words);
        words.collect::<Vec<_>>().join(" ")
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_./:=,+@%-".contains(c);
    let word = word.replace(char::is_control, "\u{fffd}");
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Origin {
    /// What the picture file says, `file` being its bytes and `path` its name.
    ///
    /// # Errors
    /// [`MadeError::Nothing`], or [`MadeError::Damaged`].
    pub fn of(path: &Path, file: &[u8]) -> Result<Self, MadeError> {
        let path = || PathBuf::from(path);
        let text = image::text_of(file).ok_or_else(|| MadeError::Nothing(path()))?;
        Self::parse(&text).map_err(|source| MadeError::Damaged {
            path: path(),
            source,
        })
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let table: toml::Table = toml::from_str(text)?;
        if table.contains_key("command") {
            return Ok(Self::Command(table.try_into()?));
        }
        Ok(Self::Recipe(Box::new(Made::parse(table)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(command: &[&str]) -> MadeByCommand {
        MadeByCommand {
            command: command.iter().map(ToString::to_string).collect(),
            provenance: CommandProvenance {
                version: "0.1.0".into(),
                device: "cpu".into(),
                networks: vec![MadeWith {
                    model: "vgg19".into(),
                    weights: "12".into(),
                }],
                pictures: vec![MadeOf {
                    path: "a b.png".into(),
                    hash: "34".into(),
                }],
            },
        }
    }

    #[test]
    fn the_text_says_it_all() {
        let made = made(&["attack", "a b.png", "--epsilon", "8/255"]);
        let text = made.to_text().expect("a text");
        assert_eq!(Origin::parse(&text), Ok(Origin::Command(made)));
        assert!(Origin::parse(&text.replace("version", "verse")).is_err());
    }

    #[test]
    fn the_line_is_one_that_a_shell_reads() {
        for (word, expected) in [
            ("a/b-1.png", "a/b-1.png"),
            ("8/255", "8/255"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(rm x)", "'$(rm x)'"),
            ("", "''"),
            ("a\u{1b}[2J\n", "'a\u{fffd}[2J\u{fffd}'"),
        ] {
            assert_eq!(made(&[word]).line(), format!("pixgrad {expected}"));
        }
    }
}
