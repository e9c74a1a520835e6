//! The network of a command that has no recipe.

use pixgrad::{Device, Network};

/// What `--model auto` is where a classifier may be asked for.
pub const CLASSIFIER: &str = "squeezenet1_1";

/// Loads a network by its name or its file; `auto` is [`CLASSIFIER`].
pub fn load(device: &Device, model: &str) -> anyhow::Result<Network> {
    Ok(Network::load(
        device,
        if model == "auto" { CLASSIFIER } else { model },
    )?)
}
