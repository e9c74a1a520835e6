//! Which files a command reads and writes: no file is written over another that the command needs.

use std::path::{Path, PathBuf};

use pixgrad::Recipe;
use pixgrad::engine::image::{is_stdin, place_of};

use super::Usage;
use super::output::numbering;

/// The files of a command.
#[derive(Debug, Default)]
pub struct Claims(Vec<Claim>);

#[derive(Debug)]
struct Claim {
    access: Access,
    path: PathBuf,
    /// The file behind all links.
    place: PathBuf,
}

#[derive(Debug, PartialEq)]
enum Access {
    /// An input.
    Read,
    /// An input whose place the resulting picture may take: what it was made of.
    Content,
    /// Written by an option.
    Written(&'static str),
    /// The resulting picture.
    Picture(&'static str),
}

impl Claims {
    /// The inputs of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        let mut claims = Self::default();
        for (path, is_content) in recipe.files() {
            let access = if is_content {
                Access::Content
            } else {
                Access::Read
            };
            claims.add(access, &path);
        }
        claims
    }

    pub fn reads(&mut self, path: &Path) {
        self.add(Access::Read, path);
    }

    pub fn reads_content(&mut self, path: &Path) {
        self.add(Access::Content, path);
    }

    /// `option` says which file this is.
    pub fn writes(&mut self, option: &'static str, path: &Path) {
        self.add(Access::Written(option), path);
    }

    pub fn writes_picture(&mut self, option: &'static str, path: &Path) {
        self.add(Access::Picture(option), path);
    }

    /// What is no file, such as a pipe, cannot be overwritten.
    fn add(&mut self, access: Access, path: &Path) {
        if is_stdin(path) {
            return;
        }
        if let Some(place) = place_of(path) {
            let path = path.to_path_buf();
            self.0.push(Claim {
                access,
                path,
                place,
            });
        }
    }

    /// Whether every file that is written is no other's.
    ///
    /// # Errors
    /// [`Usage`] with the file and what would write over it.
    pub fn check(&self) -> Result<(), Usage> {
        for (i, claim) in self.0.iter().enumerate() {
            for other in &self.0[i + 1..] {
                if claim.place == other.place {
                    conflict(claim, other)?;
                }
            }
        }
        Ok(())
    }

    /// The same for the numbered pictures that `--save-every` writes beside the picture.
    ///
    /// # Errors
    /// As [`Claims::check`].
    pub fn check_numbered(&self, picture: &Path, every: u64) -> Result<(), Usage> {
        let Some(picture) = place_of(picture) else {
            return Ok(());
        };
        let taken = |claim: &&Claim| {
            numbering(&picture, &claim.place).is_some_and(|n| n > 0 && n.is_multiple_of(every))
        };
        match self.0.iter().find(taken) {
            Some(claim) => Err(Usage(format!(
                "--save-every would write over '{}', which this command needs: give --output another name",
                claim.path.display()
            ))),
            None => Ok(()),
        }
    }
}

/// Two claims on one file.
fn conflict(one: &Claim, other: &Claim) -> Result<(), Usage> {
    use Access::{Content, Picture, Read, Written};
    match (&one.access, &other.access) {
        (Read | Content, Read | Content) | (Content, Picture(_)) | (Picture(_), Content) => Ok(()),
        (Written(a) | Picture(a), Written(b) | Picture(b)) => Err(Usage(format!(
            "{a} and {b} would both write '{}': give one of them another name",
            one.path.display()
        ))),
        (Read | Content, Written(option) | Picture(option))
        | (Written(option) | Picture(option), Read | Content) => {
            let input = if matches!(one.access, Read | Content) {
                one
            } else {
                other
            };
            Err(Usage(format!(
                "'{}' is an input, and {option} would write over it: give {option} another name",
                input.path.display()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said against the claims.
    fn said(claims: &Claims) -> String {
        claims.check().expect_err("a conflict").to_string()
    }

    #[test]
    fn only_the_picture_takes_the_place_of_an_input() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let mut claims = Claims::default();
        claims.reads_content(&at("content.png"));
        claims.reads(&at("style.png"));
        claims.writes_picture("--output", &at("content.png"));
        claims.writes("--trace", &at("t.json"));
        assert!(claims.check().is_ok());
        claims.writes_picture("--output", &at("style.png"));
        assert!(said(&claims).contains("style.png' is an input, and --output"));

        let mut claims = Claims::default();
        claims.writes("--trace", &at("content.png"));
        claims.reads_content(&at("content.png"));
        assert!(said(&claims).contains("content.png' is an input, and --trace"));

        let mut claims = Claims::default();
        claims.writes_picture("--output", &at("a.png"));
        claims.writes("--trace", &at("./a.png"));
        assert!(said(&claims).contains("--output and --trace would both write"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_the_same_through_links_and_a_pipe_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, at(name)).expect("a link");
        };
        std::fs::write(at("photo.png"), "").expect("written");
        link("photo.png", "link");
        link(".", "folder");
        link("nowhere.json", "dangling");
        for (read, written) in [
            ("photo.png", "link"),
            ("link", "photo.png"),
            ("photo.png", "folder/photo.png"),
            ("nowhere.json", "folder/dangling"),
        ] {
            let mut claims = Claims::default();
            claims.reads(&at(read));
            claims.writes("--trace", &at(written));
            assert!(claims.check().is_err(), "{read} {written}");
        }
        let mut claims = Claims::default();
        claims.writes("--trace", Path::new("/dev/null"));
        claims.writes("--save-recipe", Path::new("/dev/null"));
        assert!(claims.check().is_ok());
    }

    #[test]
    fn numbered_pictures_are_looked_for_by_their_numbers() {
        let mut claims = Claims::default();
        claims.reads(Path::new("out-000020.png"));
        let check = |claims: &Claims, picture: &str, every| {
            claims.check_numbered(Path::new(picture), every).is_ok()
        };
        assert!(!check(&claims, "out.png", 10));
        assert!(check(&claims, "out.png", 7));
        assert!(check(&claims, "out.jpg", 10));
        assert!(check(&claims, "on.png", 10));
    }
}
