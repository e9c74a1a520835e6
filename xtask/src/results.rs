//! `cargo xtask results`: the table of `benches/results/README.md`, made of the reports beside it.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::paths;

/// Between these the page holds the table.
const MARKS: [&str; 2] = ["<!-- table -->", "<!-- end of the table -->"];

pub fn run() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask results: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), String> {
    paths::build_pixgrad()?;
    let folder = paths::root().join("benches").join("results");
    let table = table(&folder)?;
    let page = folder.join("README.md");
    let told = |error: std::io::Error| format!("{}: {error}", page.display());
    let text = fs::read_to_string(&page).map_err(told)?;
    let new = with_table(&text, &table)
        .ok_or_else(|| format!("{} has no {}", page.display(), MARKS.join(" … ")))?;
    fs::write(&page, new).map_err(told)
}

/// The table of a folder's reports, as pixgrad prints it.
fn table(folder: &Path) -> Result<String, String> {
    let output = Command::new(paths::pixgrad()?)
        .args(["bench", "table"])
        .arg(folder)
        .output()
        .map_err(|error| format!("pixgrad could not be started: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|_| "the table is not UTF-8".to_string())
}

fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    let table = table.trim_end();
    Some(format!(
        "{before}{}\n\n{table}\n\n{}{after}",
        MARKS[0], MARKS[1]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_the_one_before() {
        let page = "a\n<!-- table -->\nold\n<!-- end of the table -->\nb\n";
        let once = with_table(page, "| new |\n").expect("both marks");
        assert_eq!(
            once,
            "a\n<!-- table -->\n\n| new |\n\n<!-- end of the table -->\nb\n"
        );
        assert_eq!(with_table(&once, "| new |"), Some(once.clone()));
        assert_eq!(with_table("no marks", "| new |"), None);
    }
}
