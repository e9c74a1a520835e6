//! Recipes: of a request, of a recipe object, or of a picture that carries one.

use std::path::Path;

use pixgrad::Made;
use pixgrad::engine::methods::{Request, classify};
use serde::Serialize;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Network;
use crate::picture::Pictures;
use crate::run::Run;
use crate::{json, told};

/// A recipe that names its pictures.
#[wasm_bindgen]
pub struct Recipe(pixgrad::Recipe);

/// What a scale will be.
#[derive(Serialize)]
struct Scale {
    width: u32,
    height: u32,
    iterations: u64,
    bytes: u64,
    gflop: f64,
    bands: u32,
}

#[wasm_bindgen]
impl Recipe {
    /// Of a recipe object, as `to_json` gives it: the fields of a recipe file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(object: &str) -> Result<Recipe, JsError> {
        let read = serde_json::from_str(object);
        Ok(Self(
            read.map_err(|error| JsError::new(&error.to_string()))?,
        ))
    }

    /// Of a request: a method and what people turn.
    ///
    /// # Errors
    /// What is wrong with it; a picture that is missing.
    pub async fn for_method(
        request: &str,
        network: &Network,
        pictures: &Pictures,
    ) -> Result<Recipe, JsError> {
        let request: Request =
            serde_json::from_str(request).map_err(|error| JsError::new(&error.to_string()))?;
        let content = request
            .content
            .as_deref()
            .and_then(|name| pictures.find(name));
        let mut seen = None;
        if let (Some(content), pixgrad::engine::methods::Method::Attack) = (content, request.method)
        {
            let size = classify::Size::Native;
            let found = classify::classify_async(&network.0, &content, size, 1).await;
            seen = found.map_err(told)?.into_iter().next();
        }
        let find = |name: &str| pictures.find(name);
        let recipe = request.recipe(&network.0, find, seen.as_ref());
        Ok(Self(recipe.map_err(told)?))
    }

    /// Of the bytes of a picture that pixgrad has made.
    ///
    /// # Errors
    /// It holds no recipe, or a damaged one.
    pub fn in_picture(name: &str, file: &[u8]) -> Result<Recipe, JsError> {
        let made = Made::of(Path::new(name), file);
        let made = made.map_err(|error| JsError::new(&error.to_string()))?;
        Ok(Self(made.recipe))
    }

    /// As an object, in JSON.
    ///
    /// # Errors
    /// None.
    pub fn to_json(&self) -> Result<String, JsError> {
        json(&self.0)
    }

    /// The network that it wants.
    #[must_use]
    pub fn model(&self) -> String {
        self.0.model.clone()
    }

    /// The names of the pictures that it needs, one a line.
    #[must_use]
    pub fn pictures(&self) -> String {
        self.0.picture_names().join("\n")
    }

    /// The kinds of its terms, one a line.
    #[must_use]
    pub fn terms(&self) -> String {
        let kinds = self.0.terms.iter().map(|term| term.kind.name());
        kinds.collect::<Vec<_>>().join("\n")
    }

    /// What every scale will be, as JSON; nothing runs.
    ///
    /// # Errors
    /// What is wrong with the recipe; a size that does not fit, with the largest that does.
    pub fn plan(&self, network: &Network, pictures: &Pictures) -> Result<String, JsError> {
        let recipe = self
            .0
            .with_pictures(|name| pictures.find(name))
            .map_err(told)?;
        let scales = recipe.dry_run(&network.0).map_err(told)?;
        let scales: Vec<Scale> = scales
            .iter()
            .map(|scale| Scale {
                width: scale.width,
                height: scale.height,
                iterations: scale.iterations,
                bytes: scale.peak_bytes,
                gflop: scale.cost.gflop,
                bands: scale.bands,
            })
            .collect();
        json(&scales)
    }

    /// The objective's gradient at the start image, `[3, height, width]`.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub async fn gradient(
        &self,
        network: &Network,
        pictures: &Pictures,
    ) -> Result<Vec<f32>, JsError> {
        let recipe = self
            .0
            .with_pictures(|name| pictures.find(name))
            .map_err(told)?;
        Ok(recipe
            .gradient_async(&network.0)
            .await
            .map_err(told)?
            .gradient)
    }

    /// Makes a run of it.
    ///
    /// # Errors
    /// What is wrong with the recipe; a size that does not fit; a device that was lost.
    pub async fn compile(&self, network: &Network, pictures: &Pictures) -> Result<Run, JsError> {
        let recipe = self
            .0
            .with_pictures(|name| pictures.find(name))
            .map_err(told)?;
        let run = recipe.compile_async(network.0.device(), &network.0).await;
        Ok(Run::new(run.map_err(told)?, self.0.clone()))
    }

    /// Goes on where a checkpoint stands, see [`Run::checkpoint`].
    ///
    /// # Errors
    /// Another recipe, network or picture; a damaged checkpoint.
    pub async fn resume(
        &self,
        network: &Network,
        pictures: &Pictures,
        checkpoint: &[u8],
    ) -> Result<Run, JsError> {
        let recipe = self
            .0
            .with_pictures(|name| pictures.find(name))
            .map_err(told)?;
        let checkpoint = pixgrad::Checkpoint::from_bytes("checkpoint", checkpoint).map_err(told)?;
        let run = recipe
            .resume_async(network.0.device(), &network.0, &checkpoint)
            .await;
        Ok(Run::new(run.map_err(told)?, self.0.clone()))
    }
}
