//! The EXIF block of a picture that is written: what is kept of another picture's, and a text.

use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Context, Exif, Field, In, Reader, Tag, Value};

/// What stands before a user comment's text, and says how it is encoded.
const ASCII: &[u8; 8] = b"ASCII\0\0\0";
const UNICODE: &[u8; 8] = b"UNICODE\0";

/// The tags of a picture's own directory that say something about the photo. All others are about how its file is laid
/// out.
const ABOUT_THE_PHOTO: [u16; 17] = [
    269,    // document name
    270,    // description
    271,    // make
    272,    // model
    282,    // resolution in x
    283,    // resolution in y
    296,    // unit of the resolution
    305,    // software
    306,    // date and time
    315,    // artist
    316,    // host computer
    0x4746, // rating
    33432,  // copyright
    0x9c9b, // title, author, keywords, subject, as Windows writes them
    0x9c9d, 0x9c9e, 0x9c9f,
];

/// "The colours are sRGB", and "they are those of a profile".
const SRGB: u16 = 1;
const UNCALIBRATED: u16 = 0xFFFF;

/// The fields of an EXIF block.
#[derive(Debug)]
pub struct Fields {
    fields: Vec<Field>,
    little_endian: bool,
}

/// The picture that a block is for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub size: (u32, u32),
    /// Whether its colours are sRGB, and not those of another profile.
    pub is_srgb: bool,
    /// What becomes the user comment.
    pub comment: Option<&'a str>,
}

impl Fields {
    /// What is kept of the block that belonged to another picture, and the comment. The orientation becomes upright,
    /// the thumbnail goes, and size and colour space are those of the new picture. None where nothing is left.
    pub fn new(block: Option<&[u8]>, target: Target<'_>) -> Option<Self> {
        let exif = block.and_then(read);
        let little_endian = exif.as_ref().is_none_or(Exif::little_endian);
        let mut fields = exif.as_ref().map_or_else(Vec::new, kept);
        let mut replace = |tag: Tag, value: Value| {
            if let Some(field) = fields.iter_mut().find(|field| field.tag == tag) {
                field.value = value;
            }
        };
        replace(Tag::Orientation, Value::Short(vec![1]));
        replace(Tag::PixelXDimension, Value::Long(vec![target.size.0]));
        replace(Tag::PixelYDimension, Value::Long(vec![target.size.1]));
        let space = if target.is_srgb { SRGB } else { UNCALIBRATED };
        replace(Tag::ColorSpace, Value::Short(vec![space]));
        if let Some(text) = target.comment {
            fields.retain(|field| field.tag != Tag::UserComment);
            fields.push(Field {
                tag: Tag::UserComment,
                ifd_num: In::PRIMARY,
                value: Value::Undefined(comment(text, little_endian), 0),
            });
        }
        (!fields.is_empty()).then_some(Self {
            fields,
            little_endian,
        })
    }

    /// The block, from its byte order mark on.
    pub fn block(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        self.fields
            .iter()
            .for_each(|field| writer.push_field(field));
        let mut block = Cursor::new(Vec::new());
        writer.write(&mut block, self.little_endian).ok()?;
        Some(block.into_inner())
    }

    /// The fields of one directory: number, number of the type, and bytes in this machine's order.
    pub fn of(&self, context: Context) -> impl Iterator<Item = (u16, u16, Vec<u8>)> {
        let fields = self.fields.iter();
        let fields = fields.filter(move |field| field.tag.context() == context);
        fields.filter_map(|field| {
            let (kind, bytes) = native(&field.value)?;
            Some((field.tag.number(), kind, bytes))
        })
    }
}

/// The fields of a block, as far as it is whole. A TIFF file is one.
fn read(block: &[u8]) -> Option<Exif> {
    let mut reader = Reader::new();
    let exif = reader.continue_on_error(true).read_raw(block.to_vec());
    exif.or_else(|error| error.distill_partial_result(|_| ()))
        .ok()
}

/// The fields that say something about the photo, and the orientation.
fn kept(exif: &Exif) -> Vec<Field> {
    exif.fields()
        .filter(|field| is_kept(field))
        .cloned()
        .collect()
}

/// The EXIF block of a TIFF file, whose directories hold the fields themselves.
pub fn of_tiff(file: &[u8]) -> Option<Vec<u8>> {
    let exif = read(file)?;
    let (fields, little_endian) = (kept(&exif), exif.little_endian());
    if fields.is_empty() {
        return None;
    }
    Fields {
        fields,
        little_endian,
    }
    .block()
}

fn is_kept(field: &Field) -> bool {
    let is_whole = !matches!(field.value, Value::Unknown(..));
    let is_known = match field.tag.context() {
        Context::Tiff => {
            field.tag == Tag::Orientation || ABOUT_THE_PHOTO.contains(&field.tag.number())
        }
        // The recipe of an earlier run is not this picture's.
        Context::Exif => {
            !(field.tag == Tag::UserComment
                && comment_of(&field.value).is_some_and(super::text::is_ours))
        }
        Context::Gps => true,
        // It says which colour space the camera wrote.
        _ => false,
    };
    field.ifd_num == In::PRIMARY && is_whole && is_known
}

/// A user comment's bytes.
fn comment(text: &str, little_endian: bool) -> Vec<u8> {
    if text.is_ascii() {
        return [ASCII, text.as_bytes()].concat();
    }
    let words = text.encode_utf16();
    let bytes = words.flat_map(|word| {
        if little_endian {
            word.to_le_bytes()
        } else {
            word.to_be_bytes()
        }
    });
    UNICODE.iter().copied().chain(bytes).collect()
}

/// The text of a user comment. The byte order of UTF-16 is told by the text: ours begins with a character of ASCII.
fn comment_of(value: &Value) -> Option<String> {
    let Value::Undefined(bytes, _) = value else {
        return None;
    };
    let (kind, text) = bytes.split_at_checked(8)?;
    if kind != UNICODE {
        return String::from_utf8(text.to_vec()).ok();
    }
    let big_endian = text.first() == Some(&0);
    let (words, _) = text.as_chunks::<2>();
    let word = |pair: &[u8; 2]| {
        if big_endian {
            u16::from_be_bytes(*pair)
        } else {
            u16::from_le_bytes(*pair)
        }
    };
    String::from_utf16(&words.iter().map(word).collect::<Vec<_>>()).ok()
}

/// The user comment of a picture file of any format that has EXIF.
pub fn comment_in(file: &[u8]) -> Option<String> {
    let mut reader = Reader::new();
    let exif = reader
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(file));
    let exif = exif
        .or_else(|error| error.distill_partial_result(|_| ()))
        .ok()?;
    comment_of(&exif.get_field(Tag::UserComment, In::PRIMARY)?.value)
}

/// The number of a value's type in TIFF, and its bytes in this machine's order.
fn native(value: &Value) -> Option<(u16, Vec<u8>)> {
    fn bytes<const N: usize, T: Copy>(values: &[T], to: fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|value| to(*value)).collect()
    }
    Some(match value {
        Value::Byte(v) => (1, v.clone()),
        Value::Ascii(texts) => (
            2,
            texts
                .iter()
                .flat_map(|text| [text, &b"\0"[..]].concat())
                .collect(),
        ),
        Value::Short(v) => (3, bytes(v, u16::to_ne_bytes)),
        Value::Long(v) => (4, bytes(v, u32::to_ne_bytes)),
        Value::Rational(v) => (
            5,
            v.iter()
                .flat_map(|r| bytes(&[r.num, r.denom], u32::to_ne_bytes))
                .collect(),
        ),
        Value::SByte(v) => (6, bytes(v, i8::to_ne_bytes)),
        Value::Undefined(v, _) => (7, v.clone()),
        Value::SShort(v) => (8, bytes(v, i16::to_ne_bytes)),
        Value::SLong(v) => (9, bytes(v, i32::to_ne_bytes)),
        Value::SRational(v) => (
            10,
            v.iter()
                .flat_map(|r| bytes(&[r.num, r.denom], i32::to_ne_bytes))
                .collect(),
        ),
        Value::Float(v) => (11, bytes(v, f32::to_ne_bytes)),
        Value::Double(v) => (12, bytes(v, f64::to_ne_bytes)),
        Value::Unknown(..) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(tag: Tag, ifd_num: In, value: Value) -> Field {
        Field {
            tag,
            ifd_num,
            value,
        }
    }

    /// As a camera writes it: turned, with a thumbnail.
    fn camera() -> Vec<u8> {
        let ascii = |text: &[u8]| Value::Ascii(vec![text.to_vec()]);
        let fields = [
            field(Tag::Make, In::PRIMARY, ascii(b"Maker")),
            field(Tag::Orientation, In::PRIMARY, Value::Short(vec![6])),
            field(Tag::ImageWidth, In::PRIMARY, Value::Long(vec![4000])),
            field(
                Tag::ColorSpace,
                In::PRIMARY,
                Value::Short(vec![UNCALIBRATED]),
            ),
            field(Tag::PixelXDimension, In::PRIMARY, Value::Long(vec![4000])),
            field(
                Tag::UserComment,
                In::PRIMARY,
                Value::Undefined(comment("a cat", false), 0),
            ),
            field(Tag::GPSLatitudeRef, In::PRIMARY, ascii(b"N")),
            field(Tag::Make, In::THUMBNAIL, ascii(b"Small")),
        ];
        let mut writer = Writer::new();
        fields.iter().for_each(|f| writer.push_field(f));
        writer.set_jpeg(b"a thumbnail", In::THUMBNAIL);
        let mut block = Cursor::new(Vec::new());
        writer.write(&mut block, false).expect("a block");
        block.into_inner()
    }

    #[test]
    fn all_is_kept_but_what_is_not_of_the_new_picture() {
        let mut target = Target {
            size: (64, 48),
            is_srgb: true,
            comment: None,
        };
        let block = Fields::new(Some(&camera()), target)
            .and_then(|f| f.block())
            .expect("a block");
        let exif = read(&block).expect("EXIF");
        let value = |tag| {
            exif.get_field(tag, In::PRIMARY)
                .map(|f| f.display_value().to_string())
        };
        assert_eq!(value(Tag::Make).as_deref(), Some("\"Maker\""));
        assert_eq!(value(Tag::GPSLatitudeRef).as_deref(), Some("N"));
        let number = |tag| {
            exif.get_field(tag, In::PRIMARY)
                .and_then(|f| f.value.get_uint(0))
        };
        let numbers = [
            Tag::Orientation,
            Tag::PixelXDimension,
            Tag::ColorSpace,
            Tag::ImageWidth,
        ]
        .map(number);
        assert_eq!(numbers, [Some(1), Some(64), Some(1), None]);
        assert!(
            exif.fields().all(|f| f.ifd_num == In::PRIMARY),
            "no thumbnail"
        );
        assert_eq!(
            comment_in(&block).as_deref(),
            Some("a cat"),
            "a block is a TIFF file"
        );

        target.comment = Some("pixgräd");
        let block = Fields::new(Some(&camera()), target)
            .and_then(|f| f.block())
            .expect("a block");
        assert_eq!(comment_in(&block).as_deref(), Some("pixgräd"));
        let block = Fields::new(None, target)
            .and_then(|f| f.block())
            .expect("a block");
        assert_eq!(
            comment_in(&block).as_deref(),
            Some("pixgräd"),
            "in the other byte order"
        );
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let target = Target {
            size: (1, 1),
            is_srgb: true,
            comment: None,
        };
        for block in [
            None,
            Some(&b""[..]),
            Some(b"II*\0"),
            Some(b"damaged, as it happens"),
        ] {
            assert!(Fields::new(block, target).is_none());
        }
    }
}
