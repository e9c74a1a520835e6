//! The text that a picture file carries: what made it.

use std::io::Cursor;

use png::{Decoder, Limits};

use super::exif;

/// The keyword of the PNG chunk iTXt that holds the text. Other formats have it as the EXIF user comment.
pub const KEYWORD: &str = "pixgrad";

/// What our texts begin with: a comment of TOML.
pub const START: &str = "# pixgrad ";

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// Whether a text is one of ours.
pub fn is_ours(text: String) -> bool {
    text.starts_with(START)
}

/// The text of a picture file that this program wrote; none where there is none, or one that is longer than
/// [`MAX_TEXT`]. The text may have been written by anybody.
#[must_use]
pub fn text_of(file: &[u8]) -> Option<String> {
    let text = in_png(file).or_else(|| exif::comment_in(file))?;
    (text.len() <= MAX_TEXT && text.starts_with(START)).then_some(text)
}

/// Whether the file is a picture of a format that can carry a text.
#[must_use]
pub fn is_picture(file: &[u8]) -> bool {
    let tiff = [&b"II*\0"[..], b"MM\0*"];
    file.starts_with(b"\x89PNG\r\n\x1a\n")
        || file.starts_with(b"\xff\xd8\xff")
        || tiff.iter().any(|start| file.starts_with(start))
        || (file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP"))
}

fn in_png(file: &[u8]) -> Option<String> {
    let limits = Limits { bytes: 16 << 20 };
    let mut reader = Decoder::new_with_limits(Cursor::new(file), limits)
        .read_info()
        .ok()?;
    let find = |info: &png::Info<'_>| {
        let mut chunk = info
            .utf8_text
            .iter()
            .find(|chunk| chunk.keyword == KEYWORD)?
            .clone();
        chunk.decompress_text_with_limit(MAX_TEXT).ok()?;
        chunk.get_text().ok()
    };
    find(reader.info()).or_else(|| {
        // Other programs move it behind the pixels.
        reader.finish().ok()?;
        find(reader.info())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, SaveOptions, save};

    #[test]
    fn every_format_carries_the_text_and_the_same_pixels() {
        let directory = tempfile::tempdir().expect("a folder");
        let image = Image::filled(5, 3, [0.2, 0.4, 0.6]).expect("an image");
        let text = format!("{START}with an umlaut: ä\n");
        for name in ["a.png", "a.jpg", "a.webp", "a.tif"] {
            let path = directory.path().join(name);
            let write = |text: Option<&str>| {
                let options = SaveOptions {
                    text: text.map(str::to_string),
                    ..SaveOptions::default()
                };
                assert_eq!(save(&path, &image, options).expect("written"), []);
                std::fs::read(&path).expect("a file")
            };
            let pixels = |file: &[u8]| crate::image::decode(name, file).expect("a picture").image;
            let (plain, ours, foreign) = (write(None), write(Some(&text)), write(Some("a cat")));
            assert_eq!(text_of(&ours).as_deref(), Some(&*text), "{name}");
            assert_eq!(pixels(&ours), pixels(&plain), "{name}");
            assert_eq!(write(Some(&text)), ours, "{name}: the same again");
            assert!(
                text_of(&plain).is_none() && text_of(&foreign).is_none(),
                "{name}"
            );
            assert!(is_picture(&ours), "{name}");
            // Cut anywhere, it is no reason to fail.
            for end in 0..ours.len() {
                let _ = text_of(&ours[..end]);
            }
        }
        assert!(!is_picture(b"model = \"vgg19\"\n"));
    }

    #[test]
    fn a_text_that_unpacks_to_more_than_there_may_be_is_not_taken() {
        let text = format!("{START}{}", " ".repeat(MAX_TEXT));
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 1, 1);
        let mut chunk = png::text_metadata::ITXtChunk::new(KEYWORD, text);
        chunk.compressed = true;
        chunk.compress_text().expect("compressed");
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_text_chunk(&chunk).expect("a chunk");
        writer.write_image_data(&[0]).expect("a pixel");
        writer.finish().expect("a file");
        assert!(file.len() < MAX_TEXT / 20);
        assert_eq!(text_of(&file), None);
    }
}
