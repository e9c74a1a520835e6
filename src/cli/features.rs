//! `pixgrad features`: the activations of layers of a network for a picture.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use pixgrad::engine::image::{self, Filter, Image, check_file, size_for_long_side};
use pixgrad::engine::methods::{Feature, features};
use serde_json::json;

use super::claims::Claims;
use super::network::OpeningArgs;
use super::output::{Tensor, write_tensors};
use super::{Global, Usage, network, terminal};
use pixgrad::engine::methods::options::parse::{self, LongSide};

/// Write the activations of a picture at some layers
///
/// The file holds one f32 tensor `[C,H,W]` per layer, under the name given in --layers.
#[derive(Debug, Args)]
pub struct FeaturesArgs {
    /// The picture
    #[arg(value_name = "IMAGE")]
    image: PathBuf,

    /// The layers: relu1_1,relu2_1. `pixgrad models show NAME` lists the layers of a network
    #[arg(long, value_name = "LAYERS", required = true, value_delimiter = ',', value_parser = parse::layer_name)]
    layers: Vec<String>,

    /// The file to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,

    /// Resize the picture to this long side in pixels, or native
    #[arg(
        short,
        long,
        value_name = "PIXELS",
        default_value = "native",
        value_parser = parse::long_side,
        allow_negative_numbers = true
    )]
    size: LongSide,

    /// The network: a name from `pixgrad models`, a .safetensors, .onnx or .pth file, or auto (squeezenet1_1)
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    model: String,

    #[command(flatten)]
    opening: OpeningArgs,
}

pub fn run(args: &FeaturesArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut seen = HashSet::new();
    if let Some(twice) = args.layers.iter().find(|layer| !seen.insert(*layer)) {
        bail!(Usage(format!(
            "--layers names `{twice}` twice: the file holds one tensor per name"
        )));
    }
    let mut claims = Claims::default();
    claims.reads(&args.image);
    args.opening.claim(Some(&args.model), &mut claims);
    claims.writes("--output", &args.output);
    claims.check()?;
    check_file(&args.output)?;
    let image = resized(image::load(&args.image)?, args.size)?;

    let device = global.open()?;
    let network = network::load(&device, &args.model, &args.opening, global)?;
    let found = features(&network, &image, &args.layers)
        .with_context(|| args.image.display().to_string())?;
    let tensors: Vec<Tensor<'_>> = found
        .iter()
        .map(|feature| Tensor {
            name: feature.layer.clone(),
            shape: shape(feature).to_vec(),
            values: &feature.values,
        })
        .collect();
    let model = network.graph().name.clone();
    write_tensors(&args.output, &tensors, &[("model", model.clone())])?;

    if global.json {
        let layer = |feature: &Feature| json!({ "layer": feature.layer, "shape": shape(feature) });
        terminal::print_json(&json!({
            "output": args.output,
            "width": image.width,
            "height": image.height,
            "model": model,
            "device": device.info(),
            "layers": found.iter().map(layer).collect::<Vec<_>>(),
        }))?;
    } else {
        let lines = found
            .iter()
            .map(|feature| format!("\n  {} {:?}", feature.layer, shape(feature)));
        terminal::print(args.output.display().to_string() + &lines.collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn resized(image: Image, size: LongSide) -> anyhow::Result<Image> {
    let LongSide::Pixels(side) = size else {
        return Ok(image);
    };
    let (width, height) = size_for_long_side(image.width, image.height, side);
    Ok(if image.size() == (width, height) {
        image
    } else {
        image.resize(width, height, Filter::Bicubic)?.clamp()
    })
}

/// `[C,H,W]`.
fn shape(feature: &Feature) -> [usize; 3] {
    let s = feature.shape;
    [s.channels, s.height, s.width].map(|n| n as usize)
}
