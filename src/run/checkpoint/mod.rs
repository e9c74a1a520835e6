//! Checkpoints: all that the next iteration of a run depends on, in a file that another process goes on from.

mod error;
mod file;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::error::{CheckpointError, CheckpointProblem};
use self::file::{Source, Stored, VERSION_KEY};
use super::Run;
use super::fingerprint::Fingerprint;
use crate::Error;
use crate::compile::recipe::CompiledRecipe;
use crate::device::{Device, DeviceError};
use crate::image::{Image, is_stdin};
use crate::plan::Network;
use crate::schedule::Kept;
use crate::spec::{Picture, Recipe};

/// Counts the changes of the format.
const VERSION: &str = "1";

/// A picture in memory has this name, and its number, in the recipe of a checkpoint.
const IN_MEMORY: &str = "picture in memory ";

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct RunState {
    /// Index of the scale at work.
    pub scale: usize,
    /// Its size in pixels.
    pub width: u32,
    /// Its size in pixels.
    pub height: u32,
    /// Completed iterations of that scale.
    pub iteration: u64,
    /// Steps of the optimizer before that scale.
    pub earlier: u64,
    /// Time that iterations have taken so far.
    pub seconds: f64,
    /// Work that was done in that time, in units of 10⁹ floating-point operations.
    pub gflop: f64,
    /// In how many bands the network sees the image of each scale; sums of others are rounded in another order.
    pub bands: Vec<u32>,
}

/// A picture of the recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// None of a picture in memory.
    path: Option<PathBuf>,
    /// Of its pixels.
    hash: String,
}

/// A checkpoint's header; the state itself stays in the file until [`Recipe::resume`] reads it.
///
/// The file is safetensors: every value that lasts from one iteration to the next (`parameter`, `adam first moment`,
/// `lbfgs pairs from 0`, `average`, `step` and so on) as a tensor, F32 or U32, of one axis, in the engine's own layout;
/// and as metadata `checkpoint` (the version of the format, 1), `pixgrad` (the program's), `device`, `model`, `weights`
/// (a hash of the network), `recipe` (TOML with absolute paths), `pictures` (JSON: the path of each picture of the
/// recipe and a hash of its pixels) and `progress` (JSON: scale, iterations, time).
#[derive(Debug)]
pub struct Checkpoint {
    stored: Stored,
    state: RunState,
    pictures: Vec<Stamp>,
}

/// A recipe as a checkpoint has it: the network by name, pictures in memory by number.
fn portable(recipe: &Recipe, network: &Network) -> Result<String, Error> {
    let mut recipe = recipe.clone();
    if recipe.model == "auto" {
        recipe.model.clone_from(&network.graph().name);
    }
    for (picture, number) in recipe.pictures_mut().zip(1..) {
        if let Picture::Memory(_) = picture {
            *picture = Picture::File(format!("{IN_MEMORY}{number}").into());
        }
    }
    recipe.to_toml()
}

/// The recipe's pictures, as it names them and as they were read.
fn stamps(compiled: &CompiledRecipe) -> Vec<Stamp> {
    let mut recipe = compiled.recipe.clone();
    let stamp = |(picture, image): (&mut Picture, &Arc<Image>)| Stamp {
        path: match picture {
            Picture::File(path) if is_stdin(&*path) => Some(path.clone()),
            Picture::File(path) => Some(std::path::absolute(&*path).unwrap_or(path.clone())),
            Picture::Memory(_) => None,
        },
        hash: Fingerprint::of_image(image).to_string(),
    };
    let pictures = recipe.pictures_mut().zip(compiled.pictures.all());
    pictures.map(stamp).collect()
}

/// The memory of all that the next iteration depends on, by name.
fn persistent_state(run: &Run) -> Vec<Kept<'_>> {
    let executor = run.executor();
    let labels = executor.handles().labels.iter().flat_map(|(term, labels)| {
        let (classes, weights) = labels.buffers();
        [
            Kept {
                name: format!("labels of term {term}"),
                buffer: classes,
                below: vec![labels.classes()],
            },
            Kept {
                name: format!("weights of term {term}"),
                buffer: weights,
                below: Vec::new(),
            },
        ]
    });
    executor.persistent().chain(labels).collect()
}

impl Run {
    /// A checkpoint as a file's bytes: a run that is made of it by [`Recipe::resume_async`] does what this one would
    /// have done, bit for bit on the same adapter. This reads the state back; between iterations nothing else does.
    ///
    /// # Errors
    /// [`Error::Recipe`] where the recipe cannot be written as TOML; [`Error::Device`] where the device has failed;
    /// [`RunError::InMotion`](crate::RunError::InMotion) before [`Run::settle`].
    pub async fn checkpoint_async(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let metadata = self.metadata()?;
        self.write_checkpoint(&metadata, &mut bytes)
            .await
            .map_err(|error| unwritable(Path::new("checkpoint"), error))?;
        Ok(bytes)
    }

    /// What a checkpoint's header says, for [`Run::write_checkpoint`].
    ///
    /// # Errors
    /// As [`Run::checkpoint_async`].
    pub(super) fn metadata(&self) -> Result<BTreeMap<&'static str, String>, Error> {
        self.expect_rest()?;
        let network = &self.compiled.network;
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| unwritable(Path::new("checkpoint"), error.into()))
        };
        let stamps = self.stamps.get_or_init(|| stamps(&self.compiled));
        Ok(BTreeMap::from([
            (VERSION_KEY, VERSION.to_string()),
            ("pixgrad", env!("CARGO_PKG_VERSION").to_string()),
            ("device", network.device().info().name.clone()),
            ("model", network.graph().name.clone()),
            (
                "weights",
                Fingerprint::of_network(network.graph()).to_string(),
            ),
            ("recipe", portable(&self.compiled.recipe, network)?),
            ("pictures", json(serde_json::to_string(stamps))?),
            ("progress", json(serde_json::to_string(&self.state()))?),
        ]))
    }

    pub(super) async fn write_checkpoint(
        &self,
        metadata: &BTreeMap<&str, String>,
        file: &mut dyn Write,
    ) -> io::Result<()> {
        let device = self.compiled.network.device();
        file::write(file, metadata, &persistent_state(self), device).await
    }
}

/// Why a checkpoint was not written. What the device says while its memory is read back comes through the writer.
pub(super) fn unwritable(path: &Path, error: io::Error) -> Error {
    match error.downcast::<DeviceError>() {
        Ok(of_device) => of_device.into(),
        Err(error) => Error::from(CheckpointError {
            path: path.to_path_buf(),
            problem: CheckpointProblem::Unwritable(error),
        }),
    }
}

impl Checkpoint {
    /// Reads the header of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]: there is no such file, it is none of ours, truncated, damaged, or of another version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::of(Stored::read(path)?)
    }

    /// Reads the header of a checkpoint that is in memory; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        Self::of(Stored::of(Source::memory(name, bytes))?)
    }

    fn of(stored: Stored) -> Result<Self, Error> {
        let version = &stored.metadata[VERSION_KEY];
        if version != VERSION {
            let program = stored.metadata.get("pixgrad");
            let problem = CheckpointProblem::Version {
                version: version.clone(),
                program: program.map_or_else(|| "?".to_string(), String::clone),
            };
            return Err(stored.fail(problem).into());
        }
        let damaged = |error| stored.fail(CheckpointProblem::Metadata(error));
        let json = |key: &str| {
            stored
                .metadata
                .get(key)
                .map(String::as_str)
                .unwrap_or_default()
        };
        let state = serde_json::from_str(json("progress")).map_err(damaged)?;
        let pictures = serde_json::from_str(json("pictures")).map_err(damaged)?;
        Ok(Self {
            state,
            pictures,
            stored,
        })
    }

    fn metadata(&self, key: &str) -> &str {
        self.stored.metadata.get(key).map_or("", String::as_str)
    }

    /// The name of the device that it was made on.
    #[must_use]
    pub fn device(&self) -> &str {
        self.metadata("device")
    }

    /// Time that the iterations so far have taken.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::try_from_secs_f64(self.state.seconds).unwrap_or_default()
    }

    /// The recipe of the run.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where a picture of it was in memory only: then the recipe is the caller's to give.
    pub fn recipe(&self) -> Result<Recipe, Error> {
        if self.pictures.iter().any(|stamp| stamp.path.is_none()) {
            return Err(self.stored.fail(CheckpointProblem::PictureInMemory).into());
        }
        Ok(self.parsed(self.metadata("recipe"))?)
    }

    fn parsed(&self, recipe: &str) -> Result<Recipe, CheckpointError> {
        toml::from_str(recipe).map_err(|e| self.stored.fail(CheckpointProblem::Recipe(e)))
    }

    /// Whether recipe and network are those that it was made with.
    fn check(&self, recipe: &Recipe, network: &Network) -> Result<(), Error> {
        let (model, weights) = (self.metadata("model"), self.metadata("weights"));
        let graph = network.graph();
        if !Fingerprint::is_of_network(weights, graph) {
            let problem = CheckpointProblem::OtherNetwork {
                model: model.to_string(),
                weights: weights.to_string(),
                found: graph.name.clone(),
            };
            return Err(self.stored.fail(problem).into());
        }
        // Another version of the program may have written the same recipe in another order.
        if self.parsed(&portable(recipe, network)?)? != self.parsed(self.metadata("recipe"))? {
            return Err(self.stored.fail(CheckpointProblem::OtherRecipe).into());
        }
        Ok(())
    }

    fn check_pictures(&self, compiled: &CompiledRecipe) -> Result<(), CheckpointError> {
        let mut pictures = self.pictures.iter().zip(compiled.pictures.all());
        let changed = pictures.find(|(stamp, image)| !Fingerprint::is_of_image(&stamp.hash, image));
        let Some((expected, _)) = changed else {
            return Ok(());
        };
        let picture = expected.path.clone();
        Err(self
            .stored
            .fail(CheckpointProblem::OtherPicture { picture }))
    }
}

impl Recipe {
    /// Goes on where a checkpoint of a run of this recipe stands. The recipe is [`Checkpoint::recipe`], or the caller's
    /// own where its pictures were in memory.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for another recipe, network or picture; else as [`Recipe::compile`].
    pub async fn resume_async(
        &self,
        device: &Device,
        network: &Network,
        checkpoint: &Checkpoint,
    ) -> Result<Run, Error> {
        checkpoint.check(self, network)?;
        let mut compiled = CompiledRecipe::read(self, network)?;
        checkpoint.check_pictures(&compiled)?;
        let state = &checkpoint.state;
        let size = compiled.sizes().get(state.scale);
        if size != Some(&(state.width, state.height)) || state.bands.len() != compiled.sizes().len()
        {
            return Err(checkpoint.stored.fail(CheckpointProblem::OtherSizes).into());
        }
        compiled.plan_in_bands(&state.bands)?;
        let run = Run::at(compiled, state, None).await?;
        checkpoint.stored.load(device, &persistent_state(&run))?;
        Ok(run)
    }
}
