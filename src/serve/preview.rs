//! A picture of a run, made into a file when the first browser asks for it.

use std::io::Cursor;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use pixgrad::Image;

/// While a run is at work its picture is shown at most this large.
const LONGEST: u32 = 1024;

/// Of JPEG.
const QUALITY: u8 = 90;

/// A picture that a run came to.
#[derive(Debug)]
pub struct Preview {
    image: Image,
    /// Whether it is shown as it is: the run rests.
    is_exact: bool,
    file: OnceLock<Option<(&'static str, Bytes)>>,
    /// The time that it took to make the file.
    took: OnceLock<Duration>,
}

impl Preview {
    pub fn new(image: Image, is_exact: bool) -> Self {
        Self {
            image,
            is_exact,
            file: OnceLock::new(),
            took: OnceLock::new(),
        }
    }

    /// The media type and the bytes of its file.
    pub fn file(&self) -> Option<(&'static str, Bytes)> {
        let make = || {
            let begun = Instant::now();
            let file = self.encoded();
            self.took.get_or_init(|| begun.elapsed());
            file
        };
        self.file.get_or_init(make).clone()
    }

    /// The time that was spent on the file.
    pub fn took(&self) -> Duration {
        self.took.get().copied().unwrap_or_default()
    }

    fn encoded(&self) -> Option<(&'static str, Bytes)> {
        if self.is_exact || self.image.alpha.is_some() {
            return Some(("image/png", self.image.to_png().ok()?.into()));
        }
        let (width, height, rgb) = reduced(&self.image);
        let mut file = Cursor::new(Vec::new());
        let mut encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
        let colours = image::ExtendedColorType::Rgb8;
        encoder.encode(&rgb, width, height, colours).ok()?;
        Some(("image/jpeg", file.into_inner().into()))
    }
}

/// Width, height and bytes of a picture of at most [`LONGEST`] pixels: every n-th one.
fn reduced(image: &Image) -> (u32, u32, Vec<u8>) {
    let step = image.width.max(image.height).div_ceil(LONGEST).max(1);
    if step == 1 {
        return (image.width, image.height, image.to_rgb8());
    }
    let (width, height) = (image.width.div_ceil(step), image.height.div_ceil(step));
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x * step, y * step)));
    let bytes = places.flat_map(|(x, y)| image.pixel(x, y).map(byte));
    (width, height, bytes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_picture_is_shown_smaller() {
        let image = Image::filled(2500, 3, [0.2, 0.4, 0.6]).expect("a picture");
        let (width, height, rgb) = reduced(&image);
        assert_eq!((width, height, rgb.len()), (834, 1, 2502));
        assert_eq!(rgb[..3], [51, 102, 153]);
        for (is_exact, kind) in [(false, "image/jpeg"), (true, "image/png")] {
            let preview = Preview::new(image.clone(), is_exact);
            let (own, file) = preview.file().expect("a file");
            assert_eq!(own, kind);
            let size = pixgrad::engine::image::decode("a", &file)
                .expect("a picture")
                .image
                .size();
            assert_eq!(size, if is_exact { (2500, 3) } else { (834, 1) });
        }
    }
}
