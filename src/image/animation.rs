//! Moving pictures.

use std::io::Write;
use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};

use super::{Image, ImageError, write_atomically};

/// Writes frames as an animated GIF that repeats for ever, `delay` milliseconds each; whole or not at all.
///
/// # Errors
/// [`ImageError::Write`] when the file cannot be written or a frame is too large for the format (65535 pixels a side).
pub fn save_gif(path: impl AsRef<Path>, frames: &[Image], delay: u32) -> Result<(), ImageError> {
    let path = path.as_ref();
    write_atomically(path, |file| -> Result<(), std::io::Error> {
        let mut encoder = GifEncoder::new_with_speed(&mut *file, 10);
        let other = |error: image::ImageError| std::io::Error::other(error);
        encoder.set_repeat(Repeat::Infinite).map_err(other)?;
        for frame in frames {
            let rgba = frame
                .to_rgb8()
                .chunks_exact(3)
                .flat_map(|p| [p[0], p[1], p[2], 255])
                .collect();
            let buffer = RgbaImage::from_raw(frame.width, frame.height, rgba).ok_or_else(|| {
                std::io::Error::other("a frame has another number of pixels than its size says")
            })?;
            let delay = Delay::from_numer_denom_ms(delay, 1);
            encoder
                .encode_frame(Frame::from_parts(buffer, 0, 0, delay))
                .map_err(other)?;
        }
        drop(encoder);
        file.flush()
    })
    .map_err(|source| ImageError::Write {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.gif");
        let frames: Vec<Image> = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
            .map(|colour| Image::filled(9, 7, colour).expect("an image"))
            .to_vec();
        save_gif(&path, &frames, 100).expect("a file");
        let file = std::io::BufReader::new(std::fs::File::open(&path).expect("the file"));
        let decoder = image::codecs::gif::GifDecoder::new(file).expect("a GIF");
        let read = image::AnimationDecoder::into_frames(decoder)
            .collect_frames()
            .expect("frames");
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].buffer().dimensions(), (9, 7));
        let blue = read[1].buffer().get_pixel(3, 3).0;
        assert!(blue[2] > 250 && blue[0] < 5, "{blue:?}");
    }
}
