//! Words on stdout and stderr.

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use serde::{Serialize, Serializer};

/// A line on stderr. Nobody reading it is no reason to fail.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text on stdout. That its reader went away, as `head` does, is no failure of ours: the work goes on.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A path in JSON, which is text: what of its name is no text becomes U+FFFD.
///
/// # Errors
/// The serializer's own.
pub fn lossy<S: Serializer>(path: &impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.as_ref().display())
}

/// The one JSON document of a command, on stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(serde_json::to_string_pretty(value)?)?)
}

/// An error with its causes, each once: many an error already tells its cause.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            let _ = write!(text, ": {cause}");
        }
    }
    text
}

/// Rows of columns, each as wide as its widest cell; no white space at the end of a line.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell: &String| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        u64::MAX => "no limit".to_string(),
        0x4000_0000.. => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        0x10_0000.. => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} KiB", bytes as f64 / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let disk = || io::Error::other("disk full");
        let wrapped = Err::<(), _>(disk())
            .context("cannot write a.json")
            .unwrap_err();
        assert_eq!(chain(&wrapped), "cannot write a.json: disk full");
        let told = Err::<(), _>(disk())
            .context("cannot write: disk full")
            .unwrap_err();
        assert_eq!(chain(&told), "cannot write: disk full");
    }

    #[test]
    fn columns_are_aligned() {
        let rows =
            [["a", "long cell", ""], ["long", "b", "c"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows), "a     long cell\nlong  b          c");
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes(512), "0.5 KiB");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
        assert_eq!(bytes(128 << 30), "128.0 GiB");
        assert_eq!(bytes(u64::MAX), "no limit");
    }
}
