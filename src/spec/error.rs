//! What can be wrong with a recipe.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::image::MAX_BATCH;
use super::terms::TermError;
use crate::kernels::MAX_SIDE;
use crate::net::ImageTooSmall;
use crate::value::ValueError;

/// What a recipe says wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    // The file.
    /// The file cannot be read.
    #[error("{}", .path.display())]
    Unreadable {
        /// The recipe file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not UTF-8 text.
    #[error(
        "{}: the file is {}; save it as UTF-8",
        .path.display(),
        if *.utf16 { "UTF-16 text" } else { "not UTF-8 text" }
    )]
    Encoding {
        /// The recipe file.
        path: PathBuf,
        /// Whether it begins as UTF-16 text does, which some editors write.
        utf16: bool,
    },
    /// The file is no TOML, or not that of a recipe.
    #[error("{}", .path.display())]
    Syntax {
        /// The recipe file.
        path: PathBuf,
        /// Where in the file; none where it is not known.
        position: Option<TextPosition>,
        /// What is wrong there.
        source: toml::de::Error,
    },
    /// The recipe has no TOML: a picture is in memory only, or a term is the program's own.
    #[error("the recipe cannot be written")]
    Unwritable(#[source] toml::ser::Error),
    /// The number behind a layer's name is none.
    #[error("`{text}`: `{weight}` is not a weight; write LAYER or LAYER:NUMBER")]
    LayerWeight {
        /// The layer with its weight.
        text: String,
        /// The weight.
        weight: String,
    },
    /// There is no layer's name.
    #[error("`{text}` names no layer; write LAYER or LAYER:NUMBER")]
    NoLayerName {
        /// What there is.
        text: String,
    },
    /// A unit's place is none.
    #[error("`{text}` is no position; write ROW,COLUMN or center")]
    Position {
        /// What there is.
        text: String,
    },

    // The terms.
    /// There is no term.
    #[error("the recipe has no [[term]]: there is nothing to optimize")]
    NoTerm,
    /// Nothing counts.
    #[error(
        "every term has weight 0, or layers of weight 0 only: there is nothing to optimize. Give one of them a weight"
    )]
    NoWeight,
    /// A term cannot be used.
    #[error(transparent)]
    Term(#[from] TermError),
    /// A target is too small for a layer.
    #[error("a target of term `{kind}` is {}x{} pixels at this size", .target.0, .target.1)]
    TargetTooSmall {
        /// The term's name.
        kind: String,
        /// Width and height of the target.
        target: (u32, u32),
        /// The layer, and what it needs.
        source: ImageTooSmall,
    },
    /// The target of an `inversion` does not activate the layer.
    #[error(
        "inversion: the target's squared norm is {norm}; it must be positive and finite: take a layer that the target \
         activates"
    )]
    InversionNorm {
        /// ‖Φ₀‖².
        norm: f64,
    },

    // The optimizer, filters and projections.
    /// A number of the optimizer is not what it must be.
    #[error("optimizer: {0}")]
    Optimizer(ValueError),
    /// There are too many iterations.
    #[error("optimizer: {iterations} iterations; there can be {most} at every scale")]
    Iterations {
        /// Iterations of a scale.
        iterations: u64,
        /// Most that there can be.
        most: u64,
    },
    /// A number of a filter or projection is not what it must be.
    #[error("{part}: `{}` must be {}", .value.field, .value.rule)]
    Step {
        /// The filter or projection: `filter momentum`.
        part: &'static str,
        /// The number.
        value: ValueError,
    },
    /// An average of images is none of the points that `lbfgs` has compared.
    #[error("optimizer: lbfgs ends at its best point: it takes no average")]
    LbfgsAverage,
    /// `lbfgs` needs the same objective in every iteration.
    #[error(
        "optimizer: lbfgs compares the objective of one iteration with that of the next, so it takes no random \
         transformation"
    )]
    LbfgsTransformation,
    /// `lbfgs` takes no filter and no projection.
    #[error(
        "optimizer: lbfgs needs the gradient as it is and moves the image itself: it takes no filter and no projection"
    )]
    LbfgsSteps,
    /// Only `gradient` chooses the length of its steps.
    #[error("optimizer: `progress` is for the optimizer `gradient`")]
    Progress,
    /// A ball is one of pixels.
    #[error("projection ball: is for pixels, not for a parameterised image")]
    BallOfParameters,

    // The image.
    /// A number of the image is not what it must be.
    #[error("`{}` is {}; it must be {}", .0.field, .0.value, .0.rule)]
    Image(ValueError),
    /// A side is not within 1 to the longest there can be.
    #[error("`{field}` is {side}; it is a number of pixels, from 1 to {MAX_SIDE}")]
    Side {
        /// `size`, `min_size`, `width` or `height`.
        field: &'static str,
        /// The side.
        side: u32,
    },
    /// The scales would not grow.
    #[error(
        "`scale_factor` is {}; it is a scale's size over that of the one before, greater than 1", .factor
    )]
    ScaleFactor {
        /// `scale_factor`.
        factor: f64,
    },
    /// There would be more scales than anybody waits for.
    #[error(
        "`scale_factor` is {factor}, which makes more than {most} scales: take a larger one, such as the usual 1.414"
    )]
    ManyScales {
        /// The most scales there can be.
        most: u32,
        /// `scale_factor`.
        factor: f64,
    },
    /// The size is given twice.
    #[error("give either `size` or `width` and `height`, not both")]
    SizeTwice,
    /// A picture gives the shape.
    #[error("`width` and `height` are for a result without a content or start picture; use `size`")]
    ShapeTwice,
    /// One of `width` and `height` is missing.
    #[error("`width` and `height` go together")]
    OneSide,
    /// The number of scales is given twice, or is 0.
    #[error("give `octaves`, at least 1, or `min_size`, not both")]
    Octaves,
    /// `batch` is 0.
    #[error("`batch` is 0; it is a number of images, at least 1")]
    EmptyBatch,
    /// A list is neither as long as the batch nor one for all.
    #[error(
        "the recipe has a list of {found} for a batch of {batch} images; give one for all or one for each"
    )]
    List {
        /// The list's length.
        found: usize,
        /// Images of the batch.
        batch: usize,
    },
    /// There are more images than one dispatch can work on.
    #[error("a batch of {batch} images is too large: at most {MAX_BATCH} fit")]
    LargeBatch {
        /// Images of the batch.
        batch: usize,
    },
    /// A start without the pictures that it is made of.
    #[error("there is no start picture")]
    NoStart,
    /// The start `stats` without a style.
    #[error("the start `stats` needs a style picture to take them from")]
    NoStatistics,
    /// The style pictures' values have no deviation that is a number.
    #[error("the style pictures have no statistics")]
    Statistics(#[source] rand_distr::NormalError),
    /// There is no content whose colours could be kept.
    #[error("`preserve_color` needs a term `content`, whose target's colours are kept")]
    NoColours,
    /// A parameterised image has one scale.
    #[error("a parameterised image has one scale: leave `min_size` and `octaves` away")]
    ParameterisedScales,
    /// A spectrum can only be what is optimized: no map makes one.
    #[error(
        "`fourier` makes an image of a spectrum, which no other map makes: it can only be the first map of \
         `parameterisation`"
    )]
    LaterFourier,
    /// A target is compared position by position with an image of another size.
    #[error(
        "a transformation changes the size of the image, and a term compares it with a target position by position"
    )]
    ChangedSize,
    /// A rotation does not wrap around.
    #[error(
        "transformation `warp` does not wrap around: it is not for a recipe with `padding = \"wrap\"`"
    )]
    WarpedTile,

    // What is kept.
    /// There is no such term to watch.
    #[error("keep: there is no term {term}: the recipe has {terms}, counted from 0")]
    KeepTerm {
        /// The index of the term.
        term: usize,
        /// Terms there are.
        terms: usize,
    },
    /// The term that is watched is none of classes.
    #[error("keep: term {term} is {kind}; it must be logit, cross_entropy or margin")]
    KeepKind {
        /// The index of the term.
        term: usize,
        /// The term's name.
        kind: String,
    },
    /// The best image is kept within one scale.
    #[error("keep: is for one scale: leave `min_size` and `octaves` away")]
    KeepScales,
    /// Two results are asked for.
    #[error("keep: the result is either an average or what is kept, not both")]
    KeepAverage,
}

/// A position in a text file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// The line.
    pub line: NonZeroU32,
    /// The character of the line.
    pub column: NonZeroU32,
}

impl TextPosition {
    /// Of a byte of a text.
    pub(super) fn of(text: &str, byte: usize) -> Option<Self> {
        let before = text.get(..byte)?;
        let line = before.rsplit('\n').next()?;
        let from_1 = |count: usize| NonZeroU32::new(u32::try_from(count + 1).ok()?);
        Some(Self {
            line: from_1(before.matches('\n').count())?,
            column: from_1(line.chars().count())?,
        })
    }
}
