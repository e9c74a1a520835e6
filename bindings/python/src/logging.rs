//! Warnings of the engine go to Python's logger `pixgrad`.

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

struct ToPython;

impl Log for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates write to those who develop them.
        metadata.level() <= Level::Warn && metadata.target().starts_with("pixgrad")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            warn(&record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Logs a warning in Python. One that cannot be logged is lost, as in Python itself.
pub fn warn(text: &str) {
    Python::attach(|py| {
        let logged = py
            .import("logging")
            .and_then(|logging| logging.call_method1("getLogger", ("pixgrad",)))
            .and_then(|logger| logger.call_method1("warning", ("%s", text)));
        if let Err(error) = logged {
            error.write_unraisable(py, None);
        }
    });
}

/// From here on warnings are logged.
pub fn listen() {
    // Another module of the process may have set a logger before; then its warnings go there.
    if log::set_logger(&ToPython).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
