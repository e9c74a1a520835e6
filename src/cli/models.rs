//! `pixgrad models`: the networks there are.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use pixgrad::Error;
use pixgrad::engine::net::{self, Architecture, Network};
use serde::Serialize;
use serde_json::json;

use super::{Global, terminal};

/// List the available networks, or show one
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
}

/// A network, as `--json` tells it.
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
    }
}

fn list(global: &Global) -> anyhow::Result<ExitCode> {
    let names = net::embedded().map(String::from).chain(net::installed());
    let mut models = Vec::new();
    for name in names {
        // One file that is not a network must not hide the others.
        match Network::open(&name) {
            Ok(network) => models.push(Model::new(&network)),
            Err(error) => global.note(format_args!(
                "warning: {}",
                Error::from(error).with_causes()
            )),
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
        "classes",
        "last layer",
        "parameters",
        "license",
    ];
    let rows = models.iter().map(|m| {
        vec![
            m.name.clone(),
            m.architecture.unwrap_or("-").to_string(),
            if m.embedded { "embedded" } else { "installed" }.to_string(),
            m.classes.map_or("-".to_string(), |n| n.to_string()),
            m.last_layer.clone(),
            format!("{:.1} M", m.parameters as f64 / 1e6),
            m.license.clone().unwrap_or("-".to_string()),
        ]
    });
    let rows: Vec<_> = std::iter::once(header.map(String::from).to_vec())
        .chain(rows)
        .collect();
    terminal::print(terminal::table(&rows))?;
    if let Some(directory) = net::models_dir() {
        global.note(format_args!(
            "Further .safetensors files belong into {}",
            directory.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(name: &str, global: &Global) -> anyhow::Result<ExitCode> {
    let network = Network::open(name)?;
    let model = Model::new(&network);
    let size = network.graph().trained_size().unwrap_or(USUAL_SIZE);
    let layers = layers(&network, size);
    if global.json {
        let mut document = serde_json::to_value(&model)?;
        document["image"] = json!(size);
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
