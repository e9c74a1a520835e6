//! `pixgrad show`: the recipe that a picture carries.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pixgrad::engine::image::read_bytes;
use pixgrad::{Made, Provenance};
use serde_json::json;

use super::{Global, terminal};

/// Print the recipe that a picture carries, and what it was run with
///
/// The output is a recipe file; what is not part of a recipe stands in comments.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A picture that pixgrad has made
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
}

pub fn run(args: &ShowArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let made = Made::of(&args.image, &read_bytes(&args.image)?)?;
    if global.json {
        terminal::print_json(&json!({"recipe": made.recipe, "made": made.provenance}))?;
    } else {
        let recipe = toml::to_string(&made.recipe)?;
        terminal::print(comments(&made.provenance) + "\n" + recipe.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The provenance as lines of comments. Whoever made the picture may have put control characters into the texts.
fn comments(made: &Provenance) -> String {
    let mut lines = vec![
        format!("made by pixgrad {} on {}", made.version, made.device),
        format!("iterations: {}", made.iterations),
        format!("network: {}, hash {}", made.model, made.weights),
    ];
    lines.extend(
        made.pictures
            .iter()
            .map(|p| format!("picture: {}, hash {}", p.path.display(), p.hash)),
    );
    let plain = |line: &String| line.replace(char::is_control, "\u{fffd}");
    lines
        .iter()
        .map(|line| format!("# {}\n", plain(line)))
        .collect()
}
