//! Warnings that the library logs, on stderr.

use std::collections::BTreeSet;
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::terminal;

/// Prints each warning once: a picture may be read several times in a run.
struct Printer {
    told: Mutex<BTreeSet<String>>,
}

impl Log for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates write to those who develop them.
        metadata.level() <= Level::Warn && metadata.target().starts_with("pixgrad")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let mut told = self.told.lock().unwrap_or_else(|e| e.into_inner());
        if !told.contains(&text) {
            terminal::note(format_args!("warning: {text}"));
            told.insert(text);
        }
    }

    fn flush(&self) {}
}

static PRINTER: Printer = Printer {
    told: Mutex::new(BTreeSet::new()),
};

/// From now on, warnings are printed.
pub fn print() {
    // Only fails if there is a logger already, and there is none in this program.
    if log::set_logger(&PRINTER).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
