//! Ctrl-C: the first asks a run to end with the image it has, the second kills.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use super::terminal;

/// Whether Ctrl-C has been pressed since the first [`Interrupt::listen`].
#[derive(Debug, Clone, Copy)]
pub struct Interrupt;

static PRESSED: AtomicBool = AtomicBool::new(false);
static LISTENING: OnceLock<()> = OnceLock::new();

impl Interrupt {
    /// The exit code of a run that Ctrl-C ended: 128 and the number of the signal.
    pub const EXIT_CODE: u8 = 130;

    /// From here on Ctrl-C is ours.
    pub fn listen(quiet: bool) -> anyhow::Result<Self> {
        if LISTENING.set(()).is_err() {
            return Ok(Self);
        }
        ctrlc::set_handler(move || {
            if PRESSED.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(Self::EXIT_CODE));
            }
            if !quiet {
                terminal::note(
                    "stopping after this iteration; Ctrl-C again quits without writing the image",
                );
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self)
    }

    pub fn pressed(self) -> bool {
        PRESSED.load(Ordering::Relaxed)
    }
}
