//! `pixgrad style --content-dir`: every picture of a folder in the same styles.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use pixgrad::engine::device::{DeviceError, DeviceInfo};
use pixgrad::engine::image::{self, ImageError, OutputFormat, SaveOptions, SaveWarning};
use pixgrad::engine::methods::options::parse;
use pixgrad::{Error, Image, Picture};
use pixgrad::{Outcome, Recipe, Run, Series};
use serde::Serialize;

use super::interrupt::Interrupt;
use super::optimize::load_network;
use super::picture::{Output, OutputArgs};
use super::progress::Reporter;
use super::report::TermValue;
use super::{Global, terminal};

/// Options for the pictures of a folder.
#[derive(Debug, Clone, Default, Args)]
pub struct BatchArgs {
    /// Paint every picture of this folder and write NAME.png into the folder given by --output, or NAME with the
    /// extension of --format. Pictures that are there already are skipped, so a stopped batch can be continued
    #[arg(
        long,
        value_name = "DIR",
        requires = "output",
        conflicts_with_all = ["checkpoint", "resume", "save_every", "trace", "save_recipe", "dry_run"]
    )]
    pub content_dir: Option<PathBuf>,

    /// Paint only share I of N of the folder, so that N machines can divide it: 1/4
    #[arg(long, value_name = "I/N", requires = "content_dir", value_parser = parse::shard)]
    pub shard: Option<(usize, usize)>,
}

/// A picture and where it goes.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    image: PathBuf,
    output: PathBuf,
}

/// What has become of a picture.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(serialize_with = "terminal::lossy")]
    image: PathBuf,
    #[serde(serialize_with = "terminal::lossy")]
    output: PathBuf,
    #[serde(flatten)]
    fate: Fate,
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Fate {
    Painted {
        width: u32,
        height: u32,
        iterations: u64,
        seconds: f64,
        /// From the last iteration of the picture before to the first one of this.
        start_ms: f64,
        loss: f32,
        terms: Vec<TermValue>,
    },
    /// The output was there.
    Skipped,
    Failed {
        reason: String,
    },
    /// Ctrl-C came before it was done.
    Stopped,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "terminal::lossy")]
    output: &'a Path,
    model: &'a str,
    device: &'a DeviceInfo,
    pictures: Vec<Entry>,
    seconds: f64,
    stopped: bool,
}

/// The files of a folder, but hidden ones and folders, in the order of their names, and where each goes. Where names
/// differ in their extensions only, these stay in the outputs' names.
///
/// # Errors
/// Where two pictures would still go to one file, also on a system that does not tell `A` from `a`.
fn jobs(folder: &Path, output: &Path, extension: &str) -> anyhow::Result<Vec<Job>> {
    let unreadable = || format!("the folder '{}' cannot be read", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
        if path.is_file() && !path.file_name().is_some_and(hidden) {
            files.push(path);
        }
    }
    files.sort();
    let mut stems: HashMap<_, u32> = HashMap::new();
    for file in &files {
        *stems.entry(file.file_stem()).or_default() += 1;
    }
    let job = |image: &PathBuf| {
        let alone = stems[&image.file_stem()] == 1;
        let name = if alone {
            image.file_stem()
        } else {
            image.file_name()
        };
        let mut name = name.unwrap_or_default().to_os_string();
        name.push(".");
        name.push(extension);
        Job {
            image: image.clone(),
            output: output.join(name),
        }
    };
    let jobs: Vec<Job> = files.iter().map(job).collect();
    let mut taken: HashMap<String, &Job> = HashMap::new();
    for job in &jobs {
        let name = job.output.to_string_lossy().to_lowercase();
        if let Some(other) = taken.insert(name, job) {
            bail!(
                "'{}' and '{}' would both be written to '{}': rename one of them",
                other.image.display(),
                job.image.display(),
                job.output.display()
            );
        }
    }
    Ok(jobs)
}

/// Every Nth picture, from the Ith on.
fn share(jobs: Vec<Job>, shard: Option<(usize, usize)>) -> Vec<Job> {
    let (index, of) = shard.unwrap_or((1, 1));
    jobs.into_iter().skip(index - 1).step_by(of).collect()
}

/// The folder for the results, which must not be that of the contents.
fn check_folders(folder: &Path, output: &Path) -> anyhow::Result<()> {
    if !folder.is_dir() {
        bail!("there is no folder '{}'", folder.display());
    }
    if output.exists() && !output.is_dir() {
        bail!(
            "'{}' is a file; --output is the folder of the results when --content-dir is given",
            output.display()
        );
    }
    if let (Ok(a), Ok(b)) = (folder.canonicalize(), output.canonicalize())
        && a == b
    {
        bail!(
            "'{}' is the folder of the contents: give the results another",
            output.display()
        );
    }
    Ok(())
}

/// Paints the pictures of `folder` into `output`. `size` says how large the result of a picture is to be.
pub fn run(
    mut recipe: Recipe,
    size: impl Fn((u32, u32)) -> Option<u32>,
    folder: &Path,
    shard: Option<(usize, usize)>,
    output: &Path,
    picture: &OutputArgs,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    check_folders(folder, output)?;
    let extension = picture.format().map_or("png", OutputFormat::extension);
    let all = jobs(folder, output, extension)?;
    // Of a format that cannot be written as asked no picture can.
    all.iter()
        .take(1)
        .try_for_each(|job| picture.at(&job.output).map(|_| ()))?;
    if all.is_empty() {
        bail!("the folder '{}' holds no pictures", folder.display());
    }
    let device = global.open()?;
    let (network, chosen) = load_network(&mut recipe, &device, global)?;
    let kinds: Vec<String> = recipe
        .terms
        .iter()
        .map(|t| t.kind.name().to_string())
        .collect();
    let mut series = Series::new(&recipe, &network)?;
    fs::create_dir_all(output)
        .with_context(|| format!("the folder '{}' cannot be made", output.display()))?;
    let (count, jobs) = (all.len(), share(all, shard));
    global.note(format_args!(
        "{}{} on {}: {} of {count} pictures of {}",
        network.graph().name,
        if chosen { " (auto)" } else { "" },
        device.info().name,
        jobs.len(),
        folder.display()
    ));

    let interrupt = Interrupt::listen(global.quiet)?;
    let mut batch = Batch {
        global,
        entries: Vec::new(),
        saving: None,
    };
    let (skipped, mut jobs): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| job.output.exists());
    for job in skipped {
        global.note(format_args!(
            "skipped '{}': '{}' is there",
            job.image.display(),
            job.output.display()
        ));
        batch.tell(job, Fate::Skipped)?;
    }
    // The next picture is read while this one is painted.
    jobs.reverse();
    let read = |job: Job| {
        let path = job.image.clone();
        (job, spawn(move || Picture::from(path).load_all()))
    };
    let mut next = jobs.pop().map(read);
    let mut stopped = false;
    let mut ended = Instant::now();
    while let Some((job, reading)) = next.take() {
        if stopped {
            batch.tell(job, Fate::Stopped)?;
            next = jobs.pop().map(read);
            continue;
        }
        let start = Instant::now();
        let content = joined(reading);
        next = jobs.pop().map(read);
        let painted = content
            .map_err(Unpainted::Failed)
            .and_then(|(content, embedded)| {
                let size = size(content.size());
                let file = picture.at(&job.output).map_err(Unpainted::Unwritable)?;
                file.check_profile(&embedded, global)
                    .map_err(Unpainted::Unwritable)?;
                let mut recipe = recipe.clone().content(job.image.as_path());
                recipe.image.size = size;
                let painted = paint(&mut series, content, size, interrupt, global)?;
                let options = |run: &Run| file.options_of(run, &recipe, None, &embedded);
                let options = series.run().map(options).unwrap_or_default();
                Ok(painted.map(|painted| (painted, file, options)))
            });
        match painted {
            Ok(None) => {
                stopped = true;
                batch.tell(job, Fate::Stopped)?;
            }
            Ok(Some((painted, file, options))) => {
                let fate = Fate::Painted {
                    width: painted.image.width,
                    height: painted.image.height,
                    iterations: painted.iterations,
                    seconds: start.elapsed().as_secs_f64(),
                    start_ms: (painted.begun - ended).as_secs_f64() * 1e3,
                    loss: painted.loss,
                    terms: kinds
                        .iter()
                        .zip(painted.terms)
                        .map(|(kind, value)| TermValue {
                            kind: kind.clone(),
                            value,
                        })
                        .collect(),
                };
                ended = painted.ended;
                batch.save(job, painted.image, file, options, fate)?;
            }
            // The others would fail as well.
            Err(Unpainted::Failed(Error::Device(
                error @ (DeviceError::Lost(_) | DeviceError::Shader { .. }),
            ))) => {
                batch.saved()?;
                return Err(error.into());
            }
            Err(error) => {
                let reason = terminal::chain(&error.into());
                batch.tell(job, Fate::Failed { reason })?;
            }
        }
    }
    batch.saved()?;
    batch.entries.sort_by(|a, b| a.image.cmp(&b.image));
    let failed = batch.count(|fate| matches!(fate, Fate::Failed { .. }));
    if global.json {
        terminal::print_json(&Report {
            output,
            model: &network.graph().name,
            device: device.info(),
            pictures: batch.entries,
            seconds: begin.elapsed().as_secs_f64(),
            stopped,
        })?;
    } else {
        terminal::print(format_args!(
            "{}: {} painted, {} skipped, {failed} failed{}, {:.1} s on {}",
            output.display(),
            batch.count(|fate| matches!(fate, Fate::Painted { .. })),
            batch.count(|fate| matches!(fate, Fate::Skipped)),
            if stopped { ", stopped" } else { "" },
            begin.elapsed().as_secs_f64(),
            device.info().name
        ))?;
    }
    Ok(match (stopped, failed) {
        (true, _) => ExitCode::from(Interrupt::EXIT_CODE),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    })
}

/// What a thread came to; it does not panic unless there is a bug in it, which is then passed on.
fn joined<T>(thread: JoinHandle<T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A picture that is done.
struct Painted {
    image: Image,
    iterations: u64,
    /// When the first iteration began.
    begun: Instant,
    /// When the last one was done.
    ended: Instant,
    loss: f32,
    terms: Vec<f32>,
}

/// Why a picture is not painted.
#[derive(Debug, thiserror::Error)]
enum Unpainted {
    #[error(transparent)]
    Failed(#[from] Error),
    #[error(transparent)]
    Unwritable(anyhow::Error),
    #[error(
        "the loss of iteration {iteration} is not a finite number: a smaller --step-size, or smaller weights, help"
    )]
    Diverged { iteration: u64 },
}

/// Paints one picture; none where Ctrl-C came before it was done.
fn paint(
    series: &mut Series,
    content: Arc<Image>,
    size: Option<u32>,
    interrupt: Interrupt,
    global: &Global,
) -> Result<Option<Painted>, Unpainted> {
    let run = series.begin(content, size)?;
    let begun = Instant::now();
    let mut reporter = Reporter::new(global.quiet, run.iterations());
    let (mut loss, mut terms, mut diverged) = (0.0, Vec::new(), None);
    let outcome = run.run(|progress| {
        reporter.update(progress);
        (loss, terms) = (progress.loss, progress.terms.clone());
        if !progress.loss.is_finite() {
            diverged.get_or_insert(progress.iteration);
        }
        if diverged.is_some() || interrupt.pressed() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let ended = Instant::now();
    reporter.finish();
    if let Some(iteration) = diverged {
        return Err(Unpainted::Diverged { iteration });
    }
    if outcome != Outcome::Finished {
        return Ok(None);
    }
    Ok(Some(Painted {
        image: run.image()?,
        iterations: run.done(),
        begun,
        ended,
        loss,
        terms,
    }))
}

/// What a picture's file comes to.
type Saving = JoinHandle<Result<Vec<SaveWarning>, ImageError>>;

/// The pictures so far.
struct Batch<'a> {
    global: &'a Global,
    entries: Vec<Entry>,
    /// The picture that is being written while the next one is painted.
    saving: Option<(Job, Fate, Saving)>,
}

impl Batch<'_> {
    /// Notes, and tells, what has become of a picture.
    fn tell(&mut self, job: Job, fate: Fate) -> anyhow::Result<()> {
        match &fate {
            Fate::Painted {
                width,
                height,
                iterations,
                seconds,
                ..
            } if !self.global.json => terminal::print(format_args!(
                "{}: {width}x{height}, {iterations} iterations, {seconds:.1} s",
                job.output.display()
            ))?,
            Fate::Failed { reason } => self
                .global
                .note(format_args!("failed '{}': {reason}", job.image.display())),
            _ => {}
        }
        self.entries.push(Entry {
            image: job.image,
            output: job.output,
            fate,
        });
        Ok(())
    }

    /// Writes a picture, while the caller goes on.
    fn save(
        &mut self,
        job: Job,
        image: Image,
        file: Output,
        options: SaveOptions,
        fate: Fate,
    ) -> anyhow::Result<()> {
        self.saved()?;
        let saving = spawn(move || image::save(&file.path, &image, options));
        self.saving = Some((job, fate, saving));
        Ok(())
    }

    /// Waits for the picture that is being written.
    fn saved(&mut self) -> anyhow::Result<()> {
        let Some((job, fate, saving)) = self.saving.take() else {
            return Ok(());
        };
        let fate = match joined(saving) {
            Ok(_) => fate,
            Err(error) => Fate::Failed {
                reason: terminal::chain(&error.into()),
            },
        };
        self.tell(job, fate)
    }

    fn count(&self, such: impl Fn(&Fate) -> bool) -> usize {
        self.entries
            .iter()
            .filter(|entry| such(&entry.fate))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_an_output_of_its_own_and_belongs_to_one_share() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.jpg", "a.png", "b.png", ".hidden.png", "c.tar.jpg", "d"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        fs::create_dir(folder.path().join("e.png")).expect("a folder");
        let all = || jobs(folder.path(), Path::new("out"), "png").expect("a folder");
        let outputs: Vec<_> = all().into_iter().map(|job| job.output).collect();
        let expected = ["a.png", "b.jpg.png", "b.png.png", "c.tar.png", "d.png"];
        assert_eq!(outputs, expected.map(|name| Path::new("out").join(name)));
        // a.jpg, a.png and a.jpg.png: the first two keep their extensions, and one of them is then called as the third.
        fs::write(folder.path().join("b.jpg.png"), "").expect("written");
        let error = jobs(folder.path(), Path::new("out"), "png").expect_err("two of one name");
        assert!(
            error.to_string().contains("b.jpg.png' would both"),
            "{error}"
        );
        fs::remove_file(folder.path().join("b.jpg.png")).expect("removed");
        let shares: Vec<_> = (1..=3).flat_map(|i| share(all(), Some((i, 3)))).collect();
        assert_eq!(shares.len(), 5);
        assert!(all().iter().all(|job| shares.contains(job)));
        assert_eq!(share(all(), Some((2, 3))), [1, 4].map(|i| all().remove(i)));
    }
}
