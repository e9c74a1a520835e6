//! The recipe as a plain value: what `pixgrad run` reads and `--save-recipe` writes.

mod error;
mod filter;
mod image;
mod keep;
mod lists;
mod map;
mod optimizer;
mod picture;
mod projection;
pub mod terms;

pub use error::{RecipeError, TextPosition};
pub use filter::{FilterSpec, Measure};
pub(crate) use image::MAX_BATCH;
pub use image::{Carry, ImageSpec, Init, PreserveColor};
pub use keep::KeepSpec;
pub use map::MapSpec;
pub use optimizer::{OptimizerKind, OptimizerSpec, Progress as ProgressPolicy};
pub use picture::{Embedded, Picture};
pub use projection::{BallNorm, ProjectionSpec};
pub use terms::{Class, LayerWeight, MmdKernel, Position, StyleKind, TermKind, TermSpec};

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::image::{Image, ImageError, read_bytes};
use crate::net::{self, Opening, Padding, Pooling, Preprocessing};
use crate::plan::Precision;

/// A method: terms, start image, optimizer, schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// An embedded or installed network, a weights file, or `auto`.
    #[serde(default = "auto")]
    pub model: String,
    /// What the network was trained to see; absent: what its file says, see [`Opening`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// The file of the classes' names; absent: ImageNet's for a network of 1000 classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// What the network sees beyond the image's edges; `wrap`: the image is a tile, for everything that looks beyond
    /// them.
    #[serde(default, skip_serializing_if = "Padding::is_zero")]
    pub padding: Padding,
    /// How the network's pools sum up their windows.
    #[serde(default, skip_serializing_if = "Pooling::is_max")]
    pub pooling: Pooling,
    /// How layers, their gradients and weights are stored.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Start image and sizes.
    #[serde(default)]
    pub image: ImageSpec,
    /// What steps the image.
    #[serde(default)]
    pub optimizer: OptimizerSpec,
    /// What happens to the gradient before the optimizer sees it, first to last.
    #[serde(default, rename = "filter", skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterSpec>,
    /// What happens to the image after a step, first to last.
    #[serde(default, rename = "projection", skip_serializing_if = "Vec::is_empty")]
    pub projections: Vec<ProjectionSpec>,
    /// Which of all images on the way is the result; absent: the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepSpec>,
    /// The objective: the sum of these.
    #[serde(default, rename = "term")]
    pub terms: Vec<TermSpec>,
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    let path = path.to_path_buf();
    RecipeError::Unreadable { path, source }.into()
}

fn auto() -> String {
    "auto".to_string()
}

impl Recipe {
    /// An empty objective with everything else at its default.
    #[must_use]
    pub fn new() -> Self {
        Self {
            model: auto(),
            preprocessing: None,
            labels: None,
            padding: Padding::default(),
            pooling: Pooling::default(),
            precision: Precision::default(),
            seed: 0,
            image: ImageSpec::default(),
            optimizer: OptimizerSpec::default(),
            filters: Vec::new(),
            projections: Vec::new(),
            keep: None,
            terms: Vec::new(),
        }
    }

    /// Reads a recipe file; relative paths in it start at its folder. `-` is standard input. Relative paths of a recipe
    /// that comes from there, or from a pipe, start at the current folder.
    ///
    /// # Errors
    /// [`RecipeError::Unreadable`], [`RecipeError::Encoding`], or [`RecipeError::Syntax`] with the line that is wrong.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = match read_bytes(path) {
            Ok(bytes) => bytes,
            Err(ImageError::Read { source, .. }) => return Err(unreadable(path, source)),
            // The system's own words, as of any file that is not a picture.
            Err(_) => std::fs::read(path)
                .map_err(|source| unreadable(path, source))?
                .into(),
        };
        let text = String::from_utf8(bytes.to_vec()).map_err(|error| RecipeError::Encoding {
            path: path.to_path_buf(),
            utf16: matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]),
        })?;
        let mut recipe: Self = toml::from_str(&text).map_err(|source| RecipeError::Syntax {
            path: path.to_path_buf(),
            position: source
                .span()
                .and_then(|span| TextPosition::of(&text, span.start)),
            source,
        })?;
        let is_special = std::fs::metadata(path).is_ok_and(|about| !about.is_file());
        if let Some(folder) = path.parent().filter(|_| !is_special) {
            for picture in recipe.pictures_mut() {
                picture.relative_to(folder);
            }
            if net::is_file(&recipe.model) {
                recipe.model = folder.join(&recipe.model).display().to_string();
            }
            if let Some(labels) = &mut recipe.labels {
                *labels = folder.join(&*labels);
            }
        }
        Ok(recipe)
    }

    /// The recipe as TOML, with absolute paths, so that it means the same from everywhere.
    ///
    /// # Errors
    /// [`RecipeError::Unwritable`] when a picture is in memory only, or a term is the program's own.
    pub fn to_toml(&self) -> Result<String, Error> {
        let mut recipe = self.clone();
        for picture in recipe.pictures_mut() {
            if let Some(path) = picture.file_mut()
                && let Ok(full) = std::path::absolute(&*path)
            {
                *path = full;
            }
        }
        if net::is_file(&recipe.model)
            && let Ok(full) = std::path::absolute(&recipe.model)
        {
            recipe.model = full.display().to_string();
        }
        if let Some(labels) = &mut recipe.labels
            && let Ok(full) = std::path::absolute(&*labels)
        {
            *labels = full;
        }
        Ok(toml::to_string(&recipe).map_err(RecipeError::Unwritable)?)
    }

    /// How the network's file is to be read.
    #[must_use]
    pub fn opening(&self) -> Opening {
        Opening {
            preprocessing: self.preprocessing,
            labels: self.labels.clone(),
        }
    }

    /// Every picture that the recipe names.
    pub(crate) fn pictures_mut(&mut self) -> impl Iterator<Item = &mut Picture> {
        let of_terms = self.terms.iter_mut();
        let of_terms = of_terms.flat_map(|term| term.kind.fields_mut().pictures_mut());
        self.image.init.pictures_mut().iter_mut().chain(of_terms)
    }

    /// The files that the recipe reads, each with whether it is a picture that the result is made of: the content, or
    /// the start. The others are further pictures, and the network's weights and labels.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, bool)> {
        let mut recipe = self.clone();
        let file = |picture: &mut Picture| picture.file_mut().map(|path| path.clone());
        let mut contents: Vec<_> = recipe.contents_mut().filter_map(file).collect();
        contents.extend(recipe.image.init.pictures_mut().iter_mut().filter_map(file));
        let all: Vec<_> = recipe.pictures_mut().filter_map(file).collect();
        let model = net::is_file(&self.model).then(|| self.model.clone().into());
        let others = all.into_iter().chain(model).chain(self.labels.clone());
        others
            .map(|path| (path.clone(), contents.contains(&path)))
            .collect()
    }

    /// Puts pictures in memory in the places of those that the recipe has by these names: for a host program whose
    /// recipe comes from a text.
    pub fn put_pictures(&mut self, pictures: &HashMap<String, Arc<Image>>) {
        for picture in self.pictures_mut() {
            if let Picture::File(path) = picture
                && let Some(image) = path.to_str().and_then(|name| pictures.get(name))
            {
                *picture = Arc::clone(image).into();
            }
        }
    }

    /// The targets that are compared position by position.
    pub(crate) fn contents_mut(&mut self) -> impl Iterator<Item = &mut Picture> {
        self.terms
            .iter_mut()
            .filter_map(|term| term.kind.content_mut())
    }

    /// The picture that is compared position by position: the content.
    #[must_use]
    pub fn content(mut self, content: impl Into<Picture>) -> Self {
        let content = content.into();
        for target in self.contents_mut() {
            target.clone_from(&content);
        }
        self
    }

    /// Long side of the result, in pixels.
    #[must_use]
    pub fn size(mut self, size: u32) -> Self {
        self.image.size = Some(size);
        self
    }

    /// Long side of the coarsest scale, in pixels.
    #[must_use]
    pub fn min_size(mut self, size: u32) -> Self {
        self.image.min_size = Some(size);
        self
    }

    /// Iterations at every scale.
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.optimizer.iterations = iterations;
        self.optimizer.initial_iterations = None;
        self
    }

    /// Where the optimization starts.
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.image.init = init;
        self
    }

    /// Seed of everything random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether the image is a tile, whose opposite edges meet.
    #[must_use]
    pub fn is_tile(&self) -> bool {
        self.padding == Padding::Wrap
    }

    /// The first term of a kind: `recipe.term_mut(TermKind::is_style)`,
    /// `recipe.term_mut(|kind| matches!(kind, TermKind::Tv(_)))`.
    pub fn term_mut(&mut self, is: impl Fn(&TermKind) -> bool) -> Option<&mut TermSpec> {
        self.terms.iter_mut().find(|term| is(&term.kind))
    }

    /// Whether the steps can be taken: the optimizer, the filters, the projections, and how they go together. Terms are
    /// checked one by one with [`TermSpec::validate`].
    ///
    /// # Errors
    /// [`RecipeError`] with the part and what is wrong.
    pub(crate) fn validate_steps(&self) -> Result<(), RecipeError> {
        self.optimizer.validate()?;
        if self.optimizer.kind == OptimizerKind::Lbfgs {
            if !self.image.transformation.is_empty() {
                return Err(RecipeError::LbfgsTransformation);
            }
            if !(self.filters.is_empty() && self.projections.is_empty()) {
                return Err(RecipeError::LbfgsSteps);
            }
        }
        let [own, seen] = [&self.image.parameterisation, &self.image.transformation];
        let mut later = own.iter().skip(1).chain(seen);
        if later.any(|map| matches!(map, MapSpec::Fourier { .. })) {
            return Err(RecipeError::LaterFourier);
        }
        if self.is_tile() && self.image.transformation.contains(&MapSpec::Warp {}) {
            return Err(RecipeError::WarpedTile);
        }
        self.filters.iter().try_for_each(FilterSpec::validate)?;
        for projection in &self.projections {
            projection.validate()?;
            let ball = matches!(projection, ProjectionSpec::Ball { .. });
            if ball && !self.image.parameterisation.is_empty() {
                return Err(RecipeError::BallOfParameters);
            }
        }
        Ok(())
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self::new()
    }
}
