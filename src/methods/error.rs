//! What a method cannot do.

use std::io;
use std::path::PathBuf;

use super::{AttackMethod, Method};
use crate::spec::StyleKind;
use crate::value::ValueError;

/// Why a method cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    // Requests.
    /// A picture that the method needs is not given, or not known.
    #[error("{} needs {of}{}", .method.name(), not_there(.name))]
    NoPicture {
        /// The method.
        method: Method,
        /// What kind of picture.
        of: &'static str,
        /// What was given.
        name: String,
    },
    /// A picture of the recipe is not there.
    #[error("the recipe needs the picture '{name}': open it too")]
    Unknown {
        /// Its name.
        name: String,
    },
    // Options.
    /// A method that there is not.
    #[error("there is no method `{method}`; it must be {}", one_of(.methods))]
    UnknownMethod {
        /// What was given.
        method: String,
        /// The names of all.
        methods: &'static [&'static str],
    },
    /// An option that the method does not have.
    #[error("{method} has no option `{option}`; it has {options}")]
    UnknownOption {
        /// The method.
        method: &'static str,
        /// What was given.
        option: String,
        /// The names of all.
        options: String,
    },
    /// An option that the method cannot do without.
    #[error("{method} needs the option `{option}`")]
    MissingOption {
        /// The method.
        method: &'static str,
        /// The option.
        option: String,
    },
    /// An option is not what it must be, or does not go with another.
    #[error("{option}: {problem}")]
    Option {
        /// Its name, with `_` between words.
        option: String,
        /// What is wrong, and what would be right.
        problem: String,
    },

    // Attacks.
    /// A number that no attack has.
    #[error("attack: {0}")]
    Attack(ValueError),
    /// An attack of no step or no round.
    #[error("attack: there must be at least one step and one round")]
    NoSteps,
    /// DeepFool needs a class to go to.
    #[error(
        "attack: candidates is {candidates}; there must be at least 2, the picture's own class and another"
    )]
    Candidates {
        /// How many classes it looks at.
        candidates: usize,
    },
    /// Only `pgd` stays within an l2 ball.
    #[error(
        "attack: {} has no l2 variant; pgd has, and lbfgs, cw and deepfool look for a small l2 norm anyway",
        .method.name()
    )]
    NoL2 {
        /// The method.
        method: AttackMethod,
    },
    /// DeepFool goes to the nearest class.
    #[error(
        "deepfool leaves a class by the nearest border, it reaches no target; bim, pgd, lbfgs and cw do"
    )]
    NoTarget,
    /// There are not as many target classes as pictures.
    #[error("{targets} targets for {pictures} pictures; give one for each")]
    Targets {
        /// Target classes there are.
        targets: usize,
        /// Pictures there are.
        pictures: usize,
    },
    /// The ball is smaller than a step of an 8-bit image.
    #[error(
        "no 8-bit image but the picture itself is within {epsilon}: epsilon must be at least {}",
        level_or_more(*.least)
    )]
    SmallBall {
        /// The ball's radius.
        epsilon: f32,
        /// The least radius of a ball that holds another 8-bit image.
        least: f64,
    },

    // Evolution.
    /// A number that no evolution has.
    #[error("evolution: {0}")]
    Evolution(ValueError),
    /// The images have a side of 0.
    #[error("evolution: the images have no pixel")]
    NoPixel,
    /// No image, or no generation.
    #[error("evolution: there must be at least one image and one generation")]
    NoGeneration,
    /// An image of a class beyond the last was asked for.
    #[error("there is no class {class} among {classes}")]
    NoSuchClass {
        /// The class, from 0.
        class: usize,
        /// Classes there are.
        classes: u32,
    },

    // DeepDream.
    /// A zoom into all of the picture, or out of it.
    #[error(
        "the zoom is {}; it is a part of the picture's side, from 0 to less than 1", .0.value
    )]
    Zoom(ValueError),
    /// A preset that there is not.
    #[error("it must be {}", one_of(.presets))]
    UnknownPreset {
        /// The names of all.
        presets: &'static [&'static str],
    },

    // Search.
    /// More units than the layer has.
    #[error("{units} units were asked for, but layer `{layer}` has {channels} channels")]
    TooManyUnits {
        /// Units that were asked for.
        units: u32,
        /// The layer's name.
        layer: String,
        /// Channels of the layer.
        channels: u32,
    },
    /// A unit beyond the layer's last.
    #[error("there is no unit {unit}: layer `{layer}` has {channels} channels, numbered from 0")]
    NoSuchUnit {
        /// The unit's channel.
        unit: u32,
        /// The layer's name.
        layer: String,
        /// Channels of the layer.
        channels: u32,
    },
    /// A folder without an image that can be read.
    #[error("there is no image in '{}' that can be read", .folder.display())]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no such folder.
    #[error("there is no folder '{}'", .folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A file stands where a folder should be.
    #[error("'{}' is not a folder", .folder.display())]
    NotAFolder {
        /// The path.
        folder: PathBuf,
    },
    /// The folder cannot be read.
    #[error("the folder '{}' cannot be read", .folder.display())]
    UnreadableFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },

    // Transfer.
    /// No network or no image.
    #[error("a transfer needs at least one network and one image")]
    NothingToTransfer,
    /// A number that no transfer has.
    #[error(transparent)]
    Transfer(ValueError),

    // Style.
    /// A style loss that there is not.
    #[error("`{name}` is no style loss; there are {}", names_of_losses())]
    UnknownStyleLoss {
        /// What was given.
        name: String,
    },
    /// The weight of a style loss is no number, or negative.
    #[error("`{weight}` is not a weight: it must be a number, 0 or more, as in {name}:0.5")]
    StyleWeight {
        /// The loss's name.
        name: String,
        /// What was given.
        weight: String,
    },
}

fn names_of_losses() -> String {
    let names: Vec<_> = StyleKind::LOSSES.iter().map(|loss| loss.name).collect();
    names.join(", ")
}

/// `a, b or c`.
fn one_of(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// A radius in the way that it is asked for: as one step of 8 bits, else rounded up to four digits.
fn level_or_more(radius: f64) -> String {
    if radius == 1.0 / 255.0 {
        "1/255".to_string()
    } else {
        format!("{:.4}", (radius * 1e4).ceil() / 1e4)
    }
}

fn not_there(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!("; '{name}' is not there")
    }
}
