//! JPEG: every kind that libjpeg-turbo decodes, and what is not there of a file.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use super::*;
use crate::image::read::{jpeg, raster::Fault};

/// Four squares of 16 pixels; a file of each kind, made by `cjpeg`.
const SAMPLES: [(&str, &[u8]); 7] = [
    (
        "one scan per component",
        include_bytes!("samples/separate_scans.jpg"),
    ),
    (
        "luma below chroma",
        include_bytes!("samples/luma_below_chroma.jpg"),
    ),
    ("3x1", include_bytes!("samples/three_to_one.jpg")),
    ("progressive", include_bytes!("samples/progressive.jpg")),
    ("arithmetic", include_bytes!("samples/arithmetic.jpg")),
    ("restart markers", include_bytes!("samples/restart.jpg")),
    ("CMYK", include_bytes!("samples/cmyk.jpg")),
];
const SQUARES: [[u8; 3]; 4] = [[200, 40, 40], [40, 180, 60], [50, 60, 210], [230, 220, 60]];

#[test]
fn every_kind_has_the_right_pixels() {
    for (kind, file) in SAMPLES {
        let loaded = decode("a", file).unwrap();
        assert_eq!(loaded.image.size(), (32, 32));
        for (i, colour) in SQUARES.iter().enumerate() {
            let (x, y) = (8 + 16 * (i as u32 % 2), 8 + 16 * (i as u32 / 2));
            for (found, expected) in loaded.image.pixel(x, y).iter().zip(colour) {
                let off = (found * 255.0 - f32::from(*expected)).abs();
                assert!(off <= 4.0, "{kind}: square {i} is off by {off}");
            }
        }
        assert_eq!(loaded.warnings.len(), usize::from(kind == "CMYK"), "{kind}");
    }
}

/// Runs a tool on a file; `None` if it is not installed.
fn tool(name: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(name).args(arguments).output().ok()?;
    output.status.success().then_some(output.stdout)
}

const COARSE_LUMA: &str = "1x1,2x2,2x2";

#[test]
fn libjpeg_turbo_agrees_where_it_is_installed() {
    for name in ["cjpeg", "djpeg"] {
        if Command::new(name).arg("-version").output().is_err() {
            // To the standard error itself, which the test harness does not swallow.
            let _ = writeln!(
                std::io::stderr(),
                "{name} is not installed: JPEG was compared with fixed files only"
            );
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (width, height) = (45, 37);
    let wave = |i: usize, speed: usize| ((i * speed) % 256) as u8;
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|i| {
            [
                wave(i % width, 5),
                wave(i / width, 7),
                wave(i % width + i / width, 3),
            ]
        })
        .collect();
    let mut ppm = format!("P6\n{width} {height}\n255\n").into_bytes();
    ppm.extend(&pixels);
    fs::write(path("in.ppm"), ppm).unwrap();
    fs::write(path("scans"), "0;\n1;\n2;\n").unwrap();
    let scans = path("scans");
    let kinds: [&[&str]; 6] = [
        &[],
        &["-progressive"],
        &["-scans", &scans],
        &["-arithmetic"],
        &["-restart", "1B"],
        &["-arithmetic", "-progressive"],
    ];
    let mut files = 0;
    for sampling in [
        "1x1",
        "2x1",
        "1x2",
        "2x2",
        "3x1",
        "1x3",
        "4x1",
        "4x2",
        "3x2",
        "2x4",
        "2x2,2x1,1x2",
        "2x1,1x2,1x1",
        "2x2,1x1,2x2",
        COARSE_LUMA,
    ] {
        for kind in kinds {
            let (input, output) = (path("in.ppm"), path("a.jpg"));
            let mut arguments = vec!["-sample", sampling, "-outfile", &output];
            arguments.extend(kind);
            arguments.push(&input);
            if tool("cjpeg", &arguments).is_none() {
                continue;
            }
            // Interpolated, as by default, but for luma that is coarser than chroma: it would be blurred.
            let smooth: &[&str] = match sampling {
                COARSE_LUMA => &["-nosmooth"],
                _ => &[],
            };
            let expected = tool("djpeg", &[smooth, &["-pnm", &output]].concat());
            let expected = expected.expect("djpeg reads what cjpeg writes");
            let image = load(&output).unwrap();
            let expected = &expected[expected.len() - 3 * width * height..];
            for (found, expected) in image.to_rgb8().iter().zip(expected) {
                assert!(found.abs_diff(*expected) <= 3, "{sampling} {kind:?}");
            }
            files += 1;
        }
    }
    assert!(files > 60, "{files}");
}

#[test]
fn variants_that_are_not_read_are_named() {
    let (_, file) = SAMPLES[0];
    let frame = file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    for (at, value, expected) in [
        (1, 0xC3, "a variant of JPEG (lossless coding)"),
        (1, 0xC5, "a variant of JPEG (hierarchical coding)"),
        (4, 12, "a variant of JPEG (12 bits per sample)"),
    ] {
        let mut file = file.to_vec();
        file[frame + at] = value;
        let message = message_of(&file);
        assert!(message.contains(expected), "{message}");
    }
}

/// What is there of a file may end anywhere, with an end marker put behind it or not.
#[test]
fn a_picture_with_pixels_missing_is_an_error() {
    for (kind, file) in SAMPLES {
        for tenths in 3..9 {
            let cut = &file[..file.len() * tenths / 10];
            for (file, ended) in [(cut.to_vec(), false), ([cut, &[0xFF, 0xD9]].concat(), true)] {
                let found = decode("a", &file);
                // Scans that are whole may be all there are of a progressive file: pixels of less detail.
                if let (Ok(found), true, "progressive") = (&found, ended, kind) {
                    assert!(found.warnings[0].contains("without its last details"));
                    continue;
                }
                let message = found.map(|_| kind).unwrap_err().to_string();
                assert!(
                    message.contains("truncated") || message.contains("damaged"),
                    "{kind}: {message}"
                );
            }
        }
    }
}

#[test]
fn a_missing_end_marker_is_a_warning() {
    for (kind, file) in SAMPLES {
        let whole = decode("a", file).unwrap();
        let bare = &file[..file.len() - 2];
        for trailer in [
            &b""[..],
            b"a maker's trailer",
            b"\xFF\xD8\xFF\xE0 another picture",
        ] {
            let found = decode("a", &[bare, trailer].concat()).unwrap();
            assert_eq!(found.image, whole.image, "{kind}");
            let told = found.warnings.iter().any(|w| w.contains("no end marker"));
            assert!(told, "{kind}: {:?}", found.warnings);
        }
    }
}

#[test]
fn a_progressive_file_without_its_last_scans_is_told() {
    let (_, file) = SAMPLES[3];
    let last = file.windows(2).rposition(|w| w == [0xFF, 0xDA]).unwrap();
    let found = decode("a", &[&file[..last], &[0xFF, 0xD9]].concat()).unwrap();
    let told = "is a progressive JPEG without its last details";
    assert_eq!(found.warnings, [told]);
    assert!(message_of(&file[..last]).contains("truncated"));
}

#[test]
fn the_end_of_a_thumbnail_is_not_the_end_of_the_picture() {
    let (_, file) = SAMPLES[5];
    let thumbnail = hex("ffe1 0006 ffd8ffd9");
    let with = [&file[..2], &thumbnail, &file[2..]].concat();
    assert!(decode("a", &with).unwrap().warnings.is_empty());
    let cut = &with[..with.len() - 40];
    assert!(message_of(cut).contains("truncated"));
}

/// Bytes of a file, changed at random: an error or a picture, and nothing else.
#[test]
fn damaged_files_never_panic() {
    for (_, file) in SAMPLES {
        for i in 0..2000usize {
            let mut file = file.to_vec();
            let noise = i.wrapping_mul(2_654_435_761);
            let length = file.len();
            let at = noise % length;
            file[at] ^= 1 << (noise >> 20 & 7);
            file[(at * 7) % length] = (noise >> 12) as u8;
            let _ = decode("a", &file);
        }
    }
}

#[test]
fn the_decoder_in_rust_refuses_what_it_would_get_wrong() {
    let by = |file: &[u8]| jpeg::portable_decode(file);
    for (kind, file) in SAMPLES {
        match by(file) {
            Ok(values) => {
                let right = decode("a", file).unwrap().image.to_rgb8();
                let worst = values.iter().zip(right).map(|(a, b)| a.abs_diff(b)).max();
                assert!(worst <= Some(6), "{kind}: {worst:?}");
                assert!(["progressive", "restart markers"].contains(&kind), "{kind}");
            }
            Err(Fault::Variant(_)) => {
                assert!(
                    !["progressive", "restart markers"].contains(&kind),
                    "{kind}"
                );
            }
            Err(other) => panic!("{kind}: {other:?}"),
        }
    }
}
