//! EXIF blocks: a TIFF directory with facts about a photo.

use ::image::metadata::Orientation;

/// The block without the `Exif\0\0` that stands before it in JPEG, and by mistake in some WebP files.
pub fn bare(block: &[u8]) -> &[u8] {
    block.strip_prefix(b"Exif\0\0").unwrap_or(block)
}

/// How the picture has to be turned; not at all if the block does not say.
pub fn orientation(block: Option<&[u8]>) -> Orientation {
    block
        .and_then(|block| Orientation::from_exif_chunk(bare(block)))
        .unwrap_or(Orientation::NoTransforms)
}
