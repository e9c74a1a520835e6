//! Standard input among the arguments: it can be read only once.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::Usage;

/// The names of standard input, the last three on Linux and macOS.
const NAMES: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// Arguments that name files to be written.
const OUTPUTS: [&str; 5] = ["output", "trace", "save_recipe", "checkpoint", "csv"];

/// Refuses two inputs from standard input.
pub fn check_once(command: &Command, matches: &ArgMatches) -> Result<(), Usage> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let Some(command) = command.find_subcommand(name) else {
        return Ok(());
    };
    let inputs = command
        .get_arguments()
        .map(|argument| argument.get_id().as_str());
    let inputs = inputs.filter(|id| {
        !OUTPUTS.contains(id) && matches.value_source(id) == Some(ValueSource::CommandLine)
    });
    let values = inputs
        .filter_map(|id| matches.try_get_raw(id).ok().flatten())
        .flatten();
    let from_stdin = values
        .filter(|value| NAMES.iter().any(|name| value == name))
        .count();
    if from_stdin > 1 {
        return Err(Usage(
            "standard input can be read only once: give it for one input, and files for the others"
                .to_string(),
        ));
    }
    Ok(())
}
