//! The first directory of a TIFF file (TIFF 6.0, section 2; BigTIFF): its tags and their values.
//!
//! The crate `tiff` refuses whole kinds of files while it reads the header; of these only the header can be read here,
//! too, but then there is a name for them.

use std::collections::BTreeMap;

use super::super::raster::Fault;

/// The tags that matter here.
pub mod tag {
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTES: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const GROUP3_OPTIONS: u16 = 292;
    pub const PREDICTOR: u16 = 317;
    pub const COLOUR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTES: u16 = 325;
    pub const INK_SET: u16 = 332;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const YCBCR_COEFFICIENTS: u16 = 529;
    pub const YCBCR_SUBSAMPLING: u16 = 530;
    pub const REFERENCE_BLACK_WHITE: u16 = 532;
    pub const ICC_PROFILE: u16 = 34675;
}

/// The order of the bytes in a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    /// An unsigned number of up to eight bytes.
    pub fn number(self, bytes: &[u8]) -> u64 {
        let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
        match self {
            Self::Little => bytes.iter().rev().fold(0, add),
            Self::Big => bytes.iter().fold(0, add),
        }
    }
}

/// A tag's values as they stand in the file.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    kind: u16,
    bytes: &'a [u8],
}

/// The first directory of a file.
#[derive(Debug)]
pub struct Directory<'a> {
    pub order: Order,
    entries: BTreeMap<u16, Entry<'a>>,
}

impl<'a> Directory<'a> {
    pub fn of(file: &'a [u8]) -> Result<Self, Fault> {
        let order = match file.get(..2) {
            Some(b"II") => Order::Little,
            _ => Order::Big,
        };
        let at = |start: usize, size: usize| -> Result<&'a [u8], Fault> {
            let end = start.checked_add(size);
            end.and_then(|end| file.get(start..end))
                .ok_or(Fault::Truncated)
        };
        let number = |start: usize, size: usize| -> Result<usize, Fault> {
            // What does not fit lies behind the end of every file.
            Ok(usize::try_from(order.number(at(start, size)?)).unwrap_or(usize::MAX))
        };
        let is_big = number(2, 2)? == 43;
        // Sizes of: an offset, the number of entries, an entry.
        let (word, head, size) = if is_big { (8, 8, 20) } else { (4, 2, 12) };
        let start = if is_big { number(8, 8)? } else { number(4, 4)? };
        let count = number(start, head)?;
        let table_size = count.checked_mul(size).ok_or(Fault::Truncated)?;
        let table = at(start + head, table_size)?;
        let mut entries = BTreeMap::new();
        for entry in table.chunks_exact(size) {
            let tag = order.number(&entry[..2]) as u16;
            let kind = order.number(&entry[2..4]) as u16;
            let count = order.number(&entry[4..4 + word]);
            let Some(length) = usize::try_from(count)
                .ok()
                .and_then(|n| n.checked_mul(size_of_kind(kind)))
            else {
                continue;
            };
            let inline = &entry[4 + word..];
            let bytes = if length <= word {
                Some(&inline[..length])
            } else {
                let offset = usize::try_from(order.number(inline)).unwrap_or(usize::MAX);
                at(offset, length).ok()
            };
            // A tag that nobody asks for may be broken.
            if let Some(bytes) = bytes {
                entries.entry(tag).or_insert(Entry { kind, bytes });
            }
        }
        Ok(Self { order, entries })
    }

    pub fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// The bytes of a tag's values.
    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.entries.get(&tag).map(|entry| entry.bytes)
    }

    /// The values of a tag that holds whole numbers; nothing if it is missing or holds others.
    pub fn numbers(&self, tag: u16) -> Vec<u64> {
        match self.entries.get(&tag) {
            Some(Entry { kind, bytes }) if matches!(kind, 1 | 3 | 4 | 7 | 13 | 16 | 18) => bytes
                .chunks_exact(size_of_kind(*kind))
                .map(|b| self.order.number(b))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The first value of a tag, or what the standard says where it is missing.
    pub fn number(&self, tag: u16, default: u64) -> u64 {
        self.numbers(tag).first().copied().unwrap_or(default)
    }

    /// The values of a tag of fractions.
    pub fn fractions(&self, tag: u16) -> Vec<f64> {
        match self.entries.get(&tag) {
            Some(Entry { kind: 5, bytes }) => bytes
                .chunks_exact(8)
                .map(|b| self.order.number(&b[..4]) as f64 / self.order.number(&b[4..]) as f64)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Bytes of one value of a type (section 2; BigTIFF).
fn size_of_kind(kind: u16) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}
