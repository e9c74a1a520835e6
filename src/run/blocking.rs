//! The calls that block: the futures of the same names, waited for. A browser has none of them.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use pollster::block_on;

use super::checkpoint::unwritable;
use super::{Checkpoint, Outcome, Pace, Progress, Run, Series};
use crate::Error;
use crate::device::Device;
use crate::image::{Image, write_atomically};
use crate::plan::Network;
use crate::spec::Recipe;

impl Recipe {
    /// Reads the pictures, resolves layers and sizes, and makes the first scale ready to run.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe, its pictures or its layers; [`Error::TooLarge`] when the largest scale
    /// does not fit the device, with the largest size that would.
    pub fn compile(&self, device: &Device, network: &Network) -> Result<Run, Error> {
        block_on(self.compile_async(device, network))
    }

    /// Goes on where a checkpoint of a run of this recipe stands. The recipe is [`Checkpoint::recipe`], or the caller's
    /// own where its pictures were in memory.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for another recipe, network or picture; else as [`Recipe::compile`].
    pub fn resume(
        &self,
        device: &Device,
        network: &Network,
        checkpoint: &Checkpoint,
    ) -> Result<Run, Error> {
        block_on(self.resume_async(device, network, checkpoint))
    }

    /// Measures the kernel calls of this recipe on the network's device, at a size at which that takes a moment.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn pace(&self, network: &Network) -> Result<Pace, Error> {
        block_on(self.pace_async(network))
    }
}

impl Run {
    /// Runs to the end; `progress` sees every iteration and may stop the run.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run(
        &mut self,
        progress: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        self.run_for(u64::MAX, progress)
    }

    /// Runs at most `most` iterations, across scales.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run_for(
        &mut self,
        most: u64,
        progress: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        block_on(self.run_for_async(most, progress))
    }

    /// Writes a checkpoint, whole or not at all: a run that is made of it by [`Recipe::resume`] does what this one
    /// would have done, bit for bit on the same adapter. This reads the state back; between iterations nothing else
    /// does.
    ///
    /// # Errors
    /// [`Error::Recipe`] where the recipe cannot be written as TOML; [`Error::Checkpoint`] where the file cannot be
    /// written; [`Error::Device`] where the device has failed.
    pub fn save_checkpoint(&self, path: &Path) -> Result<(), Error> {
        let metadata = self.metadata()?;
        let write = |file: &mut dyn Write| block_on(self.write_checkpoint(&metadata, file));
        write_atomically(path, |file| write(file)).map_err(|error| unwritable(path, error))
    }

    /// The image as it is now, with the alpha channel of the picture that gave the shape, and with that picture's
    /// colours where it is transparent; the first of a batch.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn image(&self) -> Result<Image, Error> {
        block_on(self.image_async())
    }

    /// All images of the batch as they are now.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        block_on(self.images_async())
    }
}

impl Series {
    /// A run for the next content picture, ready for its first iteration. `size` takes the place of the recipe's: the
    /// long side of the result in pixels; none: the content's own.
    ///
    /// # Errors
    /// As [`Recipe::compile`]; the series can go on with another picture.
    pub fn begin(&mut self, content: Arc<Image>, size: Option<u32>) -> Result<&mut Run, Error> {
        block_on(self.begin_async(content, size))
    }
}
