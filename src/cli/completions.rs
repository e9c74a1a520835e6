//! `pixgrad completions` and `pixgrad man`: what a shell and a manual know of the command line, made from its
//! definition.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Global, terminal};

/// Print the completions of a shell
///
/// For example, in ~/.bashrc: source <(pixgrad completions bash)
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pixgrad", &mut script);
    terminal::print(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Write the manual pages, one for every command
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write to, for example ~/.local/share/man/man1. It is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn man(args: &ManArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let cannot = || format!("the manual cannot be written to '{}'", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(cannot)?;
    global.note(format_args!(
        "{}: pixgrad.1 and one page for every command",
        folder.display()
    ));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pixgrad", &mut script);
            let script = String::from_utf8(script).expect("text");
            for command in Cli::command().get_subcommands() {
                assert!(
                    script.contains(command.get_name()),
                    "{shell}: {}",
                    command.get_name()
                );
            }
            assert!(script.contains("content-weight"), "{shell}");
        }
    }

    #[test]
    fn every_command_has_a_page_of_the_manual() {
        let folder = tempfile::tempdir().expect("a folder");
        clap_mangen::generate_to(Cli::command(), folder.path()).expect("pages");
        for name in ["pixgrad", "pixgrad-style", "pixgrad-models-show"] {
            let page = std::fs::read_to_string(folder.path().join(format!("{name}.1")));
            assert!(page.expect(name).contains(".TH"), "{name}");
        }
    }
}
