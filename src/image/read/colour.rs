//! What the numbers of a file mean as colours, and how they become sRGB: relative colorimetric, with black point
//! compensation.

use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, RenderingIntent, ToneCurveEvaluator, ToneReprCurve,
    TransformF32Executor, TransformOptions,
};
use rayon::prelude::*;

use super::raster::Space;

/// What a file says about its colours.
#[derive(Debug)]
pub enum Encoding {
    /// sRGB, or nothing at all.
    Srgb,
    /// A profile, embedded or made of what the file says.
    Profile(Box<ColorProfile>),
    /// Something that cannot be followed, in words that can stand behind "has".
    Unusable(String),
}

impl Encoding {
    /// That of an embedded ICC profile; sRGB without one.
    pub fn of_icc(profile: Option<&[u8]>) -> Self {
        match profile.map(ColorProfile::new_from_slice) {
            None => Self::Srgb,
            Some(Ok(profile)) => Self::Profile(Box::new(profile)),
            Some(Err(_)) => Self::Unusable("an ICC profile that cannot be read".into()),
        }
    }
}

/// The profile with v ↦ v^`gamma` as the curve of its channels.
pub fn with_curve(mut profile: ColorProfile, gamma: f32) -> ColorProfile {
    let curve = Some(ToneReprCurve::Parametric(vec![gamma]));
    profile.red_trc.clone_from(&curve);
    profile.green_trc.clone_from(&curve);
    profile.blue_trc = curve;
    profile.cicp = None;
    profile
}

/// From samples to sRGB, for as many bands of a picture as there are.
pub enum Converter {
    /// No profile describes the samples.
    Plain(Space),
    /// Grey whose profile tells its lightness L*, which the library does not convert.
    Lightness(Box<dyn ToneCurveEvaluator + Send + Sync>),
    Profile(Conversion),
}

impl Converter {
    /// What cannot be followed is told in `warnings`.
    pub fn new(space: Space, encoding: Encoding, warnings: &mut Vec<String>) -> Self {
        let profile = match encoding {
            Encoding::Srgb => {
                if space == Space::Cmyk {
                    warnings.push(
                        "is CMYK without a colour profile; its colours are a guess (1 - ink, times 1 - black)".into(),
                    );
                }
                return Self::Plain(space);
            }
            Encoding::Profile(profile) => profile,
            Encoding::Unusable(what) => {
                warnings.push(format!("has {what}; {}", fallback(space)));
                return Self::Plain(space);
            }
        };
        let grey_as_rgb = match (space, profile.color_space) {
            (Space::Grey, DataColorSpace::Gray)
            | (Space::Rgb, DataColorSpace::Rgb)
            | (Space::Cmyk, DataColorSpace::Cmyk) => false,
            (Space::Grey, DataColorSpace::Rgb) => true,
            // Its numbers are colours by themselves.
            (Space::Lab, _) => return Self::Plain(space),
            (_, other) => {
                let (own, other) = (name(space), format!("{other:?}").to_uppercase());
                warnings.push(format!(
                    "is {own}, but its ICC profile is for {other}; {}",
                    fallback(space)
                ));
                return Self::Plain(space);
            }
        };
        if let Some(curve) = lightness(&profile) {
            return Self::Lightness(curve);
        }
        match Conversion::of(&profile) {
            Some(conversion) if conversion.is_nothing() => Self::Plain(space),
            Some(conversion) => Self::Profile(Conversion {
                grey_as_rgb,
                ..conversion
            }),
            None => {
                warnings.push(format!(
                    "has an ICC profile of a kind that is not supported; {}",
                    fallback(space)
                ));
                Self::Plain(space)
            }
        }
    }

    /// Samples of whole pixels as interleaved RGB values of sRGB, `[pixels][3]`.
    pub fn apply(&self, samples: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Plain(space) => plain(samples, *space),
            Self::Lightness(curve) => {
                let grey = |v: &f32| lab_to_srgb([100.0 * curve.evaluate_value(*v), 0.0, 0.0]);
                samples.iter().flat_map(grey).collect()
            }
            Self::Profile(conversion) if conversion.grey_as_rgb => {
                conversion.apply(&plain(samples, Space::Grey))
            }
            Self::Profile(conversion) => conversion.apply(&samples),
        }
    }
}

fn name(space: Space) -> &'static str {
    match space {
        Space::Grey => "grey",
        Space::Rgb => "RGB",
        Space::Cmyk => "CMYK",
        Space::Lab => "Lab",
    }
}

/// What is done where the file's own words cannot be followed.
fn fallback(space: Space) -> &'static str {
    match space {
        Space::Cmyk => "its colours are a guess (1 - ink, times 1 - black)",
        _ => "its colours are taken for sRGB",
    }
}

/// Samples that no profile describes.
fn plain(samples: Vec<f32>, space: Space) -> Vec<f32> {
    match space {
        Space::Rgb => samples,
        Space::Grey => samples.iter().flat_map(|v| [*v; 3]).collect(),
        Space::Cmyk => {
            let pixels = samples.chunks_exact(4);
            let rgb = pixels.flat_map(|p| [0, 1, 2].map(|c| (1.0 - p[c]) * (1.0 - p[3])));
            rgb.collect()
        }
        Space::Lab => {
            let pixels = samples.chunks_exact(3);
            pixels
                .flat_map(|p| lab_to_srgb([p[0], p[1], p[2]]))
                .collect()
        }
    }
}

/// The curve from grey to lightness of a profile that tells it.
fn lightness(profile: &ColorProfile) -> Option<Box<dyn ToneCurveEvaluator + Send + Sync>> {
    if (profile.color_space, profile.pcs) != (DataColorSpace::Gray, DataColorSpace::Lab) {
        return None;
    }
    profile.gray_trc.as_ref()?.make_linear_evaluator().ok()
}

/// From the colours of a profile to sRGB.
pub struct Conversion {
    transform: Arc<TransformF32Executor>,
    /// Samples per pixel of the profile.
    channels: usize,
    /// The luminance of the darkest colour of the profile, which becomes black. White is 1.
    black: f32,
    /// Whether the file has one grey value where the profile is for RGB.
    grey_as_rgb: bool,
}

impl Conversion {
    fn of(profile: &ColorProfile) -> Option<Self> {
        let (layout, channels) = match profile.color_space {
            DataColorSpace::Gray => (Layout::Gray, 1),
            DataColorSpace::Rgb => (Layout::Rgb, 3),
            DataColorSpace::Cmyk => (Layout::Rgba, 4),
            _ => return None,
        };
        let srgb = ColorProfile::new_srgb();
        let transform = |intent| {
            profile
                .create_transform_f32(layout, &srgb, Layout::Rgb, options(intent))
                .ok()
        };
        // A profile need not have a table for every intent; the first one is for all.
        let transform = transform(RenderingIntent::RelativeColorimetric)
            .or_else(|| transform(RenderingIntent::Perceptual))?;
        let mut conversion = Self {
            transform,
            channels,
            black: 0.0,
            grey_as_rgb: false,
        };
        let tables = [
            &profile.lut_a_to_b_perceptual,
            &profile.lut_a_to_b_colorimetric,
        ];
        // Profiles of curves and a matrix begin at black.
        if tables.iter().any(|table| table.is_some()) {
            conversion.black = conversion.darkest(profile)?;
        }
        Some(conversion)
    }

    /// The luminance of the darkest colour: of all inks that the profile itself would print black with; for RGB, of 0.
    fn darkest(&self, profile: &ColorProfile) -> Option<f32> {
        let mut device = vec![0.0; self.channels];
        if profile.color_space == DataColorSpace::Cmyk {
            device.fill(1.0);
            let options = options(RenderingIntent::Perceptual);
            let printing = ColorProfile::new_srgb().create_transform_f32(
                Layout::Rgb,
                profile,
                Layout::Rgba,
                options,
            );
            if let Ok(printing) = printing {
                printing.transform(&[0.0; 3], &mut device).ok()?;
            }
        }
        let mut rgb = [0.0; 3];
        self.transform.transform(&device, &mut rgb).ok()?;
        let [r, g, b] = rgb.map(to_linear);
        // At most L* = 50: a profile that has no black at all is not stretched beyond.
        Some((0.2126 * r + 0.7152 * g + 0.0722 * b).min(0.184_187))
    }

    /// Whether no colour moves by a whole 8-bit step. The many profiles that say sRGB each their own way must leave the
    /// file's values exactly as they are.
    fn is_nothing(&self) -> bool {
        let level = |i: usize| (i % 9) as f32 / 8.0;
        let probe: Vec<f32> = match self.channels {
            1 => (0..=255).map(|i| i as f32 / 255.0).collect(),
            3 => (0..9 * 9 * 9)
                .flat_map(|i| [level(i), level(i / 9), level(i / 81)])
                .collect(),
            _ => return false,
        };
        let converted = self.apply(&probe);
        let per_sample = 3 / self.channels;
        let close = |(i, v): (usize, &f32)| (v - probe[i / per_sample]).abs() <= 1.0 / 255.0;
        converted.iter().enumerate().all(close)
    }

    fn apply(&self, samples: &[f32]) -> Vec<f32> {
        const PIXELS: usize = 1 << 12;
        let mut rgb = vec![0.0; samples.len() / self.channels * 3];
        rgb.par_chunks_mut(3 * PIXELS)
            .zip(samples.par_chunks(self.channels * PIXELS))
            .for_each(|(rgb, samples)| {
                // Values of a float file may lie outside of what a table covers.
                let within: Vec<f32> = samples.iter().map(|v| v.clamp(0.0, 1.0)).collect();
                self.transform
                    .transform(&within, rgb)
                    .expect("as many pixels on both sides");
                if self.black > 0.0 {
                    for v in rgb {
                        let light = (to_linear(*v) - self.black) / (1.0 - self.black);
                        *v = to_encoded(light);
                    }
                }
            });
        rgb
    }
}

fn options(rendering_intent: RenderingIntent) -> TransformOptions {
    TransformOptions {
        rendering_intent,
        prefer_fixed_point: false,
        ..TransformOptions::default()
    }
}

/// sRGB's curve (IEC 61966-2-1), from the encoded value to light.
fn to_linear(v: f32) -> f32 {
    if v <= 0.040_45 {
        v.max(0.0) / 12.92
    } else {
        ((v + 0.055) / 1.055).powf(2.4)
    }
}

/// The inverse of [`to_linear`].
fn to_encoded(light: f32) -> f32 {
    if light <= 0.003_130_8 {
        12.92 * light.max(0.0)
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// CIE L*a*b* of D50 (CIE 15:2004) to sRGB; the matrix is the inverse of sRGB's colorants, adapted to D50 (Bradford).
fn lab_to_srgb([l, a, b]: [f32; 3]) -> [f32; 3] {
    let y = (l + 16.0) / 116.0;
    let root = |t: f32| {
        if t > 6.0 / 29.0 {
            t.powi(3)
        } else {
            (t - 4.0 / 29.0) * 108.0 / 841.0
        }
    };
    let white = [0.9642, 1.0, 0.8249];
    let [x, y, z] = [root(y + a / 500.0), root(y), root(y - b / 200.0)];
    let xyz = [x * white[0], y * white[1], z * white[2]];
    let matrix = [
        [3.133_856, -1.616_867, -0.490_615],
        [-0.978_768, 1.916_142, 0.033_454],
        [0.071_945, -0.228_991, 1.405_243],
    ];
    matrix.map(|row: [f32; 3]| to_encoded(row.iter().zip(xyz).map(|(m, v)| m * v).sum()))
}
