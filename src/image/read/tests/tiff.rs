//! TIFF: files that are made here, of every kind that is read.

use super::*;

/// A file, its tags in order: tag, type (3 short, 4 long, 5 fraction, 7 bytes), values.
struct Tiff {
    tags: Vec<(u16, u16, Vec<u32>)>,
    little: bool,
    big: bool,
    /// How many strips of one length the data is.
    strips: u32,
}

impl Tiff {
    /// `samples` of `bits` each, of the photometric interpretation `meaning`.
    fn new(width: u32, height: u32, bits: u32, samples: u32, meaning: u32) -> Self {
        let depths = vec![bits; samples as usize];
        Self {
            tags: vec![
                (256, 3, vec![width]),
                (257, 3, vec![height]),
                (258, 3, depths),
                (259, 3, vec![1]),
                (262, 3, vec![meaning]),
                (277, 3, vec![samples]),
                (278, 3, vec![height]),
            ],
            little: true,
            big: false,
            strips: 1,
        }
    }

    fn with(mut self, tag: u16, kind: u16, values: &[u32]) -> Self {
        self.tags.retain(|t| t.0 != tag);
        self.tags.push((tag, kind, values.to_vec()));
        self
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        let bytes = value.to_be_bytes();
        let mut bytes = bytes[8 - size..].to_vec();
        if self.little {
            bytes.reverse();
        }
        bytes
    }

    fn file(mut self, data: &[u8]) -> Vec<u8> {
        let strips = self.strips as usize;
        let strip = data.len() / strips;
        self.tags.push((279, 4, vec![strip as u32; strips]));
        self.tags.push((273, 4, vec![0; strips]));
        self.tags.sort_by_key(|t| t.0);
        let (word, head, entry) = if self.big { (8, 16, 20) } else { (4, 8, 12) };
        let counter = if self.big { 8 } else { 2 };
        let size = |kind: u16| match kind {
            3 => 2,
            7 => 1,
            _ => 4,
        };
        // Values that do not fit into their entry stand behind the directory, and the pixels behind them.
        let mut at = head + counter + self.tags.len() * entry + word;
        let lengths = self.tags.iter().map(|t| t.2.len() * size(t.1));
        let start = at + lengths.filter(|length| *length > word).sum::<usize>();
        for (tag, _, values) in &mut self.tags {
            if *tag == 273 {
                *values = (0..strips).map(|i| (start + i * strip) as u32).collect();
            }
        }
        let order = if self.little { b"II" } else { b"MM" };
        let mut file = order.to_vec();
        if self.big {
            file.extend(self.number(43, 2));
            file.extend(self.number(8, 2));
            file.extend(self.number(0, 2));
        } else {
            file.extend(self.number(42, 2));
        }
        file.extend(self.number(head as u64, word));
        file.extend(self.number(self.tags.len() as u64, counter));
        let mut values = Vec::new();
        for (tag, kind, numbers) in &self.tags {
            let bytes: Vec<u8> = numbers
                .iter()
                .flat_map(|v| self.number(u64::from(*v), size(*kind)))
                .collect();
            let count = numbers.len() / if *kind == 5 { 2 } else { 1 };
            file.extend(self.number(u64::from(*tag), 2));
            file.extend(self.number(u64::from(*kind), 2));
            file.extend(self.number(count as u64, word));
            if bytes.len() <= word {
                let mut inline = bytes;
                inline.resize(word, 0);
                file.extend(inline);
            } else {
                file.extend(self.number(at as u64, word));
                at += bytes.len();
                values.extend(bytes);
            }
        }
        file.extend(vec![0; word]);
        file.extend(values);
        file.extend(data);
        file
    }
}

/// Two pixels of RGB.
const PIXELS: [u8; 6] = [10, 200, 30, 255, 0, 128];

fn assert_pixels(file: &[u8], what: &str) {
    let image = load_bytes(file).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(image.to_rgb8(), PIXELS, "{what}");
    assert_eq!(image.alpha, None, "{what}");
}

#[test]
fn every_depth_and_order_is_read() {
    for little in [true, false] {
        for big in [true, false] {
            let make = |bits: u32, float: bool, of: &dyn Fn(u8) -> Vec<u8>| {
                let tiff = Tiff::new(2, 1, bits, 3, 2);
                let tiff = tiff.with(339, 3, &[if float { 3 } else { 1 }; 3]);
                // `of` gives bytes from the highest to the lowest.
                let data = PIXELS.iter().flat_map(|v| {
                    let mut bytes = of(*v);
                    if little {
                        bytes.reverse();
                    }
                    bytes
                });
                let file = Tiff {
                    little,
                    big,
                    ..tiff
                }
                .file(&data.collect::<Vec<u8>>());
                assert_pixels(&file, &format!("{bits} bits, little {little}, big {big}"));
            };
            let unit = |v: u8| f64::from(v) / 255.0;
            make(8, false, &|v| vec![v]);
            make(16, false, &|v| vec![v; 2]);
            make(24, false, &|v| vec![v; 3]);
            make(32, false, &|v| vec![v; 4]);
            make(64, false, &|v| vec![v; 8]);
            make(16, true, &|v| {
                half::f16::from_f64(unit(v)).to_be_bytes().to_vec()
            });
            make(32, true, &|v| (unit(v) as f32).to_be_bytes().to_vec());
            make(64, true, &|v| unit(v).to_be_bytes().to_vec());
        }
    }
}

#[test]
fn grey_bits_and_palettes_are_read() {
    // 1 bit: white, black, black; rows begin at bytes.
    let bilevel = load_bytes(&Tiff::new(3, 2, 1, 1, 1).file(&[0b1000_0000, 0b0110_0000])).unwrap();
    assert_eq!(
        bilevel.to_rgb8().iter().step_by(3).collect::<Vec<_>>(),
        [&255, &0, &0, &0, &255, &255]
    );
    let inverse = load_bytes(&Tiff::new(3, 1, 1, 1, 0).file(&[0b1000_0000])).unwrap();
    assert_eq!(inverse.to_rgb8()[..6], [0, 0, 0, 255, 255, 255]);
    // 12 bits: 0xFFF, 0x800.
    let deep = load_bytes(&Tiff::new(2, 1, 12, 1, 1).file(&[0xFF, 0xF8, 0x00])).unwrap();
    assert_eq!(deep.pixel(0, 0), [1.0; 3]);
    assert!((deep.pixel(1, 0)[0] - 2048.0 / 4095.0).abs() < 1e-6);
    let float = Tiff::new(1, 1, 32, 1, 1).with(339, 3, &[3]);
    let float = load_bytes(&float.file(&0.25f32.to_le_bytes())).unwrap();
    assert_eq!(float.pixel(0, 0), [0.25; 3]);
    // 2 bits per index: 3, 1. All colours of red, then of green, then of blue; 16 bits, or 8.
    for scale in [257, 256, 1] {
        let map = [0, 255, 0, 10, 0, 0, 255, 200, 0, 128, 0, 30].map(|v| v * scale);
        let palette = Tiff::new(2, 1, 2, 1, 3).with(320, 3, &map);
        assert_pixels(
            &palette.file(&[0b1101_0000]),
            &format!("palette of {scale}"),
        );
    }
}

#[test]
fn alpha_is_straight_whatever_the_file_has() {
    let four = [200, 100, 50, 255, 100, 50, 25, 128, 0, 0, 0, 0];
    let file = |kind: Option<u32>| {
        let tiff = Tiff::new(3, 1, 8, 4, 2);
        let tiff = match kind {
            Some(kind) => tiff.with(338, 3, &[kind]),
            None => tiff,
        };
        load_bytes(&tiff.file(&four)).unwrap()
    };
    let alpha = Some(vec![1.0, 128.0 / 255.0, 0.0]);
    // Associated: what is there is colour times alpha.
    let associated = file(Some(1));
    assert_eq!(associated.to_rgb8()[3..6], [199, 100, 50]);
    assert_eq!(associated.alpha, alpha);
    for kind in [Some(2), None] {
        let straight = file(kind);
        assert_eq!(straight.to_rgb8()[3..6], [100, 50, 25], "{kind:?}");
        assert_eq!(straight.alpha, alpha, "{kind:?}");
    }
    // A fourth sample that is no alpha.
    assert_eq!(file(Some(0)).alpha, None);
    let grey = load_bytes(&hex(GREY_ALPHA_TIFF)).unwrap();
    assert_eq!(grey.to_rgb8(), [10, 10, 10, 200, 200, 200]);
    assert_eq!(grey.alpha, Some(vec![0.0, 128.0 / 255.0]));
}

#[test]
fn what_this_program_writes_tells_its_alpha() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let image = rgb8(1, 1, &[200, 100, 50]).with_alpha(vec![0.5]).unwrap();
    image.save(&path).unwrap();
    let file = fs::read(&path).unwrap();
    // ExtraSamples (338), a short, one of them, 2: unassociated.
    let entry = hex("5201 0300 01000000 0200");
    assert!(file.windows(entry.len()).any(|bytes| bytes == entry));
}

#[test]
fn compressed_files_are_read() {
    let packed = [(32773, vec![5, 10, 200, 30, 255, 0, 128])];
    let deflated = {
        use flate2::{Compression, write::ZlibEncoder};
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut encoder, &PIXELS).unwrap();
        encoder.finish().unwrap()
    };
    let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .encode(&PIXELS)
        .unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(&PIXELS[..], ruzstd::encoding::CompressionLevel::Fastest);
    for (number, data) in packed
        .into_iter()
        .chain([(8, deflated), (5, lzw), (50000, zstd)])
    {
        let tiff = Tiff::new(2, 1, 8, 3, 2).with(259, 3, &[number]);
        assert_pixels(&tiff.file(&data), &format!("compression {number}"));
    }
}

/// 40x12 black and white pixels, written by libtiff 4.5 as fax machines send them, and the same with the other number
/// for black.
#[test]
fn faxes_are_read() {
    let is_white = |x: u32, y: u32| match y {
        3 => true,
        4 => false,
        5..9 if (10..30).contains(&x) => true,
        _ => (x * x + 3 * y * y) % 7 < 3,
    };
    let whites: Vec<bool> = (0..12)
        .flat_map(|y| (0..40).map(move |x| is_white(x, y)))
        .collect();
    for file in [
        &include_bytes!("samples/group3.tif")[..],
        include_bytes!("samples/group4.tif"),
    ] {
        // The tag, of one short: 0 is white, or 1.
        let tag = file.windows(8).position(|w| w == [6, 1, 3, 0, 1, 0, 0, 0]);
        let value = tag.expect("PhotometricInterpretation") + 8;
        for zero_is_black in [true, false] {
            let is_as_written = u8::from(zero_is_black) == file[value];
            let mut file = file.to_vec();
            file[value] = u8::from(zero_is_black);
            let image = load_bytes(&file).expect("a fax");
            assert_eq!(image.size(), (40, 12));
            let expected = whites.iter().map(|white| *white == is_as_written);
            let expected: Vec<u8> = expected
                .flat_map(|white| [255 * u8::from(white); 3])
                .collect();
            assert_eq!(image.to_rgb8(), expected);
        }
    }
}

#[test]
fn predictors_planes_and_tiles_are_read() {
    let deflate = |bytes: &[u8]| {
        use flate2::{Compression, write::ZlibEncoder};
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let tiff = || Tiff::new(2, 1, 8, 3, 2).with(259, 3, &[8]);
    let differences = [10u8, 200, 30, 245, 56, 98];
    let file = tiff().with(317, 3, &[2]).file(&deflate(&differences));
    assert_pixels(&file, "differences");
    // One tile of 16x16, of which two pixels are the picture.
    let mut tile = vec![7; 16 * 16 * 3];
    tile[..6].copy_from_slice(&PIXELS);
    let packed = deflate(&tile);
    let mut file = tiff().with(322, 3, &[16]).with(323, 3, &[16]).file(&packed);
    // What is called a strip becomes a tile.
    for (strip, tile) in [(273u16, 324u16), (279, 325)] {
        let at = file
            .windows(2)
            .position(|w| w == strip.to_le_bytes())
            .unwrap();
        file[at..at + 2].copy_from_slice(&tile.to_le_bytes());
    }
    assert_pixels(&file, "a tile");
}

#[test]
fn planes_are_read() {
    let planes = [10, 255, 200, 0, 30, 128];
    let tiff = |strips| Tiff {
        strips,
        ..Tiff::new(2, 1, 8, 3, 2).with(284, 3, &[2])
    };
    assert_pixels(&tiff(3).file(&planes), "a plane for each channel");
    let error = message_of(&tiff(1).file(&planes));
    assert!(error.contains("fewer strips or tiles"), "{error}");
}

/// The rows of a file that is cut end anywhere, also at the end of a strip.
#[test]
fn a_tiff_with_pixels_missing_is_an_error() {
    let pixels: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 7) as u8).collect();
    let tiff = Tiff {
        strips: 4,
        ..Tiff::new(8, 8, 8, 3, 2).with(278, 3, &[2])
    };
    let file = tiff.file(&pixels);
    assert_eq!(load_bytes(&file).unwrap().to_rgb8(), pixels);
    for missing in [1, 47, 48, 100, 192] {
        let message = message_of(&file[..file.len() - missing]);
        assert!(message.contains("truncated"), "{missing}: {message}");
    }
}

#[test]
fn jpeg_strips_are_read() {
    // A JPEG file is a strip by itself.
    let strip = include_bytes!("samples/restart.jpg");
    let tiff = Tiff::new(32, 32, 8, 3, 6).with(259, 3, &[7]).file(strip);
    let (found, expected) = (load_bytes(&tiff).unwrap(), load_bytes(strip).unwrap());
    assert_eq!(found, expected);
    let cut = Tiff::new(32, 32, 8, 3, 6)
        .with(259, 3, &[7])
        .file(&strip[..200]);
    assert!(message_of(&cut).contains("truncated"));
}

#[test]
fn other_colours_are_read() {
    // A unit of 2x2: four Y, one Cb, one Cr; grey.
    let chroma = Tiff::new(2, 2, 8, 3, 6).with(530, 3, &[2, 2]);
    let image = load_bytes(&chroma.file(&[10, 20, 30, 40, 128, 128])).unwrap();
    let grey: Vec<u8> = image.to_rgb8().into_iter().step_by(3).collect();
    assert_eq!(grey, [10, 20, 30, 40]);
    // L*a*b* of white and of sRGB's red.
    let lab = Tiff::new(2, 1, 8, 3, 8).file(&[255, 0, 0, 138, 81, 70]);
    let lab = load_bytes(&lab).unwrap().to_rgb8();
    for (found, expected) in lab.iter().zip([255u8, 255, 255, 255, 0, 0]) {
        assert!(found.abs_diff(expected) <= 4, "{lab:?}");
    }
    // No ink, and all of black.
    let cmyk = load_bytes(&Tiff::new(2, 1, 8, 4, 5).file(&[0, 0, 0, 0, 0, 0, 0, 255])).unwrap();
    assert_eq!(cmyk.to_rgb8(), [255, 255, 255, 0, 0, 0]);
}

#[test]
fn an_icc_profile_larger_than_the_pixels_counts() {
    let mut profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    profile.resize(8000, 0);
    let bytes: Vec<u32> = profile.iter().map(|b| u32::from(*b)).collect();
    let file = Tiff::new(1, 1, 8, 3, 2)
        .with(34675, 7, &bytes)
        .file(&[200, 100, 50]);
    let loaded = decode("a", &file).unwrap();
    assert_eq!(loaded.icc_profile, Some(profile));
    // More saturated in sRGB than in P3.
    let [r, _, b] = loaded.image.pixel(0, 0).map(|v| v * 255.0);
    assert!(r > 210.0 && b < 40.0, "{r} {b}");
}

#[test]
fn variants_that_are_not_read_are_named() {
    let rgb = || Tiff::new(1, 1, 8, 3, 2);
    for (tiff, expected) in [
        (rgb().with(259, 3, &[6]), "old-style JPEG compression"),
        (rgb().with(259, 3, &[34925]), "LZMA compression"),
        (
            rgb().with(259, 3, &[2]),
            "CCITT modified Huffman compression",
        ),
        (rgb().with(339, 3, &[2; 3]), "signed integers"),
        (rgb().with(262, 3, &[32803]), "the raw data of a camera"),
        (rgb().with(262, 3, &[32845]), "SGI LogLuv"),
        (
            rgb().with(258, 3, &[5, 6, 5]),
            "samples of different depths",
        ),
        (Tiff::new(1, 1, 128, 3, 2), "128 bits per sample"),
    ] {
        let message = message_of(&tiff.file(&[0; 48]));
        assert!(message.contains("is a variant of TIFF ("), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn floats_outside_of_the_range_are_told() {
    let file = Tiff::new(1, 1, 32, 1, 1)
        .with(339, 3, &[3])
        .file(&200f32.to_le_bytes());
    let loaded = decode("a", &file).unwrap();
    assert_eq!(loaded.image.pixel(0, 0), [1.0; 3]);
    assert!(loaded.warnings[0].contains("outside of 0 to 1"));
}

#[test]
fn damaged_files_never_panic() {
    let map: Vec<u32> = (0..12).collect();
    let files = [
        Tiff::new(2, 1, 8, 3, 2).file(&PIXELS),
        Tiff::new(2, 1, 2, 1, 3)
            .with(320, 3, &map)
            .file(&[0b1101_0000]),
        Tiff::new(2, 2, 8, 3, 6)
            .with(530, 3, &[2, 2])
            .file(&[10, 20, 30, 40, 128, 128]),
        Tiff::new(8, 8, 1, 1, 0)
            .with(259, 3, &[4])
            .file(&[0x26, 0xA0, 0x11, 0, 0x10, 1]),
    ];
    for file in files {
        for i in 0..20_000usize {
            let mut file = file.clone();
            let noise = i.wrapping_mul(2_654_435_761);
            // What makes a picture of gigabytes is left out: it would only take long.
            let at = 8 + noise % (file.len() - 8);
            file[at] ^= 1 << (noise >> 20 & 3);
            let _ = decode("a", &file);
        }
    }
}
