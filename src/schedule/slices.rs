//! How much of a plan goes into one submission.

use std::time::{Duration, Instant};

use crate::device::Work;

/// No submission should run longer: a desktop stays fluent and no driver's watchdog fires.
pub const BUDGET_MS: f64 = 80.0;

/// What the adapter has been measured to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// 10⁹ floating-point operations per second.
    pub gflops: f64,
}

impl Rate {
    /// Predicted milliseconds of one dispatch: the launch, and the longer of its arithmetic and its memory traffic,
    /// where a byte is taken to cost what an operation costs. The slicer corrects the sum by what it measures.
    #[must_use]
    pub fn predict_ms(&self, work: Work) -> f64 {
        let arithmetic = work.flop as f64 / (self.gflops * 1e6);
        let memory = work.bytes as f64 / (self.gflops * 1e6);
        arithmetic.max(memory) + 0.005
    }
}

/// Decides slice by slice how many dispatches to submit, correcting its predictions by what it measures.
#[derive(Debug)]
pub struct Slicer {
    /// Predicted milliseconds of every dispatch of an iteration.
    costs: Vec<f64>,
    /// Measured over predicted time.
    correction: f64,
}

/// The dispatches of one submission: `count` from `first` on, wrapping around at the end of the iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slice {
    /// Index of the first dispatch.
    pub first: usize,
    /// Number of dispatches.
    pub count: usize,
    /// Iterations that end within the slice.
    pub ends: u64,
    /// Milliseconds predicted before correction.
    pub predicted_ms: f64,
}

impl Slicer {
    /// With the predicted milliseconds of every dispatch of an iteration.
    #[must_use]
    pub fn new(costs: Vec<f64>) -> Self {
        Self {
            costs,
            correction: 1.0,
        }
    }

    /// The next slice from dispatch `first` on, with at most `max_ends` ends of iterations; it stops at the end of
    /// the last of them. At least one dispatch.
    #[must_use]
    pub fn next(&self, first: usize, max_ends: u64) -> Slice {
        let mut slice = Slice {
            first,
            count: 0,
            ends: 0,
            predicted_ms: 0.0,
        };
        loop {
            let at = (first + slice.count) % self.costs.len();
            slice.count += 1;
            slice.predicted_ms += self.costs[at];
            slice.ends += u64::from(at + 1 == self.costs.len());
            let next = self.costs[(at + 1) % self.costs.len()];
            if slice.ends == max_ends || (slice.predicted_ms + next) * self.correction > BUDGET_MS {
                return slice;
            }
        }
    }

    /// Takes over what a slice has really cost.
    pub fn measured(&mut self, slice: &Slice, ms: f64) {
        let ratio = ms / slice.predicted_ms;
        // Slow at once, fast by and by: a submission that is too long does harm, one that is short costs little.
        let follow = if ratio > self.correction { 0.7 } else { 0.3 };
        self.correction += follow * (ratio - self.correction);
    }
}

/// Tells how long slices and iterations take from when their submissions complete.
#[derive(Debug)]
pub struct Clock {
    /// When the slice before was complete.
    slice: Instant,
    /// When the iteration before was complete, or the run began.
    iteration: Instant,
}

impl Clock {
    /// At the beginning of a run.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            slice: now,
            iteration: now,
        }
    }

    /// At the completion of a slice in which `ends` iterations ended: the time it ran, which is not that since it was
    /// submitted, because it may have waited behind the slice before; and the time of each of its iterations, 0 where
    /// none ended.
    pub fn completed(
        &mut self,
        submitted: Instant,
        now: Instant,
        ends: u64,
    ) -> (Duration, Duration) {
        let ran = now - self.slice.max(submitted);
        self.slice = now;
        if ends == 0 {
            return (ran, Duration::ZERO);
        }
        let each = (now - self.iteration) / u32::try_from(ends).unwrap_or(u32::MAX);
        self.iteration = now;
        (ran, each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_iterations_share_a_submission_and_long_ones_are_cut() {
        let short = Slicer::new(vec![1.0; 10]);
        let slice = short.next(0, 64);
        assert_eq!((slice.count, slice.ends), (80, 8));
        let long = Slicer::new(vec![30.0; 10]);
        assert_eq!(long.next(0, 64).count, 2);
        // A single dispatch beyond the budget still goes out: the plan has split it as far as it could.
        assert_eq!(Slicer::new(vec![500.0]).next(0, 1).count, 1);
    }

    #[test]
    fn a_slice_ends_with_the_last_iteration() {
        let slicer = Slicer::new(vec![1.0; 10]);
        let slice = slicer.next(7, 2);
        assert_eq!((slice.count, slice.ends), (13, 2));
    }

    #[test]
    fn measured_times_correct_the_next_slice() {
        let mut slicer = Slicer::new(vec![1.0; 100]);
        for _ in 0..20 {
            let slice = slicer.next(0, 64);
            // The adapter is four times slower than predicted.
            slicer.measured(&slice, slice.predicted_ms * 4.0);
        }
        let slice = slicer.next(0, 64);
        assert!((19..=20).contains(&slice.count), "{slice:?}");
    }

    /// An iteration of three slices of 10 ms, two submissions in flight: each is submitted when the one before begins.
    #[test]
    fn a_slice_that_waited_is_not_charged_for_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut clock = Clock::new(start);
        let ms = Duration::from_millis;
        for i in 0..6u64 {
            let submitted = at((i * 10).saturating_sub(10));
            let ends = u64::from(i % 3 == 2);
            let (ran, each) = clock.completed(submitted, at(i * 10 + 10), ends);
            assert_eq!(ran, ms(10), "slice {i}");
            assert_eq!(each, ms(30) * ends as u32, "slice {i}");
        }
        // Four iterations in one submission share its time, and time without any submission counts for none.
        let (ran, each) = clock.completed(at(80), at(100), 4);
        assert_eq!((ran, each), (ms(20), ms(10)));
    }
}
