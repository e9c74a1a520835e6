//! Ctrl-C: the first asks a run to end with the image it has, the second kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use super::terminal;

/// Whether Ctrl-C has been pressed since [`Interrupt::listen`].
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a run that Ctrl-C ended: 128 and the number of the signal.
    pub const EXIT_CODE: u8 = 130;

    /// From here on Ctrl-C is ours. To be called once.
    pub fn listen(quiet: bool) -> anyhow::Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&pressed);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(Self::EXIT_CODE));
            }
            if !quiet {
                terminal::note(
                    "stopping after this iteration; Ctrl-C again quits without writing the image",
                );
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self(pressed))
    }

    pub fn pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
