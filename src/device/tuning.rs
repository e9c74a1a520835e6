//! Whether and where a device remembers which of several kernels is its fastest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Device, Gpu};

/// Which kernels run where several compute the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tuning {
    /// On a GPU the fastest, found by timing them where that is not known yet; on a software adapter the first, which
    /// was made with one in mind.
    #[default]
    Auto,
    /// The first, on every device.
    Off,
    /// The fastest on every adapter.
    Always,
    /// The fastest on every adapter, and nothing that was found before counts.
    Again,
}

/// The kernels of one shape with their times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The fastest, by its label.
    pub kernel: String,
    /// Milliseconds of all.
    pub ms: BTreeMap<String, f64>,
}

/// What was chosen for each shape.
pub type Choices = BTreeMap<String, Choice>;

/// What a device knows of its kernels.
#[derive(Debug, Default)]
pub(super) struct Tuned {
    pub tuning: Tuning,
    /// Where the files of tuned devices are.
    pub folder: Option<PathBuf>,
    /// None before anything was looked up.
    choices: Mutex<Option<Choices>>,
    warnings: Mutex<Vec<String>>,
}

impl Gpu {
    /// Whether the fastest kernels are to be found.
    #[must_use]
    pub fn is_tuned(&self) -> bool {
        match self.tuned().tuning {
            Tuning::Off => false,
            Tuning::Auto => !self.info().is_software(),
            Tuning::Always | Tuning::Again => true,
        }
    }

    /// Whether what earlier runs have found counts for nothing.
    #[must_use]
    pub fn is_tuned_anew(&self) -> bool {
        self.tuned().tuning == Tuning::Again
    }

    /// Where the files of tuned devices are.
    #[must_use]
    pub fn tuning_folder(&self) -> Option<&Path> {
        self.tuned().folder.as_deref()
    }

    /// What has been chosen so far in this process; `None` before the first time.
    #[must_use]
    pub fn choices(&self) -> Option<Choices> {
        self.tuned().choices.lock().clone()
    }

    /// Remembers what has been chosen.
    pub fn set_choices(&self, choices: Choices) {
        *self.tuned().choices.lock() = Some(choices);
    }

    /// Something that is not as it should be and that no result depends on.
    pub fn warn(&self, warning: String) {
        self.tuned().warnings.lock().push(warning);
    }
}

impl Device {
    /// What was not as it should be and no result depends on, such as a file that could not be read; each is told once.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        let gpu = self.gpu();
        gpu.map_or_else(Vec::new, |gpu| {
            std::mem::take(&mut gpu.tuned().warnings.lock())
        })
    }
}
