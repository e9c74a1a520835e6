//! Devices, pictures and runs of this server. Each device has a thread, which runs what is asked of it one after the
//! other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use parking_lot::{Condvar, Mutex};
use pixgrad::engine::image::{check_file, write_atomically};
use pixgrad::{Device, DeviceInfo, DeviceOptions, Error, Network, Run};
use pollster::block_on;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::asked::{Answer, Asked};
use super::error::{Refusal, ServeError};
use super::job::{About, Job, Phase};
use super::pictures::Pictures;

/// Runs that wait, at most.
const MOST_QUEUED: usize = 32;

/// Runs that are over and still listed, at most. Their pictures stay on disk.
const MOST_OVER: usize = 100;

/// A device of this machine, opened when it is first used.
#[derive(Debug)]
pub struct Place {
    pub info: DeviceInfo,
    options: DeviceOptions,
    opened: Mutex<Option<Opened>>,
    line: Mutex<Line>,
    comes: Condvar,
}

#[derive(Debug)]
struct Opened {
    device: Device,
    networks: HashMap<String, Network>,
}

/// The runs that wait for a device.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Task>,
    thread: Option<JoinHandle<()>>,
    is_closed: bool,
}

struct Task {
    job: Arc<Job>,
    answer: Box<Answer>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.job.fmt(f)
    }
}

impl Place {
    /// A device of the list, with the options that it is opened with; perhaps it is open already.
    pub fn new(info: DeviceInfo, options: DeviceOptions, device: Option<Device>) -> Self {
        let opened = device.map(|device| Opened {
            device,
            networks: HashMap::new(),
        });
        Self {
            options: DeviceOptions {
                device: Some(match info.backend.as_str() {
                    "cpu" => "cpu".to_string(),
                    _ => info.index.to_string(),
                }),
                ..options
            },
            info,
            opened: Mutex::new(opened),
            line: Mutex::default(),
            comes: Condvar::new(),
        }
    }

    fn with<T>(&self, action: impl FnOnce(&mut Opened) -> Result<T, Error>) -> Result<T, Error> {
        let mut opened = self.opened.lock();
        if opened.is_none() {
            *opened = Some(Opened {
                device: Device::new(&self.options)?,
                networks: HashMap::new(),
            });
        }
        opened
            .as_mut()
            .map_or_else(|| unreachable!("it was just opened"), action)
    }

    /// The device.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn device(&self) -> Result<Device, Error> {
        self.with(|opened| Ok(opened.device.clone()))
    }

    /// A network on it, which stays.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn network(&self, model: &str) -> Result<Network, Error> {
        self.with(|opened| {
            if let Some(network) = opened.networks.get(model) {
                return Ok(network.clone());
            }
            let network = Network::load(&opened.device, model)?;
            opened.networks.insert(model.to_string(), network.clone());
            Ok(network)
        })
    }

    /// After the device was lost another one is opened.
    fn forget(&self) {
        *self.opened.lock() = None;
    }
}

/// What a server shows, and what it can run.
pub struct Studio {
    places: Vec<Arc<Place>>,
    pub pictures: Mutex<Pictures>,
    jobs: Mutex<Jobs>,
    changed: watch::Sender<u64>,
    /// Where pictures are written; none where there is a run of another command to watch and no more.
    output: Option<PathBuf>,
}

#[derive(Default)]
struct Jobs {
    all: BTreeMap<u64, Arc<Job>>,
    count: u64,
    is_closed: bool,
}

impl std::fmt::Debug for Studio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Studio")
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl Studio {
    /// With devices, of which the first is the usual one, and the folder of the results.
    ///
    /// # Errors
    /// Nothing can be written to the folder, or where it will be made.
    pub fn new(places: Vec<Place>, output: PathBuf) -> Result<Self, ServeError> {
        check_folder(&output)?;
        Ok(Self {
            places: places.into_iter().map(Arc::new).collect(),
            output: Some(output),
            ..Self::of_a_command()
        })
    }

    /// What shows the runs of a command.
    pub fn of_a_command() -> Self {
        Self {
            places: Vec::new(),
            pictures: Mutex::default(),
            jobs: Mutex::default(),
            changed: watch::Sender::new(0),
            output: None,
        }
    }

    /// Hears of every change of the list of runs.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn change(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// The devices, and whether anything can be asked for.
    pub fn about(&self) -> Value {
        let devices = self
            .places
            .iter()
            .map(|place| &place.info)
            .collect::<Vec<_>>();
        json!({
            "devices": devices,
            "version": env!("CARGO_PKG_VERSION"),
            "watch": self.output.is_none(),
        })
    }

    /// The device of this index, or the usual one.
    ///
    /// # Errors
    /// There is none.
    pub fn place(&self, index: Option<usize>) -> Result<Arc<Place>, Refusal> {
        if self.output.is_none() {
            return Err(Refusal::wrong(
                "this page only shows the run of a command: `pixgrad serve` runs others",
            ));
        }
        let mut places = self.places.iter();
        let found = places.find(|place| index.is_none_or(|index| place.info.index == index));
        let none =
            || Refusal::wrong("this machine has no such device: GET /api/devices lists them");
        found.cloned().ok_or_else(none)
    }

    /// A run of this number.
    ///
    /// # Errors
    /// There is none.
    pub fn job(&self, number: u64) -> Result<Arc<Job>, Refusal> {
        let found = self.jobs.lock().all.get(&number).cloned();
        found.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                format!("there is no run {number} here"),
            )
        })
    }

    /// Whether somebody watches a run.
    pub fn is_watched(&self) -> bool {
        self.jobs.lock().all.values().any(|job| job.is_watched())
    }

    /// All runs, the latest first.
    pub fn list(&self) -> Value {
        let jobs = self.jobs.lock();
        jobs.all.values().rev().map(|job| job.line()).collect()
    }

    /// Adds a run of a command.
    pub fn show(&self, label: &str, device: &str, model: &str) -> Arc<Job> {
        self.add(|number| {
            let about = About {
                number,
                label: label.to_string(),
                device: device.to_string(),
                model: model.to_string(),
                asked: Value::Null,
                pictures: Value::Null,
            };
            Job::new(about, None)
        })
    }

    fn add(&self, make: impl FnOnce(u64) -> Job) -> Arc<Job> {
        let job = {
            let mut jobs = self.jobs.lock();
            jobs.count += 1;
            let number = jobs.count;
            let job = Arc::new(make(number));
            jobs.all.insert(number, Arc::clone(&job));
            let over = jobs.all.values().filter(|job| job.phase().is_over());
            let over: Vec<u64> = over.map(|job| job.about.number).collect();
            for number in &over[..over.len().saturating_sub(MOST_OVER)] {
                jobs.all.remove(number);
            }
            job
        };
        self.change();
        job
    }

    /// Puts a run into its device's line.
    ///
    /// # Errors
    /// What is wrong with it; too many that wait.
    pub fn queue(self: &Arc<Self>, asked: &Asked) -> Result<Arc<Job>, Refusal> {
        let answer = asked.answer(self)?;
        // What is wrong with its layers or its size is told at once, and not when its turn has come.
        answer.recipe.dry_run(&answer.network)?;
        {
            let jobs = self.jobs.lock();
            let waiting = jobs
                .all
                .values()
                .filter(|job| job.phase() == Phase::Queued)
                .count();
            if waiting >= MOST_QUEUED {
                let message = format!("{waiting} runs wait already: stop one, or come back later");
                return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, message));
            }
            if jobs.is_closed {
                return Err(Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the server ends",
                ));
            }
        }
        let place = Arc::clone(&answer.place);
        let job = self.add(|number| {
            let about = About {
                number,
                label: answer.label.clone(),
                device: place.info.name.clone(),
                model: answer.named.model.clone(),
                asked: asked.asked.clone(),
                pictures: json!(asked.pictures),
            };
            Job::new(about, Some(answer.named.clone()))
        });
        let mut line = place.line.lock();
        if line.is_closed {
            job.end(Phase::Stopped, None);
            return Ok(Arc::clone(&job));
        }
        let (own, answer) = (Arc::clone(&job), Box::new(answer));
        line.waiting.push_back(Task { job: own, answer });
        if line.thread.is_none() {
            let (studio, place) = (Arc::clone(self), Arc::clone(&place));
            let thread = std::thread::Builder::new().name("runs".into());
            let begun = thread.spawn(move || studio.work(&place));
            line.thread = Some(begun.map_err(|error| Refusal::wrong(error.to_string()))?);
        }
        place.comes.notify_all();
        Ok(job)
    }

    /// Stops a run; one that waits is over at once.
    pub fn stop(&self, job: &Job) {
        job.stop();
        if job.phase() == Phase::Queued {
            for place in &self.places {
                let mut line = place.line.lock();
                let before = line.waiting.len();
                line.waiting
                    .retain(|task| task.job.about.number != job.about.number);
                if line.waiting.len() < before {
                    job.end(Phase::Stopped, None);
                }
            }
        }
        self.change();
    }

    /// Stops everything, and waits until the pictures are written.
    pub fn close(&self) {
        let all: Vec<_> = {
            let mut jobs = self.jobs.lock();
            jobs.is_closed = true;
            jobs.all.values().cloned().collect()
        };
        let threads = self.places.iter().filter_map(|place| {
            let mut line = place.line.lock();
            line.is_closed = true;
            place.comes.notify_all();
            line.thread.take()
        });
        let threads: Vec<_> = threads.collect();
        all.iter()
            .filter(|job| !job.phase().is_over())
            .for_each(|job| self.stop(job));
        for thread in threads {
            // What went wrong in it was told.
            let _ = thread.join();
        }
    }

    /// Runs what comes, one after the other.
    fn work(&self, place: &Place) {
        loop {
            let task = {
                let mut line = place.line.lock();
                loop {
                    if let Some(task) = line.waiting.pop_front() {
                        // In the same breath, or it could be stopped as one that waits.
                        task.job.set_phase(Phase::Preparing);
                        break task;
                    }
                    if line.is_closed {
                        return;
                    }
                    place.comes.wait(&mut line);
                }
            };
            let job = Arc::clone(&task.job);
            let done = catch_unwind(AssertUnwindSafe(|| self.run(task)));
            match done {
                Ok(Ok((phase, file))) => job.end(phase, file),
                Ok(Err(message)) => job.fail(message),
                Err(_) => job
                    .fail("this is a bug of pixgrad: its messages are where it was started".into()),
            }
            self.change();
        }
    }

    /// Runs one; its picture's file.
    fn run(&self, task: Task) -> Result<(Phase, Option<PathBuf>), String> {
        let Task { job, answer } = task;
        self.change();
        if job.is_stopped() {
            return Ok((Phase::Stopped, None));
        }
        let output = self.output.as_deref().unwrap_or(Path::new("."));
        let path = place_for(output, &job)?;
        let told = |error: Error| error.with_causes();
        let Answer {
            place,
            network,
            recipe,
            ..
        } = *answer;
        let compiled = recipe.compile(network.device(), &network);
        let mut run = compiled.map_err(|error| lost(&place, error))?;
        drop(recipe);
        job.begin(&run);
        self.change();
        let ended = iterate(&job, &mut run);
        let written = || -> Result<PathBuf, String> {
            let file = job.file_of(&run).map_err(told)?;
            let written = write_atomically(&path, |to| to.write_all(&file));
            written.map_err(|error| format!("'{}' cannot be written: {error}", path.display()))?;
            Ok(path.clone())
        };
        match ended {
            Ok(phase) => Ok((phase, Some(written()?))),
            Err(Trouble::Diverged(iteration)) => Err(format!(
                "the loss of iteration {iteration} is not a finite number: smaller weights help"
            )),
            Err(Trouble::Device(error)) => {
                let message = lost(&place, error);
                // The image as far as it came, if it can still be read.
                match run.done() > 0 && written().is_ok() {
                    true => Err(format!(
                        "{message}; '{}' holds the image as it was then",
                        path.display()
                    )),
                    false => Err(message),
                }
            }
        }
    }
}

enum Trouble {
    Device(Error),
    Diverged(u64),
}

/// Runs to the end, or until it is stopped; the run then rests.
fn iterate(job: &Job, run: &mut Run) -> Result<Phase, Trouble> {
    let mut phase = Phase::Finished;
    while !run.is_finished() {
        let steps = block_on(run.advance()).map_err(Trouble::Device)?;
        for step in &steps {
            job.step(step);
            if !step.loss.is_finite() {
                return Err(Trouble::Diverged(step.iteration));
            }
        }
        if job.is_wanted() && !job.attend(run, || false).map_err(Trouble::Device)? {
            phase = Phase::Stopped;
            break;
        }
    }
    for step in block_on(run.settle()).map_err(Trouble::Device)? {
        job.step(&step);
    }
    Ok(if run.is_finished() {
        Phase::Finished
    } else {
        phase
    })
}

/// What is told of an error; after a failure of the device another one is opened for the next run.
fn lost(place: &Place, error: Error) -> String {
    if matches!(error, Error::Device(_)) {
        place.forget();
    }
    error.with_causes()
}

/// Whether pictures can be written to the folder; where it is still to be made, whether it can be.
fn check_folder(folder: &Path) -> Result<(), ServeError> {
    let failed = |source| ServeError::Output {
        path: folder.to_path_buf(),
        source,
    };
    let absolute = std::path::absolute(folder).map_err(failed)?;
    let there = absolute.ancestors().find(|place| place.exists());
    let there = there.unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    let probe = check_file(there.join("pixgrad.png"));
    probe.map_err(|error| failed(std::io::Error::other(error)))
}

/// Makes the folder, and a name in it that no file has: method, time and number.
fn place_for(folder: &Path, job: &Job) -> Result<PathBuf, String> {
    let told = |error: String| {
        format!(
            "no picture can be written to '{}': {error}",
            folder.display()
        )
    };
    std::fs::create_dir_all(folder).map_err(|error| told(error.to_string()))?;
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let name = format!(
        "{}-{}-{}",
        job.about.label,
        stamp(seconds),
        job.about.number
    );
    let names = (0..).map(|i| match i {
        0 => format!("{name}.png"),
        i => format!("{name}-{i}.png"),
    });
    let mut paths = names.map(|name| folder.join(name));
    let path = paths.find(|path| path.symlink_metadata().is_err());
    let path = path.ok_or_else(|| told("all names are taken".into()))?;
    check_file(&path).map_err(|error| told(error.to_string()))?;
    Ok(path)
}

/// Seconds since 1970 as `20260131-235959`, in UTC.
fn stamp(seconds: u64) -> String {
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!(
        "{year}{month:02}{:02}-{hour:02}{minute:02}{second:02}",
        days + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_name() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_782_399), "20000228-235959");
        assert_eq!(stamp(951_782_400), "20000229-000000");
        assert_eq!(stamp(1_798_761_599), "20261231-235959");
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_told_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(check_folder(&folder.path().join("a/b")).is_ok());
        assert!(!folder.path().join("a").exists());
        std::fs::write(folder.path().join("file"), "").expect("written");
        assert!(check_folder(&folder.path().join("file")).is_err());
        assert!(check_folder(&folder.path().join("file/inside")).is_err());
    }
}
