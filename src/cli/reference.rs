//! `docs/cli.md`, generated from the command line's definition.
//!
//! The test below generates the page again and compares it with the file. `cargo xtask docs` writes the file.

use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Cli;

const WIDTH: usize = 120;

const HEAD: &str = "\
<!-- Generated from the command line's definition. Change the help texts in src/cli and run `cargo xtask docs`. -->

# Command line reference

The same texts are printed by `pixgrad help COMMAND`. The method behind each command is explained in the
[guide for artists](guide-artists.md) and the [guide for researchers](guide-researchers.md); what `--json` prints is
listed in [json.md](json.md).
";

/// Fewer options than these are not worth a section of their own.
const FEW: usize = 3;

/// Options that the same commands have.
struct Group {
    commands: Vec<String>,
    /// Their items in a list.
    options: Vec<String>,
}

impl Group {
    fn heading(&self) -> String {
        match self.commands.split_last() {
            Some((last, [])) => format!("Options of {last}"),
            Some((last, others)) => format!("Options of {} and {last}", others.join(", ")),
            None => String::new(),
        }
    }

    /// A link to the heading, as GitHub and others name it.
    fn link(&self) -> String {
        let heading = self.heading();
        let anchor = heading.to_lowercase().replace(',', "").replace(' ', "-");
        format!("[{heading}](#{anchor})")
    }
}

/// The whole page.
fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let groups = groups(&root);
    let mut page = format!("{HEAD}\n{}\n{}", usage(&mut root), prose(&root));
    let globals = options(&root).filter(|arg| arg.is_global_set());
    page += &section("Options of every command", globals.map(item));
    for group in &groups {
        page += &section(&group.heading(), group.options.iter().cloned());
    }
    for command in root.get_subcommands_mut() {
        describe(command, &groups, 2, &mut page);
    }
    page
}

fn section(heading: &str, items: impl IntoIterator<Item = String>) -> String {
    format!("\n## {heading}\n\n{}", list(items))
}

/// One command and its subcommands, under a heading of a level.
fn describe(command: &mut Command, groups: &[Group], level: usize, page: &mut String) {
    if command.get_name() == "help" || command.is_hide_set() {
        return;
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    *page += &format!("\n{} {name}\n\n", "#".repeat(level));
    *page += &format!("{}\n{}", prose(command), usage(command));
    let own = own_options(command)
        .into_iter()
        .filter(|option| !groups.iter().any(|group| group.options.contains(option)));
    for items in [list(command.get_positionals().map(item)), list(own)] {
        if !items.is_empty() {
            *page += &format!("\n{items}");
        }
    }
    for group in groups {
        if group.commands.iter().any(|name| name == command.get_name()) {
            *page += &format!("\n{}\n", wrapped(&format!("Also: {}.", group.link()), 0));
        }
    }
    for subcommand in command.get_subcommands_mut() {
        describe(subcommand, groups, level + 1, page);
    }
}

/// The options that several commands have with the same text, by these commands, in the order in which they are first
/// met.
fn groups(root: &Command) -> Vec<Group> {
    let commands: Vec<(&str, Vec<String>)> = root
        .get_subcommands()
        .map(|command| (command.get_name(), own_options(command)))
        .collect();
    let mut groups: Vec<Group> = Vec::new();
    for option in commands.iter().flat_map(|(_, options)| options) {
        let with_it = commands
            .iter()
            .filter(|(_, options)| options.contains(option));
        let names: Vec<String> = with_it.map(|(name, _)| (*name).to_string()).collect();
        match groups.iter_mut().find(|group| group.commands == names) {
            Some(group) if group.options.contains(option) => {}
            Some(group) => group.options.push(option.clone()),
            None => groups.push(Group {
                commands: names,
                options: vec![option.clone()],
            }),
        }
    }
    groups.retain(|group| group.commands.len() > 1 && group.options.len() >= FEW);
    groups
}

/// The items of a command's options, without those of every command.
fn own_options(command: &Command) -> Vec<String> {
    let own = options(command).filter(|arg| !arg.is_global_set());
    own.map(item).collect()
}

/// The options of a command, without those that clap adds and those that are hidden.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        !arg.is_positional()
            && !arg.is_hide_set()
            && !matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            )
    })
}

/// What a command does, as its `--help` says it.
fn prose(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<_> = about.split("\n\n").map(|p| sentence(p.trim())).collect();
    let paragraphs: Vec<_> = paragraphs.iter().map(|p| wrapped(p, 0)).collect();
    paragraphs.join("\n\n") + "\n"
}

fn usage(command: &mut Command) -> String {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines();
    let usage: Vec<_> = usage.map(|line| format!("    {}", line.trim())).collect();
    usage.join("\n") + "\n"
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| item + "\n").collect()
}

/// An argument as an item of a list: its names, its text, its values, default and environment variable.
fn item(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_value_names().unwrap_or_default().to_vec();
    let value = values.join("> <");
    let takes_value = arg.get_action().takes_values();
    let name = if arg.is_positional() {
        format!("`<{value}>`")
    } else {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        let aliases = arg.get_visible_aliases().unwrap_or_default();
        let aliases = aliases.into_iter().map(|alias| format!("--{alias}"));
        let names: Vec<_> = short.into_iter().chain(long).chain(aliases).collect();
        let value = if takes_value {
            format!(" <{value}>")
        } else {
            String::new()
        };
        format!("`{}{value}`", names.join("`, `"))
    };
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    // The default is a sentence of its own, so the text before it ends with a full stop.
    let mut line = match help.split_once(" [default: ") {
        Some((help, default)) => {
            let default = default.trim_end_matches(']');
            format!("{name}: {} Default: {default}.", sentence(help))
        }
        None => format!("{name}: {}", sentence(&help)),
    };
    let values = if takes_value {
        arg.get_possible_values()
    } else {
        Vec::new()
    };
    let described = values.iter().any(|value| value.get_help().is_some());
    if !values.is_empty() && !described {
        let values: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        line += &format!(" One of `{}`.", values.join("`, `"));
    }
    let defaults = arg.get_default_values();
    if takes_value && !defaults.is_empty() {
        let defaults: Vec<_> = defaults.iter().map(|v| v.to_string_lossy()).collect();
        line += &format!(" Default: `{}`.", defaults.join(","));
    }
    if let Some(variable) = arg.get_env() {
        line += &format!(" Environment variable: `{}`.", variable.to_string_lossy());
    }
    if arg.is_required_set() && !arg.is_positional() {
        line += " Required.";
    }
    let mut entry = format!("- {}", wrapped(&line, 2));
    if described {
        for value in values {
            let help = value.get_help().map(ToString::to_string);
            let line = match help {
                Some(help) => format!("`{}`: {}", value.get_name(), sentence(&help)),
                None => format!("`{}`", value.get_name()),
            };
            entry += &format!("\n  - {}", wrapped(&line, 4));
        }
    }
    entry
}

/// The text, closed with a full stop.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let closed = text.is_empty() || text.ends_with(['.', ':']);
    format!("{text}{}", if closed { "" } else { "." })
}

/// The text in lines of at most [`WIDTH`] columns; the first stands after `indent` columns, the others begin with as
/// many spaces.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        if line.is_empty() {
            *line += word;
        } else if indent + line.chars().count() + 1 + word.chars().count() <= WIDTH {
            *line += &format!(" {word}");
        } else {
            lines.push(word.to_string());
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let page = page();
    if std::env::var_os("PIXGRAD_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/cli.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written
        .lines()
        .zip(page.lines())
        .find(|(old, new)| old != new);
    assert!(
        written == page,
        "docs/cli.md is out of date; `cargo xtask docs` writes it again. First difference: {differs:#?}"
    );
}

#[test]
fn no_line_is_longer_than_the_others_may_be() {
    let page = page();
    let long = page.lines().find(|line| line.chars().count() > WIDTH);
    assert_eq!(long, None);
}
