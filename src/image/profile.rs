//! ICC profiles that are written into files: sRGB's own, and colours for others.

use moxcms::{
    ColorProfile, DataColorSpace, Layout, LocalizableString, ProfileText, RenderingIntent,
    TransformOptions,
};

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

/// sRGB colours as values of an RGB device that `profile` describes: relative colorimetric. `None` if it describes
/// something else, or does not say how colours come to it.
pub(super) fn from_srgb(rgb: &[f32], profile: &[u8]) -> Option<Vec<f32>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    if profile.color_space != DataColorSpace::Rgb {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    let options = |rendering_intent| TransformOptions {
        rendering_intent,
        prefer_fixed_point: false,
        ..TransformOptions::default()
    };
    let transform = |intent| {
        srgb.create_transform_f32(Layout::Rgb, &profile, Layout::Rgb, options(intent))
            .ok()
    };
    let transform = transform(RenderingIntent::RelativeColorimetric)
        .or_else(|| transform(RenderingIntent::Perceptual))?;
    let within: Vec<f32> = rgb.iter().map(|v| v.clamp(0.0, 1.0)).collect();
    let mut converted = vec![0.0; rgb.len()];
    transform.transform(&within, &mut converted).ok()?;
    Some(converted)
}

/// Whether pixels can be converted to a profile: see [`SaveOptions::icc_profile`](super::SaveOptions::icc_profile).
#[must_use]
pub fn is_of_rgb(profile: &[u8]) -> bool {
    from_srgb(&[0.5; 3], profile).is_some()
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
}
