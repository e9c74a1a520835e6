//! `pixgrad run`: a recipe from a file, or from a picture that carries one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::engine::image::{is_picture, read_bytes};
use pixgrad::engine::methods::finished;
use pixgrad::{Finish, Image, Made, Provenance, Recipe, Run};

use super::checkpoint::{Beginning, CheckpointArgs};
use super::optimize::{Method, OptimizeArgs, Plain, optimize_from};
use super::output::default_path;
use super::{Global, Usage};
use pixgrad::engine::methods::options::parse::{self, Size};

/// Run a recipe file, or make a picture again from the recipe that it carries
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The recipe file; relative paths in it start at its folder. Or a picture that pixgrad has made: relative paths
    /// start at the current folder, else at the folder of the picture
    #[arg(value_name = "RECIPE.toml|IMAGE", required_unless_present = "resume")]
    recipe: Option<PathBuf>,

    /// Size of the result in pixels: its long side, or WIDTHxHEIGHT if no picture sets the aspect ratio [default: the
    /// recipe's]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::size, allow_negative_numbers = true)]
    size: Option<Size>,

    #[command(flatten)]
    optimize: OptimizeArgs,

    #[command(flatten)]
    checkpoints: CheckpointArgs,
}

pub fn run(args: &RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut repeat = None;
    let (beginning, named) = match (args.checkpoints.resumed()?, &args.recipe) {
        (Some(resumed), _) => resumed,
        (None, Some(path)) => {
            // `--save-recipe` writes absolute paths. Those that a picture carries are the user's own, but for what
            // comes from the name of the picture.
            let mut hidden: Vec<PathBuf> = std::env::current_dir().into_iter().collect();
            hidden.extend(
                path.parent()
                    .and_then(|folder| std::path::absolute(folder).ok()),
            );
            let mut recipe = match made(path)? {
                Some(mut made) => {
                    made.find_pictures(path)?;
                    let mut changed = made.recipe.clone();
                    args.optimize.apply(&mut changed);
                    let is_same = args.size.is_none() && changed == made.recipe;
                    repeat = Some(Repeat {
                        before: made.provenance,
                        is_same,
                    });
                    hidden.retain(|_| path.is_absolute());
                    made.recipe
                }
                None => Recipe::read(path)?,
            };
            if let Some(size) = args.size {
                size.apply(&mut recipe.image);
            }
            // A picture may be made again where it is.
            let file = repeat.is_none().then(|| path.clone());
            (
                Beginning::Recipe {
                    recipe,
                    hidden,
                    file,
                },
                path.as_path(),
            )
        }
        (None, None) => bail!(Usage("a recipe is needed".into())),
    };
    let method: &mut dyn Method = match &mut repeat {
        Some(repeat) => repeat,
        None => &mut Plain,
    };
    optimize_from(
        beginning,
        &args.checkpoints,
        &args.optimize,
        default_path(named),
        global,
        method,
    )
}

/// What the file says if it is a picture.
fn made(path: &Path) -> anyhow::Result<Option<Made>> {
    let bytes = match read_bytes(path) {
        Ok(bytes) if is_picture(&bytes) => bytes,
        // The error of what is no recipe either tells more.
        _ => return Ok(None),
    };
    Ok(Some(Made::of(path, &bytes)?))
}

/// Makes a picture again.
struct Repeat {
    before: Provenance,
    /// Whether the recipe is the very same, so that the run ends where the one before ended.
    is_same: bool,
}

impl Method for Repeat {
    fn begin(&mut self, run: &Run, global: &Global) {
        for difference in run.differences(&self.before) {
            global.note(format_args!("warning: {difference}"));
        }
    }

    fn iterations(&self) -> Option<u64> {
        self.is_same.then_some(self.before.iterations)
    }

    fn finish(&self) -> Option<Finish> {
        self.before.finish
    }

    fn picture(&mut self, run: &Run) -> anyhow::Result<Image> {
        match self.before.finish {
            Some(finish) => Ok(finished(run, finish)?),
            None => Ok(run.image()?),
        }
    }
}
