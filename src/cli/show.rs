//! `pixgrad show`: the recipe that a picture carries, or the command that made it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pixgrad::engine::image::read_bytes;
use pixgrad::engine::run::{CommandProvenance, Origin};
use pixgrad::{MadeOf, Provenance};
use serde_json::json;

use super::{Global, terminal};

/// Print the recipe that a picture carries, and what it was run with
///
/// The output is a recipe file; what is not part of a recipe stands in comments. Pictures that no recipe makes, such as
/// adversarial ones and sheets, carry the command line that made them, which is printed instead.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A picture that pixgrad has made
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
}

pub fn run(args: &ShowArgs, global: &Global) -> anyhow::Result<ExitCode> {
    match Origin::of(&args.image, &read_bytes(&args.image)?)? {
        Origin::Recipe(made) if global.json => {
            terminal::print_json(&json!({"recipe": made.recipe, "made": made.provenance}))?;
        }
        Origin::Recipe(made) => {
            let recipe = toml::to_string(&made.recipe)?;
            terminal::print(comments(of_recipe(&made.provenance)) + "\n" + recipe.trim_end())?;
        }
        Origin::Command(made) if global.json => terminal::print_json(&made)?,
        Origin::Command(made) => {
            terminal::print(comments(of_command(&made.provenance)) + "\n" + &made.line())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn of_recipe(made: &Provenance) -> Vec<String> {
    let mut lines = vec![
        format!("made by pixgrad {} on {}", made.version, made.device),
        format!("iterations: {}", made.iterations),
        format!("network: {}, hash {}", made.model, made.weights),
    ];
    lines.extend(made.pictures.iter().map(of_picture));
    lines
}

fn of_command(made: &CommandProvenance) -> Vec<String> {
    let mut lines = vec![format!(
        "made by pixgrad {} on {} with the command below",
        made.version, made.device
    )];
    let networks = made.networks.iter();
    lines.extend(networks.map(|n| format!("network: {}, hash {}", n.model, n.weights)));
    lines.extend(made.pictures.iter().map(of_picture));
    lines
}

fn of_picture(picture: &MadeOf) -> String {
    format!("picture: {}, hash {}", picture.path.display(), picture.hash)
}

/// Lines as comments. Whoever made the picture may have put control characters into the texts.
fn comments(lines: Vec<String>) -> String {
    let plain = |line: &String| line.replace(char::is_control, "\u{fffd}");
    lines
        .iter()
        .map(|line| format!("# {}\n", plain(line)))
        .collect()
}
