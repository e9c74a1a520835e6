//! Where a recipe starts and which sizes it goes through.

use std::str::FromStr;

/// Most images of a batch: a dispatch has no more layers.
pub(crate) const MAX_BATCH: u32 = 65_535;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spec::MapSpec;
use crate::spec::Picture;

/// Start image and sizes, in pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// Where the optimization starts.
    #[serde(default)]
    pub init: Init,
    /// Standard deviation of normal noise on top of the start, in units of the `[0,1]` image.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: f32,
    /// Images optimized at once, each from noise of its own; absent: as many as there are start pictures, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Long side of the result; absent: the native size of the start image or content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Long side of the coarsest scale; absent, or not below `size`: one scale only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u32>,
    /// Number of scales, in place of `min_size`: DeepDream's octaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub octaves: Option<u32>,
    /// A scale's size over that of the scale before.
    #[serde(default = "root_of_two", skip_serializing_if = "is_root_of_two")]
    pub scale_factor: f64,
    /// What a scale takes over from the one before.
    #[serde(default, skip_serializing_if = "Carry::is_image")]
    pub carry: Carry,
    /// Width of the result where no picture gives the shape; excludes `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the result, with `width`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Which colours of the content are kept.
    #[serde(default, skip_serializing_if = "PreserveColor::is_off")]
    pub preserve_color: PreserveColor,
    /// Makes the image of what is optimized, first to last; absent: the pixels themselves are optimized.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameterisation: Vec<MapSpec>,
    /// What happens to the image before the network sees it, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transformation: Vec<MapSpec>,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            init: Init::default(),
            noise: 0.0,
            batch: None,
            size: None,
            min_size: None,
            octaves: None,
            scale_factor: root_of_two(),
            carry: Carry::default(),
            width: None,
            height: None,
            preserve_color: PreserveColor::default(),
            parameterisation: Vec::new(),
            transformation: Vec::new(),
        }
    }
}

fn root_of_two() -> f64 {
    std::f64::consts::SQRT_2
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature serde calls"
    )
)]
fn is_root_of_two(value: &f64) -> bool {
    *value == root_of_two()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

/// How the content's colours are kept (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreserveColor {
    /// The styles' colours are part of the style.
    #[default]
    Off,
    /// Light and dark alone are painted, and the result gets the content's chroma (section 4).
    Luma,
    /// The style pictures first get the content's colours: mean and covariance of its RGB values (section 3).
    Match,
}

impl PreserveColor {
    pub(crate) fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

/// What a finer scale begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carry {
    /// The coarser scale's result, enlarged, with the optimizer's moments.
    #[default]
    Image,
    /// The start picture at the finer size plus what the coarser scale has changed, enlarged: the picture's own detail
    /// stays sharp (DeepDream's octaves).
    Detail,
}

impl Carry {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature serde calls"
    )]
    fn is_image(&self) -> bool {
        *self == Self::Image
    }
}

/// The start image: `content`, `noise`, `gray`, `stats`, a path, or a list of paths.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Init {
    /// The content term's target; noise where there is none.
    #[default]
    Content,
    /// Uniform noise in `[0,1]`.
    Noise,
    /// Middle gray with noise of one 8-bit step.
    Gray,
    /// The networks' mean colour.
    Mean,
    /// Normal noise with the mean and standard deviation of each channel of the style pictures.
    Stats,
    /// A picture.
    Picture(Picture),
    /// One picture for each image of a batch; all take the size of the first.
    Pictures(Vec<Picture>),
}

impl Init {
    /// The pictures that it names.
    #[must_use]
    pub fn pictures(&self) -> &[Picture] {
        match self {
            Self::Picture(picture) => std::slice::from_ref(picture),
            Self::Pictures(pictures) => pictures,
            _ => &[],
        }
    }

    pub(crate) fn pictures_mut(&mut self) -> &mut [Picture] {
        match self {
            Self::Picture(picture) => std::slice::from_mut(picture),
            Self::Pictures(pictures) => pictures,
            _ => &mut [],
        }
    }
}

impl FromStr for Init {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s {
            "content" => Self::Content,
            "noise" => Self::Noise,
            "gray" => Self::Gray,
            "mean" => Self::Mean,
            "stats" => Self::Stats,
            path => Self::Picture(path.into()),
        })
    }
}

impl Serialize for Init {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Content => "content".serialize(serializer),
            Self::Noise => "noise".serialize(serializer),
            Self::Gray => "gray".serialize(serializer),
            Self::Mean => "mean".serialize(serializer),
            Self::Stats => "stats".serialize(serializer),
            Self::Picture(picture) => picture.serialize(serializer),
            Self::Pictures(pictures) => pictures.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Init {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts: Vec<String> = super::lists::deserialize(deserializer)?;
        match &texts[..] {
            [text] => text.parse().map_err(serde::de::Error::custom),
            [] => Err(serde::de::Error::custom(
                "the list of start pictures is empty",
            )),
            many => Ok(Self::Pictures(
                many.iter().map(|text| text.as_str().into()).collect(),
            )),
        }
    }
}
