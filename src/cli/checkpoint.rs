//! Checkpoints of a long run: written from time to time, and gone on from.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use pixgrad::engine::image::{check_file, place_of};
use pixgrad::engine::methods::options::parse;
use pixgrad::{Checkpoint, Recipe, Run};

use super::Usage;
use super::claims::Claims;

/// Seconds between two checkpoints when nobody says.
const EVERY: f64 = 60.0;

/// Options of commands whose runs can be gone on with.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckpointArgs {
    /// Write the state of the run to this file regularly, at Ctrl-C and at the end. --resume reads it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// Seconds between two checkpoints [default: 60]
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = parse::positive,
        requires = "checkpoint",
        allow_negative_numbers = true
    )]
    checkpoint_every: Option<f64>,

    /// Continue the run of this checkpoint. The checkpoint holds the recipe, so options that belong to the recipe are
    /// refused
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
}

/// What may stand beside --resume: everything else belongs to the recipe, which is in the checkpoint.
const BESIDE_RESUME: [&str; 25] = [
    "resume",
    "checkpoint",
    "checkpoint_every",
    "output",
    "format",
    "depth",
    "keep_profile",
    "background",
    "no_metadata",
    "save_every",
    "trace",
    "save_recipe",
    "dry_run",
    "serve",
    "zoom",
    "zoom_step",
    "device",
    "backend",
    "memory",
    "decode_memory",
    "no_tune",
    "retune",
    "json",
    "quiet",
    "help",
];

/// Refuses options that would say again, and perhaps otherwise, what a checkpoint says.
pub fn check_conflicts(command: &Command, matches: &ArgMatches) -> Result<(), Usage> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let resumed = matches.try_contains_id("resume").unwrap_or(false);
    let Some(command) = command.find_subcommand(name).filter(|_| resumed) else {
        return Ok(());
    };
    let given = |id: &str| {
        matches.value_source(id) == Some(ValueSource::CommandLine) && !BESIDE_RESUME.contains(&id)
    };
    match command.get_arguments().find(|a| given(a.get_id().as_str())) {
        Some(argument) => Err(Usage(format!(
            "{argument} cannot be given with --resume: the checkpoint says what the run is"
        ))),
        None => Ok(()),
    }
}

/// Where a run begins.
pub enum Beginning {
    Recipe {
        recipe: Recipe,
        /// Where the user did not give the absolute paths in it: the folders that they are told from.
        hidden: Vec<PathBuf>,
        /// The file of the recipe, if it comes from one that the result must not replace.
        file: Option<PathBuf>,
    },
    Checkpoint(Checkpoint),
}

impl From<Recipe> for Beginning {
    fn from(recipe: Recipe) -> Self {
        Self::Recipe {
            recipe,
            hidden: Vec::new(),
            file: None,
        }
    }
}

impl Beginning {
    /// The file of the recipe, if there is one that the result must not replace.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Recipe { file, .. } => file.clone(),
            Self::Checkpoint(_) => None,
        }
    }
}

impl CheckpointArgs {
    /// The checkpoints that are read and written. One may take the place of the other.
    pub fn claim(&self, claims: &mut Claims) {
        if let Some(path) = &self.checkpoint {
            claims.writes("--checkpoint", path);
        }
        let of = |path: &Option<PathBuf>| path.as_deref().and_then(place_of);
        if let Some(path) = &self.resume
            && of(&self.resume) != of(&self.checkpoint)
        {
            claims.reads(path);
        }
    }

    /// The checkpoint to go on from, and where the image then goes by default.
    pub fn resumed(&self) -> anyhow::Result<Option<(Beginning, &Path)>> {
        let Some(path) = &self.resume else {
            return Ok(None);
        };
        Ok(Some((Beginning::Checkpoint(Checkpoint::read(path)?), path)))
    }
}

/// Writes the checkpoints of a run.
#[derive(Debug, Default)]
pub struct Keeper<'a> {
    path: Option<&'a Path>,
    every: Duration,
    last: Option<Instant>,
}

impl<'a> Keeper<'a> {
    /// Fails before the run where a checkpoint would fail in the middle of it.
    pub fn new(args: &'a CheckpointArgs, recipe: &Recipe) -> anyhow::Result<Self> {
        if let Some(path) = &args.checkpoint {
            check_file(path)?;
            recipe.to_toml()?;
        }
        let every = args.checkpoint_every.unwrap_or(EVERY);
        Ok(Self {
            path: args.checkpoint.as_deref(),
            every: Duration::try_from_secs_f64(every).unwrap_or(Duration::MAX),
            last: Some(Instant::now()),
        })
    }

    /// Whether it is time for one.
    pub fn is_due(&self) -> bool {
        self.path.is_some() && self.last.is_some_and(|last| last.elapsed() >= self.every)
    }

    /// Writes one, if any are asked for.
    pub fn write(&mut self, run: &Run) -> anyhow::Result<()> {
        if let Some(path) = self.path {
            run.save_checkpoint(path)?;
            self.last = Some(Instant::now());
        }
        Ok(())
    }
}
