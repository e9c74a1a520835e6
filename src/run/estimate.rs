//! The time that is left of a run over scales.

use std::time::Duration;

/// The part of an iteration at the coarsest scale that a larger one does not take longer for: launches, and a device
/// that is not busy all over. 0.3 on the `cpu` device with either embedded network at 128 pixels; later scales tell
/// their own.
const CONSTANT: f64 = 0.25;

/// Iterations of one scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Portion {
    /// How many.
    pub iterations: u64,
    /// 10⁹ operations of each.
    pub gflop: f64,
}

/// What iterations have taken, and what that says of those to come: a constant and a part for each operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Estimate {
    /// Of each scale that has been timed its operations and seconds per iteration, in order; the last one's change.
    scales: Vec<(f64, f64)>,
    /// Iterations timed of the last scale, and their seconds.
    timed: (u64, f64),
    /// Whether the scale at work has had its first iteration, which also touches its memory for the first time.
    begun: bool,
}

impl Estimate {
    /// A finer scale begins.
    pub fn begin(&mut self) {
        self.begun = false;
    }

    /// An iteration of so many operations has taken so long.
    pub fn add(&mut self, gflop: f64, time: Duration) {
        if !std::mem::replace(&mut self.begun, true) {
            self.timed = (0, 0.0);
            return;
        }
        if self.timed.0 == 0 {
            self.scales.push((gflop, 0.0));
        }
        self.timed.0 += 1;
        self.timed.1 += time.as_secs_f64();
        if let Some((_, seconds)) = self.scales.last_mut() {
            *seconds = self.timed.1 / self.timed.0 as f64;
        }
    }

    /// The time for `portions`; not before an iteration has been timed.
    pub fn time(&self, portions: impl Iterator<Item = Portion>) -> Option<Duration> {
        let (gflop, seconds) = *self.scales.last()?;
        let mut slope = (1.0 - CONSTANT) * seconds / gflop.max(1e-9);
        if let [.., (less, before), _] = self.scales[..]
            && gflop > less
        {
            slope = ((seconds - before) / (gflop - less)).clamp(0.0, seconds / gflop);
        }
        let left = portions.map(|portion| {
            let each = seconds + slope * (portion.gflop - gflop);
            each.max(0.0) * portion.iterations as f64
        });
        Duration::try_from_secs_f64(left.sum()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portion(iterations: u64, gflop: f64) -> Portion {
        Portion { iterations, gflop }
    }

    fn told(estimate: &Estimate, portions: &[Portion]) -> f64 {
        let time = estimate.time(portions.iter().copied());
        time.expect("an iteration has been timed").as_secs_f64()
    }

    #[test]
    fn nothing_is_told_of_an_iteration_that_touches_memory_first() {
        let mut estimate = Estimate::default();
        estimate.add(1.0, Duration::from_secs(9));
        assert_eq!(estimate.time([portion(1, 1.0)].into_iter()), None);
        estimate.add(1.0, Duration::from_secs(1));
        assert_eq!(told(&estimate, &[portion(5, 1.0)]), 5.0);
    }

    #[test]
    fn two_scales_tell_what_a_third_takes() {
        let mut estimate = Estimate::default();
        let seconds = |gflop: f64| 0.5 + 0.25 * gflop;
        for gflop in [2.0, 4.0] {
            estimate.begin();
            estimate.add(gflop, Duration::from_secs(60));
            for _ in 0..3 {
                estimate.add(gflop, Duration::from_secs_f64(seconds(gflop)));
            }
        }
        let left = [portion(2, 4.0), portion(10, 8.0)];
        let expected = 2.0 * seconds(4.0) + 10.0 * seconds(8.0);
        assert!((told(&estimate, &left) - expected).abs() < 1e-9);
    }

    #[test]
    fn one_scale_tells_less_than_in_proportion_of_a_larger_one() {
        let mut estimate = Estimate::default();
        for _ in 0..3 {
            estimate.add(1.0, Duration::from_secs(1));
        }
        let left = told(&estimate, &[portion(1, 4.0)]);
        assert!(left < 4.0 && left > 3.0, "{left}");
    }
}
