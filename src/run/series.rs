//! One recipe for many content pictures: what does not change from one to the next is made once.

use std::sync::Arc;

use super::{Run, RunError};
use crate::Error;
use crate::compile::recipe::CompiledRecipe;
use crate::compile::reuse::{MemoryPool, TargetCache};
use crate::image::Image;
use crate::plan::Network;
use crate::spec::{Picture, Recipe};

/// A recipe that is run for one content picture after the other.
///
/// Between pictures the network's weights and the compiled pipelines stay on the device, and the style pictures'
/// statistics in main memory, which the next picture's plan takes them from. A picture of the same size as the one
/// before runs in its memory: no buffer of a plan is made again. That takes up to twice the memory of one run, since
/// the coarser scales' stay, too; where there is not as much, each scale takes its own anew. Every picture comes out as
/// in a run of its own.
///
/// ```no_run
/// # use std::{ops::ControlFlow, sync::Arc};
/// # use pixgrad::{Device, DeviceOptions, Error, Image, Network, Recipe, Series};
/// # fn paint(contents: &[std::path::PathBuf]) -> Result<(), Error> {
/// let device = Device::new(&DeviceOptions::default())?;
/// let network = Network::load(&device, "squeezenet1_1")?;
/// // The content of this recipe only stands for those to come.
/// let mut series = Series::new(&Recipe::style(&*contents[0], ["style.jpg"]), &network)?;
/// for path in contents {
///     let content = Arc::new(Image::open(path)?);
///     let run = series.begin(content, Some(512))?;
///     run.run(|_| ControlFlow::Continue(()))?;
///     run.image()?.save(path.with_extension("painted.png"))?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Series {
    recipe: Recipe,
    network: Network,
    cache: Arc<TargetCache>,
    run: Option<Run>,
}

impl Series {
    /// Reads the style pictures and checks what does not depend on a content picture. The recipe's own content picture
    /// is not read.
    ///
    /// # Errors
    /// [`RunError::NoContent`] where no term has a content picture, and whatever else is wrong with the recipe;
    /// [`Error::Image`] where a style picture cannot be read.
    pub fn new(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        let mut recipe = recipe.clone();
        if !recipe.terms.iter().any(|term| term.kind.is_spatial()) {
            return Err(RunError::NoContent.into());
        }
        for term in &recipe.terms {
            term.resolve(network)?;
        }
        // The content picture comes with every run; the recipe's own need not even exist.
        let stand_in = Picture::from(Image::filled(1, 1, [0.0; 3])?);
        for target in recipe.contents_mut() {
            *target = stand_in.clone();
        }
        // In memory a picture is read once and known by its place there.
        for picture in recipe.pictures_mut() {
            *picture = Picture::Memory(picture.load()?);
        }
        Ok(Self {
            recipe,
            network: network.clone(),
            cache: Arc::default(),
            run: None,
        })
    }

    /// The run of the last content picture.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// A run for the next content picture, ready for its first iteration. `size` takes the place of the recipe's: the
    /// long side of the result in pixels; none: the content's own.
    ///
    /// # Errors
    /// As [`Recipe::compile`]; the series can go on with another picture.
    pub async fn begin_async(
        &mut self,
        content: Arc<Image>,
        size: Option<u32>,
    ) -> Result<&mut Run, Error> {
        let mut recipe = self.recipe.clone();
        recipe.image.size = size;
        for target in recipe.contents_mut() {
            *target = Picture::Memory(Arc::clone(&content));
        }
        let mut compiled = CompiledRecipe::read(&recipe, &self.network)?;
        compiled.cache = Some(Arc::clone(&self.cache));
        let before = self.run.take().filter(|run| {
            let sizes = run.plan().iter().map(|r| (r.width, r.height));
            sizes.eq(compiled.sizes().iter().copied())
        });
        let pool = match before {
            Some(run) => {
                let bands: Vec<u32> = run.plan().iter().map(|report| report.bands).collect();
                compiled.plan_in_bands(&bands)?;
                run.into_pool()
            }
            // What the one before has held is free by now.
            None => {
                compiled.plan()?;
                MemoryPool::default()
            }
        };
        Ok(self.run.insert(Run::first(compiled, Some(pool)).await?))
    }
}
