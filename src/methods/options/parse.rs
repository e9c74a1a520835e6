//! Values of options, as the command line and the bindings of other languages write them: each function reads one, or
//! says what would be right.

use std::fmt;
use std::path::Path;

use super::Unit;
use crate::image::is_stdin;
use crate::kernels::MAX_SIDE;
use crate::methods::classify;
use crate::methods::{AttackMethod, StyleLoss};
use crate::net::{self, Padding, Pooling, Preprocessing};
use crate::plan::Precision;
use crate::spec::terms::MAX_WEIGHT;
use crate::spec::{BallNorm, Class, ImageSpec, Init, LayerWeight, OptimizerKind, PreserveColor};

/// The size of a picture that has a shape already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongSide {
    /// As the picture is.
    Native,
    /// Its long side in pixels.
    Pixels(u32),
}

impl LongSide {
    /// The long side in pixels of a result made of a picture of a size; none: the picture's own. Where nobody asked, it
    /// is `usual`, or the picture's own if that is smaller.
    #[must_use]
    pub fn of(asked: Option<Self>, (width, height): (u32, u32), usual: u32) -> Option<u32> {
        match asked {
            Some(Self::Native) => None,
            Some(Self::Pixels(side)) => Some(side),
            None => Some(usual.min(width.max(height))),
        }
    }
}

/// How pictures are brought to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PictureSize {
    /// As in its training.
    #[default]
    Crop,
    /// Some other way.
    As(classify::Size),
}

impl PictureSize {
    /// What that means for a network.
    #[must_use]
    pub fn of(self, network: &net::Network) -> classify::Size {
        match self {
            Self::Crop => classify::Size::of_network(network),
            Self::As(size) => size,
        }
    }
}

/// The size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Its long side in pixels; square where nothing gives it a shape.
    Long(u32),
    /// Width and height in pixels.
    Exact(u32, u32),
}

impl Size {
    /// Makes this the size of a recipe's result.
    pub fn apply(self, image: &mut ImageSpec) {
        (image.size, image.width, image.height) = match self {
            Self::Long(side) => (Some(side), None, None),
            Self::Exact(width, height) => (None, Some(width), Some(height)),
        };
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(side) => write!(f, "{side}"),
            Self::Exact(width, height) => write!(f, "{width}x{height}"),
        }
    }
}

/// A side in pixels.
pub fn side(text: &str) -> Result<u32, String> {
    let side = text
        .parse()
        .ok()
        .filter(|side| (1..=MAX_SIDE).contains(side));
    side.ok_or_else(|| format!("it must be a whole number of pixels from 1 to {MAX_SIDE}"))
}

/// A side in pixels, or `native`.
pub fn long_side(text: &str) -> Result<LongSide, String> {
    if text.eq_ignore_ascii_case("native") {
        return Ok(LongSide::Native);
    }
    side(text)
        .map(LongSide::Pixels)
        .map_err(|why| format!("{why}, or `native`"))
}

/// `512` or `512x384`.
pub fn size(text: &str) -> Result<Size, String> {
    let size = match text.split_once(['x', 'X']) {
        None => side(text).map(Size::Long),
        Some((width, height)) => {
            side(width).and_then(|width| Ok(Size::Exact(width, side(height)?)))
        }
    };
    size.map_err(|_| {
        format!(
            "it must be a whole number of pixels or WIDTHxHEIGHT, each side from 1 to {MAX_SIDE}"
        )
    })
}

/// `crop`, `native` or a side.
pub fn picture_size(text: &str) -> Result<PictureSize, String> {
    match text {
        "crop" => Ok(PictureSize::Crop),
        "native" => Ok(PictureSize::As(classify::Size::Native)),
        text => side(text)
            .map(|side| PictureSize::As(classify::Size::Crop(side)))
            .map_err(|why| format!("{why}, or crop, or native")),
    }
}

/// `2/4`: the second of four shares.
pub fn shard(text: &str) -> Result<(usize, usize), String> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    text.split_once('/')
        .and_then(|(index, of)| Some((number(index)?, number(of)?)))
        .filter(|(index, of)| (1..=*of).contains(index))
        .ok_or_else(|| "it must be I/N, I from 1 to N: 1/4 to 4/4 for four machines".to_string())
}

/// `NAME` or `NAME:WEIGHT`, a way to compare styles.
pub fn style_loss(text: &str) -> Result<StyleLoss, String> {
    text.parse()
        .map_err(|e: crate::methods::MethodError| e.to_string())
}

/// A colour of sRGB: `white`, `black`, `#rrggbb`, or `r,g,b` from 0 to 255.
pub fn colour(text: &str) -> Result<[f32; 3], String> {
    let parts: Vec<Option<u8>> = match text.to_ascii_lowercase().as_str() {
        "white" => vec![Some(255); 3],
        "black" => vec![Some(0); 3],
        list if list.contains(',') => list
            .split(',')
            .map(|part| part.trim().parse().ok())
            .collect(),
        other => {
            let digits = other.strip_prefix('#').unwrap_or(other);
            // `from_str_radix` would take a sign, too.
            let is_hex = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let part = |i| {
                is_hex
                    .then(|| u8::from_str_radix(&digits[i..i + 2], 16).ok())
                    .flatten()
            };
            [0, 2, 4].map(part).to_vec()
        }
    };
    match parts[..] {
        [Some(r), Some(g), Some(b)] => Ok([r, g, b].map(|value| f32::from(value) / 255.0)),
        _ => {
            Err("it must be `white`, `black` or a colour such as #ff8000 or 255,128,0".to_string())
        }
    }
}

/// A number of things, at least one.
pub fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count >= 1);
    count.ok_or_else(|| "it must be a whole number, at least 1".to_string())
}

/// A number of bytes, with K, M or G for 2¹⁰, 2²⁰ or 2³⁰ of them.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(0),
        "K" | "KB" | "KIB" => Some(10),
        "M" | "MB" | "MIB" => Some(20),
        "G" | "GB" | "GIB" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "it must be a number of bytes such as 600M or 2G".to_string())
}

/// Any text.
pub fn text(text: &str) -> Result<String, String> {
    Ok(text.to_string())
}

/// The seed of random numbers.
pub fn seed(text: &str) -> Result<u64, String> {
    let seed = text.parse();
    seed.map_err(|_| format!("it must be a whole number from 0 to {}", u64::MAX))
}

/// The number of a channel or a class, from 0.
pub fn index(text: &str) -> Result<u32, String> {
    let index = text.trim().parse();
    index.map_err(|_| format!("it must be a whole number from 0 to {}", u32::MAX))
}

/// A distance in pixels, 0 or more.
pub fn pixels(text: &str) -> Result<u32, String> {
    let pixels = text.parse();
    pixels.map_err(|_| "it must be a whole number of pixels, 0 or more".to_string())
}

/// A whole number in a range.
fn whole(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
}

/// A number of scales.
pub fn octaves(text: &str) -> Result<u32, String> {
    whole(text, 1, 64)
}

/// A number of start images, each optimized by itself.
pub fn restarts(text: &str) -> Result<u32, String> {
    whole(text, 1, 1024)
}

/// A number of images that evolve together.
pub fn population(text: &str) -> Result<u32, String> {
    whole(text, 1, 65_535)
}

/// A weight that pulls, never pushes.
pub fn weight(text: &str) -> Result<f64, String> {
    number(text, |n| (0.0..=MAX_WEIGHT).contains(&n))
        .ok_or_else(|| format!("it must be a number from 0 to {MAX_WEIGHT:e}"))
}

/// A step or a factor.
pub fn positive(text: &str) -> Result<f64, String> {
    number(text, |n| n > 0.0)
        .ok_or_else(|| "it must be a number greater than 0 and up to 3.4e38".to_string())
}

/// The decay of a moving average.
pub fn decay(text: &str) -> Result<f32, String> {
    // Asked as the engine does, in single precision: 0.99999999 is 1 there.
    let decay = text
        .parse()
        .ok()
        .filter(|decay| (0.0..1.0f32).contains(decay));
    decay.ok_or_else(|| "it must be a number from 0 to less than 1".to_string())
}

/// A number that is finite in single precision, too, which the engine computes in.
fn number(text: &str, fits: fn(f64) -> bool) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|n: &f64| (*n as f32).is_finite() && fits(*n))
}

/// `LAYER` or `LAYER:NUMBER`.
pub fn layer(text: &str) -> Result<LayerWeight, String> {
    text.trim()
        .parse()
        .map_err(|error: crate::spec::RecipeError| error.to_string())
}

/// The name of a layer.
pub fn layer_name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a layer's name is missing; write LAYER or LAYER,LAYER".to_string()),
        name => Ok(name.to_string()),
    }
}

/// `LAYER`, `LAYER:CHANNEL` or `LAYER:CHANNEL:POSITION`.
pub fn unit(text: &str) -> Result<Unit, String> {
    let wrong = || {
        "write LAYER, LAYER:CHANNEL, LAYER:CHANNEL:ROW,COLUMN or LAYER:CHANNEL:center".to_string()
    };
    let mut parts = text.split(':');
    let layer = layer_name(parts.next().unwrap_or_default())?;
    let channels = match parts.next() {
        None => Vec::new(),
        Some(list) => list
            .split(',')
            .map(|c| c.trim().parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?,
    };
    let position = parts
        .next()
        .map(|p| p.parse().map_err(|_| wrong()))
        .transpose()?;
    if parts.next().is_some() {
        return Err(wrong());
    }
    Ok(Unit {
        layer,
        channels,
        position,
    })
}

/// A class, by number or name.
pub fn class(text: &str) -> Result<Class, String> {
    let Ok(class) = text.parse();
    Ok(class)
}

/// `8/255` or `0.03`, greater than 0.
pub fn fraction(text: &str) -> Result<f32, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        None => number(text),
        Some((a, b)) => number(a).and_then(|a| Some(a / number(b)?)),
    };
    value
        .map(|v| v as f32)
        .filter(|v| v.is_finite() && *v > 0.0)
        .ok_or_else(|| "it must be a number or a fraction like 8/255, greater than 0".to_string())
}

/// The canvas of a visualization: `receptive-field` is the only one.
pub fn canvas(text: &str) -> Result<(), String> {
    match text {
        "receptive-field" => Ok(()),
        _ => Err("it must be receptive-field".to_string()),
    }
}

/// How a change of a picture is looked for.
pub fn attack_method(text: &str) -> Result<AttackMethod, String> {
    let methods = AttackMethod::ALL;
    let known = methods.into_iter().find(|method| method.name() == text);
    known.ok_or_else(|| format!("it must be {}", methods.map(AttackMethod::name).join(", ")))
}

/// How a change of a picture is measured.
pub fn norm(text: &str) -> Result<BallNorm, String> {
    match text {
        "linf" => Ok(BallNorm::Linf),
        "l2" => Ok(BallNorm::L2),
        _ => Err("it must be linf or l2".to_string()),
    }
}

/// A start image. A word that names no file is a slip in one of the others.
pub fn init(text: &str) -> Result<Init, String> {
    let Ok(init) = text.parse::<Init>();
    if matches!(init, Init::Picture(_)) && !is_stdin(text) && !Path::new(text).exists() {
        return Err("it must be content, noise, gray, stats or the path of a picture, and there is no such file".into());
    }
    Ok(init)
}

/// What the network sees beyond the edges.
pub fn preprocessing(text: &str) -> Result<Preprocessing, String> {
    text.parse()
        .map_err(|error: crate::net::PreprocessingError| error.to_string())
}

pub fn padding(text: &str) -> Result<Padding, String> {
    match text {
        "zero" => Ok(Padding::Zero),
        "replicate" => Ok(Padding::Replicate),
        "replicate-first" | "replicate_first" => Ok(Padding::ReplicateFirst),
        "wrap" => Ok(Padding::Wrap),
        _ => Err("it must be zero, replicate, replicate-first or wrap".to_string()),
    }
}

/// How pools sum up their windows.
pub fn pooling(text: &str) -> Result<Pooling, String> {
    match text {
        "max" => Ok(Pooling::Max),
        "average" => Ok(Pooling::Average),
        _ => Err("it must be max or average".to_string()),
    }
}

/// Which colours of the content are kept.
pub fn preserve_color(text: &str) -> Result<PreserveColor, String> {
    match text {
        "off" => Ok(PreserveColor::Off),
        "luma" => Ok(PreserveColor::Luma),
        "match" => Ok(PreserveColor::Match),
        _ => Err("it must be off, luma or match".to_string()),
    }
}

/// What steps the image.
pub fn optimizer(text: &str) -> Result<OptimizerKind, String> {
    match text {
        "adam" => Ok(OptimizerKind::Adam),
        "lbfgs" => Ok(OptimizerKind::Lbfgs),
        "gradient" => Ok(OptimizerKind::Gradient),
        _ => Err("it must be adam, lbfgs or gradient".to_string()),
    }
}

/// Pairs that lbfgs remembers.
pub fn history(text: &str) -> Result<u32, String> {
    let history = text.parse().ok().filter(|n| (1..=127).contains(n));
    history.ok_or_else(|| "it must be a whole number from 1 to 127".to_string())
}

/// `f32` or `f16`.
pub fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "f16" => Ok(Precision::F16),
        _ => Err("it must be f32 or f16".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts() {
        assert_eq!(bytes("600M"), Ok(600 << 20));
        assert_eq!(bytes("600MiB"), Ok(600 << 20));
        assert_eq!(bytes("2g"), Ok(2 << 30));
        assert_eq!(bytes("4096"), Ok(4096));
        for wrong in [
            "",
            "0",
            "M",
            "-1M",
            "1.5G",
            "3T",
            "99999999999G",
            "5MiBB",
            "5MI",
            "5I",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512"), Ok(Size::Long(512)));
        assert_eq!(size("512x384"), Ok(Size::Exact(512, 384)));
        assert_eq!(size("7X5"), Ok(Size::Exact(7, 5)));
        assert_eq!(long_side("native"), Ok(LongSide::Native));
        assert_eq!(long_side("65535"), Ok(LongSide::Pixels(65535)));
        for wrong in [
            "", "0", "-1", "1.5", "65536", "x", "1x", "x1", "0x1", "1x2x3", "ten",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
            assert!(long_side(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn colours() {
        let orange = Ok([1.0, 128.0 / 255.0, 0.0]);
        for text in ["#ff8000", "FF8000", "255,128, 0"] {
            assert_eq!(colour(text), orange, "{text}");
        }
        assert_eq!(colour("White"), Ok([1.0; 3]));
        assert_eq!(colour("black"), Ok([0.0; 3]));
        for wrong in [
            "", "#", "#fff", "#ff80000", "#ff800g", "#+1+1+1", "+12345", "#äää", "255,128",
            "256,0,0", "1,2,3,4", "-1,0,0", "red",
        ] {
            assert!(colour(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_replaces_the_one_before() {
        let mut image = ImageSpec::default();
        Size::Exact(3, 2).apply(&mut image);
        assert_eq!(
            (image.size, image.width, image.height),
            (None, Some(3), Some(2))
        );
        Size::Long(9).apply(&mut image);
        assert_eq!(
            (image.size, image.width, image.height),
            (Some(9), None, None)
        );
    }

    #[test]
    fn numbers() {
        assert_eq!(weight("0"), Ok(0.0));
        assert_eq!(weight("1e12"), Ok(1e12));
        assert!(weight("1.1e12").is_err());
        assert_eq!(positive("1e-2"), Ok(0.01));
        assert_eq!(decay("0"), Ok(0.0));
        assert_eq!(count("3"), Ok(3));
        for wrong in ["", "-1", "nan", "inf", "one", "1e39"] {
            assert!(weight(wrong).is_err(), "{wrong}");
            assert!(positive(wrong).is_err(), "{wrong}");
            assert!(count(wrong).is_err(), "{wrong}");
        }
        for wrong in ["1", "0.99999999", "-0.1", "nan"] {
            assert!(decay(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fractions() {
        assert_eq!(fraction("8/255"), Ok(8.0 / 255.0));
        assert_eq!(fraction("0.5"), Ok(0.5));
        for wrong in ["", "0", "-1/255", "8/0", "8/", "nan", "1e60", "eight"] {
            assert!(fraction(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_start_is_a_word_or_a_file_that_exists() {
        assert_eq!(init("gray"), Ok(Init::Gray));
        assert!(init("grey").is_err());
        let here = file!();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(here);
        assert!(matches!(
            init(&path.to_string_lossy()),
            Ok(Init::Picture(_))
        ));
    }
}
