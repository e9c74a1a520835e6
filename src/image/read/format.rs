//! What a file is, told by its first bytes and never by its name (but for TGA, which has no first bytes of its own).

use std::path::Path;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    Tiff,
    WebP,
    Gif,
    Bmp,
    Qoi,
    Tga,
    Pnm,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Qoi => "QOI",
            Self::Tga => "TGA",
            Self::Pnm => "PNM",
        }
    }
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Readable(Format),
    /// A format that is known, but not read: its name.
    Known(&'static str),
    Unknown,
}

/// Formats by what stands at an offset of the file. The first match counts.
const SIGNATURES: &[(usize, &[u8], Kind)] = {
    use Format::{Bmp, Gif, Jpeg, Png, Qoi, Tiff, WebP};
    use Kind::{Known, Readable};
    &[
        (0, b"\xFF\xD8\xFF", Readable(Jpeg)),
        (0, b"\x89PNG\r\n\x1A\n", Readable(Png)),
        (0, b"GIF87a", Readable(Gif)),
        (0, b"GIF89a", Readable(Gif)),
        (8, b"WEBP", Readable(WebP)),
        (0, b"II*\0\x10\0\0\0CR", Known("a Canon raw (CR2)")),
        (0, b"II*\0", Readable(Tiff)),
        (0, b"MM\0*", Readable(Tiff)),
        (0, b"II+\0", Readable(Tiff)),
        (0, b"MM\0+", Readable(Tiff)),
        (0, b"qoif", Readable(Qoi)),
        (0, b"BM", Readable(Bmp)),
        (4, b"ftypavif", Known("an AVIF")),
        (4, b"ftypavis", Known("an AVIF")),
        (4, b"ftypheic", Known("a HEIC")),
        (4, b"ftypheix", Known("a HEIC")),
        (4, b"ftyphevc", Known("a HEIC")),
        (4, b"ftyphevx", Known("a HEIC")),
        (4, b"ftypheim", Known("a HEIC")),
        (4, b"ftypheis", Known("a HEIC")),
        (4, b"ftypmif1", Known("a HEIF")),
        (4, b"ftypmsf1", Known("a HEIF")),
        (4, b"ftypcrx ", Known("a Canon raw (CR3)")),
        (4, b"ftyp", Known("a video (MP4 or MOV)")),
        (4, b"jP  \r\n\x87\n", Known("a JPEG 2000 (JP2)")),
        (0, b"\xFF\x4F\xFF\x51", Known("a JPEG 2000 (J2K)")),
        (0, b"\xFF\x0A", Known("a JPEG XL")),
        (4, b"JXL \r\n\x87\n", Known("a JPEG XL")),
        (0, b"II\xBC", Known("a JPEG XR")),
        (0, b"8BPS", Known("a Photoshop (PSD)")),
        (0, b"\x76\x2F\x31\x01", Known("an OpenEXR (EXR)")),
        (0, b"#?RADIANCE", Known("a Radiance (HDR)")),
        (0, b"#?RGBE", Known("a Radiance (HDR)")),
        (0, b"gimp xcf", Known("a GIMP (XCF)")),
        (0, b"DDS ", Known("a DDS")),
        (0, b"\0\0\x01\0", Known("an ICO")),
        (0, b"\0\0\x02\0", Known("a CUR")),
        (0, b"SIMPLE  =", Known("a FITS")),
        (0, b"FUJIFILMCCD-RAW", Known("a Fujifilm raw (RAF)")),
        (0, b"IIRO", Known("an Olympus raw (ORF)")),
        (0, b"IIU\0", Known("a Panasonic raw (RW2)")),
        (0, b"farbfeld", Known("a farbfeld")),
        (0, b"BPG\xFB", Known("a BPG")),
        (0, b"%PDF", Known("a PDF")),
        (0, b"%!PS", Known("a PostScript")),
        (0, b"AT&TFORM", Known("a DjVu")),
        (0, b"<svg", Known("an SVG")),
        (0, b"\x1A\x45\xDF\xA3", Known("a video (WebM or Matroska)")),
    ]
};

impl Kind {
    pub fn of(path: &Path, bytes: &[u8]) -> Self {
        // Before the others: the first bytes of a TGA file are those of an ICO or CUR file, too.
        if is_tga(path, bytes) {
            return Self::Readable(Format::Tga);
        }
        for (at, signature, kind) in SIGNATURES {
            if bytes.get(*at..).is_some_and(|b| b.starts_with(signature)) {
                return *kind;
            }
        }
        if let [b'P', b'1'..=b'7', space, ..] = bytes
            && (space.is_ascii_whitespace() || *space == b'#')
        {
            return Self::Readable(Format::Pnm);
        }
        // An SVG may begin with any amount of XML before its picture does.
        let start = &bytes[..bytes.len().min(1024)];
        if start.starts_with(b"<?xml") && start.windows(4).any(|w| w == b"<svg") {
            return Self::Known("an SVG");
        }
        Self::Unknown
    }
}

/// TGA has a signature at its end since 1989; an older file must be named so, and its header must make sense.
fn is_tga(path: &Path, bytes: &[u8]) -> bool {
    let [_, map, kind, rest @ ..] = bytes else {
        return false;
    };
    let (Some(depth), true) = (rest.get(13), bytes.len() > 18) else {
        return false;
    };
    let plausible = *map <= 1
        && matches!(kind, 1 | 2 | 3 | 9 | 10 | 11)
        && matches!(depth, 8 | 15 | 16 | 24 | 32);
    let named = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("tga"));
    plausible && (named || bytes.ends_with(b"TRUEVISION-XFILE.\0"))
}
