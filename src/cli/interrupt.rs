//! Signals that ask a run to end with the image it has: Ctrl-C, and where there are such, SIGTERM and SIGHUP. A second
//! one quits at once.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context;
use pixgrad::engine::image::remove_unfinished;

use super::terminal;

/// Whether a signal has come since the first [`Interrupt::listen`].
#[derive(Debug, Clone, Copy)]
pub struct Interrupt;

/// When the first signal came.
static PRESSED: OnceLock<Instant> = OnceLock::new();
static LISTENING: OnceLock<()> = OnceLock::new();

/// Signals that come within this time are one request: at the end of a session both the shell and the system send
/// SIGHUP, and a job scheduler may send several signals.
const BURST: Duration = Duration::from_millis(500);

impl Interrupt {
    /// The exit code of a run that a signal ended: 128 and the number of SIGINT.
    pub const EXIT_CODE: u8 = 130;

    /// From here on these signals are ours.
    pub fn listen(quiet: bool) -> anyhow::Result<Self> {
        if LISTENING.set(()).is_err() {
            return Ok(Self);
        }
        let nohup = hangup::is_ignored();
        ctrlc::set_handler(move || {
            if let Err(now) = PRESSED.set(Instant::now()) {
                if PRESSED.get().is_some_and(|first| now - *first > BURST) {
                    remove_unfinished();
                    std::process::exit(i32::from(Self::EXIT_CODE));
                }
                return;
            }
            if !quiet {
                terminal::note(
                    "stopping after this iteration; Ctrl-C again quits without writing the image",
                );
            }
        })
        .context("cannot listen for Ctrl-C")?;
        if nohup {
            hangup::ignore();
        }
        Ok(Self)
    }

    pub fn pressed(self) -> bool {
        PRESSED.get().is_some()
    }
}

/// SIGHUP, which `nohup` makes a program ignore: that must stay so.
#[cfg(unix)]
mod hangup {
    use nix::sys::signal::{SigHandler, Signal, signal};

    pub fn is_ignored() -> bool {
        // SAFETY: no handler of ours runs when the signal comes; what was there before is put back.
        unsafe {
            let before = signal(Signal::SIGHUP, SigHandler::SigIgn);
            if let Ok(before) = before {
                let _ = signal(Signal::SIGHUP, before);
            }
            matches!(before, Ok(SigHandler::SigIgn))
        }
    }

    pub fn ignore() {
        // SAFETY: no handler of ours runs when the signal comes.
        let _ = unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) };
    }
}

#[cfg(not(unix))]
mod hangup {
    pub fn is_ignored() -> bool {
        false
    }

    pub fn ignore() {}
}
