//! How far a run or a download is, on stderr: a bar on a terminal, lines from time to time elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pixgrad::Progress;

use super::terminal;

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells of a run's iterations.
pub enum Reporter {
    Silent,
    Bar(ProgressBar),
    Lines {
        last: Instant,
        scale: Option<(u32, u32)>,
    },
}

impl Reporter {
    pub fn new(quiet: bool, iterations: u64) -> Self {
        if quiet {
            Self::Silent
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(iterations);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Self::Bar(bar)
        } else {
            Self::Lines {
                last: Instant::now(),
                scale: None,
            }
        }
    }

    /// To be told of every iteration; costs next to nothing where there is nothing to show.
    pub fn update(&mut self, progress: &Progress) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_position(progress.iteration + 1);
                bar.set_message(state(progress));
            }
            Self::Lines { last, scale } => {
                if *scale != Some(progress.scale) || last.elapsed() >= PAUSE {
                    (*last, *scale) = (Instant::now(), Some(progress.scale));
                    let (i, n) = (progress.iteration + 1, progress.iterations);
                    terminal::note(format_args!("iteration {i}/{n}  {}", state(progress)));
                }
            }
        }
    }

    pub fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Tells of the bytes of a file that is fetched.
pub enum Transfer {
    Silent,
    Bar(ProgressBar),
    Lines {
        begun: Instant,
        last: Instant,
        /// Bytes that were there at the beginning.
        before: u64,
        /// All bytes of the file, if that is known.
        total: Option<u64>,
    },
}

impl Transfer {
    /// Of a file of which there are `before` bytes already.
    pub fn new(quiet: bool, before: u64, total: Option<u64>) -> Self {
        if quiet {
            Self::Silent
        } else if std::io::stderr().is_terminal() {
            let template = match total {
                Some(_) => "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
                None => "{spinner} {bytes}  {bytes_per_sec}",
            };
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(before);
            bar.reset_eta();
            Self::Bar(bar)
        } else {
            let now = Instant::now();
            Self::Lines {
                begun: now,
                last: now,
                before,
                total,
            }
        }
    }

    /// To be told how many bytes there are now.
    pub fn update(&mut self, bytes: u64) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => bar.set_position(bytes),
            Self::Lines {
                begun,
                last,
                before,
                total,
            } => {
                if last.elapsed() >= PAUSE {
                    *last = Instant::now();
                    let came = bytes.saturating_sub(*before) as f64;
                    let pace = came / begun.elapsed().as_secs_f64().max(1e-3);
                    let of = total.map_or(String::new(), |total| {
                        format!(" of {}", terminal::bytes(total))
                    });
                    let left = total.filter(|_| pace > 0.0).map(|total| {
                        let seconds = total.saturating_sub(bytes) as f64 / pace;
                        format!("  {} left", duration(Duration::from_secs_f64(seconds)))
                    });
                    terminal::note(format_args!(
                        "{}{of}  {}/s{}",
                        terminal::bytes(bytes),
                        terminal::bytes(pace as u64),
                        left.unwrap_or_default()
                    ));
                }
            }
        }
    }

    pub fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Size, loss and time left.
fn state(progress: &Progress) -> String {
    let (width, height) = progress.scale;
    let left = match progress.remaining {
        Some(left) => format!("  {} left", duration(left)),
        None => String::new(),
    };
    format!("{width}x{height}  loss {:.4e}{left}", progress.loss)
}

/// `8 s`, `2:05 min` or `1:02:05 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes}:{:02} min", seconds % 60),
        _ => format!("{hours}:{minutes:02}:{:02} h", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let text = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!(text(0.4), "0 s");
        assert_eq!(text(59.4), "59 s");
        assert_eq!(text(59.6), "1:00 min");
        assert_eq!(text(3725.0), "1:02:05 h");
    }
}
