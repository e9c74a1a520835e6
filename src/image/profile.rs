//! ICC colour profiles: embedded ones into sRGB, and sRGB's own.

use moxcms::{
    ColorProfile, DataColorSpace, Layout, LocalizableString, ProfileText, TransformOptions,
};

use super::Image;

/// X, Y and Z in 16.16 bits: 0.9642, 1, 0.8249.
const D50: [u32; 3] = [0xf6d6, 0x1_0000, 0xd32d];

/// The sRGB profile to embed in a file that is written, as ICC bytes.
pub(super) fn srgb() -> Option<Vec<u8>> {
    let mut profile = ColorProfile::new_srgb();
    // All begins and ends at multiples of 4 (ICC.1:2010, 7.2.2 and 7.3.1) where texts have even numbers of characters.
    let text = |text: &str| {
        let [language, country, text] = ["en", "US", text].map(String::from);
        ProfileText::Localizable(vec![LocalizableString::new(language, country, text)])
    };
    profile.description = Some(text("sRGB"));
    profile.copyright = Some(text("In the public domain"));
    let mut bytes = profile.encode().ok()?;
    // The header's creation date (7.2.8) is the moment of encoding: a fixed one, 2000-01-01, makes equal pictures equal
    // files.
    let date = [2000u16, 1, 1, 0, 0, 0];
    for (to, value) in bytes.get_mut(24..36)?.chunks_exact_mut(2).zip(date) {
        to.copy_from_slice(&value.to_be_bytes());
    }
    // The illuminant (7.2.16) is D50 as the standard rounds it, which some readers insist on.
    for (to, value) in bytes.get_mut(68..80)?.chunks_exact_mut(4).zip(D50) {
        to.copy_from_slice(&value.to_be_bytes());
    }
    Some(bytes)
}

/// The image, whose RGB values are those of an ICC `profile`, in sRGB.
pub(super) fn to_srgb(mut image: Image, profile: &[u8]) -> Image {
    let options = TransformOptions {
        prefer_fixed_point: false,
        ..TransformOptions::default()
    };
    let transform = match ColorProfile::new_from_slice(profile) {
        Ok(profile) if profile.color_space == DataColorSpace::Rgb => {
            let srgb = ColorProfile::new_srgb();
            profile.create_transform_f32(Layout::Rgb, &srgb, Layout::Rgb, options)
        }
        _ => return image,
    };
    let Ok(transform) = transform else {
        return image;
    };
    // The many profiles that say sRGB each their own way must leave the file's values exactly as
    // they are: a profile that moves no colour by a whole 8-bit step is one of them.
    let level = |i: usize| (i % 9) as f32 / 8.0;
    let probe: Vec<f32> = (0..9 * 9 * 9)
        .flat_map(|i| [level(i), level(i / 9), level(i / 81)])
        .collect();
    let mut converted = vec![0.0; probe.len()];
    if transform.transform(&probe, &mut converted).is_err() {
        return image;
    }
    let moved = |(a, b): (&f32, &f32)| (a - b).abs() > 1.0 / 255.0;
    if !probe.iter().zip(&converted).any(moved) {
        return image;
    }
    let mut rgb = vec![0.0; image.rgb.len()];
    if transform.transform(&image.rgb, &mut rgb).is_ok() {
        image.rgb = rgb;
    }
    image.clamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_the_same_at_any_time() {
        let profile = srgb().expect("a profile");
        assert_eq!(profile[24..36], [0x07, 0xd0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert!(ColorProfile::new_from_slice(&profile).is_ok());
    }

    /// What libpng and ImageMagick warn of.
    #[test]
    fn the_profile_is_as_the_standard_has_it() {
        let profile = srgb().expect("a profile");
        let word = |at: usize| {
            let bytes = profile[at..at + 4].try_into();
            u32::from_be_bytes(bytes.expect("four bytes"))
        };
        assert_eq!(word(0) as usize, profile.len());
        assert!(profile.len().is_multiple_of(4));
        assert_eq!([word(68), word(72), word(76)], D50);
        let tags = word(128) as usize;
        assert!(tags >= 9);
        for tag in 0..tags {
            let (offset, size) = (word(136 + tag * 12), word(140 + tag * 12));
            assert!(offset.is_multiple_of(4) && (offset + size) as usize <= profile.len());
        }
    }

    /// Display P3 to sRGB by its definition (SMPTE EG 432-1 primaries, D65, the sRGB curve): the
    /// matrices of IEC 61966-2-1 and of P3-D65, multiplied by hand.
    fn p3_to_srgb(pixel: [f64; 3]) -> [f64; 3] {
        let linear = pixel.map(|v| {
            if v <= 0.04045 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        });
        let matrix = [
            [1.2249402, -0.2249402, 0.0],
            [-0.0420570, 1.0420570, 0.0],
            [-0.0196376, -0.0786361, 1.0982737],
        ];
        matrix.map(|row| {
            let v: f64 = row.iter().zip(linear).map(|(m, v)| m * v).sum();
            let v = v.clamp(0.0, 1.0);
            if v <= 0.0031308 {
                12.92 * v
            } else {
                1.055 * v.powf(1.0 / 2.4) - 0.055
            }
        })
    }

    #[test]
    fn display_p3_becomes_srgb() {
        let pixels = [
            [0.8, 0.4, 0.2],
            [0.5, 0.5, 0.5],
            [0.3, 0.6, 0.4],
            [0.2, 0.25, 0.7],
        ];
        let rgb = pixels.iter().flatten().map(|&v| v as f32).collect();
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        let image = to_srgb(Image::new(4, 1, rgb).unwrap(), &profile);
        for (x, pixel) in pixels.iter().enumerate() {
            let (found, expected) = (image.pixel(x as u32, 0), p3_to_srgb(*pixel));
            for (f, e) in found.iter().zip(expected) {
                assert!(
                    (f64::from(*f) - e).abs() < 1e-3,
                    "{found:?} for {expected:?}"
                );
            }
        }
    }

    #[test]
    fn srgb_and_what_is_not_an_rgb_profile_change_nothing() {
        let rgb: Vec<f32> = (0..300).map(|i| i as f32 / 299.0).collect();
        let image = Image::new(10, 10, rgb).unwrap();
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        for profile in [srgb().unwrap(), grey, b"not a profile".to_vec()] {
            assert_eq!(to_srgb(image.clone(), &profile), image);
        }
    }
}
