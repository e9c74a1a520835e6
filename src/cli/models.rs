//! `pixgrad models`: the networks there are.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pixgrad::Error;
use pixgrad::engine::net::{self, Architecture, Network, Obstacle, Outline};
use serde::Serialize;
use serde_json::json;

use super::get::{self, GetArgs};
use super::install::{self, ImportArgs};
use super::{Global, terminal};

/// List the available networks, show one, or install one
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: Option<ModelsCommand>,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List the embedded and the installed networks (the default)
    List,
    /// Show a network's layers with all their names
    Show {
        /// A name from the list, or a .safetensors, .onnx or .pth file
        #[arg(value_name = "NAME|FILE")]
        name: String,
    },
    Get(GetArgs),
    Import(ImportArgs),
    /// Remove an installed network
    Remove {
        /// A name from the list, or the name of a file in the folder of the installed networks
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Print the folder of the installed networks, or the file of one
    Path {
        /// A name from the list
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

/// A network that can be asked for by name, as `models list --json` tells it: what is known without reading its
/// weights.
#[derive(Serialize)]
struct Listed {
    name: String,
    /// Absent where the header of its file does not tell it.
    architecture: Option<&'static str>,
    embedded: bool,
    /// Its file; absent where it is embedded.
    path: Option<String>,
    format: &'static str,
    /// Length of its file.
    bytes: Option<u64>,
    classes: Option<u32>,
    last_layer: Option<String>,
    parameters: Option<usize>,
    license: Option<String>,
    source: Option<String>,
}

impl Listed {
    fn new(name: &str, path: Option<PathBuf>) -> Result<Self, net::NetError> {
        let format = path
            .as_deref()
            .map_or(Some("safetensors"), net::file_format);
        let format = format.unwrap_or("unreadable");
        let outline = match format {
            "safetensors" => Some(net::outline(name, path.as_deref())?),
            _ => None,
        };
        let said = |key| outline.as_ref()?.metadata.get(key).cloned();
        let about = path.as_deref().and_then(|path| path.metadata().ok());
        Ok(Self {
            name: name.to_string(),
            embedded: path.is_none(),
            bytes: about.map(|about| about.len()),
            path: path.map(|path| path.display().to_string()),
            format,
            license: said("license"),
            source: said("source"),
            architecture: outline.as_ref().map(|o| o.architecture.name()),
            classes: outline.as_ref().and_then(|o| o.classes),
            parameters: outline.as_ref().map(|o| o.parameters),
            last_layer: outline.map(|Outline { last_layer, .. }| last_layer),
        })
    }
}

/// A network, as `models show --json` tells it.
#[derive(Serialize)]
struct Model {
    name: String,
    /// Absent where it is none of those known by name.
    architecture: Option<&'static str>,
    /// Whether it is part of the program; else it is a file.
    embedded: bool,
    /// Number of classes; absent where the network has no classifier.
    classes: Option<u32>,
    /// The name of the last layer.
    last_layer: String,
    /// Number of weights.
    parameters: usize,
    license: Option<String>,
    source: Option<String>,
}

impl Model {
    fn new(network: &Network) -> Self {
        let metadata = |key| network.metadata.get(key).cloned();
        Self {
            name: network.name.clone(),
            architecture: network.architecture.map(Architecture::name),
            embedded: net::embedded().any(|name| name == network.name),
            classes: network.classes(),
            last_layer: network
                .nodes()
                .last()
                .map(|node| node.name.clone())
                .unwrap_or_default(),
            parameters: network
                .parameters()
                .iter()
                .map(|parameter| parameter.values.len())
                .sum(),
            license: metadata("license"),
            source: metadata("source"),
        }
    }
}

/// A layer, as `--json` tells it.
#[derive(Serialize)]
struct Layer<'a> {
    name: &'a str,
    aliases: &'a [String],
    /// What it computes: `conv`.
    kind: &'static str,
    channels: u32,
    /// Rows and columns of its output for an image of the size that is shown; absent where it has none.
    size: Option<[u32; 2]>,
    /// Rows and columns of pixels that a unit sees; absent where it sees the whole image.
    receptive_field: Option<[u32; 2]>,
    /// Pixels from one unit to the next, down and across.
    stride: Option<[u32; 2]>,
}

/// Side of the image that layers are shown for, unless the file was made for another one.
const USUAL_SIZE: [u32; 2] = [224, 224];

/// The layers of a network, for images of `[height, width]`.
fn layers(network: &Network, [height, width]: [u32; 2]) -> Vec<Layer<'_>> {
    let fields = network.graph().receptive_fields();
    let shapes = network.shapes(height, width);
    let all = network.layers().zip(shapes).zip(fields);
    all.map(|((node, shape), field)| Layer {
        name: &node.name,
        aliases: &node.aliases,
        kind: node.layer.kind(),
        channels: node.channels,
        size: shape.map(|shape| [shape.height, shape.width]),
        receptive_field: field.map(|field| field.map(|along| along.size)),
        stride: field.map(|field| field.map(|along| along.stride)),
    })
    .collect()
}

/// Two numbers as a picture's size is written: columns by rows.
fn across(size: Option<[u32; 2]>) -> String {
    size.map_or_else(
        || "-".to_string(),
        |[rows, columns]| format!("{columns}x{rows}"),
    )
}

pub fn run(args: &ModelsArgs, global: &Global) -> anyhow::Result<ExitCode> {
    match &args.command {
        None | Some(ModelsCommand::List) => list(global),
        Some(ModelsCommand::Show { name }) => show(name, global),
        Some(ModelsCommand::Get(args)) => get::run(args, global),
        Some(ModelsCommand::Import(args)) => install::import(args, global),
        Some(ModelsCommand::Remove { name }) => install::remove(name, global),
        Some(ModelsCommand::Path { name }) => install::path(name.as_deref(), global),
    }
}

fn list(global: &Global) -> anyhow::Result<ExitCode> {
    let warn = |text: &dyn std::fmt::Display| global.note(format_args!("warning: {text}"));
    let embedded = net::embedded().map(|name| (name.to_string(), None));
    let installed = net::installed_files();
    for pair in installed.windows(2) {
        if pair[0].name == pair[1].name
            && let Err(ambiguous) = net::find_installed(&pair[0].name)
        {
            warn(&ambiguous);
        }
    }
    for hidden in &installed {
        if net::embedded().any(|name| name == hidden.name) {
            warn(&format_args!(
                "`{}` is the embedded network; the installed one is reached by its path {}",
                hidden.name,
                hidden.path.display()
            ));
        }
    }
    let installed = installed
        .into_iter()
        .map(|file| (file.name, Some(file.path)));
    let mut models = Vec::new();
    for (name, path) in embedded.chain(installed) {
        // One file that is not a network must not hide the others.
        match Listed::new(&name, path) {
            Ok(listed) => models.push(listed),
            Err(error) => warn(&Error::from(error).with_causes()),
        }
    }
    if global.json {
        terminal::print_json(&json!({ "models": models, "directory": net::models_dir() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = [
        "name",
        "architecture",
        "where",
        "file",
        "size",
        "classes",
        "last layer",
        "parameters",
        "license",
    ];
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_string());
    let rows = models.iter().map(|m| {
        vec![
            m.name.clone(),
            m.architecture.unwrap_or("-").to_string(),
            if m.embedded { "embedded" } else { "installed" }.to_string(),
            if m.embedded { "-" } else { m.format }.to_string(),
            or_dash(m.bytes.map(terminal::bytes)),
            or_dash(m.classes.map(|n| n.to_string())),
            or_dash(m.last_layer.clone()),
            or_dash(m.parameters.map(|n| format!("{:.1} M", n as f64 / 1e6))),
            or_dash(m.license.clone()),
        ]
    });
    let rows: Vec<_> = std::iter::once(header.map(String::from).to_vec())
        .chain(rows)
        .collect();
    terminal::print(terminal::table(&rows))?;
    if let Some(directory) = net::models_dir() {
        global.note(format_args!(
            "Further ones are installed in {} by `pixgrad models get` and `pixgrad models import`",
            directory.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows on the nodes of an ONNX file behind which nothing can be computed. Some files have one at each of many outputs.
fn stops_at(obstacles: &[&Obstacle]) -> Vec<Vec<String>> {
    const SHOWN: usize = 4;
    let row = |text: String| vec!["stops at".to_string(), text];
    let mut rows: Vec<_> = obstacles
        .iter()
        .take(SHOWN)
        .map(|obstacle| row(obstacle.to_string()))
        .collect();
    if obstacles.len() > SHOWN {
        let more = obstacles.len() - SHOWN;
        rows.push(row(format!("{more} more such nodes")));
    }
    rows
}

fn show(name: &str, global: &Global) -> anyhow::Result<ExitCode> {
    let network = Network::open(name)?;
    let model = Model::new(&network);
    let size = network.graph().trained_size().unwrap_or(USUAL_SIZE);
    let layers = layers(&network, size);
    if global.json {
        let mut document = serde_json::to_value(&model)?;
        document["image"] = json!(size);
        let obstacles = network.obstacles();
        document["stops_at"] = obstacles.iter().map(ToString::to_string).collect();
        document["layers"] = serde_json::to_value(&layers)?;
        terminal::print_json(&document)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut facts = vec![
        ["name", &model.name].map(String::from).to_vec(),
        ["architecture", model.architecture.unwrap_or("-")]
            .map(String::from)
            .to_vec(),
        vec!["parameters".to_string(), model.parameters.to_string()],
        vec![
            "classes".to_string(),
            model.classes.map_or("none".to_string(), |n| n.to_string()),
        ],
    ];
    facts.extend(
        network
            .metadata
            .iter()
            .filter(|(key, _)| *key != "architecture")
            .map(|(key, value)| vec![key.clone(), value.clone()]),
    );
    facts.push(vec!["image".to_string(), across(Some(size))]);
    facts.extend(stops_at(&network.obstacles()));
    let header = ["layer", "kind", "channels", "size", "sees", "also called"]
        .map(String::from)
        .to_vec();
    let rows = layers.iter().map(|l| {
        vec![
            l.name.to_string(),
            l.kind.to_string(),
            l.channels.to_string(),
            across(l.size),
            match l.receptive_field {
                Some(field) => across(Some(field)),
                None => "all".to_string(),
            },
            l.aliases.join(", "),
        ]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    terminal::print(format_args!(
        "{}\n\n{}",
        terminal::table(&facts),
        terminal::table(&rows)
    ))?;
    Ok(ExitCode::SUCCESS)
}
