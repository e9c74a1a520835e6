//! What a caller may ask of a method, by the names of the command line's options. The command line and the bindings of
//! other languages fill these values; what they mean for a recipe stands here once.
//!
//! [`Asked::read`] takes a method's name and its options as a table, for callers that are not written in Rust.

mod attack;
mod dream;
mod fool;
mod given;
mod invert;
mod optimize;
mod paint;
pub mod parse;
mod visualize;

pub use attack::AttackOptions;
pub use dream::DreamOptions;
pub use fool::{FoolOptions, Fooling};
pub use given::{Given, Pictures};
pub use invert::InvertOptions;
pub use optimize::OptimizeOptions;
pub use paint::{PaintOptions, StyleOptions, TextureOptions};
pub use visualize::{Unit, Visualization, VisualizeOptions};

use std::sync::Arc;

use super::MethodError;
#[cfg(not(target_arch = "wasm32"))]
use super::finished;
use crate::Error;
#[cfg(not(target_arch = "wasm32"))]
use crate::image::Image;
use crate::image::size_of;
use crate::net::NodeId;
use crate::plan::Network;
use crate::run::Finish;
#[cfg(not(target_arch = "wasm32"))]
use crate::run::Run;
use crate::spec::{Picture, Recipe};

/// What `model = "auto"` is where a classifier may be asked for.
pub const CLASSIFIER: &str = "squeezenet1_1";

/// Side of the pictures that are made where nobody says it: what the classifiers were trained at.
pub const USUAL_SIDE: u32 = 224;

/// The methods that make a recipe, by name.
pub const METHODS: [&str; 6] = ["style", "texture", "invert", "dream", "visualize", "fool"];

/// A method with its options: a recipe that may need the network to be complete.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The recipe. Before [`Asked::complete`] it names the network, and may lack what follows from it.
    pub recipe: Recipe,
    then: Then,
}

/// What follows once the network is known.
#[derive(Debug, Clone)]
enum Then {
    Nothing,
    Dream,
    Invert {
        options: InvertOptions,
        picture: Picture,
        size: (u32, u32),
    },
    Visualize(Visualization),
    Fool(Fooling),
}

impl From<Recipe> for Asked {
    /// A recipe that is complete.
    fn from(recipe: Recipe) -> Self {
        Self {
            recipe,
            then: Then::Nothing,
        }
    }
}

impl Asked {
    /// Reads the options of the method of that name. Options have the names of the command line's, with `_` or `-`
    /// between words; pictures that are in memory are named as in `pictures`.
    ///
    /// # Errors
    /// [`Error::Method`] names the option and says what it must be; [`Error::Image`] where the size of a picture is
    /// needed and its file cannot be read.
    pub fn read(
        method: &str,
        options: serde_json::Map<String, serde_json::Value>,
        pictures: &Pictures,
    ) -> Result<Self, Error> {
        let Some(method) = METHODS.into_iter().find(|known| *known == method) else {
            return Err(MethodError::UnknownMethod {
                method: method.to_string(),
                methods: &METHODS,
            }
            .into());
        };
        let mut given = Given::new(method, options, pictures);
        let optimize = OptimizeOptions::take(&mut given)?;
        match method {
            "style" => {
                let content = given.picture("content")?;
                let styles = given.pictures("styles")?;
                let options = StyleOptions::take(&mut given)?;
                given.finish()?;
                let content = needed("style", "content", content)?;
                let size = size_of_picture(&content)?;
                let recipe = options.recipe(content, size, styles)?;
                Ok(Self::new(recipe, &optimize, Then::Nothing))
            }
            "texture" => {
                let styles = given.pictures("styles")?;
                let options = TextureOptions::take(&mut given)?;
                given.finish()?;
                let recipe = options.recipe(styles, optimize.init.as_ref())?;
                Ok(Self::new(recipe, &optimize, Then::Nothing))
            }
            "dream" => {
                let picture = given.picture("image")?;
                let options = DreamOptions::take(&mut given)?;
                given.finish()?;
                let picture = needed("dream", "image", picture)?;
                let size = size_of_picture(&picture)?;
                let recipe = options.recipe(picture, size)?;
                Ok(Self::new(recipe, &optimize, Then::Dream))
            }
            "invert" => {
                let picture = given.picture("image")?;
                let options = InvertOptions::take(&mut given, optimize)?;
                given.finish()?;
                let picture = needed("invert", "image", picture)?;
                let size = options.size_of(size_of_picture(&picture)?);
                Ok(Self {
                    recipe: options.recipe(picture.clone(), size, None),
                    then: Then::Invert {
                        options,
                        picture,
                        size,
                    },
                })
            }
            "visualize" => {
                let options = VisualizeOptions::take(&mut given)?;
                given.finish()?;
                let visualization = Visualization::new(options, optimize.step_size.is_some())?;
                let recipe = visualization.recipe();
                Ok(Self::new(recipe, &optimize, Then::Visualize(visualization)))
            }
            _ => {
                let options = FoolOptions::take(&mut given)?;
                given.finish()?;
                let fooling = Fooling::new(options, optimize.step_size.is_some())?;
                let recipe = fooling.recipe();
                Ok(Self::new(recipe, &optimize, Then::Fool(fooling)))
            }
        }
    }

    fn new(mut recipe: Recipe, optimize: &OptimizeOptions, then: Then) -> Self {
        optimize.apply(&mut recipe);
        Self { recipe, then }
    }

    /// Completes the recipe, now that the network is known.
    ///
    /// # Errors
    /// [`Error::Net`] for a layer or a class that the network does not have.
    pub fn complete(&mut self, network: &Network) -> Result<(), Error> {
        if self.recipe.model == "auto" {
            self.recipe.model.clone_from(&network.graph().name);
        }
        match &mut self.then {
            Then::Nothing => Ok(()),
            Then::Dream => DreamOptions::complete(&mut self.recipe, network),
            Then::Invert {
                options,
                picture,
                size,
            } => {
                self.recipe = options.complete(picture.clone(), *size, network)?;
                Ok(())
            }
            Then::Visualize(visualization) => visualization.complete(&mut self.recipe, network),
            Then::Fool(fooling) => fooling.complete(&mut self.recipe, network),
        }
    }

    /// How [`Asked::picture`] makes its picture, where that is not simply the image of the run.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        match &self.then {
            Then::Visualize(visualization) => Some(visualization.finish()),
            _ => None,
        }
    }

    /// What ends a run before its last iteration: the method's own goal.
    #[must_use]
    pub fn goal(&self) -> Option<&Fooling> {
        match &self.then {
            Then::Fool(fooling) => Some(fooling),
            _ => None,
        }
    }

    /// The picture that the method makes of its run.
    ///
    /// # Errors
    /// As [`Run::image`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn picture(&self, run: &Run) -> Result<Image, Error> {
        match self.finish() {
            Some(finish) => finished(run, finish),
            None => run.image(),
        }
    }
}

/// What a method cannot do without.
fn needed<T>(method: &'static str, option: &str, value: Option<T>) -> Result<T, MethodError> {
    value.ok_or_else(|| MethodError::MissingOption {
        method,
        option: option.to_string(),
    })
}

/// Width and height of a picture; of a file no more than its header is read.
fn size_of_picture(picture: &Picture) -> Result<(u32, u32), Error> {
    Ok(match picture {
        Picture::File(path) => size_of(path)?,
        Picture::Memory(image) => Arc::as_ref(image).size(),
    })
}

/// Makes the picture of a recipe of [`USUAL_SIDE`] as large as a layer needs it, if it needs a size. Returns by how
/// much a norm of the picture grows.
fn fit(recipe: &mut Recipe, network: &Network, layer: NodeId) -> f32 {
    let Some([height, width]) = network.graph().graph().required_size(layer) else {
        return 1.0;
    };
    (recipe.image.width, recipe.image.height) = (Some(width), Some(height));
    recipe.image.size = None;
    ((height * width) as f32).sqrt() / USUAL_SIDE as f32
}

#[cfg(test)]
mod tests;
