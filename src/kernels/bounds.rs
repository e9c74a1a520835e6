//! The box in which an optimizer keeps every element, as `wgsl/shared/bounds.wgsl` has it.

use crate::device::Real;

/// \[low, high\].
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<T> {
    pub low: T,
    pub high: T,
}

impl<T: Real> Bounds<T> {
    pub fn new([low, high]: [f32; 2]) -> Self {
        Self {
            low: T::from_f32(low),
            high: T::from_f32(high),
        }
    }

    /// `value` where the point may move: zero where it stands at a bound and a step against its gradient would leave
    /// the box.
    pub fn free_part(self, value: T, point: T, gradient: T) -> T {
        let held =
            (point <= self.low && gradient > T::ZERO) || (point >= self.high && gradient < T::ZERO);
        if held { T::ZERO } else { value }
    }

    /// `change`, the difference of the gradients of two points, or zero where both stand at the same bound.
    pub fn free_change(self, change: T, a: T, b: T) -> T {
        let held = a.max(b) <= self.low || a.min(b) >= self.high;
        if held { T::ZERO } else { change }
    }

    pub fn clamp(self, value: T) -> T {
        value.max(self.low).min(self.high)
    }
}
