//! Parallel work of the references.

use rayon::prelude::*;

/// Parallel iterators whose items are large pieces of work, such as a row.
pub(crate) trait Tasks: ParallelIterator {
    /// `for_each` through a pointer to the closure. So rayon's code is compiled once for each kind of iterator, and not
    /// for each of the many kernels again.
    fn run(self, task: impl Fn(Self::Item) + Sync + Send) {
        let task: &(dyn Fn(Self::Item) + Sync + Send) = &task;
        self.for_each(task);
    }
}

impl<I: ParallelIterator> Tasks for I {}
