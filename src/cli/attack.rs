//! `pixgrad attack`: pictures changed so that a network sees something else in them.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use pixgrad::engine::image::{self, SaveOptions, check_writable, is_stdout, side_by_side};
use pixgrad::engine::methods::classify::{Score, Size, read_prepared};
use pixgrad::engine::methods::options::AttackOptions;
use pixgrad::engine::methods::options::parse::{self, PictureSize};
use pixgrad::engine::methods::{Aim, Attack, AttackMethod, Distance, attack, top_one};
use pixgrad::{BallNorm, Progress};
use pixgrad::{Device, Image, MadeOf, Network};
use serde::Serialize;

use super::claims::Claims;
use super::interrupt::Interrupt;
use super::network::OpeningArgs;
use super::output::stem;
use super::picture::MetadataArgs;
use super::progress::Reporter;
use super::{Global, Usage, network, terminal};

/// Make adversarial examples: pictures changed so that a network sees another class
///
/// For each picture this writes NAME-adversarial.png, NAME-noise.png (the change, magnified, around gray) and
/// NAME-panel.png (before, change, after). An attack that does not succeed is reported; it is not an error.
#[derive(Debug, Args)]
pub struct AttackArgs {
    /// The pictures
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,

    /// The class to reach: a number, a name, or random (a different one for each picture) [default: any class but the
    /// picture's own]
    #[arg(short, long, value_name = "CLASS")]
    target: Option<String>,

    #[command(flatten)]
    numbers: AttackNumbers,

    /// How pictures are resized: crop (short side to 256 pixels, then the central 224x224, or what the network takes),
    /// native, or the side of another central square
    #[arg(short, long, value_name = "SIZE", default_value = "crop", value_parser = parse::picture_size)]
    size: PictureSize,

    /// The network: a name from `pixgrad models`, a .safetensors, .onnx or .pth file, or auto (squeezenet1_1)
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    model: String,

    #[command(flatten)]
    opening: OpeningArgs,

    /// The folder to write to, or, for a single picture, the .png file of the result [default: the current folder]
    #[arg(short, long, value_name = "DIR|FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    metadata: MetadataArgs,
}

/// Options of `attack` and `transfer`.
#[derive(Debug, Args)]
pub struct AttackNumbers {
    /// The attack
    #[arg(short, long, value_enum, default_value_t = Method::Bim)]
    method: Method,

    /// pgd: the norm of the change that ε bounds: the largest difference, or the root of the sum of squares
    #[arg(long, value_enum)]
    norm: Option<Norm>,

    /// fgsm, bim, mi-fgsm, pgd: the largest change, in units of the `[0,1]` image [default: 8/255; 1 in l2]
    #[arg(long, value_name = "X|A/B", value_parser = parse::fraction, allow_negative_numbers = true)]
    epsilon: Option<f32>,

    /// Iterations; for lbfgs and cw, per round [default: bim, mi-fgsm 10; pgd 40, in l2 50; deepfool 50; lbfgs 100; cw
    /// 150]
    #[arg(long, value_name = "N", value_parser = parse::count, allow_negative_numbers = true)]
    steps: Option<u64>,

    /// Step size [default: bim, mi-fgsm ε/5; pgd ε/30, in l2 ε/40; cw 0.01, without --target 0.002; lbfgs, first step:
    /// 0.001]
    #[arg(long, value_name = "X|A/B", value_parser = parse::fraction, allow_negative_numbers = true)]
    step_size: Option<f32>,

    /// lbfgs, cw: the first weight c of the class's loss [default: lbfgs 0.1; cw 0.05, without --target 0.005]
    #[arg(short, long, value_name = "C", value_parser = parse::fraction, allow_negative_numbers = true)]
    c: Option<f32>,

    /// lbfgs, cw: how many weights c are tried [default: 6]
    #[arg(long, value_name = "N", value_parser = parse::count, allow_negative_numbers = true)]
    rounds: Option<u64>,

    /// cw: how far beyond the decision boundary to go, in logits [default: 0]
    #[arg(long, value_name = "K", value_parser = parse::weight, allow_negative_numbers = true)]
    confidence: Option<f64>,

    /// Make the attack work on the saved 8-bit file, not only on the picture in memory
    #[arg(long)]
    survive_8bit: bool,

    /// Seed of random start points and random targets
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// One step along the gradient's sign (Goodfellow et al. 2015)
    Fgsm,
    /// Several steps along the sign, within ε (Kurakin et al. 2017)
    Bim,
    /// As bim, with momentum (Dong et al. 2018)
    MiFgsm,
    /// Several steps from a random start within ε (Madry et al. 2018)
    Pgd,
    /// The smallest change by box-constrained L-BFGS (Szegedy et al. 2013)
    Lbfgs,
    /// The smallest change by Adam in tanh space (Carlini and Wagner 2017)
    Cw,
    /// Steps to the nearest linearized decision boundary (Moosavi-Dezfooli et al. 2016)
    Deepfool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Norm {
    Linf,
    L2,
}

impl AttackNumbers {
    /// The attack that was asked for.
    pub fn attack(&self) -> anyhow::Result<Attack> {
        let options = AttackOptions {
            method: self.method.into(),
            norm: self.norm.map(|norm| match norm {
                Norm::Linf => BallNorm::Linf,
                Norm::L2 => BallNorm::L2,
            }),
            epsilon: self.epsilon,
            steps: self.steps,
            step_size: self.step_size,
            c: self.c,
            rounds: self.rounds,
            confidence: self.confidence,
            survive_8bit: self.survive_8bit,
            seed: self.seed,
        };
        options.attack().map_err(Usage::of)
    }
}

impl From<Method> for AttackMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Fgsm => Self::Fgsm,
            Method::Bim => Self::Bim,
            Method::MiFgsm => Self::MiFgsm,
            Method::Pgd => Self::Pgd,
            Method::Lbfgs => Self::Lbfgs,
            Method::Cw => Self::Cw,
            Method::Deepfool => Self::DeepFool,
        }
    }
}

/// Loads a network that tells classes apart; the error names those that do.
pub fn load_classifier(
    device: &Device,
    model: &str,
    opening: &OpeningArgs,
    global: &Global,
) -> anyhow::Result<Network> {
    let network = network::load(device, model, opening, global)?;
    network.graph().logits()?;
    Ok(network)
}

/// A picture as the network is to see it, without alpha.
pub fn load_prepared(path: &Path, size: Size) -> anyhow::Result<Image> {
    let image = read_prepared(path, size)?;
    Ok(Image {
        alpha: None,
        ..image
    }
    .clamp())
}

/// A progress report on stderr that Ctrl-C ends.
pub struct Watcher {
    quiet: bool,
    interrupt: Interrupt,
    reporter: Option<Reporter>,
}

impl Watcher {
    pub fn new(quiet: bool) -> anyhow::Result<Self> {
        Ok(Self {
            quiet,
            interrupt: Interrupt::listen(quiet)?,
            reporter: None,
        })
    }

    pub fn see(&mut self, progress: &Progress) -> ControlFlow<()> {
        let new = || Reporter::new(self.quiet, progress.iterations);
        self.reporter.get_or_insert_with(new).update(progress);
        if self.interrupt.pressed() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The exit code so far.
    pub fn finish(self) -> ExitCode {
        if let Some(reporter) = self.reporter {
            reporter.finish();
        }
        if self.interrupt.pressed() {
            ExitCode::from(Interrupt::EXIT_CODE)
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// The files of one picture.
#[derive(Debug)]
struct Files {
    adversarial: PathBuf,
    noise: PathBuf,
    panel: PathBuf,
}

/// Where the results of each picture go; the folder is made.
fn files(args: &AttackArgs) -> anyhow::Result<Vec<Files>> {
    let output = args.output.as_deref().unwrap_or(Path::new("."));
    if is_stdout(output) {
        return Err(Usage("attack writes several files: give a folder".to_string()).into());
    }
    let is_file = output.extension().is_some() && !output.is_dir();
    if is_file {
        if args.images.len() > 1 {
            return Err(Usage(format!(
                "'{}' is one file for {} pictures: give a folder",
                output.display(),
                args.images.len()
            ))
            .into());
        }
        if !output
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("png"))
        {
            return Err(Usage(format!(
                "'{}': the result is written as .png, which loses nothing",
                output.display()
            ))
            .into());
        }
    }
    let mut taken = HashSet::new();
    let mut all = Vec::new();
    for path in &args.images {
        let source = if is_file { output } else { path };
        let stem = stem(source).to_string_lossy();
        if !taken.insert(stem.to_string()) {
            return Err(Usage(format!(
                "two pictures are called {stem}: their results would overwrite each other"
            ))
            .into());
        }
        let folder = if is_file {
            output.parent().unwrap_or(Path::new(""))
        } else {
            output
        };
        let named = |what: &str| folder.join(format!("{stem}-{what}.png"));
        all.push(Files {
            adversarial: if is_file {
                output.to_path_buf()
            } else {
                named("adversarial")
            },
            noise: named("noise"),
            panel: named("panel"),
        });
    }
    Ok(all)
}

/// One picture, as `--json` tells it.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(serialize_with = "terminal::lossy")]
    image: &'a Path,
    width: u32,
    height: u32,
    model: &'a str,
    method: &'static str,
    objective: &'static str,
    /// The class to be seen; absent: any but the picture's own.
    target: Option<Target>,
    clean: &'a Score,
    adversarial: &'a Score,
    /// What the network sees in the file, written and read again.
    adversarial_8bit: Score,
    /// Whether the target was seen before the attack, which then left the picture as it was.
    already_seen: bool,
    success: bool,
    success_8bit: bool,
    /// Of the picture in memory.
    #[serde(flatten)]
    distance: Distance,
    /// Of the file.
    l2_8bit: f64,
    linf_8bit: f64,
    rms_8bit: f64,
    iterations: u64,
    /// The weight of the class's term.
    c: Option<f32>,
    /// What the change is magnified by in `noise`.
    noise_factor: f64,
    #[serde(serialize_with = "terminal::lossy")]
    output: &'a Path,
    #[serde(serialize_with = "terminal::lossy")]
    noise: &'a Path,
    #[serde(serialize_with = "terminal::lossy")]
    panel: &'a Path,
}

#[derive(Serialize)]
struct Target {
    class: usize,
    label: String,
}

pub fn run(args: &AttackArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let numbers = args.numbers.attack()?;
    let files = files(args)?;
    let mut claims = Claims::default();
    args.images.iter().for_each(|path| claims.reads(path));
    args.opening.claim(Some(&args.model), &mut claims);
    for files in &files {
        for path in [&files.adversarial, &files.noise, &files.panel] {
            claims.writes("--output", path);
        }
    }
    claims.check()?;
    let device = global.open()?;
    let network = load_classifier(&device, &args.model, &args.opening, global)?;
    let aim = match args.target.as_deref() {
        None => Aim::Leave,
        Some("random") => Aim::Random,
        Some(class) => Aim::Reach(vec![network.graph().class_index(class)?; args.images.len()]),
    };
    let size = args.size.of(network.graph());
    let images = args
        .images
        .iter()
        .map(|path| load_prepared(path, size))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(folder) = args.output.as_ref().filter(|o| o.extension().is_none()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder '{}' cannot be made", folder.display()))?;
    }
    for files in &files {
        for path in [&files.adversarial, &files.noise, &files.panel] {
            check_writable(path)?;
        }
    }
    global.note(format_args!(
        "{} by {} on {}: {} of {}",
        network.graph().name,
        numbers.method.name(),
        device.info().name,
        match images.len() {
            1 => "1 picture".to_string(),
            n => format!("{n} pictures"),
        },
        images
            .first()
            .map_or(String::new(), |i| format!("{}x{}", i.width, i.height)),
    ));
    let mut watcher = Watcher::new(global.quiet)?;
    let results = attack(&network, &images, &aim, &numbers, &mut |p| watcher.see(p))?;
    let code = watcher.finish();

    let mut answers = Vec::new();
    for ((path, files), (before, result)) in args
        .images
        .iter()
        .zip(&files)
        .zip(images.iter().zip(&results))
    {
        let of = vec![MadeOf::new(path, before)];
        let options = args.metadata.options(&[&network], of);
        let noise_factor = write(files, before, &result.image, &options)?;
        let again = image::load(&files.adversarial)?;
        let distance_8bit = Distance::between(before, &again);
        let adversarial_8bit = top_one(&network, &[again])?.swap_remove(0);
        answers.push(Answer {
            image: path,
            width: before.width,
            height: before.height,
            model: &network.graph().name,
            method: numbers.method.name(),
            objective: numbers.objective(result.target.is_some()),
            target: result.target.map(|class| Target {
                class,
                label: label(&network, class),
            }),
            clean: &result.clean,
            adversarial: &result.adversarial,
            already_seen: result.already_seen,
            success: result.success,
            success_8bit: result.is_success(&adversarial_8bit),
            adversarial_8bit,
            distance: result.distance,
            l2_8bit: distance_8bit.l2,
            linf_8bit: distance_8bit.linf,
            rms_8bit: distance_8bit.rms,
            iterations: result.iterations,
            c: result.c,
            noise_factor,
            output: &files.adversarial,
            noise: &files.noise,
            panel: &files.panel,
        });
    }
    if global.json {
        terminal::print_json(&answers)?;
    } else {
        terminal::print(text(&answers))?;
    }
    Ok(code)
}

pub fn label(network: &Network, class: usize) -> String {
    let names = network.graph().class_names();
    names
        .and_then(|names| names.get(class).map(ToString::to_string))
        .unwrap_or_else(|| format!("class {class}"))
}

/// Writes the pictures of one result; what its change is magnified by.
fn write(
    files: &Files,
    before: &Image,
    after: &Image,
    options: &SaveOptions,
) -> anyhow::Result<f64> {
    let largest = Distance::between(before, after).linf;
    // The largest change reaches white or black.
    let factor = if largest > 0.0 { 0.5 / largest } else { 1.0 };
    let mut noise = before.clone();
    for (value, after) in noise.rgb.iter_mut().zip(&after.rgb) {
        *value = (0.5 + factor as f32 * (after - *value)).clamp(0.0, 1.0);
    }
    let panel = side_by_side(&[before, &noise, after], 4, [1.0; 3])?;
    let pictures = [
        (&files.adversarial, after),
        (&files.noise, &noise),
        (&files.panel, &panel),
    ];
    for (path, picture) in pictures {
        let _ = image::save(path, picture, options.clone())?;
    }
    Ok(factor)
}

/// The table for people.
fn text(answers: &[Answer<'_>]) -> String {
    let headings = [
        "image",
        "before",
        "after",
        "success",
        "8-bit",
        "l2",
        "linf",
        "rms",
        "iterations",
        "noise",
    ];
    let seen = |score: &Score| format!("{} {:.3}", score.label, score.probability);
    let yes = |a: &Answer<'_>, success| {
        match success {
            true => "yes",
            false if a.already_seen => "seen already",
            false => "no",
        }
        .to_string()
    };
    let mut rows = vec![headings.map(str::to_string).to_vec()];
    rows.extend(answers.iter().map(|a| {
        let name = a.image.file_name().unwrap_or(a.image.as_os_str());
        vec![
            name.to_string_lossy().into_owned(),
            seen(a.clean),
            seen(a.adversarial),
            yes(a, a.success),
            yes(a, a.success_8bit),
            format!("{:.4}", a.distance.l2),
            format!("{:.4}", a.distance.linf),
            format!("{:.6}", a.distance.rms),
            a.iterations.to_string(),
            format!("x{:.1}", a.noise_factor),
        ]
    }));
    let count = |test: &dyn Fn(&Answer<'_>) -> bool| answers.iter().filter(|a| test(a)).count();
    let objective = answers.first().map_or("", |a| a.objective);
    let already = match count(&|a| a.already_seen) {
        0 => String::new(),
        n => format!("\nthe target was seen already in {n}, left as before: not counted"),
    };
    format!(
        "{}\n{} of {} succeed, {} in the file; minimised: {objective}{already}",
        terminal::table(&rows),
        count(&|a| a.success),
        count(&|a| !a.already_seen),
        count(&|a| a.success_8bit),
    )
}
