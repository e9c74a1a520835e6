//! A run, slice by slice.

use pixgrad::Progress;
use pixgrad::engine::image::png;
use serde::Serialize;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::picture::rgba;
use crate::{json, told};

/// A recipe on a device, with its state.
#[wasm_bindgen]
pub struct Run {
    run: pixgrad::Run,
    /// The recipe with its pictures by name.
    recipe: pixgrad::Recipe,
}

/// A completed iteration.
#[derive(Serialize)]
struct Step<'a> {
    iteration: u64,
    iterations: u64,
    width: u32,
    height: u32,
    loss: f32,
    terms: &'a [f32],
    ms: f64,
    remaining: Option<f64>,
}

fn steps(progress: &[Progress]) -> Result<String, JsError> {
    let steps = progress.iter().map(|p| Step {
        iteration: p.iteration,
        iterations: p.iterations,
        width: p.scale.0,
        height: p.scale.1,
        loss: p.loss,
        terms: &p.terms,
        ms: p.elapsed.as_secs_f64() * 1e3,
        remaining: p.remaining.map(|left| left.as_secs_f64()),
    });
    json(&steps.collect::<Vec<_>>())
}

impl Run {
    pub(crate) fn new(run: pixgrad::Run, recipe: pixgrad::Recipe) -> Self {
        Self { run, recipe }
    }
}

/// A picture that a run has come to.
#[wasm_bindgen]
pub struct Frame {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    rgba: Vec<u8>,
}

#[wasm_bindgen]
impl Frame {
    /// The bytes of an `ImageData`.
    #[must_use]
    pub fn rgba(&self) -> Vec<u8> {
        self.rgba.clone()
    }
}

#[wasm_bindgen]
impl Run {
    /// Whether all iterations are done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.run.is_finished()
    }

    /// Runs one slice of about 50 ms; the iterations that ended in it, as JSON.
    ///
    /// # Errors
    /// The device failed.
    pub async fn advance(&mut self) -> Result<String, JsError> {
        steps(&self.run.advance().await.map_err(told)?)
    }

    /// Completes the iteration that the run is in; the iterations that ended, as JSON.
    ///
    /// # Errors
    /// The device failed.
    pub async fn settle(&mut self) -> Result<String, JsError> {
        steps(&self.run.settle().await.map_err(told)?)
    }

    /// The image as it is now; after `settle`.
    ///
    /// # Errors
    /// The device failed.
    pub async fn image(&self) -> Result<Frame, JsError> {
        let image = self.run.image_async().await.map_err(told)?;
        Ok(Frame {
            width: image.width,
            height: image.height,
            rgba: rgba(&image),
        })
    }

    /// The image as the bytes of a PNG file that carries the recipe; after `settle`.
    ///
    /// # Errors
    /// The device failed.
    pub async fn png(&self) -> Result<Vec<u8>, JsError> {
        let image = self.run.image_async().await.map_err(told)?;
        let text = self.run.made(&self.recipe, None).to_text().map_err(told)?;
        png(&image, Some(text)).map_err(told)
    }

    /// Sets the weight of a term from the next iteration on; nothing is restarted.
    ///
    /// # Errors
    /// A term whose weight stays, or no number.
    pub fn set_weight(&mut self, term: usize, weight: f64) -> Result<(), JsError> {
        self.run.set_term_weight(term, weight).map_err(told)?;
        self.recipe.terms[term].weight = weight;
        Ok(())
    }

    /// All that the next iteration depends on, as the bytes of a checkpoint's file; after `settle`.
    ///
    /// # Errors
    /// The device failed.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, JsError> {
        self.run.checkpoint_async().await.map_err(told)
    }
}
