//! A run as others see it: what it has told so far, and what they want of it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use pixgrad::engine::image::png;
use pixgrad::{Progress, Recipe, Run};
use pollster::block_on;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::error::Refusal;
use super::preview::Preview;

/// Time between two pictures of a run at work, at least.
const PREVIEW_EVERY: Duration = Duration::from_millis(400);

/// Of the time of a run at most one part in so many is spent on pictures for those who watch it. To read a picture back
/// also keeps a GPU waiting, about as long again.
const PREVIEW_SHARE: u32 = 120;

/// So many iterations are remembered one by one; of longer runs every second, fourth, … one.
const MOST_STEPS: usize = 8192;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Queued,
    Preparing,
    Running,
    Paused,
    Stopped,
    Finished,
    Failed,
}

impl Phase {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Finished | Self::Failed)
    }
}

/// A completed iteration.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub iteration: u64,
    iterations: u64,
    width: u32,
    height: u32,
    loss: f32,
    terms: Vec<f32>,
    ms: f64,
    remaining: Option<f64>,
}

impl From<&Progress> for Step {
    fn from(progress: &Progress) -> Self {
        Self {
            iteration: progress.iteration,
            iterations: progress.iterations,
            width: progress.scale.0,
            height: progress.scale.1,
            loss: progress.loss,
            terms: progress.terms.clone(),
            ms: progress.elapsed.as_secs_f64() * 1e3,
            remaining: progress.remaining.map(|left| left.as_secs_f64()),
        }
    }
}

/// What a scale will be.
#[derive(Debug, Serialize)]
pub struct Scale {
    width: u32,
    height: u32,
    iterations: u64,
    bytes: u64,
    gflop: f64,
    bands: u32,
}

impl From<&pixgrad::ScaleReport> for Scale {
    fn from(scale: &pixgrad::ScaleReport) -> Self {
        Self {
            width: scale.width,
            height: scale.height,
            iterations: scale.iterations,
            bytes: scale.peak_bytes,
            gflop: scale.cost.gflop,
            bands: scale.bands,
        }
    }
}

/// What somebody wants of a run, done between two iterations.
enum Wish {
    Weight(usize, f64, oneshot::Sender<Result<(), Refusal>>),
    File(oneshot::Sender<Result<Vec<u8>, Refusal>>),
}

/// What does not change.
#[derive(Debug)]
pub struct About {
    /// Counts the runs of this server.
    pub number: u64,
    /// The method's name, or what else says which run this is.
    pub label: String,
    pub device: String,
    pub model: String,
    /// What the page asked for, as it said it.
    pub asked: Value,
    /// Names and ids of the pictures.
    pub pictures: Value,
}

/// A run that is asked for, at work or over.
pub struct Job {
    pub about: About,
    told: Mutex<Told>,
    wishes: Mutex<Wishes>,
    wished: Condvar,
    /// Whether there may be wishes: what a run looks at after each iteration.
    is_wished: AtomicBool,
    watchers: AtomicUsize,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Wishes {
    list: VecDeque<Wish>,
    is_stopped: bool,
    is_paused: bool,
}

/// What a run has told.
struct Told {
    phase: Phase,
    /// The recipe with the names of its pictures; none where it must not be told.
    recipe: Option<Recipe>,
    terms: Vec<String>,
    scales: Vec<Scale>,
    steps: Vec<Step>,
    stride: u64,
    ms: f64,
    last: Option<Step>,
    error: Option<String>,
    preview: Option<Arc<Preview>>,
    serial: u64,
    shown: Option<Instant>,
    cost: Duration,
    /// Whether the run has the processor, which then makes no file of a picture beside it.
    is_processor: bool,
    /// The picture on disk.
    file: Option<PathBuf>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// Somebody who watches a run, for as long as this lives.
pub struct Watcher(Arc<Job>);

impl Watcher {
    pub fn new(job: &Arc<Job>) -> Self {
        job.watchers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(job))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Job {
    pub fn new(about: About, recipe: Option<Recipe>) -> Self {
        let kinds = recipe.iter().flat_map(|recipe| &recipe.terms);
        let terms = kinds.map(|term| term.kind.name().to_string()).collect();
        Self {
            about,
            told: Mutex::new(Told {
                phase: Phase::Queued,
                recipe,
                terms,
                scales: Vec::new(),
                steps: Vec::new(),
                stride: 1,
                ms: 0.0,
                last: None,
                error: None,
                preview: None,
                serial: 0,
                shown: None,
                cost: Duration::ZERO,
                is_processor: false,
                file: None,
            }),
            wishes: Mutex::default(),
            wished: Condvar::new(),
            is_wished: AtomicBool::new(false),
            watchers: AtomicUsize::new(0),
            changed: watch::Sender::new(0),
        }
    }

    fn tell<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        let made = change(&mut self.told.lock());
        self.changed.send_modify(|version| *version += 1);
        made
    }

    /// Hears of every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    pub fn phase(&self) -> Phase {
        self.told.lock().phase
    }

    pub fn set_phase(&self, phase: Phase) {
        self.tell(|told| told.phase = phase);
    }

    /// The run is over without a picture to show.
    pub fn fail(&self, message: String) {
        self.tell(|told| {
            told.phase = Phase::Failed;
            told.error = Some(message);
        });
        self.let_go();
    }

    /// The run is over. Its picture is in the file, or kept here.
    pub fn end(&self, phase: Phase, file: Option<PathBuf>) {
        self.tell(|told| {
            told.phase = phase;
            told.serial += 1;
            if file.is_some() {
                told.preview = None;
            }
            told.file = file;
        });
        self.let_go();
    }

    /// Refuses what is still wanted.
    fn let_go(&self) {
        let list = std::mem::take(&mut self.wishes.lock().list);
        let over = || Refusal::new(hyper::StatusCode::CONFLICT, "the run is over");
        for wish in list {
            // Whoever wanted it may have gone away.
            match wish {
                Wish::Weight(.., answer) => drop(answer.send(Err(over()))),
                Wish::File(answer) => drop(answer.send(Err(over()))),
            }
        }
    }

    /// The run begins.
    pub fn begin(&self, run: &Run) {
        self.tell(|told| {
            told.scales = run.plan().iter().map(Scale::from).collect();
            let kinds = run.recipe().terms.iter();
            told.terms = kinds.map(|term| term.kind.name().to_string()).collect();
            told.is_processor = run.executor().device().info().is_software();
            told.phase = Phase::Running;
        });
    }

    /// An iteration is done.
    pub fn step(&self, progress: &Progress) {
        let step = Step::from(progress);
        self.tell(|told| {
            told.ms += step.ms;
            if step.iteration % told.stride == 0 {
                told.steps.push(step.clone());
            }
            told.last = Some(step);
            if told.steps.len() > MOST_STEPS {
                told.stride *= 2;
                let stride = told.stride;
                told.steps.retain(|step| step.iteration % stride == 0);
            }
        });
    }

    /// Whether somebody wants something between two iterations, a picture for example.
    pub fn is_wanted(&self) -> bool {
        self.is_wished.load(Ordering::Relaxed) || self.is_preview_due()
    }

    fn is_preview_due(&self) -> bool {
        if !self.is_watched() {
            return false;
        }
        let told = self.told.lock();
        let mut cost = told.cost;
        if told.is_processor {
            cost += told
                .preview
                .as_ref()
                .map_or(Duration::ZERO, |last| last.took());
        }
        let pause = PREVIEW_EVERY.max(cost * PREVIEW_SHARE);
        told.last.is_some() && told.shown.is_none_or(|shown| shown.elapsed() >= pause)
    }

    /// Does what is wanted of the run. Blocks while it is paused, unless `ends` says that all shall end. Whether the
    /// run shall go on.
    ///
    /// # Errors
    /// The device failed.
    pub fn attend(&self, run: &mut Run, ends: impl Fn() -> bool) -> Result<bool, pixgrad::Error> {
        let mut rests = false;
        loop {
            let (wish, is_paused, is_stopped) = {
                let mut wishes = self.wishes.lock();
                let wish = wishes.list.pop_front();
                let wanted = wish.is_some() || wishes.is_stopped || wishes.is_paused;
                self.is_wished.store(wanted, Ordering::Relaxed);
                (wish, wishes.is_paused, wishes.is_stopped)
            };
            if let Some(wish) = wish {
                self.fulfil(run, wish)?;
            } else if is_stopped || ends() {
                return Ok(false);
            } else if is_paused {
                if !rests {
                    rests = true;
                    self.show(run, true)?;
                    self.set_phase(Phase::Paused);
                }
                let mut wishes = self.wishes.lock();
                if wishes.list.is_empty() && wishes.is_paused && !wishes.is_stopped {
                    self.wished.wait_for(&mut wishes, PREVIEW_EVERY);
                }
            } else {
                break;
            }
        }
        if rests {
            self.set_phase(Phase::Running);
        } else if self.is_preview_due() {
            self.show(run, false)?;
        }
        Ok(true)
    }

    /// Completes what is on its way.
    fn settle(&self, run: &mut Run) -> Result<(), pixgrad::Error> {
        let steps = block_on(run.settle())?;
        steps.iter().for_each(|step| self.step(step));
        Ok(())
    }

    /// Keeps the picture that the run has come to.
    ///
    /// # Errors
    /// The device failed.
    pub fn show(&self, run: &mut Run, is_exact: bool) -> Result<(), pixgrad::Error> {
        self.settle(run)?;
        let begun = Instant::now();
        let image = run.image()?;
        self.tell(|told| {
            told.serial += 1;
            told.preview = Some(Arc::new(Preview::new(image, is_exact)));
            let now = Instant::now();
            told.shown = Some(now);
            told.cost = now - begun;
        });
        Ok(())
    }

    fn fulfil(&self, run: &mut Run, wish: Wish) -> Result<(), pixgrad::Error> {
        match wish {
            Wish::Weight(term, weight, answer) => {
                let set = run.set_term_weight(term, weight);
                if set.is_ok() {
                    self.tell(|told| {
                        if let Some(recipe) = &mut told.recipe {
                            recipe.terms[term].weight = weight;
                        }
                    });
                }
                // Whoever wanted it may have gone away.
                drop(answer.send(set.map_err(Refusal::from)));
            }
            Wish::File(answer) => {
                self.settle(run)?;
                drop(answer.send(self.file_of(run).map_err(Refusal::from)));
            }
        }
        Ok(())
    }

    /// The picture of a run that rests, as a file that carries its recipe.
    ///
    /// # Errors
    /// The device failed.
    pub fn file_of(&self, run: &Run) -> Result<Vec<u8>, pixgrad::Error> {
        let image = run.image()?;
        let recipe = self.told.lock().recipe.clone();
        let text = recipe
            .map(|recipe| run.made(&recipe, None).to_text())
            .transpose()?;
        Ok(png(&image, text)?)
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes.lock());
        self.is_wished.store(true, Ordering::Relaxed);
        self.wished.notify_all();
        self.changed.send_modify(|version| *version += 1);
    }

    /// Ends the run after this iteration; one that waits never begins.
    pub fn stop(&self) {
        self.wish(|wishes| wishes.is_stopped = true);
    }

    pub fn is_stopped(&self) -> bool {
        self.wishes.lock().is_stopped
    }

    pub fn pause(&self, is_paused: bool) {
        self.wish(|wishes| wishes.is_paused = is_paused);
    }

    /// Sets a weight from the next iteration on.
    ///
    /// # Errors
    /// A term whose weight stays; a run that is over.
    pub async fn set_weight(&self, term: usize, weight: f64) -> Result<(), Refusal> {
        if self.told.lock().recipe.is_none() {
            let message = "the run of a command keeps its weights";
            return Err(Refusal::new(hyper::StatusCode::CONFLICT, message));
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Wish::Weight(term, weight, answer), answered).await
    }

    /// The picture as it is now, as a file that carries its recipe.
    ///
    /// # Errors
    /// A run without one.
    pub async fn file(&self) -> Result<Bytes, Refusal> {
        if let Some(path) = self.saved() {
            let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
            let gone = || {
                Refusal::new(
                    hyper::StatusCode::GONE,
                    "the picture is no longer where it was written",
                )
            };
            return Ok(read.ok().and_then(Result::ok).ok_or_else(gone)?.into());
        }
        let (answer, answered) = oneshot::channel();
        Ok(self.ask(Wish::File(answer), answered).await?.into())
    }

    async fn ask<T>(
        &self,
        wish: Wish,
        answered: oneshot::Receiver<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let conflict = |text: &str| Refusal::new(hyper::StatusCode::CONFLICT, text);
        if !matches!(self.phase(), Phase::Running | Phase::Paused) {
            return Err(conflict("the run is not at work"));
        }
        if self.wishes.lock().list.len() >= 32 {
            return Err(conflict("too much is wanted of this run at once"));
        }
        self.wish(|wishes| wishes.list.push_back(wish));
        // One that ended meanwhile looks at no wishes any more.
        if self.phase().is_over() {
            self.let_go();
        }
        answered.await.map_err(|_| conflict("the run is over"))?
    }

    /// Where the picture was written.
    pub fn saved(&self) -> Option<PathBuf> {
        self.told.lock().file.clone()
    }

    pub fn preview(&self) -> Option<Arc<Preview>> {
        self.told.lock().preview.clone()
    }

    /// One line of the list of runs.
    pub fn line(&self) -> Value {
        let told = self.told.lock();
        let done = told.last.as_ref().map_or(0, |step| step.iteration + 1);
        json!({
            "number": self.about.number,
            "label": self.about.label,
            "device": self.about.device,
            "state": told.phase,
            "iterations": done,
            "of": told.scales.iter().map(|scale| scale.iterations).sum::<u64>(),
        })
    }

    /// Everything, for somebody who begins to watch.
    pub fn whole(&self, seen: &mut Seen) -> Value {
        let told = self.told.lock();
        seen.take(&told);
        let mut steps: Vec<&Step> = told.steps.iter().collect();
        let last = told.last.as_ref();
        steps.extend(last.filter(|last| steps.last().is_none_or(|s| s.iteration < last.iteration)));
        json!({
            "number": self.about.number,
            "label": self.about.label,
            "device": self.about.device,
            "model": self.about.model,
            "asked": self.about.asked,
            "pictures": self.about.pictures,
            "state": told.phase,
            "terms": told.terms,
            "recipe": told.recipe,
            "scales": told.scales,
            "steps": steps,
            "ms": told.ms,
            "error": told.error,
            "file": file_name(&told),
            "image": seen.serial,
        })
    }

    /// What is new since, as the names and the data of events.
    pub fn news(&self, seen: &mut Seen) -> Vec<(&'static str, Value)> {
        let told = self.told.lock();
        let before = *seen;
        seen.take(&told);
        let mut news = Vec::new();
        let first = told
            .steps
            .partition_point(|s| Some(s.iteration) <= before.iteration);
        let mut steps: Vec<&Step> = told.steps[first..].iter().collect();
        let last = told
            .last
            .as_ref()
            .filter(|last| Some(last.iteration) > before.iteration);
        steps.extend(last.filter(|last| steps.last().is_none_or(|s| s.iteration < last.iteration)));
        if !steps.is_empty() {
            news.push(("steps", json!({ "steps": steps, "ms": told.ms })));
        }
        if seen.serial != before.serial {
            news.push(("image", json!({ "image": seen.serial })));
        }
        if seen.phase != before.phase {
            let state = json!({
                "state": told.phase,
                "scales": told.scales,
                "error": told.error,
                "file": file_name(&told),
            });
            // A run begins before its steps, and ends after its last picture.
            let place = if told.phase.is_over() { news.len() } else { 0 };
            news.insert(place, ("state", state));
        }
        news
    }
}

fn file_name(told: &Told) -> Option<String> {
    let name = told.file.as_ref()?.file_name()?;
    Some(name.to_string_lossy().into_owned())
}

/// What somebody who watches was told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    iteration: Option<u64>,
    serial: u64,
    phase: Option<Phase>,
}

impl Seen {
    fn take(&mut self, told: &Told) {
        self.iteration = told.last.as_ref().map(|step| step.iteration);
        self.serial = told.serial;
        self.phase = Some(told.phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let about = About {
            number: 1,
            label: "style".into(),
            device: "cpu".into(),
            model: "squeezenet1_1".into(),
            asked: Value::Null,
            pictures: Value::Null,
        };
        Job::new(about, None)
    }

    fn progress(iteration: u64) -> Progress {
        Progress {
            scale: (4, 3),
            iteration,
            iterations: 100_000,
            loss: 1.0,
            terms: vec![1.0],
            images: vec![1.0],
            elapsed: Duration::from_millis(1),
            remaining: None,
        }
    }

    #[test]
    fn of_a_long_run_fewer_steps_are_remembered_and_the_last_one_always() {
        let job = job();
        (0..50_001).for_each(|i| job.step(&progress(i)));
        let whole = job.whole(&mut Seen::default());
        let steps = whole["steps"].as_array().expect("steps");
        assert!((4096..8194).contains(&steps.len()), "{}", steps.len());
        assert_eq!(steps[0]["iteration"], 0);
        assert_eq!(steps.last().expect("one")["iteration"], 50_000);
        assert!((whole["ms"].as_f64().expect("a time") - 50_001.0).abs() < 1e-3);
    }

    #[test]
    fn news_are_told_once() {
        let job = job();
        let mut seen = Seen::default();
        let names =
            |news: &[(&'static str, Value)]| news.iter().map(|(n, _)| *n).collect::<Vec<_>>();
        job.whole(&mut seen);
        assert!(job.news(&mut seen).is_empty());
        job.set_phase(Phase::Running);
        (0..3).for_each(|i| job.step(&progress(i)));
        let news = job.news(&mut seen);
        assert_eq!(names(&news), ["state", "steps"]);
        assert_eq!(news[1].1["steps"].as_array().map(Vec::len), Some(3));
        assert!(job.news(&mut seen).is_empty());
        job.end(Phase::Finished, None);
        assert_eq!(names(&job.news(&mut seen)), ["image", "state"]);
    }

    #[test]
    fn nobody_watches_a_run_that_nobody_watches() {
        let job = Arc::new(job());
        job.step(&progress(0));
        assert!(!job.is_wanted());
        let watcher = Watcher::new(&job);
        assert!(job.is_wanted());
        drop(watcher);
        assert!(!job.is_wanted());
        job.stop();
        assert!(job.is_wanted() && job.is_stopped());
    }
}
