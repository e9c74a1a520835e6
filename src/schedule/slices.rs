//! How much of a plan goes into one submission.

use std::time::Duration;

use web_time::Instant;

use crate::device::Work;

/// What a submission is filled up to: half of what it may take, so that one that is slower than the last time is still
/// short enough.
pub const BUDGET_MS: f64 = 50.0;

/// No submission should run longer: a desktop stays fluent and no driver's watchdog fires. Longer ones are counted
/// ([`crate::device::Usage::long_submissions`]).
pub const LIMIT_MS: f64 = 100.0;

/// A kernel that has not run on the device yet is taken to be this many times slower than the kernel that the device
/// was measured with.
pub const UNKNOWN: f64 = 16.0;

/// A dispatch that has not been measured and may take longer goes alone, so that its time is known by itself.
const ALONE_MS: f64 = 2.0;

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

/// Decides slice by slice how many dispatches to submit: it learns what each dispatch costs from what slices take.
#[derive(Debug)]
pub struct Slicer {
    /// Milliseconds of every dispatch of an iteration, as far as they are known.
    costs: Vec<Cost>,
}

#[derive(Debug, Clone, Copy)]
struct Cost {
    ms: f64,
    /// Whether a slice with it has run.
    measured: bool,
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
    /// Milliseconds predicted.
    pub predicted_ms: f64,
}

impl Slicer {
    /// With the milliseconds that every dispatch of an iteration is expected to take; rather too many than too few.
    #[must_use]
    pub fn new(expected: impl IntoIterator<Item = f64>) -> Self {
        let unmeasured = |ms| Cost {
            ms,
            measured: false,
        };
        Self {
            costs: expected.into_iter().map(unmeasured).collect(),
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
        let alone = |cost: Cost| !cost.measured && cost.ms > ALONE_MS;
        loop {
            let at = (first + slice.count) % self.costs.len();
            let cost = self.costs[at];
            slice.count += 1;
            slice.predicted_ms += cost.ms;
            slice.ends += u64::from(at + 1 == self.costs.len());
            let next = self.costs[(at + 1) % self.costs.len()];
            if slice.ends == max_ends
                || slice.predicted_ms + next.ms > BUDGET_MS
                || alone(cost)
                || alone(next)
            {
                return slice;
            }
        }
    }

    /// Takes over what a slice has really cost: its dispatches share the error in proportion to their own costs. Slices
    /// are cut differently from one iteration to the next, so that each dispatch comes to its own cost in time.
    pub fn measured(&mut self, slice: &Slice, ms: f64) {
        let ratio = ms / slice.predicted_ms;
        let len = self.costs.len();
        for i in 0..slice.count.min(len) {
            let cost = &mut self.costs[(slice.first + i) % len];
            // Slow at once, fast by and by: a submission that is too long does harm, one that is short costs little.
            let follow = match (cost.measured, ratio > 1.0) {
                (false, _) => 1.0,
                (true, true) => 0.7,
                (true, false) => 0.3,
            };
            cost.ms *= 1.0 + follow * (ratio - 1.0);
            cost.measured = true;
        }
    }

    /// Milliseconds of dispatch `i`, once it has been measured.
    #[must_use]
    pub fn cost(&self, i: usize) -> Option<f64> {
        let cost = self.costs[i];
        cost.measured.then_some(cost.ms)
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

    /// Of dispatches that have run before.
    fn known(costs: &[f64]) -> Slicer {
        let mut slicer = Slicer::new(costs.to_vec());
        slicer.costs.iter_mut().for_each(|c| c.measured = true);
        slicer
    }

    #[test]
    fn short_iterations_share_a_submission_and_long_ones_are_cut() {
        let slice = known(&[1.0; 10]).next(0, 64);
        assert_eq!((slice.count, slice.ends), (50, 5));
        assert_eq!(known(&[20.0; 10]).next(0, 64).count, 2);
        // A single dispatch beyond the budget still goes out: the plan has split it as far as it could.
        assert_eq!(known(&[500.0]).next(0, 1).count, 1);
    }

    #[test]
    fn a_slice_ends_with_the_last_iteration() {
        let slice = known(&[1.0; 10]).next(7, 2);
        assert_eq!((slice.count, slice.ends), (13, 2));
    }

    #[test]
    fn what_is_unknown_and_may_be_long_goes_alone() {
        let slicer = Slicer::new([0.5, 0.5, 3.0, 0.5]);
        let count = |first| slicer.next(first, 1).count;
        assert_eq!((count(0), count(2), count(3)), (2, 1, 1));
    }

    /// Kernels that differ thirty-fold in how far they are from what was expected, times that vary by a fifth from run
    /// to run and a machine that is slower for some time: after the first iteration no slice is beyond the limit
    /// but those in which the machine has just slowed down.
    #[test]
    fn every_dispatch_comes_to_its_own_cost() {
        let expected: Vec<f64> = (0..40).map(|i| 3.0 + f64::from(i * 7 % 11)).collect();
        let factor = [1.0, 0.1, 3.0, 0.3];
        let mut slicer = Slicer::new(expected.clone());
        let mut random = 1u32;
        let (mut position, mut ended) = (0, 0);
        while ended < 60 {
            let slice = slicer.next(position, 64);
            let ms: f64 = (0..slice.count)
                .map(|i| {
                    let at = (slice.first + i) % expected.len();
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = 0.8 + 0.4 * f64::from(random >> 8) / f64::from(1 << 24);
                    let slow = if (20..30).contains(&ended) { 1.5 } else { 1.0 };
                    expected[at] * factor[at % 4] * noise * slow
                })
                .sum();
            assert!(ms <= LIMIT_MS, "{slice:?} in iteration {ended}: {ms} ms");
            slicer.measured(&slice, ms);
            position = (position + slice.count) % expected.len();
            ended += slice.ends;
        }
        // And they are used: an iteration of about 370 ms takes no more submissions than it must, or nearly.
        let mut slices = 0;
        let mut at = 0;
        while at < expected.len() {
            at += slicer.next(at, 1).count;
            slices += 1;
        }
        assert!(slices <= 14, "{slices}");
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
