//! `pixgrad classify`: what a network sees in pictures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pixgrad::engine::methods::classify::{self, Score, classify, read_prepared};
use pixgrad::engine::methods::options::parse;
use serde::Serialize;

use super::network::OpeningArgs;
use super::{Global, network, terminal};

/// List the most probable classes of pictures
#[derive(Debug, Args)]
pub struct ClassifyArgs {
    /// The pictures
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,

    /// How many classes to list
    #[arg(
        short,
        long,
        value_name = "N",
        default_value = "5",
        value_parser = parse::count,
        allow_negative_numbers = true
    )]
    top: u64,

    /// How a picture is resized
    #[arg(short, long, value_enum, default_value_t = Size::Crop)]
    size: Size,

    /// The network: a name from `pixgrad models`, a .safetensors, .onnx or .pth file, or auto (squeezenet1_1)
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    model: String,

    #[command(flatten)]
    opening: OpeningArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// As in the network's training: short side to 256 pixels, then the central 224x224, unless its file says otherwise
    Crop,
    /// Unchanged
    Native,
}

/// One picture, as `--json` tells it.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(serialize_with = "terminal::lossy")]
    image: &'a Path,
    top: Vec<Score>,
}

pub fn run(args: &ClassifyArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let device = global.open()?;
    let network = network::load(&device, &args.model, &args.opening, global)?;
    let size = match args.size {
        Size::Crop => classify::Size::of_network(network.graph()),
        Size::Native => classify::Size::Native,
    };
    let top = usize::try_from(args.top).unwrap_or(usize::MAX);
    let answers = args.images.iter().map(|path| {
        let image = read_prepared(path, size)?;
        Ok(Answer {
            image: path,
            top: classify(&network, &image, classify::Size::Native, top)?,
        })
    });
    if global.json {
        let answers = answers.collect::<anyhow::Result<Vec<_>>>()?;
        terminal::print_json(&answers)?;
    } else {
        for answer in answers {
            terminal::print(text(&answer?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(answer: &Answer<'_>) -> String {
    let lines = answer
        .top
        .iter()
        .map(|s| format!("\n  {:.4}  {} ({})", s.probability, s.label, s.class));
    answer.image.display().to_string() + &lines.collect::<String>()
}
