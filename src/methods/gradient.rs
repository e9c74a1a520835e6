//! Gradients, nothing stepped: for checking the engine against other programs, and for building on it.

use std::ops::ControlFlow;

use crate::Error;
use crate::compile::activations::quads_of;
use crate::compile::recipe::CompiledRecipe;
use crate::image::Image;
use crate::plan::Network;
use crate::schedule::Executor;
use crate::spec::Recipe;

/// The objective and its gradient at the start image.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientReport {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// d(total)/d(image), `[3,H,W]`, with respect to the `[0,1]` image; of a batch one after the other.
    pub gradient: Vec<f32>,
    /// The total.
    pub loss: f32,
    /// The weighted value of every term of the recipe.
    pub terms: Vec<f32>,
}

/// The objective and its gradient at images of one's own choice, as often as one likes.
#[derive(Debug)]
pub(crate) struct Gradients {
    compiled: CompiledRecipe,
    executor: Executor,
}

/// What [`Gradients`] found at a batch of images.
#[derive(Debug)]
pub(crate) struct At {
    /// The weighted value of every term at every layer of it, for each image: `[n, slots]`.
    pub losses: Vec<f32>,
    /// `[N,3,H,W]`.
    pub gradient: Vec<f32>,
}

impl Gradients {
    pub async fn new_async(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        let mut compiled = CompiledRecipe::gradient(recipe, network)?;
        let last = compiled.sizes().len() - 1;
        let executor = compiled.executor(last, None).await?;
        Ok(Self { compiled, executor })
    }

    /// At as many images as the recipe's batch has, of its size.
    pub async fn at_async(&mut self, images: &[Image]) -> Result<At, Error> {
        self.evaluate(&quads_of(images).1).await
    }

    /// At what the recipe would begin with.
    async fn at_start(&mut self) -> Result<At, Error> {
        let start = self.compiled.parameter(self.compiled.last())?;
        self.evaluate(&start).await
    }

    async fn evaluate(&mut self, parameter: &[f32]) -> Result<At, Error> {
        self.executor.set_parameter(parameter)?;
        let mut losses = Vec::new();
        let _ = self
            .executor
            .run_async(1, &mut |step| {
                losses.clone_from(&step.losses);
                ControlFlow::Continue(())
            })
            .await?;
        let gradient = self.executor.handles().gradient;
        Ok(At {
            losses,
            gradient: self.executor.read_async(gradient).await?,
        })
    }
}

impl Recipe {
    /// The gradient of the objective at the start image, at the full size.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub async fn gradient_async(&self, network: &Network) -> Result<GradientReport, Error> {
        let mut gradients = Gradients::new_async(self, network).await?;
        let At { losses, gradient } = gradients.at_start().await?;
        let mut terms = vec![0.0; self.terms.len()];
        for (group, loss) in gradients.executor.handles().groups.iter().zip(losses) {
            terms[*group] += loss;
        }
        let (width, height) = gradients.compiled.last();
        Ok(GradientReport {
            width,
            height,
            gradient,
            loss: terms.iter().sum(),
            terms,
        })
    }
}
