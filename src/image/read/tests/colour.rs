//! What files say about their colours.

use moxcms::ColorProfile;

use super::*;

/// A PNG file of RGB or grey pixels of 8 bits, with chunks before and behind the pixels.
fn png(
    channels: u8,
    pixels: &[u8],
    before: &[(&[u8; 4], &[u8])],
    after: &[(&[u8; 4], &[u8])],
) -> Vec<u8> {
    let width = (pixels.len() / usize::from(channels)) as u32;
    let mut head = width.to_be_bytes().to_vec();
    head.extend([0, 0, 0, 1, 8, if channels == 3 { 2 } else { 0 }, 0, 0, 0]);
    let packed = {
        use flate2::{Compression, write::ZlibEncoder};
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut encoder, &[&[0], pixels].concat()).unwrap();
        encoder.finish().unwrap()
    };
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let chunks = [(b"IHDR", &head[..])]
        .into_iter()
        .chain(before.iter().copied());
    let chunks = chunks
        .chain([(b"IDAT", &packed[..])])
        .chain(after.iter().copied());
    for (kind, data) in chunks.chain([(b"IEND", &[][..])]) {
        file.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], data].concat();
        file.extend(&body);
        file.extend(crc32fast::hash(&body).to_be_bytes());
    }
    file
}

const PIXELS: [[f64; 3]; 4] = [
    [204.0, 102.0, 51.0],
    [128.0, 128.0, 128.0],
    [77.0, 153.0, 102.0],
    [51.0, 64.0, 179.0],
];

fn rgb_png(before: &[(&[u8; 4], &[u8])]) -> Loaded {
    let pixels: Vec<u8> = PIXELS.iter().flatten().map(|v| *v as u8).collect();
    decode("a", &png(3, &pixels, before, &[])).unwrap()
}

fn to_light(v: f64) -> f64 {
    if v <= 0.04045 {
        v / 12.92
    } else {
        ((v + 0.055) / 1.055).powf(2.4)
    }
}

fn to_srgb(light: f64) -> f64 {
    let light = light.clamp(0.0, 1.0);
    if light <= 0.0031308 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// Display P3's primaries to sRGB's: the matrices of IEC 61966-2-1 and of P3-D65, multiplied by hand.
const P3: [[f64; 3]; 3] = [
    [1.2249402, -0.2249402, 0.0],
    [-0.0420570, 1.0420570, 0.0],
    [-0.0196376, -0.0786361, 1.0982737],
];
const SAME: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

fn assert_colours(found: &Loaded, light: impl Fn(f64) -> f64, matrix: [[f64; 3]; 3], what: &str) {
    for (x, pixel) in PIXELS.iter().enumerate() {
        let light = pixel.map(|v| light(v / 255.0));
        let found = found.image.pixel(x as u32, 0);
        for (row, found) in matrix.iter().zip(found) {
            let expected = to_srgb(row.iter().zip(light).map(|(m, v)| m * v).sum());
            let off = (f64::from(found) - expected).abs();
            assert!(off < 2e-3, "{what}: {found} for {expected}");
        }
    }
    assert!(found.warnings.is_empty(), "{what}: {:?}", found.warnings);
}

#[test]
fn an_icc_profile_of_rgb_is_followed() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let pixels: Vec<u8> = PIXELS.iter().flatten().map(|v| *v as u8).collect();
    let file = fs::File::create(&path).unwrap();
    let mut encoder = PngEncoder::new(file);
    encoder.set_icc_profile(profile.clone()).unwrap();
    encoder
        .write_image(&pixels, 4, 1, ExtendedColorType::Rgb8)
        .unwrap();
    let loaded = load_all(&path).unwrap();
    assert_colours(&loaded, to_light, P3, "P3");
    assert_eq!(loaded.icc_profile, Some(profile));
}

#[test]
fn a_profile_of_srgb_changes_nothing() {
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file);
    let profile = ColorProfile::new_srgb().encode().unwrap();
    encoder.set_icc_profile(profile).unwrap();
    let pixels: Vec<u8> = (0..=254).collect();
    encoder
        .write_image(&pixels, 85, 1, ExtendedColorType::Rgb8)
        .unwrap();
    assert_eq!(load_bytes(&file).unwrap(), rgb8(85, 1, &pixels));
}

#[test]
fn the_chunks_of_png_are_followed() {
    let gamma = |g: f64| ((g * 100_000.0) as u32).to_be_bytes();
    let linear = rgb_png(&[(b"gAMA", &gamma(1.0))]);
    assert_colours(&linear, |v| v, SAME, "gamma 1");
    let steep = rgb_png(&[(b"gAMA", &gamma(1.0 / 1.8))]);
    assert_colours(&steep, |v| v.powf(1.8), SAME, "gamma 1.8");
    let points = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000];
    let primaries: Vec<u8> = points.iter().flat_map(|v: &u32| v.to_be_bytes()).collect();
    let wide = rgb_png(&[(b"gAMA", &gamma(1.0)), (b"cHRM", &primaries)]);
    assert_colours(&wide, |v| v, P3, "gamma and primaries");
    let points = rgb_png(&[(b"cICP", &[12, 13, 0, 1])]);
    assert_colours(&points, to_light, P3, "code points");
    let linear = rgb_png(&[(b"cICP", &[1, 8, 0, 1]), (b"gAMA", &gamma(0.3))]);
    assert_colours(&linear, |v| v, SAME, "code points count more than gamma");
    // What says sRGB leaves every value as it is.
    let plain = rgb_png(&[]);
    for chunks in [
        &[(b"gAMA", &gamma(0.45455)[..])][..],
        &[(b"sRGB", &[0]), (b"gAMA", &gamma(1.0))],
        &[(b"cICP", &[1, 13, 0, 1])],
    ] {
        assert_eq!(rgb_png(chunks), plain);
    }
}

#[test]
fn a_grey_profile_is_followed() {
    let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let file = fs::File::create(&path).unwrap();
    let mut encoder = JpegEncoder::new_with_quality(file, 100);
    encoder.set_icc_profile(profile).unwrap();
    encoder
        .write_image(&[64; 64], 8, 8, ExtendedColorType::L8)
        .unwrap();
    let loaded = load_all(&path).unwrap();
    let expected = to_srgb(64.0 / 255.0);
    assert!((f64::from(loaded.image.pixel(3, 3)[1]) - expected).abs() < 5e-3);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn what_cannot_be_followed_is_told() {
    let cicp = |points: &[u8; 4]| rgb_png(&[(b"cICP", points)]).warnings;
    assert!(cicp(&[9, 16, 0, 1])[0].contains("high dynamic range"));
    assert!(cicp(&[1, 13, 1, 1])[0].contains("not RGB"));
    assert!(cicp(&[77, 13, 0, 1])[0].contains("(cICP) 77 13 0, which"));
    for (profile, expected) in [
        (
            ColorProfile::new_gray_with_gamma(1.0).encode().unwrap(),
            "is RGB, but its ICC profile is for GRAY",
        ),
        (vec![1; 200], "an ICC profile that cannot be read"),
    ] {
        let mut file = Vec::new();
        let mut encoder = PngEncoder::new(&mut file);
        encoder.set_icc_profile(profile).unwrap();
        encoder
            .write_image(&[1, 2, 3], 1, 1, ExtendedColorType::Rgb8)
            .unwrap();
        let warnings = decode("a", &file).unwrap().warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains(expected),
            "{warnings:?}"
        );
    }
}

/// A profile of a printer: L* is 10 with all inks, 100 with none, and falls with each by as much.
fn cmyk_profile() -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for i in 0..9 {
        table.extend(if i % 4 == 0 { 0x1_0000u32 } else { 0 }.to_be_bytes());
    }
    let ramp: Vec<u8> = (0..=255).collect();
    table.extend(ramp.repeat(4));
    for corner in 0..16u32 {
        let lightness = 100.0 - 22.5 * f64::from(corner.count_ones());
        table.extend([(lightness * 2.55).round() as u8, 128, 128]);
    }
    table.extend(ramp.repeat(3));
    let mut profile = vec![0; 128];
    profile[8] = 2;
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    for (at, value) in [(68, 0xF6D6u32), (72, 0x1_0000), (76, 0xD32D)] {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144u32.to_be_bytes());
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    let length = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&length);
    profile
}

/// Relative colorimetric: paper is white; with black point compensation: all inks are black.
#[test]
fn a_cmyk_profile_is_followed() {
    let mut file = include_bytes!("samples/cmyk.jpg").to_vec();
    let profile = cmyk_profile();
    let mut segment = b"ICC_PROFILE\0\x01\x01".to_vec();
    segment.extend(&profile);
    let mut marker = vec![0xFF, 0xE2];
    marker.extend((segment.len() as u16 + 2).to_be_bytes());
    marker.extend(segment);
    file.splice(2..2, marker);
    let loaded = decode("a", &file).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    // Red, as 1 - ink: 200, 40, 40, and no black.
    let inks = [55.0, 215.0, 215.0].iter().sum::<f64>() / 255.0;
    let luminance = |lightness: f64| ((lightness + 16.0) / 116.0).powi(3);
    let (own, black) = (luminance(100.0 - 22.5 * inks), luminance(10.0));
    let expected = to_srgb((own - black) / (1.0 - black));
    for found in loaded.image.pixel(8, 8) {
        assert!(
            (f64::from(found) - expected).abs() < 0.03,
            "{found} for {expected}"
        );
    }
}

#[test]
fn exif_counts_wherever_it_is() {
    let block = exif(6);
    let upright = Image::from_rgb8(1, 2, &[10; 6]).unwrap();
    let prefixed = [b"Exif\0\0", &block[..]].concat();
    for chunk in [&block, &prefixed] {
        for (before, after) in [
            (&[(b"eXIf", &chunk[..])][..], &[][..]),
            (&[], &[(b"eXIf", &chunk[..])]),
        ] {
            let file = png(3, &[10; 6], before, after);
            let loaded = decode("a", &file).unwrap();
            assert_eq!(loaded.image, upright);
            assert_eq!(loaded.exif.as_ref(), Some(&block));
        }
        let mut webp = Vec::new();
        encoded(
            WebPEncoder::new_lossless(&mut webp),
            chunk.clone(),
            (2, 1),
            &[10; 6],
        );
        assert_eq!(decode("a", &webp).unwrap().image, upright);
    }
}

#[test]
fn a_png_without_its_end_is_read_with_a_warning() {
    let pixels: Vec<u8> = (0..60u8).map(|i| i.wrapping_mul(91)).collect();
    let file = png(3, &pixels, &[], &[]);
    let whole = decode("a", &file).unwrap();
    // The end chunk has 12 bytes, the checksum of the pixels' chunk 4 before it.
    for missing in 1..=16 {
        let found = decode("a", &file[..file.len() - missing]).unwrap();
        assert_eq!(found.image, whole.image, "{missing}");
        assert!(found.warnings[0].contains("IEND"));
    }
    let (cut, end) = (&file[..file.len() - 40], &file[file.len() - 12..]);
    for file in [cut.to_vec(), [cut, end].concat()] {
        assert!(
            message_of(&file).contains("truncated"),
            "{}",
            message_of(&file)
        );
    }
}
