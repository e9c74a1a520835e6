//! Pictures.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use pixgrad::Image;
use pixgrad::engine::image::{PixelDepth, PixelLayout};

use crate::status::{Failure, guard, pixgrad_status};
use crate::{free, give, handle, text};

/// A picture of the library.
pub struct pixgrad_picture(pub(crate) Arc<Image>);

/// What a pixel in the caller's memory is: sRGB-encoded values in the machine's byte order, alpha straight.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum pixgrad_format {
    /// Three bytes.
    PIXGRAD_RGB8 = 0,
    /// Four bytes.
    PIXGRAD_RGBA8 = 1,
    /// Four numbers of 16 bits.
    PIXGRAD_RGBA16 = 2,
    /// Three floats in [0, 1].
    PIXGRAD_RGB_FLOAT = 3,
    /// Four floats in [0, 1].
    PIXGRAD_RGBA_FLOAT = 4,
    /// One byte: gray, as masks are. For reading only.
    PIXGRAD_GRAY8 = 5,
}

/// The format of that number: a C caller may pass any.
fn layout(format: u32, width: u32, height: u32, stride: usize) -> Result<PixelLayout, Failure> {
    let (channels, depth) = match format {
        0 => (3, PixelDepth::U8),
        1 => (4, PixelDepth::U8),
        2 => (4, PixelDepth::U16),
        3 => (3, PixelDepth::F32),
        4 => (4, PixelDepth::F32),
        5 => (1, PixelDepth::U8),
        _ => {
            return Err(Failure::invalid(format!(
                "format is {format}; it must be a pixgrad_format"
            )));
        }
    };
    let packed = PixelLayout::packed(width, height, channels, depth);
    Ok(match stride {
        0 => packed,
        row_bytes => PixelLayout {
            row_bytes,
            ..packed
        },
    })
}

/// Copies a picture of the caller. `pixels` is its first row, `stride` the bytes from a row to the next; 0: rows stand
/// without space between them. `format` is a pixgrad_format.
///
/// # Safety
/// `pixels` points to the rows of the picture; `picture` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_picture_new(
    pixels: *const c_void,
    width: u32,
    height: u32,
    stride: usize,
    format: u32,
    picture: *mut *mut pixgrad_picture,
) -> pixgrad_status {
    guard(|| {
        let layout = layout(format, width, height, stride)?;
        let len = layout.bytes()?;
        if pixels.is_null() {
            return Err(Failure::null("pixels"));
        }
        // SAFETY: as promised by the caller.
        let bytes = unsafe { std::slice::from_raw_parts(pixels.cast::<u8>(), len) };
        let image = layout.read(bytes)?;
        // SAFETY: as promised by the caller.
        unsafe { give(picture, pixgrad_picture(Arc::new(image))) }
    })
}

/// Reads a picture file.
///
/// # Safety
/// `path` ends with 0; `picture` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_picture_open(
    path: *const c_char,
    picture: *mut *mut pixgrad_picture,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let path = unsafe { text("path", path)? };
        let image = Image::open(path)?;
        // SAFETY: as promised by the caller.
        unsafe { give(picture, pixgrad_picture(Arc::new(image))) }
    })
}

/// Writes a .png, .jpg, .webp or .tif file, whole or not at all.
///
/// # Safety
/// `picture` is a picture that is not freed; `path` ends with 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_picture_save(
    picture: *const pixgrad_picture,
    path: *const c_char,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (picture, path) = unsafe { (handle("picture", picture)?, text("path", path)?) };
        Ok(picture.0.save(path)?)
    })
}

/// Width and height of a picture in pixels; either place may be NULL.
///
/// # Safety
/// `picture` is a picture that is not freed; the places are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_picture_size(
    picture: *const pixgrad_picture,
    width: *mut u32,
    height: *mut u32,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (w, h) = unsafe { handle("picture", picture)? }.0.size();
        for (place, value) in [(width, w), (height, h)] {
            // SAFETY: as promised by the caller.
            if let Some(place) = unsafe { place.as_mut() } {
                *place = value;
            }
        }
        Ok(())
    })
}

/// Copies a picture into the caller's memory, which has room for rows of its size. What is between rows stays as it is.
///
/// # Safety
/// `picture` is a picture that is not freed; `pixels` points to `height` rows of `stride` bytes, the last of which may
/// end with its last pixel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_picture_read(
    picture: *const pixgrad_picture,
    pixels: *mut c_void,
    stride: usize,
    format: u32,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let picture = unsafe { handle("picture", picture)? };
        let (width, height) = picture.0.size();
        let layout = layout(format, width, height, stride)?;
        let len = layout.bytes()?;
        if pixels.is_null() {
            return Err(Failure::null("pixels"));
        }
        // SAFETY: as promised by the caller; bytes of any value are valid.
        let bytes = unsafe { std::slice::from_raw_parts_mut(pixels.cast::<u8>(), len) };
        Ok(layout.write(&picture.0, bytes)?)
    })
}

/// Frees a picture.
///
/// # Safety
/// `picture` is NULL or a picture that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_picture_free(picture: *mut pixgrad_picture) {
    // SAFETY: as promised by the caller.
    unsafe { free(picture) }
}
