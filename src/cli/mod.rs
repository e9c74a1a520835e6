//! The command line: one file per subcommand, each of which parses, calls a recipe and reports.

mod abort;
mod attack;
mod batch;
#[cfg(feature = "bench")]
mod bench;
mod checkpoint;
mod claims;
mod classify;
mod completions;
mod devices;
mod dream;
mod evolve;
mod features;
mod fool;
mod get;
mod grad;
mod install;
mod interrupt;
mod invert;
mod models;
mod network;
mod optimize;
mod output;
mod picture;
mod plan;
mod progress;
#[cfg(test)]
mod reference;
mod report;
mod run;
mod search;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod stdin;
mod style;
mod terminal;
mod texture;
mod texture_sheet;
mod trace;
mod transfer;
mod visualize;
mod warnings;
mod watch;

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use pixgrad::engine::device::{Tuning, cache_folder};
use pixgrad::engine::image::limit_decoding;
use pixgrad::engine::methods::options::parse;
use pixgrad::{Device, DeviceOptions};

/// Optimizes an image's pixels against a pretrained CNN, on any GPU.
///
/// Results go to files, reports to stdout, progress and warnings to stderr. The exit code is 0 on success, 1 on
/// failure, 2 for wrong usage, and 130 after Ctrl-C, SIGTERM or SIGHUP: these finish the current iteration and still
/// write the image.
#[derive(Debug, Parser)]
#[command(name = "pixgrad", version, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The device to run on: an index or part of a name from `pixgrad devices`, `cpu`, or `auto` (the best GPU, else
    /// `cpu`)
    #[arg(long, global = true, env = "PIXGRAD_DEVICE", value_name = "INDEX|NAME")]
    device: Option<String>,

    /// Use only adapters of this graphics API
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        ignore_case = true,
        value_parser = PossibleValuesParser::new(["vulkan", "metal", "dx12", "gl", "cpu"]),
    )]
    backend: Option<String>,

    /// Use at most this much memory, for example 600M or 2G. An image that does not fit is processed in bands of rows
    #[arg(long, global = true, value_name = "BYTES", value_parser = parse::bytes)]
    memory: Option<u64>,

    /// Take at most this much memory to decode one picture [default: that of --memory, else half of what is free, up to
    /// 4G]
    #[arg(long, global = true, value_name = "BYTES", value_parser = parse::bytes)]
    decode_memory: Option<u64>,

    /// Print one JSON document on stdout and nothing else
    #[arg(long, global = true)]
    json: bool,

    /// Do not benchmark kernel variants: run the default variant of every kernel
    #[arg(long, global = true, conflicts_with = "retune")]
    no_tune: bool,

    /// Re-benchmark the kernel variants, also on a software adapter, and replace the stored results
    #[arg(long, global = true)]
    retune: bool,

    /// Print no progress and no warnings
    #[arg(short, long, global = true)]
    quiet: bool,

    /// The device, once it is open
    #[arg(skip)]
    opened: std::sync::OnceLock<Device>,

    /// Whether a file beside the result could not be written
    #[arg(skip)]
    incomplete: std::cell::Cell<bool>,
}

impl Global {
    /// How a device is to be opened.
    fn options(&self) -> DeviceOptions {
        DeviceOptions {
            device: self.device.clone(),
            backend: self.backend.clone(),
            memory: self.memory,
            tuning: match (self.no_tune, self.retune) {
                (true, _) => Tuning::Off,
                (_, true) => Tuning::Again,
                _ => Tuning::Auto,
            },
            tuning_folder: cache_folder().map(|folder| folder.join("kernels")),
            ..DeviceOptions::default()
        }
    }

    /// Opens the device that was asked for.
    fn open(&self) -> anyhow::Result<Device> {
        let device = Device::new(&self.options())?;
        Ok(self.opened.get_or_init(|| device).clone())
    }

    /// What a file beside the result comes to, such as a checkpoint or a trace: if it cannot be written, that is told,
    /// the run goes on, and the exit code at the end is 1.
    fn beside(&self, written: anyhow::Result<()>) {
        if let Err(error) = written {
            terminal::note(format_args!("error: {}", terminal::chain(&error)));
            self.incomplete.set(true);
        }
    }

    /// A line on stderr, unless quiet.
    fn note(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            terminal::note(line);
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Style(style::StyleArgs),
    Texture(texture::TextureArgs),
    Invert(invert::InvertArgs),
    Dream(dream::DreamArgs),
    Visualize(visualize::VisualizeArgs),
    Fool(fool::FoolArgs),
    Attack(attack::AttackArgs),
    Transfer(transfer::TransferArgs),
    Search(search::SearchArgs),
    Classify(classify::ClassifyArgs),
    Features(features::FeaturesArgs),
    Grad(grad::GradArgs),
    Run(run::RunArgs),
    Show(show::ShowArgs),
    Plan(plan::PlanArgs),
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    Devices(devices::DevicesArgs),
    Models(models::ModelsArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

/// Wrong usage that only shows when several arguments are looked at together: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

impl Usage {
    /// An error of the library: of an option, wrong usage; of anything else, a failure.
    fn of(error: pixgrad::MethodError) -> anyhow::Error {
        match error {
            pixgrad::MethodError::Option { option, problem } => {
                Self(format!("--{}: {problem}", option.replace('_', "-"))).into()
            }
            other => pixgrad::Error::from(other).into(),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    abort::listen();
    let mut described = Cli::command();
    described.build();
    let matches = described.clone().get_matches();
    let Cli { global, command } = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    if !global.quiet {
        warnings::print();
    }
    if let Some(bytes) = global.decode_memory.or(global.memory) {
        limit_decoding(bytes);
    }
    let conflicts = checkpoint::check_conflicts(&described, &matches)
        .and_then(|()| stdin::check_once(&described, &matches));
    let result = match &command {
        _ if conflicts.is_err() => conflicts.map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Command::Style(args) => style::run(args, &global),
        Command::Texture(args) => texture::run(args, &global),
        Command::Invert(args) => invert::run(args, &global),
        Command::Dream(args) => dream::run(args, &global),
        Command::Visualize(args) => visualize::run(args, &global),
        Command::Fool(args) if args.evolves() => evolve::run(args, &global),
        Command::Fool(args) => fool::run(args, &global),
        Command::Attack(args) => attack::run(args, &global),
        Command::Transfer(args) => transfer::run(args, &global),
        Command::Search(args) => search::run(args, &global),
        Command::Classify(args) => classify::run(args, &global),
        Command::Features(args) => features::run(args, &global),
        Command::Grad(args) => grad::run(args, &global),
        Command::Run(args) => run::run(args, &global),
        Command::Show(args) => show::run(args, &global),
        Command::Plan(args) => plan::run(args, &global),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args, &global),
        #[cfg(feature = "bench")]
        Command::Bench(args) => bench::run(args, &global),
        Command::Devices(args) => devices::run(args, &global),
        Command::Models(args) => models::run(args, &global),
        Command::Completions(args) => completions::completions(args),
        Command::Man(args) => completions::man(args, &global),
    };
    for warning in global
        .opened
        .get()
        .map_or_else(Vec::new, Device::take_warnings)
    {
        global.note(format_args!("warning: {warning}"));
    }
    match result {
        Ok(code) if code == ExitCode::SUCCESS && global.incomplete.get() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            terminal::note(format_args!("error: {}", terminal::chain(&error)));
            if error.is::<Usage>() {
                terminal::note("\nFor more information, try '--help'.");
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn refusal(line: &str) -> clap::Error {
        let arguments = std::iter::once("pixgrad").chain(line.split_whitespace());
        Cli::try_parse_from(arguments).expect_err(line)
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_after_the_subcommand() {
        for line in [
            "pixgrad --json --device cpu classify a.png",
            "pixgrad classify a.png --json --device cpu",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert!(cli.global.json);
            assert_eq!(cli.global.device.as_deref(), Some("cpu"));
        }
    }

    #[test]
    fn wrong_numbers_are_refused_with_what_would_be_right() {
        for (line, expected) in [
            ("style a b --size 0", "whole number of pixels"),
            ("style a b --size -5", "whole number of pixels"),
            ("style a b -i 0", "at least 1"),
            ("style a b --content-weight -1", "from 0 to 1e12"),
            ("style a b --style-weights -1", "from 0 to 1e12"),
            ("style a b --style-weights 1,x", "from 0 to 1e12"),
            ("style a b --step-size 0", "greater than 0"),
            ("style a b --style-scale nan", "greater than 0"),
            ("style a b --average 1", "less than 1"),
            ("style a b --style-layers relu1_1:x", "LAYER:NUMBER"),
            (
                "style a b --init no/such/file",
                "content, noise, gray, stats",
            ),
            ("style a b --optimizer sgd", "adam, lbfgs"),
            (
                "style a b --style-loss mmd",
                "mmd-gaussian, bn, wasserstein",
            ),
            ("style a b --style-loss gram:x", "0 or more"),
            ("style a b --precision f8", "it must be f32 or f16"),
            ("style a b --backend opengl", "vulkan"),
            ("style a b --memory 0", "such as 600M"),
            ("style a b --memory 3T", "such as 600M"),
            ("style a b --memory M", "such as 600M"),
            ("texture a --size 10x", "WIDTHxHEIGHT"),
            ("texture a --size 0x10", "WIDTHxHEIGHT"),
            ("classify a --top 0", "at least 1"),
            ("search a --layer b --unit 1 --top 0", "at least 1"),
        ] {
            let error = refusal(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            let text = error.to_string();
            assert!(text.contains(expected), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_needed_is_asked_for() {
        for line in [
            "style",
            "style a",
            "texture",
            "classify",
            "grad a",
            "features a",
            "run",
            "search a --unit 1",
            "search a --layer b",
        ] {
            assert_eq!(
                refusal(line).kind(),
                ErrorKind::MissingRequiredArgument,
                "{line}"
            );
        }
    }

    #[test]
    fn lists_leave_positional_arguments_alone() {
        let line =
            "pixgrad style --style-weights 1,2 --style-layers a:0.5,b photo.png one.png two.png";
        let Command::Style(args) = Cli::try_parse_from(line.split(' ')).expect(line).command else {
            panic!("not style");
        };
        assert_eq!(args.styles.len(), 2);
        assert_eq!(args.paint.style_weights, [1.0, 2.0]);
        let layers: Vec<String> = args
            .paint
            .style_layers
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(layers, ["a:0.5", "b"]);
    }
}
