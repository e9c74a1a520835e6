//! What every command does that optimizes an image: options, checks, run, files, report.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{anyhow, bail};
use clap::Args;
use pixgrad::engine::image::check_file;
use pixgrad::engine::methods::options::{OptimizeOptions, parse};
use pixgrad::{
    Checkpoint, Finish, Init, OptimizerKind, Outcome, Progress, Recipe, Run, ScaleReport,
};
use pixgrad::{Device, Image, Network, Precision};

use super::checkpoint::{Beginning, CheckpointArgs, Keeper};
use super::claims::Claims;
use super::interrupt::Interrupt;
use super::network::{OpeningArgs, tell_assumption};
use super::output::{write_json, write_text};
use super::picture::{Output, OutputArgs};
use super::progress::Reporter;
use super::report::{Report, TermValue, report_recipes};
use super::trace::{Iteration, Trace};
use super::watch::WatchArgs;
use super::{Global, Usage, terminal};

/// Options of every command that optimizes a picture.
#[derive(Debug, Args)]
pub struct OptimizeArgs {
    #[command(flatten)]
    pub picture: OutputArgs,

    /// Long side of the coarsest scale in pixels. Each further scale is √2 times larger, up to the full size [default:
    /// 128; run: the recipe's]
    #[arg(long, value_name = "PIXELS", value_parser = parse::side, allow_negative_numbers = true)]
    min_size: Option<u32>,

    /// Iterations at every scale [default: 60; texture: 100; run: the recipe's; others: the method's]
    #[arg(short, long, value_name = "N", value_parser = parse::count, allow_negative_numbers = true)]
    iterations: Option<u64>,

    /// Iterations at the coarsest scale [default: the value of --iterations; without it 100; texture: 200; run: the
    /// recipe's]
    #[arg(long, value_name = "N", value_parser = parse::count, allow_negative_numbers = true)]
    initial_iterations: Option<u64>,

    /// The start image: content, noise, gray (with faint noise), stats (noise in the style's colours), or the path of a
    /// picture [default: content; texture: noise; run: the recipe's]
    #[arg(long, value_name = "START", value_parser = parse::init)]
    pub init: Option<Init>,

    /// Seed of all random numbers [default: 0; run: the recipe's]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// The network: a name from `pixgrad models`, a .safetensors, .onnx or .pth file, or auto (vgg19 on a GPU,
    /// squeezenet1_1 on `cpu`
    /// and software adapters) [default: auto; run: the recipe's; invert, dream, visualize, fool: squeezenet1_1]
    #[arg(long, value_name = "NAME|FILE")]
    pub model: Option<String>,

    #[command(flatten)]
    pub opening: OpeningArgs,

    /// The optimizer: adam, lbfgs (fewer iterations, but two more images of memory for each remembered step) or
    /// gradient [default: adam; run: the recipe's; invert: lbfgs; dream, fool: gradient; visualize: the preset's]
    #[arg(long, value_name = "NAME", value_parser = parse::optimizer)]
    optimizer: Option<OptimizerKind>,

    /// How many steps lbfgs remembers [default: 10]
    #[arg(long, value_name = "N", value_parser = parse::history)]
    history: Option<u32>,

    /// Step size in units of the `[0,1]` image [default: 0.02; run: the recipe's]
    #[arg(long, value_name = "STEP", value_parser = parse::positive, allow_negative_numbers = true)]
    step_size: Option<f64>,

    /// Decay of the moving average of the image. The result is that average; with 0 it is the last image [default: 0.9;
    /// run: the recipe's]
    #[arg(long, value_name = "DECAY", value_parser = parse::decay, allow_negative_numbers = true)]
    average: Option<f32>,

    /// Number format of the values that the backward pass reads: f32, or f16 for less memory [default: f32; run: the
    /// recipe's]
    #[arg(long, value_name = "FORMAT", value_parser = parse::precision)]
    precision: Option<Precision>,

    /// Also write the image every N iterations, as OUTPUT-000123.png
    #[arg(long, value_name = "N", value_parser = parse::count, allow_negative_numbers = true)]
    save_every: Option<u64>,

    /// Write the losses and the time of every iteration as JSON
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,

    /// Write this run as a recipe file for `pixgrad run`
    #[arg(long, value_name = "FILE.toml")]
    pub save_recipe: Option<PathBuf>,

    /// Run nothing: print memory, GFLOP, dispatches and time of every scale. The time is estimated from a small size
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub watch: WatchArgs,
}

impl OptimizeArgs {
    /// Whether the step size was asked for.
    pub fn has_step_size(&self) -> bool {
        self.step_size.is_some()
    }

    /// What was asked for.
    pub fn options(&self) -> OptimizeOptions {
        OptimizeOptions {
            min_size: self.min_size,
            iterations: self.iterations,
            initial_iterations: self.initial_iterations,
            init: self.init.clone(),
            seed: self.seed,
            model: self.model.clone(),
            preprocessing: self.opening.preprocessing,
            labels: self.opening.labels.clone(),
            optimizer: self.optimizer,
            history: self.history,
            step_size: self.step_size,
            average: self.average,
            precision: self.precision,
        }
    }

    /// Puts what was asked for into the recipe.
    pub fn apply(&self, recipe: &mut Recipe) {
        self.options().apply(recipe);
    }

    /// The first option given that says how an image is stepped: for methods that take no steps.
    pub fn of_steps(&self) -> Option<&'static str> {
        let options = [
            ("min-size", self.min_size.is_some()),
            ("iterations", self.iterations.is_some()),
            ("initial-iterations", self.initial_iterations.is_some()),
            ("init", self.init.is_some()),
            ("optimizer", self.optimizer.is_some()),
            ("history", self.history.is_some()),
            ("step-size", self.step_size.is_some()),
            ("average", self.average.is_some()),
            ("save-every", self.save_every.is_some()),
            ("trace", self.trace.is_some()),
            ("save-recipe", self.save_recipe.is_some()),
            ("serve", self.watch.is_given()),
        ];
        let given = options.into_iter().find(|(_, given)| *given);
        given.map(|(option, _)| option)
    }

    /// Fails before the long run where it would fail after it.
    ///
    /// `inputs` are the files that the command reads.
    pub fn check_outputs(
        &self,
        output: &Output,
        mut inputs: Claims,
        global: &Global,
    ) -> anyhow::Result<()> {
        if output.is_stdout() && self.save_every.is_some() {
            bail!(Usage(
                "--save-every writes several files: not to standard output".into()
            ));
        }
        if !self.dry_run {
            output.check(global)?;
            self.trace.as_ref().map(check_file).transpose()?;
        }
        self.save_recipe.as_ref().map(check_file).transpose()?;
        if let Some(every) = self.save_every {
            inputs.check_numbered(&output.path, every)?;
        }
        inputs.writes_picture("--output", &output.path);
        if let Some(trace) = &self.trace {
            inputs.writes("--trace", trace);
        }
        if let Some(recipe) = &self.save_recipe {
            inputs.writes("--save-recipe", recipe);
        }
        Ok(inputs.check()?)
    }
}

/// What a command does beside optimizing one picture and writing it.
pub trait Method {
    /// Completes the recipe, now that the network is known.
    fn complete(&mut self, _recipe: &mut Recipe, _network: &Network) -> anyhow::Result<()> {
        Ok(())
    }

    /// The files that it writes beside the picture.
    fn claim(&self, _claims: &mut Claims) {}

    /// Sees the run before its first iteration.
    fn begin(&mut self, _run: &Run, _global: &Global) {}

    /// Sees every iteration; may end the run, which then counts as done.
    fn observe(&mut self, _progress: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Asked when [`Method::observe`] has ended the run: whether the image as it is now is what was wanted. If not, the
    /// run goes on. What `observe` sees is the image before the step, and a run may take more steps before it ends.
    fn is_reached(&mut self, _run: &Run) -> anyhow::Result<bool> {
        Ok(true)
    }

    /// The picture to write, made of those that were optimized.
    fn picture(&mut self, run: &Run) -> anyhow::Result<Image> {
        Ok(run.image()?)
    }

    /// How [`Method::picture`] makes its picture, where that is not simply the image of the run.
    fn finish(&self) -> Option<Finish> {
        None
    }

    /// The iterations to end after, where that is before the run's end.
    fn iterations(&self) -> Option<u64> {
        None
    }

    /// What was found: lines for people, and fields of the report for `--json`.
    fn findings(&mut self, _run: &Run, _picture: &Image) -> anyhow::Result<Findings> {
        Ok(Findings::default())
    }
}

/// What a method found beside its picture.
#[derive(Debug, Default)]
pub struct Findings {
    /// Lines of the report.
    pub lines: Vec<String>,
    /// Fields of the JSON report.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Whether a signal came before all was found.
    pub stopped: bool,
}

/// A command that only writes the picture.
pub struct Plain;

impl Method for Plain {}

/// Runs a recipe as the options say: the whole command but for how the recipe came to be.
///
/// `default_output` is where the image goes if the options do not say.
pub fn optimize(
    recipe: Recipe,
    args: &OptimizeArgs,
    default_output: PathBuf,
    global: &Global,
    method: &mut dyn Method,
) -> anyhow::Result<ExitCode> {
    let (beginning, never) = (recipe.into(), CheckpointArgs::default());
    optimize_from(beginning, &never, args, default_output, global, method)
}

/// As [`optimize`], from a recipe or a checkpoint, and with checkpoints as the options say.
pub fn optimize_from(
    beginning: Beginning,
    checkpoints: &CheckpointArgs,
    args: &OptimizeArgs,
    default_output: PathBuf,
    global: &Global,
    method: &mut dyn Method,
) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let mut output = args.picture.picture(default_output)?;
    let file = beginning.file();
    let (mut recipe, resumed) = match beginning {
        Beginning::Recipe { recipe, hidden, .. } => {
            output.hide(hidden);
            (recipe, None)
        }
        Beginning::Checkpoint(checkpoint) => {
            // All its paths are absolute.
            output.hide(std::env::current_dir().into_iter().collect());
            (checkpoint.recipe()?, Some(checkpoint))
        }
    };
    args.apply(&mut recipe);
    let mut keeper = Keeper::new(checkpoints, &recipe)?;
    let mut claims = Claims::of(&recipe);
    file.iter().for_each(|file| claims.reads(file));
    checkpoints.claim(&mut claims);
    method.claim(&mut claims);
    args.check_outputs(&output, claims, global)?;
    if !args.dry_run {
        args.watch.begin(global)?;
    }

    let device = global.open()?;
    let (network, chosen) = load_network(&mut recipe, &device, global)?;
    method.complete(&mut recipe, &network)?;
    if args.dry_run {
        global.beside(save_recipe(&recipe, args));
        return report_recipes(&device, &network, &[recipe], global);
    }
    let mut run = match &resumed {
        Some(checkpoint) => recipe.resume(&device, &network, checkpoint)?,
        None => recipe.compile(&device, &network)?,
    };
    if let Some(last) = run.plan().last() {
        output.check_size(last.width, last.height)?;
    }
    output.check_profile(run.embedded(), global)?;
    method.begin(&run, global);
    global.beside(save_recipe(&recipe, args));
    global.note(announcement(&device, &network, chosen, run.plan()));
    for note in run.notes() {
        global.note(format_args!("note: {note}"));
    }

    if let Some(checkpoint) = &resumed {
        global.note(resumption(&run, checkpoint, &device));
    }
    let journal = iterate(&mut run, args, &output, &mut keeper, global, method)?;
    let picture = method.picture(&run)?;
    output.save_run(&picture, &run, &recipe, method.finish(), global)?;
    if let Some(path) = &args.trace {
        global.beside(journal.write_trace(path, &device, &recipe));
    }

    let findings = method.findings(&run, &picture)?;
    let before = resumed.map(|checkpoint| checkpoint.elapsed());
    let before = before.unwrap_or_default();
    let report = Report {
        output: &output.path,
        width: picture.width,
        height: picture.height,
        model: &network.graph().name,
        device: device.info(),
        iterations: run.done(),
        seconds: (before + start.elapsed()).as_secs_f64(),
        loss: journal.loss,
        terms: recipe
            .terms
            .iter()
            .zip(&journal.terms)
            .map(|(term, value)| TermValue {
                kind: term.kind.name().to_string(),
                value: *value,
            })
            .collect(),
        stopped: journal.stopped || findings.stopped,
        findings: findings.fields,
    };
    if global.json {
        terminal::print_json(&report)?;
    } else {
        output.report(report.line())?;
        for line in findings.lines {
            output.report(line)?;
        }
    }
    Ok(if journal.stopped || findings.stopped {
        ExitCode::from(Interrupt::EXIT_CODE)
    } else {
        ExitCode::SUCCESS
    })
}

/// The recipe's network, and whether it was chosen by `auto`. The recipe then names it, so that what is saved means
/// the same on every device.
pub fn load_network(
    recipe: &mut Recipe,
    device: &Device,
    global: &Global,
) -> anyhow::Result<(Network, bool)> {
    let network = recipe.network(device)?;
    tell_assumption(&network, global);
    let chosen = recipe.model == "auto";
    if chosen {
        recipe.model.clone_from(&network.graph().name);
    }
    Ok((network, chosen))
}

pub fn save_recipe(recipe: &Recipe, args: &OptimizeArgs) -> anyhow::Result<()> {
    args.save_recipe
        .as_ref()
        .map_or(Ok(()), |path| write_text(path, &recipe.to_toml()?))
}

/// Device, network, sizes and iterations in one line.
fn announcement(
    device: &Device,
    network: &Network,
    chosen: bool,
    scales: &[ScaleReport],
) -> String {
    let scales: Vec<String> = scales
        .iter()
        .map(|s| format!("{}x{} ({} iterations)", s.width, s.height, s.iterations))
        .collect();
    let auto = if chosen { " (auto)" } else { "" };
    format!(
        "{} on {}: {}",
        network.graph().name.clone() + auto,
        device.info().name,
        scales.join(", ")
    )
}

/// How far a run has come that goes on.
fn resumption(run: &Run, checkpoint: &Checkpoint, device: &Device) -> String {
    let elsewhere = match checkpoint.device() {
        same if same == device.info().name => String::new(),
        other => format!("; it was made on {other}, so that roundings will differ"),
    };
    let (done, all) = (run.done(), run.iterations());
    format!("going on after iteration {done}/{all}{elsewhere}")
}

/// What is remembered of a run.
#[derive(Default)]
pub struct Journal {
    loss: f32,
    terms: Vec<f32>,
    trace: Vec<Iteration>,
    pub stopped: bool,
}

impl Journal {
    /// Writes the losses and times of all iterations.
    pub fn write_trace(&self, path: &Path, device: &Device, recipe: &Recipe) -> anyhow::Result<()> {
        let trace = Trace {
            device: device.info(),
            recipe,
            iterations: &self.trace,
        };
        write_json(path, &trace)
    }
}

/// Runs to the end or to Ctrl-C.
pub fn iterate(
    run: &mut Run,
    args: &OptimizeArgs,
    output: &Output,
    keeper: &mut Keeper<'_>,
    global: &Global,
    method: &mut dyn Method,
) -> anyhow::Result<Journal> {
    let interrupt = Interrupt::listen(global.quiet)?;
    let mut reporter = Reporter::new(global.quiet, run.iterations());
    let mut journal = Journal {
        // Of a checkpoint after which no iteration is left.
        loss: f32::NAN,
        ..Journal::default()
    };
    let watch = args.watch.watch(run, &output.path, global)?;
    let (mut enough, mut diverged) = (false, None);
    loop {
        let mut due = false;
        let to_save = args.save_every.map(|every| every - run.done() % every);
        let to_end = method
            .iterations()
            .map(|all| all.saturating_sub(run.done()));
        let most = to_save.into_iter().chain(to_end).min().unwrap_or(u64::MAX);
        let outcome = match run.run_for(most, |progress| {
            reporter.update(progress);
            watch.step(progress);
            (journal.loss, journal.terms) = (progress.loss, progress.terms.clone());
            if args.trace.is_some() {
                journal.trace.push(progress.into());
            }
            if !progress.loss.is_finite() {
                diverged.get_or_insert(progress.iteration);
            }
            enough |= method.observe(progress).is_break();
            due = keeper.is_due();
            let wanted = due || watch.is_wanted();
            if diverged.is_some() || enough || interrupt.pressed() || wanted {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }) {
            Ok(outcome) => outcome,
            Err(error) => return Err(rescue(run, output, error, global)),
        };
        let is_last = method.iterations().is_some_and(|all| run.done() >= all);
        if outcome == Outcome::Finished || is_last {
            break;
        }
        enough = enough && method.is_reached(run)?;
        let goes_on = diverged.is_some()
            || match watch.attend(run, || interrupt.pressed()) {
                Ok(goes_on) => goes_on,
                Err(error) => return Err(rescue(run, output, error, global)),
            };
        if diverged.is_some() || enough || interrupt.pressed() || !goes_on {
            journal.stopped = !enough && run.done() < run.iterations();
            break;
        }
        if args
            .save_every
            .is_some_and(|every| run.done().is_multiple_of(every))
        {
            let numbered = output.numbered(run.done());
            global.beside(numbered.save_image_of(run, global));
        }
        if due {
            global.beside(keeper.write(run));
        }
    }
    reporter.finish();
    if let Some(iteration) = diverged {
        return Err(last_finite(run, iteration, output, global));
    }
    global.beside(keeper.write(run));
    watch.end(run, journal.stopped)?;
    Ok(journal)
}

/// The error of a run whose loss is not a finite number at `iteration`. The last image with a finite loss is written:
/// a run is the same each time, so it is run again up to there.
fn last_finite(run: &Run, iteration: u64, output: &Output, global: &Global) -> anyhow::Error {
    let what = format!(
        "the loss of iteration {iteration} is not a finite number: a smaller --step-size, or smaller weights, help"
    );
    let Some(last) = iteration.checked_sub(1) else {
        return anyhow!(what);
    };
    global.note("the loss is not a finite number any more: running again to the last image with a finite loss");
    let write = || -> anyhow::Result<()> {
        let device = run.executor().device();
        let mut again = run
            .recipe()
            .compile(device, &run.recipe().network(device)?)?;
        if last > 0 {
            again.run_for(last, |_| ControlFlow::Continue(()))?;
        }
        output.save_image_of(&again, global)
    };
    match write() {
        Ok(()) => anyhow!(
            "{what}; {} holds the image after {last} iterations",
            output.path.display()
        ),
        Err(error) => error.context(what),
    }
}

/// After a failure in the middle: the image as far as it came is written, if it can still be read.
fn rescue(run: &Run, output: &Output, error: pixgrad::Error, global: &Global) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    if run.done() > 0 && output.save_image_of(run, global).is_ok() {
        let message = format!(
            "stopped after {} iterations; {} holds the image as it was then",
            run.done(),
            output.path.display()
        );
        return error.context(message);
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use pixgrad::Picture;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: OptimizeArgs,
    }

    fn parsed(line: &str) -> OptimizeArgs {
        let arguments = std::iter::once("test").chain(line.split_whitespace());
        <Only as clap::Parser>::try_parse_from(arguments)
            .expect(line)
            .args
    }

    fn picture() -> Picture {
        Picture::from("a.png")
    }

    #[test]
    fn the_help_tells_the_recipes_defaults() {
        let style = Recipe::style(picture(), [picture()]);
        let texture = Recipe::texture([picture()], 8, 8);
        let help = |id: &str| {
            let command = Only::command();
            let argument = command
                .get_arguments()
                .find(|a| a.get_id() == id)
                .expect(id);
            argument.get_help().expect(id).to_string()
        };
        let (s, t) = (&style.optimizer, &texture.optimizer);
        let expect = |id: &str, text: String| {
            assert!(help(id).contains(&text), "{id}: {} lacks {text}", help(id))
        };
        expect(
            "iterations",
            format!("[default: {}; texture: {};", s.iterations, t.iterations),
        );
        let initial = |o: &pixgrad::OptimizerSpec| o.initial_iterations.expect("some");
        expect(
            "initial_iterations",
            format!("without it {}; texture: {};", initial(s), initial(t)),
        );
        expect("step_size", format!("[default: {};", s.step_size));
        expect("average", format!("[default: {};", s.average));
        expect(
            "min_size",
            format!("[default: {};", style.image.min_size.expect("some")),
        );
        expect("seed", format!("[default: {};", style.seed));
        assert_eq!((s.step_size, s.average), (t.step_size, t.average));
        assert_eq!(
            (&style.image.init, &texture.image.init),
            (&Init::Content, &Init::Noise)
        );
    }

    #[test]
    fn options_replace_what_the_recipe_says() {
        let mut recipe = Recipe::texture([picture()], 8, 8);
        let before = recipe.clone();
        parsed("").apply(&mut recipe);
        assert_eq!(recipe, before, "nothing asked for, nothing changed");

        parsed("-i 7 --seed 3 --model vgg19 --init gray --step-size 0.5 --average 0 --min-size 5")
            .apply(&mut recipe);
        let o = &recipe.optimizer;
        assert_eq!((o.iterations, o.initial_iterations), (7, None));
        assert_eq!((o.step_size, o.average), (0.5, 0.0));
        assert_eq!((recipe.seed, recipe.model.as_str()), (3, "vgg19"));
        assert_eq!(
            (&recipe.image.init, recipe.image.min_size),
            (&Init::Gray, Some(5))
        );

        parsed("-i 7 --initial-iterations 9").apply(&mut recipe);
        assert_eq!(recipe.optimizer.initial_iterations, Some(9));
    }
}
