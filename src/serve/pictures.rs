//! The pictures that were uploaded. They are in memory only, each once, and are called by a hash of their files; the
//! names that people gave them are labels.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use pixgrad::Image;
use pixgrad::engine::image::{Filter, decode, size_for_long_side};
use sha2::{Digest, Sha256};

use super::error::Refusal;

/// Pictures are used at most this large, as the page does in a browser.
const LONGEST: u32 = 2048;

/// Bytes that all pictures together may take: 20 of the largest.
const MOST_BYTES: usize = 1 << 30;

/// A picture with the size that its file has.
#[derive(Debug, Clone)]
pub struct Upload {
    pub id: String,
    pub image: Arc<Image>,
    pub full: (u32, u32),
}

/// Those that were used last.
#[derive(Debug, Default)]
pub struct Pictures {
    all: HashMap<String, (Upload, u64)>,
    clock: u64,
}

/// Whether a name can be told in a recipe without ever being a place on a disk.
pub fn is_label(name: &str) -> bool {
    let apart = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
    let dots = name.chars().all(|c| c == '.');
    !dots && name != "-" && name.chars().count() <= 200 && !name.contains(apart)
}

/// What is told of a name that is none.
pub fn check_label(name: &str) -> Result<(), Refusal> {
    if is_label(name) {
        return Ok(());
    }
    let told: String = name.chars().take(100).collect();
    Err(Refusal::wrong(format!(
        "'{}' is not the plain name of a picture: it must have no / \\ and : in it",
        told.escape_debug()
    )))
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it.
pub fn read(name: &str, file: &[u8]) -> Result<Upload, Refusal> {
    let loaded = decode(Path::new(name), file).map_err(pixgrad::Error::from)?;
    let full = loaded.image.size();
    let (width, height) = size_for_long_side(full.0, full.1, LONGEST);
    let image = if full.0.max(full.1) > LONGEST {
        let smaller = loaded.image.resize(width, height, Filter::Bicubic);
        smaller.map_err(pixgrad::Error::from)?.clamp()
    } else {
        loaded.image
    };
    Ok(Upload {
        id: id_of([file]),
        image: Arc::new(image),
        full,
    })
}

/// The central square of a picture, brought to `side` pixels.
///
/// # Errors
/// A side that no picture has.
pub fn square(of: &Upload, side: u32) -> Result<Upload, Refusal> {
    if side == 0 || side > LONGEST {
        return Err(Refusal::wrong(format!(
            "side: it must be from 1 to {LONGEST}"
        )));
    }
    let short = of.image.width.min(of.image.height);
    let crop = of.image.center_crop(short, short);
    let image = crop.and_then(|crop| crop.resize(side, side, Filter::Bicubic));
    Ok(Upload {
        id: id_of([of.id.as_bytes(), &side.to_le_bytes()]),
        image: Arc::new(image.map_err(pixgrad::Error::from)?.clamp()),
        full: (side, side),
    })
}

fn id_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    hash[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn bytes_of(image: &Image) -> usize {
    4 * (image.rgb.len() + image.alpha.as_ref().map_or(0, Vec::len))
}

impl Pictures {
    /// Keeps a picture; those that were not used for longest make room. A job keeps those that it needs itself.
    pub fn keep(&mut self, upload: Upload) {
        self.clock += 1;
        self.all.insert(upload.id.clone(), (upload, self.clock));
        while self.all.len() > 1 && self.bytes() > MOST_BYTES {
            let oldest = self.all.iter().min_by_key(|(_, (_, used))| *used);
            let Some(id) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            self.all.remove(&id);
        }
    }

    fn bytes(&self) -> usize {
        self.all
            .values()
            .map(|(upload, _)| bytes_of(&upload.image))
            .sum()
    }

    pub fn find(&mut self, id: &str) -> Option<Upload> {
        self.clock += 1;
        let (upload, used) = self.all.get_mut(id)?;
        *used = self.clock;
        Some(upload.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_no_path() {
        for name in [
            "photo.jpg",
            "Straße 1.png",
            ".hidden",
            "a..b",
            "chelsea.png @224",
            "",
        ] {
            assert_eq!(is_label(name), !name.is_empty(), "{name}");
        }
        for name in [
            "../a.png",
            "/etc/passwd",
            "a/b",
            "..",
            ".",
            "-",
            "c:a",
            "a\\b",
            "a\nb",
            "a\0",
        ] {
            assert!(!is_label(name), "{name}");
        }
        assert!(!is_label(&"a".repeat(201)));
    }

    #[test]
    fn a_picture_is_kept_once_and_a_large_one_is_reduced() {
        let image = Image::filled(4100, 10, [0.5; 3]).expect("a picture");
        let file = image.to_png().expect("a file");
        let upload = read("a.png", &file).expect("a picture");
        assert_eq!((upload.image.size(), upload.full), ((2048, 5), (4100, 10)));
        let mut pictures = Pictures::default();
        pictures.keep(upload.clone());
        pictures.keep(read("b.png", &file).expect("a picture"));
        assert_eq!(pictures.all.len(), 1);
        assert!(pictures.find(&upload.id).is_some());
        assert!(pictures.find("b.png").is_none());
        assert_eq!(square(&upload, 7).expect("a square").image.size(), (7, 7));
        assert!(square(&upload, 0).is_err());
        assert!(read("a.txt", b"no picture").is_err());
    }
}
