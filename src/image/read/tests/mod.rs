//! Tests of whole files: what is in them, and what comes out.

mod colour;
mod jpeg;
mod tiff;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ::image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use ::image::{ExtendedColorType, ImageEncoder};

use super::source::read_error;
use super::*;

// Files of other programs, as small as they get.
const PALETTE_PNG: &str = "89504e470d0a1a0a0000000d49484452000000020000000202030000000fd8e5b700\
    00000c504c5445ff000000ff000000ff0a141e228829040000000474524e53ff8000ffa1a194660000000c4944\
    4154789c631060d8000000e400c127a8e8570000000049454e44ae426082";
const BILEVEL_PNG: &str = "89504e470d0a1a0a0000000d4948445200000002000000010100000000dc5942270000\
    000a49444154789c63700000004200412937f4ef0000000049454e44ae426082";
const GREY_16_PNG: &str = "89504e470d0a1a0a0000000d494844520000000200000001100000000081d9fc150000\
    000d49444154789c636060fcff1f0003050200615daf9f0000000049454e44ae426082";
const GREY_ALPHA_TIFF: &str = "49492a00080000000b0000010400010000000200000001010400010000000100\
    0000020103000200000008000800030103000100000001000000060103000100000001000000110104000100\
    0000920000001501030001000000020000001601040001000000010000001701040001000000040000001c01\
    03000100000001000000520103000100000002000000000000000a00c880";
/// One pixel (10, 20, 30). Its directory begins at byte 8 with the number of entries, 10; an
/// entry takes 12 bytes, the last 4 of which are its value.
const RGB_TIFF: &str = "49492a00080000000a000001040001000000010000000101040001000000010000000201\
    03000300000086000000030103000100000001000000060103000100000002000000110104000100\
    00008c0000001501030001000000030000001601040001000000010000001701040001000000030000001c01\
    03000100000001000000000000000800080008000a141e";
const LOSSY_WEBP: &str = "524946463800000057454250565038202c0000009001009d012a0100010000000025940\
    274ba00039800feffdd7a57ffc439d0e743998cffb8ec0dd778800000";
const GIF: &str = "47494638376101000100810000ff00000000000000000000002c0000000001000100000804000\
    10404003b";

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
}

/// Loads these bytes from a file with a misleading extension.
fn load_bytes(bytes: &[u8]) -> Result<Image, ImageError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("picture.gif");
    fs::write(&path, bytes).unwrap();
    load(&path)
}

fn message_of(bytes: &[u8]) -> String {
    // Not the pixels, should it be read after all.
    load_bytes(bytes)
        .map(|image| image.size())
        .unwrap_err()
        .to_string()
}

fn rgb8(width: u32, height: u32, rgb: &[u8]) -> Image {
    Image::from_rgb8(width, height, rgb).unwrap()
}

#[test]
fn palette_grey_alpha_and_16_bits_are_read() {
    let palette = load_bytes(&hex(PALETTE_PNG)).unwrap();
    let colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30];
    assert_eq!(palette.to_rgb8(), colours);
    let alpha = vec![1.0, 128.0 / 255.0, 0.0, 1.0];
    assert_eq!(palette.alpha, Some(alpha), "alpha of the palette's entries");

    let bilevel = load_bytes(&hex(BILEVEL_PNG)).unwrap();
    assert_eq!(bilevel, rgb8(2, 1, &[0, 0, 0, 255, 255, 255]));

    let grey_16 = load_bytes(&hex(GREY_16_PNG)).unwrap();
    assert_eq!(grey_16.pixel(0, 0), [1.0 / 65535.0; 3]);
    assert_eq!(grey_16.pixel(1, 0), [1.0; 3]);

    assert_eq!(
        load_bytes(&hex(RGB_TIFF)).unwrap(),
        rgb8(1, 1, &[10, 20, 30])
    );
    let webp = load_bytes(&hex(LOSSY_WEBP)).unwrap();
    for (found, expected) in webp.to_rgb8().iter().zip([10u8, 20, 30]) {
        assert!(found.abs_diff(expected) <= 4, "{found} for {expected}");
    }
}

/// An EXIF block (a TIFF header and one directory) that holds nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = hex("4d4d002a00000008 0001 0112 0003 00000001 0000 0000 00000000");
    block[19] = orientation;
    block
}

fn encoded(mut encoder: impl ImageEncoder, exif: Vec<u8>, (width, height): (u32, u32), rgb: &[u8]) {
    encoder.set_exif_metadata(exif).unwrap();
    encoder
        .write_image(rgb, width, height, ExtendedColorType::Rgb8)
        .unwrap();
}

/// What rows `abc` and `def` look like once each of the EXIF orientations is honoured.
const ORIENTED: [&[&str]; 8] = [
    &["abc", "def"],
    &["cba", "fed"],
    &["fed", "cba"],
    &["def", "abc"],
    &["ad", "be", "cf"],
    &["da", "eb", "fc"],
    &["fc", "eb", "da"],
    &["cf", "be", "ad"],
];

/// The picture that `rows` stands for, each letter a square of one colour.
fn letters(rows: &[&str], square: usize) -> (u32, u32, Vec<u8>) {
    let colour = |letter: u8| {
        let bit = |n: u8| {
            if (letter - b'a' + 1) >> n & 1 == 1 {
                230
            } else {
                20
            }
        };
        [bit(0), bit(1), bit(2)]
    };
    let mut rgb = Vec::new();
    for row in rows {
        for _ in 0..square {
            for letter in row.bytes() {
                rgb.extend(colour(letter).repeat(square));
            }
        }
    }
    let (width, height) = (rows[0].len() * square, rows.len() * square);
    (width as u32, height as u32, rgb)
}

#[test]
fn all_eight_orientations_are_honoured() {
    let (width, height, stored) = letters(ORIENTED[0], 8);
    for (i, rows) in ORIENTED.iter().enumerate() {
        let block = || exif(i as u8 + 1);
        let (expected_width, expected_height, expected) = letters(rows, 8);
        let (mut png, mut webp, mut jpeg) = (Vec::new(), Vec::new(), Vec::new());
        let size = (width, height);
        encoded(PngEncoder::new(&mut png), block(), size, &stored);
        encoded(WebPEncoder::new_lossless(&mut webp), block(), size, &stored);
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
        encoded(encoder, block(), size, &stored);
        for (file, tolerance) in [(png, 0), (webp, 0), (jpeg, 3)] {
            let image = load_bytes(&file).unwrap();
            assert_eq!(image.size(), (expected_width, expected_height));
            for (found, expected) in image.to_rgb8().iter().zip(&expected) {
                assert!(
                    found.abs_diff(*expected) <= tolerance,
                    "orientation {}",
                    i + 1
                );
            }
        }
    }
}

#[test]
fn a_picture_that_is_reduced_band_by_band_is_the_one_that_is_reduced_whole() {
    let size = (67, 41);
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let rgb: Vec<u8> = (0..3 * size.0 * size.1).map(value).collect();
    let rgba: Vec<u8> = rgb
        .chunks(3)
        .flat_map(|p| [p[0], p[1], p[2], p[0] | 64])
        .collect();
    let mut files = Vec::new();
    for orientation in 1..=8 {
        let mut file = Vec::new();
        encoded(PngEncoder::new(&mut file), exif(orientation), size, &rgb);
        files.push(file);
    }
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(&rgba, size.0, size.1, ExtendedColorType::Rgba8)
        .unwrap();
    files.push(file);
    for (i, file) in files.iter().enumerate() {
        let upright = raster(Format::Png, file).unwrap().header.upright_size();
        // The whole, a part with odd margins, and one that is enlarged in one direction.
        for (crop, size) in [
            (upright, (20, 12)),
            ((30, 28), (11, 9)),
            ((20, 33), (50, 8)),
        ] {
            let filter = crate::image::Filter::Bilinear;
            let reduction = Reduction { crop, size, filter };
            let whole = raster(Format::Png, file).unwrap();
            let whole = whole.into_image(&mut Vec::new()).unwrap();
            let whole = reduction.of(&whole).unwrap();
            let reduced = raster(Format::Png, file).unwrap();
            let reduced = reduced.into_reduced(&reduction, &mut Vec::new()).unwrap();
            assert_eq!(reduced.size(), whole.size());
            let alpha = |image: &Image| image.alpha.clone().unwrap_or_default();
            let (a, b) = (alpha(&reduced), alpha(&whole));
            assert_eq!(a.len(), b.len());
            for (found, expected) in reduced.rgb.iter().chain(&a).zip(whole.rgb.iter().chain(&b)) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "file {i}, {crop:?}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn the_orientation_of_a_tiff_is_honoured() {
    let entry = |i: usize| 10 + 12 * i;
    let mut tiff = hex(RGB_TIFF);
    tiff[entry(0) + 8] = 3; // ImageWidth
    tiff[entry(8) + 8] = 9; // StripByteCounts
    // PlanarConfiguration, the last and 1 by default, gives up its place: Orientation (274)
    // goes before SamplesPerPixel (277), for tags ascend.
    tiff.copy_within(entry(6)..entry(9), entry(7));
    tiff[entry(6)..entry(7)].copy_from_slice(&hex("1201 0300 01000000 03000000"));
    tiff.extend([40, 50, 60, 70, 80, 90]);
    let image = load_bytes(&tiff).unwrap();
    assert_eq!(image, rgb8(3, 1, &[70, 80, 90, 40, 50, 60, 10, 20, 30]));
}

/// A picture that no format can make small, in every format.
fn noisy_files() -> [(&'static str, Vec<u8>); 4] {
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
    let rgb: Vec<u8> = (0..3 * 48 * 48).map(noise).collect();
    let directory = tempfile::tempdir().unwrap();
    let image = rgb8(48, 48, &rgb);
    ["a.png", "a.jpg", "a.webp", "a.tif"].map(|name| {
        let path = directory.path().join(name);
        crate::image::save(&path, &image, Default::default()).unwrap();
        (name, fs::read(path).unwrap())
    })
}

#[test]
fn truncated_files_are_errors() {
    let files = noisy_files();
    for (name, file) in &files {
        assert!(load_bytes(file).is_ok(), "{name}: the whole file");
        for length in (12..file.len() * 9 / 10).step_by(97) {
            let message = message_of(&file[..length]);
            assert!(
                message.contains("truncated") || message.contains("damaged"),
                "{name}, {length} of {} bytes: {message}",
                file.len()
            );
        }
    }
}

#[test]
fn a_damaged_png_is_an_error() {
    let [(_, mut png), ..] = noisy_files();
    let middle = png.len() / 2;
    png[middle] ^= 0x55;
    assert!(message_of(&png).contains("is damaged: "));
}

#[test]
fn what_is_not_an_image_says_so() {
    assert!(message_of(b"").ends_with("is empty (0 bytes), not an image"));
    for text in [&b"x"[..], b"<html/>", &[0; 100]] {
        let message = message_of(text);
        let end = "is not an image that can be read: the formats read are JPEG, PNG, TIFF, WebP, GIF, BMP, QOI, TGA and PNM";
        assert!(message.ends_with(end), "{message}");
    }
    let directory = tempfile::tempdir().unwrap();
    let message = load(directory.path()).unwrap_err().to_string();
    assert!(message.ends_with("is a directory, not an image file"));
    let missing = directory.path().join("missing.png");
    let message = load(&missing).unwrap_err().to_string();
    assert_eq!(
        message,
        format!("'{}': there is no such file", missing.display())
    );
}

#[test]
fn a_forbidden_file_says_so() {
    // Asked of the mapping, for the user who runs the tests may be allowed to read anything.
    let error = read_error(Path::new("a.png"), ErrorKind::PermissionDenied.into());
    assert_eq!(
        error.to_string(),
        "'a.png': no permission to read this file"
    );
}

#[test]
fn a_file_that_claims_to_be_huge_is_refused_before_it_is_read() {
    // A PNG header of 2^30 x 2^30 pixels, its checksum included, and the same for a TIFF.
    let png = hex(
        "89504e470d0a1a0a 0000000d 49484452 40000000 40000000 08 02 00 00 00 d7f679e9 \
         00000000 49444154 35af061e",
    );
    let mut tiff = hex(RGB_TIFF);
    tiff[21] = 0x40; // ImageWidth
    tiff[33] = 0x40; // ImageLength
    tiff[105] = 0x40; // RowsPerStrip
    for file in [png, tiff] {
        let message = message_of(&file);
        assert!(message.contains("too large: 10737418"), "{message}");
    }
}

#[test]
fn real_pictures_load() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // The samples are always there, the larger set beside the project only sometimes.
    let more = fs::read_dir(root.join("../shared/images/registry"));
    let samples = fs::read_dir(root.join("samples/images")).unwrap();
    let mut pictures = 0;
    for entry in samples.chain(more.into_iter().flatten()) {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|e| e.to_str());
        if !matches!(extension, Some("png" | "jpg" | "webp" | "tif")) {
            continue;
        }
        let image = load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            image.width >= 64 && image.height >= 64,
            "{}",
            path.display()
        );
        pictures += 1;
    }
    assert!(pictures > 0, "no picture among the samples");
}

#[test]
fn formats_that_are_not_read_are_named() {
    for (start, name) in [
        (&b"\0\0\0\x1cftypheic"[..], "a HEIC file"),
        (b"\0\0\0\x1cftypmif1", "a HEIF file"),
        (b"\0\0\0\x1cftypavif", "an AVIF file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 (JP2) file"),
        (b"\xff\x0a", "a JPEG XL file"),
        (b"8BPS\0\x01", "a Photoshop (PSD) file"),
        (b"%PDF-1.7", "a PDF file"),
        (b"<?xml version='1.0'?>\n<svg>", "an SVG file"),
    ] {
        let mut file = start.to_vec();
        file.resize(200, b' ');
        let message = message_of(&file);
        assert!(
            message.contains(&format!("is {name}, which is not supported")),
            "{message}"
        );
    }
}

#[test]
fn a_gif_and_a_qoi_without_their_end_are_read_with_a_warning() {
    let gif = hex(GIF);
    let mut qoi = std::io::Cursor::new(Vec::new());
    let picture = ::image::DynamicImage::new_rgb8(5, 4);
    picture
        .write_to(&mut qoi, ::image::ImageFormat::Qoi)
        .unwrap();
    let qoi = qoi.into_inner();
    for (file, end) in [(gif, 1), (qoi, 8)] {
        let whole = decode("a", &file).unwrap();
        assert!(whole.warnings.is_empty());
        let found = decode("a", &file[..file.len() - end]).unwrap();
        assert_eq!(found.image, whole.image);
        assert!(found.warnings[0].contains("all pixels are there"));
        // One byte of the pixels less.
        assert!(decode("a", &file[..file.len() - end - 1]).is_err());
    }
}

#[test]
fn a_lossy_webp_with_pixels_missing_is_an_error() {
    let file = hex(LOSSY_WEBP);
    for length in 12..file.len() - 1 {
        assert!(load_bytes(&file[..length]).is_err(), "{length}");
    }
}

/// Files of one size in formats that the crate `image` writes, too.
#[test]
fn the_smaller_formats_are_read() {
    use ::image::{DynamicImage, ImageFormat, RgbaImage};
    let pixels: Vec<u8> = (0..4 * 12).map(|i| (i * 5) as u8).collect();
    let rgba = RgbaImage::from_raw(4, 3, pixels.clone()).unwrap();
    let rgb: Vec<u8> = pixels.chunks(4).flat_map(|p| &p[..3]).copied().collect();
    let alpha: Vec<f32> = pixels.chunks(4).map(|p| f32::from(p[3]) / 255.0).collect();
    for (format, has_alpha) in [
        (ImageFormat::Qoi, true),
        (ImageFormat::Tga, true),
        (ImageFormat::Bmp, false),
        (ImageFormat::Pnm, false),
    ] {
        let mut picture = DynamicImage::ImageRgba8(rgba.clone());
        if !has_alpha {
            picture = DynamicImage::ImageRgb8(picture.into_rgb8());
        }
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        let file = file.into_inner();
        let found = decode("a.tga", &file).unwrap().image;
        assert_eq!(found.to_rgb8(), rgb, "{format:?}");
        assert_eq!(found.alpha, has_alpha.then(|| alpha.clone()), "{format:?}");
        let cut = decode("a.tga", &file[..file.len() * 6 / 10])
            .unwrap_err()
            .to_string();
        assert!(
            cut.contains("truncated") || cut.contains("damaged"),
            "{format:?}: {cut}"
        );
    }
    let mut gif = std::io::Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgba8(rgba);
    picture.write_to(&mut gif, ImageFormat::Gif).unwrap();
    let gif = gif.into_inner();
    for length in (20..gif.len() - 3).step_by(7) {
        let message = message_of(&gif[..length]);
        assert!(
            message.contains("truncated") || message.contains("damaged"),
            "{length}: {message}"
        );
    }
    let gif = load_bytes(&hex(GIF)).unwrap();
    assert_eq!(gif, rgb8(1, 1, &[255, 0, 0]));
}
