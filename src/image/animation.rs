//! Moving pictures.

use std::io::{self, Write};
use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};

use super::{Image, ImageError, write_atomically};

/// Writes frames as an animated GIF that repeats for ever, `delay` milliseconds each; whole or not at all. Each frame
/// is encoded as it comes, so that no more than one is in memory.
///
/// # Errors
/// That of the first frame that is one, or [`ImageError::Write`] when the file cannot be written or a frame is too
/// large for the format (65535 pixels a side).
pub fn save_gif<E: From<ImageError>>(
    path: impl AsRef<Path>,
    frames: impl Iterator<Item = Result<Image, E>>,
    delay: u32,
) -> Result<(), E> {
    let path = path.as_ref();
    let written = write_atomically(path, |file| -> Result<(), Stop<E>> {
        let mut encoder = GifEncoder::new_with_speed(&mut *file, 10);
        encoder.set_repeat(Repeat::Infinite)?;
        for frame in frames {
            encoder.encode_frame(coded(&frame.map_err(Stop::Frame)?, delay)?)?;
        }
        drop(encoder);
        Ok(file.flush()?)
    });
    written.map_err(|stop| match stop {
        Stop::Frame(error) => error,
        Stop::File(source) => ImageError::Write {
            path: path.to_path_buf(),
            source,
        }
        .into(),
    })
}

/// Why no more frames are written.
enum Stop<E> {
    Frame(E),
    File(io::Error),
}

impl<E> From<io::Error> for Stop<E> {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl<E> From<image::ImageError> for Stop<E> {
    fn from(error: image::ImageError) -> Self {
        Self::File(io::Error::other(error))
    }
}

/// A frame as the encoder takes it.
fn coded(frame: &Image, delay: u32) -> io::Result<Frame> {
    let rgb = frame.to_rgb8();
    let rgba = rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]);
    let buffer = RgbaImage::from_raw(frame.width, frame.height, rgba.collect());
    let buffer = buffer.ok_or_else(|| {
        io::Error::other("a frame has another number of pixels than its size says")
    })?;
    let delay = Delay::from_numer_denom_ms(delay, 1);
    Ok(Frame::from_parts(buffer, 0, 0, delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.gif");
        let frames = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]].map(|colour| Image::filled(9, 7, colour));
        save_gif(&path, frames.into_iter(), 100).expect("a file");
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

    #[test]
    fn a_frame_that_fails_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.gif");
        let frames = [9, 0].map(|side| Image::filled(side, 7, [0.5; 3]));
        let error = save_gif(&path, frames.into_iter(), 100).expect_err("a frame without pixels");
        assert!(matches!(error, ImageError::NoPixels { .. }), "{error}");
        assert_eq!(
            std::fs::read_dir(folder.path())
                .expect("the folder")
                .count(),
            0
        );
    }
}
