//! Recipes: of a method and its options, of a table, or of a text.

use std::path::PathBuf;
use std::sync::Arc;

use pixgrad::Init;
use pixgrad::engine::methods::options::Asked;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::error::{raise, wrong};
use crate::picture::{Named, Picture, named};

/// A recipe; what it lacks of a method is completed once the network is known.
#[pyclass(frozen, module = "pixgrad._pixgrad")]
pub struct Recipe(pub Asked);

impl Recipe {
    fn of(mut recipe: pixgrad::Recipe, pictures: Named) -> Self {
        recipe.put_pictures(&named(pictures));
        Self(recipe.into())
    }
}

#[pymethods]
impl Recipe {
    /// Of a method by its name, with its options as JSON.
    #[staticmethod]
    fn method(method: &str, options: &str, pictures: Named) -> PyResult<Self> {
        let options: Map<String, Value> =
            serde_json::from_str(options).map_err(|e| wrong(&e.to_string()))?;
        let asked = Asked::read(method, options, &named(pictures));
        Ok(Self(asked.map_err(raise)?))
    }

    /// Of JSON, with the fields of a recipe file.
    #[staticmethod]
    fn json(text: &str, pictures: Named) -> PyResult<Self> {
        let recipe = serde_json::from_str(text);
        let recipe = recipe.map_err(|e| wrong(&format!("the recipe is wrong: {e}")))?;
        Ok(Self::of(recipe, pictures))
    }

    /// Of the text of a recipe file.
    #[staticmethod]
    fn toml(text: &str, pictures: Named) -> PyResult<Self> {
        let recipe = toml::from_str(text);
        let recipe = recipe.map_err(|e| wrong(&format!("the recipe is wrong: {e}")))?;
        Ok(Self::of(recipe, pictures))
    }

    /// Of a recipe file.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let recipe = py.detach(|| pixgrad::Recipe::read(&path)).map_err(raise)?;
        Ok(Self(recipe.into()))
    }

    /// The same from another start image, with the seed of the frame of that number.
    fn begun_at(&self, picture: &Picture, number: u64) -> Self {
        let mut recipe = self.0.recipe.clone();
        recipe.image.init = Init::Picture(Arc::clone(&picture.0).into());
        recipe.seed = recipe.seed.wrapping_add(number);
        Self(recipe.into())
    }

    /// The text of a recipe file.
    fn to_toml(&self) -> PyResult<String> {
        self.0.recipe.to_toml().map_err(raise)
    }

    /// The fields of a recipe file, as JSON.
    fn to_json(&self) -> PyResult<String> {
        serde_json::to_string(&self.0.recipe).map_err(|e| wrong(&e.to_string()))
    }
}
