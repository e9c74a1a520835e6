//! The network of a command, and how its file is read.

use std::path::{Path, PathBuf};

use clap::Args;
use pixgrad::engine::methods::options::{CLASSIFIER, parse};
use pixgrad::engine::net::{PreprocessingSource, is_file};
use pixgrad::{Device, Network, Opening, Preprocessing, Recipe};

use super::Global;
use super::claims::Claims;

/// How the file of `--model` is to be read.
#[derive(Debug, Clone, Default, Args)]
pub struct OpeningArgs {
    /// What the network was trained to see: torchvision, caffe (BGR of 0 to 255 less a mean colour), zero-one,
    /// minus-one-one, or numbers, as in mean=0.5/0.5/0.5,std=0.225/0.225/0.225,scale=255,order=bgr [default: what its
    /// file says, else torchvision]
    #[arg(long, value_name = "NAME|NUMBERS", value_parser = parse::preprocessing)]
    pub preprocessing: Option<Preprocessing>,

    /// The names of the network's classes: a text file with a line for each, or JSON [default: ImageNet's for 1000
    /// classes]
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
}

impl OpeningArgs {
    /// Puts what was asked for into the recipe.
    pub fn apply(&self, recipe: &mut Recipe) {
        if self.preprocessing.is_some() {
            recipe.preprocessing = self.preprocessing;
        }
        if self.labels.is_some() {
            recipe.labels.clone_from(&self.labels);
        }
    }

    /// The files of the network, where `model` and these options name some.
    pub fn claim(&self, model: Option<&str>, claims: &mut Claims) {
        let model = model.filter(|model| is_file(model)).map(Path::new);
        let files = model.into_iter().chain(self.labels.as_deref());
        files.for_each(|file| claims.reads(file));
    }

    fn opening(&self) -> Opening {
        Opening {
            preprocessing: self.preprocessing,
            labels: self.labels.clone(),
        }
    }
}

/// Loads the network of a command that has no recipe by its name or its file; `auto` is [`CLASSIFIER`].
pub fn load(
    device: &Device,
    model: &str,
    opening: &OpeningArgs,
    global: &Global,
) -> anyhow::Result<Network> {
    let model = if model == "auto" { CLASSIFIER } else { model };
    let network = Network::load_with(device, model, &opening.opening())?;
    tell_assumption(&network, global);
    Ok(network)
}

/// A line where nobody says what the network was trained to see.
pub fn tell_assumption(network: &Network, global: &Global) {
    let graph = network.graph();
    if graph.preprocessing_source == PreprocessingSource::Assumed {
        global.note(format_args!(
            "note: the file of {} does not say what the network was trained to see; the preprocessing {} is assumed, \
             and --preprocessing changes it",
            graph.name, graph.preprocessing
        ));
    }
}
