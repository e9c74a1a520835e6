//! `pixgrad search`: the images of a folder that activate a unit, or a direction, most.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args, ValueEnum};
use pixgrad::Image;
use pixgrad::engine::image::{self, check_writable, sheet};
use pixgrad::engine::methods::options::parse;
use pixgrad::engine::methods::search::{Event, Findings, Pool, Query, Ranking, search, thumbnail};
use serde_json::json;

use super::network::OpeningArgs;
use super::picture::MetadataArgs;
use super::{Global, network, terminal};

/// Find the images of a folder that activate a unit or a random direction most
///
/// The activations are cached in a hidden file of the folder, so that only the first search takes long. The result is a
/// sheet of the images found, one row per query.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("query").required(true).multiple(true))]
pub struct SearchArgs {
    /// The folder of images. Its subfolders are not searched
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// The layer: `pixgrad models show NAME` lists the layers of a network
    #[arg(short, long, value_name = "LAYER", value_parser = parse::layer_name)]
    layer: String,

    /// Channels of the layer, from 0: 37 or 3,17
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',', group = "query")]
    unit: Vec<u32>,

    /// Random directions in the space of the layer's channels, each given by a seed: 1 or 1,2,3
    #[arg(long, value_name = "SEEDS", value_delimiter = ',', group = "query")]
    direction: Vec<u64>,

    /// Add N random channels
    #[arg(long, value_name = "N", group = "query", value_parser = clap::value_parser!(u32).range(1..=1024))]
    units: Option<u32>,

    /// Add N random directions: those of the seeds from --seed on
    #[arg(long, value_name = "N", group = "query", value_parser = clap::value_parser!(u32).range(1..=1024))]
    directions: Option<u32>,

    /// Seed of --units and --directions
    #[arg(long, value_name = "SEED", default_value = "0")]
    seed: u64,

    /// How a unit's activations at all positions become one score
    #[arg(long, value_enum, default_value_t = PoolName::Max)]
    pool: PoolName,

    /// How many images to list per query
    #[arg(
        short,
        long,
        value_name = "K",
        default_value = "8",
        value_parser = parse::count,
        allow_negative_numbers = true
    )]
    top: u64,

    /// The network: a name from `pixgrad models`, a .safetensors, .onnx or .pth file, or auto (squeezenet1_1)
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    model: String,

    #[command(flatten)]
    opening: OpeningArgs,

    /// The sheet to write
    #[arg(short, long, value_name = "FILE", default_value = "search-pixgrad.png")]
    output: PathBuf,

    #[command(flatten)]
    metadata: MetadataArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolName {
    /// Their maximum
    Max,
    /// Their mean
    Mean,
}

/// Side of an image in the sheet.
const SIDE: u32 = 128;

/// Time between two lines of progress.
const PAUSE: Duration = Duration::from_secs(5);

pub fn run(args: &SearchArgs, global: &Global) -> anyhow::Result<ExitCode> {
    check_writable(&args.output)?;
    let device = global.open()?;
    let network = network::load(&device, &args.model, &args.opening, global)?;
    let pool = match args.pool {
        PoolName::Max => Pool::Max,
        PoolName::Mean => Pool::Mean,
    };
    let units = args
        .unit
        .iter()
        .map(|&channel| Query::Unit { channel, pool });
    let mut queries: Vec<Query> = units.collect();
    if let Some(count) = args.units {
        queries.extend(Query::units(&network, &args.layer, count, args.seed, pool)?);
    }
    let directions = args.direction.iter();
    queries.extend(directions.map(|&seed| Query::Direction { seed }));
    queries.extend(Query::directions(args.directions.unwrap_or(0), args.seed));

    let mut last = Instant::now();
    let findings = search(
        &network,
        &args.folder,
        &args.layer,
        &queries,
        usize::try_from(args.top).unwrap_or(usize::MAX),
        Some(&args.output),
        &mut |event| match event {
            Event::Skipped(file) => global.note(format_args!(
                "skipped '{}': {}",
                file.path.display(),
                file.reason
            )),
            Event::Warning(text) => global.note(format_args!("warning: {text}")),
            Event::Progress(done, of) => {
                if last.elapsed() >= PAUSE {
                    last = Instant::now();
                    global.note(format_args!("{done}/{of} images"));
                }
            }
        },
    )?;
    let sheet = pictures(args, &findings)?;
    image::save(
        &args.output,
        &sheet,
        args.metadata.options(&[&network], Vec::new()),
    )?;

    let means = [
        (
            "units",
            mean(&findings, |q| matches!(q, Query::Unit { .. })),
        ),
        (
            "directions",
            mean(&findings, |q| matches!(q, Query::Direction { .. })),
        ),
    ];
    if global.json {
        let mut document = serde_json::to_value(&findings)?;
        document["alike"] = means.into_iter().collect();
        document["output"] = json!(args.output.to_string_lossy());
        document["device"] = json!(device.info());
        terminal::print_json(&document)?;
    } else {
        terminal::print(text(args, &findings, &means))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The sheet: a row of images for each query.
fn pictures(args: &SearchArgs, findings: &Findings) -> anyhow::Result<Image> {
    let mut seen: HashMap<&str, Image> = HashMap::new();
    let hits = || findings.queries.iter().flat_map(|answer| &answer.top);
    for hit in hits() {
        if !seen.contains_key(hit.image.as_str()) {
            let image = thumbnail(&args.folder.join(&hit.image), SIDE)?;
            seen.insert(&hit.image, image);
        }
    }
    let cells: Vec<&Image> = hits().map(|hit| &seen[hit.image.as_str()]).collect();
    // Every query finds as many.
    let columns = findings.queries[0].top.len();
    Ok(sheet(&cells, columns, 4, [1.0; 3])?)
}

/// How alike the images of such queries are, on average; none where nothing can be said.
fn mean(findings: &Findings, such: fn(&Query) -> bool) -> Option<f64> {
    let answers = findings.queries.iter().filter(|a| such(&a.query));
    let shares: Option<Vec<f64>> = answers.map(|a| a.alike).collect();
    let shares = shares.filter(|shares| !shares.is_empty())?;
    Some(shares.iter().sum::<f64>() / shares.len() as f64)
}

fn text(args: &SearchArgs, findings: &Findings, means: &[(&str, Option<f64>)]) -> String {
    let mut lines = vec![format!(
        "{}: {} images, {} of them new; {} of {}",
        args.output.display(),
        findings.images,
        findings.computed,
        findings.layer,
        findings.model
    )];
    let rows: Vec<_> = findings.queries.iter().flat_map(rows).collect();
    lines.push(terminal::table(&rows));
    for (kind, share) in means {
        if let Some(share) = share {
            lines.push(format!(
                "{kind}: on average {:.0} % of the images found are of one class",
                100.0 * share
            ));
        }
    }
    lines.join("\n")
}

/// The table's rows of one query.
fn rows(answer: &Ranking) -> Vec<Vec<String>> {
    let name = match answer.query {
        Query::Unit { channel, .. } => format!("unit {channel}"),
        Query::Direction { seed } => format!("direction {seed}"),
    };
    let alike = answer.alike.map_or(String::new(), |share| {
        format!("{:.0} % alike", 100.0 * share)
    });
    let mut rows = vec![vec![name, alike]];
    rows.extend(answer.top.iter().map(|hit| {
        let class = match (&hit.label, hit.class) {
            (Some(label), Some(class)) => format!("{label} ({class})"),
            _ => String::new(),
        };
        vec![
            String::new(),
            format!("{:.4}", hit.score),
            hit.image.clone(),
            class,
        ]
    }));
    rows
}
