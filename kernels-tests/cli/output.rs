//! The file of the picture: format, depth, background, profile, EXIF.

use std::io::Cursor;
use std::process::Command;

use exif::experimental::Writer;
use exif::{Exif, Field, In, Reader, Tag, Value};
use moxcms::ColorProfile;
use pixgrad::SaveOptions;

use super::*;

const TINY: &str = "--size 48 --min-size 48 -i 3";

/// Of a camera that was held upright and writes Display P3.
fn exif() -> Vec<u8> {
    let text = |text: &str| Value::Ascii(vec![text.into()]);
    let fields = [
        (Tag::Make, text("Maker")),
        (Tag::Orientation, Value::Short(vec![6])),
        (Tag::FNumber, Value::Rational(vec![(28, 10).into()])),
        (Tag::ColorSpace, Value::Short(vec![0xFFFF])),
        (Tag::PixelXDimension, Value::Long(vec![4000])),
        (Tag::GPSLatitudeRef, text("S")),
    ]
    .map(|(tag, value)| Field {
        tag,
        ifd_num: In::PRIMARY,
        value,
    });
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    writer.set_jpeg(b"a thumbnail", In::THUMBNAIL);
    let mut block = Cursor::new(Vec::new());
    writer.write(&mut block, false).expect("a block");
    block.into_inner()
}

/// A JPEG with that EXIF block, 64x48 when it is upright, and the P3 profile.
fn photo(desk: &Desk) -> Vec<u8> {
    let p3 = ColorProfile::new_display_p3().encode().expect("a profile");
    let turned = sample("chelsea.png", 48, 64);
    let options = SaveOptions {
        icc_profile: Some(p3.clone()),
        ..SaveOptions::default()
    };
    let _ = image::save(desk.path("photo.jpg"), &turned, options).expect("a photo");
    let jpeg = fs::read(desk.path("photo.jpg")).expect("a file");
    let block = [b"Exif\0\0", &exif()[..]].concat();
    let length = u16::try_from(block.len() + 2).expect("short").to_be_bytes();
    let whole = [&jpeg[..2], &[0xFF, 0xE1], &length, &block, &jpeg[2..]].concat();
    fs::write(desk.path("photo.jpg"), whole).expect("written");
    p3
}

fn read_exif(block: Option<&Vec<u8>>) -> Exif {
    let block = block.expect("an EXIF block").clone();
    Reader::new().read_raw(block).expect("EXIF")
}

#[test]
fn exif_is_kept_but_for_what_is_of_the_old_pixels() {
    let desk = Desk::new();
    photo(&desk);
    for name in ["a.png", "a.jpg", "a.webp", "a.tif"] {
        desk.done(&format!("style photo.jpg style.png -o {name} {TINY}"));
        let exif = match name {
            "a.tif" => read_exif(fs::read(desk.path(name)).ok().as_ref()),
            _ => read_exif(
                image::load_all(desk.path(name))
                    .expect("a picture")
                    .exif
                    .as_ref(),
            ),
        };
        let value = |tag| {
            let field = exif.get_field(tag, In::PRIMARY);
            field
                .map(|f| f.display_value().to_string())
                .unwrap_or_default()
        };
        let tags = [
            Tag::Make,
            Tag::FNumber,
            Tag::GPSLatitudeRef,
            Tag::ColorSpace,
        ];
        assert_eq!(tags.map(value), ["\"Maker\"", "2.8", "S", "sRGB"], "{name}");
        let number = |tag| {
            exif.get_field(tag, In::PRIMARY)
                .and_then(|f| f.value.get_uint(0))
        };
        let numbers = [Tag::Orientation, Tag::PixelXDimension].map(number);
        assert_eq!(numbers, [Some(1), Some(48)], "{name}");
        assert!(
            exif.fields().all(|field| field.ifd_num == In::PRIMARY),
            "no thumbnail"
        );
        assert_eq!(desk.load(name).size(), (48, 36), "{name}");
    }
    // A TIFF has the fields in its own directories, which do not stand in the way of another format's.
    desk.done(&format!("style a.tif style.png -o b.jpg {TINY}"));
    let exif = read_exif(
        image::load_all(desk.path("b.jpg"))
            .expect("a picture")
            .exif
            .as_ref(),
    );
    let tags = [
        Tag::Make,
        Tag::FNumber,
        Tag::GPSLatitudeRef,
        Tag::StripOffsets,
    ];
    let has = tags.map(|tag| exif.get_field(tag, In::PRIMARY).is_some());
    assert_eq!(has, [true, true, true, false]);
    desk.done(&format!(
        "style photo.jpg style.png -o a.png {TINY} --no-metadata"
    ));
    assert_eq!(
        image::load_all(desk.path("a.png")).expect("a picture").exif,
        None
    );
}

/// Where it is installed, another program reads the same.
#[test]
fn exiftool_agrees() {
    if Command::new("exiftool").arg("-ver").output().is_err() {
        return;
    }
    let desk = Desk::new();
    photo(&desk);
    for name in ["a.png", "a.jpg", "a.webp", "a.tif"] {
        desk.done(&format!("style photo.jpg style.png -o {name} {TINY}"));
        let output = Command::new("exiftool")
            .args(["-j", "-n"])
            .arg(desk.path(name))
            .output();
        let output = output.expect("exiftool");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let facts = &document[0];
        assert_eq!(facts["Error"], serde_json::Value::Null, "{name}: {facts}");
        assert_eq!(facts["Warning"], serde_json::Value::Null, "{name}: {facts}");
        assert_eq!(
            (&facts["Make"], &facts["FNumber"]),
            (&"Maker".into(), &2.8.into()),
            "{name}"
        );
        assert_eq!(facts["Orientation"], 1, "{name}");
        let key = if name == "a.png" {
            "Pixgrad"
        } else {
            "UserComment"
        };
        let recipe = facts[key].as_str().expect("the recipe");
        assert!(
            recipe.starts_with("# pixgrad ") && recipe.contains("photo.jpg"),
            "{name}: {recipe}"
        );
    }
}

#[test]
fn a_profile_is_kept_and_the_colours_with_it() {
    let desk = Desk::new();
    let p3 = photo(&desk);
    desk.done(&format!("style photo.jpg style.png -o plain.png {TINY}"));
    let plain = desk.load("plain.png");
    for name in ["a.png", "a.tif", "a.webp", "a.jpg"] {
        desk.done(&format!(
            "style photo.jpg style.png -o {name} {TINY} --keep-profile"
        ));
        let kept = image::load_all(desk.path(name)).expect("a picture");
        assert_eq!(kept.icc_profile.as_ref(), Some(&p3), "{name}");
        let differences = plain
            .rgb
            .iter()
            .zip(&kept.image.rgb)
            .map(|(a, b)| (a - b).abs());
        let mean = differences.sum::<f32>() / plain.rgb.len() as f32;
        // The JPEG is not lossless; else it is rounding.
        let bound = if name == "a.jpg" { 0.02 } else { 0.003 };
        assert!(mean < bound, "{name}: {mean}");
    }
    let output = desk.run(&format!(
        "style content.png style.png -o a.png {TINY} --keep-profile --no-metadata"
    ));
    assert_eq!(output.status.code(), Some(0));
    let gray = ColorProfile::new_gray_with_gamma(2.2)
        .encode()
        .expect("a profile");
    let mut file = Vec::new();
    let mut info = png::Info::with_size(64, 48);
    info.icc_profile = Some(gray.into());
    info.color_type = png::ColorType::Grayscale;
    let encoder = png::Encoder::with_info(&mut file, info).expect("a header");
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&[90; 64 * 48]).expect("pixels");
    writer.finish().expect("a file");
    fs::write(desk.path("gray.png"), file).expect("written");
    desk.done(&format!("style gray.png style.png -o a.png {TINY}"));
    fs::remove_file(desk.path("a.png")).expect("removed");
    desk.refused(
        &format!("style gray.png style.png -o a.png {TINY} --keep-profile"),
        1,
        &["--keep-profile", "RGB"],
    );
}

#[test]
fn the_depth_is_that_asked_for_where_the_format_has_it() {
    let desk = Desk::new();
    let line = format!("style content.png style.png {TINY}");
    // The depth stands in byte 24 of a PNG.
    for (options, depth) in [("", 8), ("--depth 8", 8), ("--depth 16", 16)] {
        desk.done(&format!("{line} -o a.png {options}"));
        assert_eq!(fs::read(desk.path("a.png")).expect("a picture")[24], depth);
    }
    let size = |options: &str| {
        desk.done(&format!("{line} -o a.tif {options}"));
        fs::metadata(desk.path("a.tif")).expect("a picture").len()
    };
    let bytes = 3 * 48 * 36;
    assert_eq!(size("") - size("--depth 8"), bytes);
    assert_eq!(size("--depth 16"), size(""));
    for name in ["b.jpg", "b.webp"] {
        desk.refused(
            &format!("{line} -o {name} --depth 16"),
            2,
            &["8 bits", "PNG and TIFF"],
        );
        desk.done(&format!("{line} -o c-{name} --depth 8"));
    }
    desk.refused(&format!("{line} -o a.png --depth 12"), 2, &["8 or 16"]);
}

#[test]
fn the_format_goes_before_the_extension_and_that_is_said() {
    let desk = Desk::new();
    let line = format!("style content.png style.png {TINY}");
    let output = desk.run(&format!("{line} -o a.png --format jpg"));
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("note: 'a.png' is written as JPEG"),
        "{stderr}"
    );
    assert!(
        fs::read(desk.path("a.png"))
            .expect("a picture")
            .starts_with(b"\xff\xd8")
    );
    let output = desk.run(&format!("{line} -o a.bin --format tiff"));
    assert!(!text(&output.stderr).contains("is written as"));
    assert!(
        fs::read(desk.path("a.bin"))
            .expect("a picture")
            .starts_with(b"II*\0")
    );
}

#[test]
fn transparent_pixels_are_laid_over_the_background() {
    let desk = Desk::new();
    let content = sample("chelsea.png", 64, 48);
    let clear = content.with_alpha(vec![0.0; 64 * 48]).expect("alpha");
    desk.picture("clear.png", &clear);
    for (options, expected, warns) in [
        ("", [1.0; 3], true),
        ("--background #ff8000", [1.0, 0.5, 0.0], false),
        ("--background 0,128,255", [0.0, 0.5, 1.0], false),
    ] {
        let output = desk.run(&format!(
            "style clear.png style.png -o a.jpg {TINY} {options}"
        ));
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert_eq!(
            stderr.contains("warning: JPEG holds no transparency"),
            warns,
            "{stderr}"
        );
        let found = desk.load("a.jpg").pixel(20, 20);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.02, "{found} for {expected}");
        }
    }
    let line = "style clear.png style.png -o b.jpg --background";
    for colour in ["red", "#fff", "1,2", "256,0,0"] {
        desk.refused(&format!("{line} {colour}"), 2, &["#ff8000 or 255,128,0"]);
    }
}
