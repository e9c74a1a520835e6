//! What one run of a series leaves for the next.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::statistics::Statistic;
use crate::Error;
use crate::device::Buffer;
use crate::image::Image;
use crate::schedule::Executor;

/// Answers kept at most: those of a few styles at all scales of a few sizes.
const MEMORIES: usize = 64;

/// The memory of scales that are done, for the same scales of the next picture.
#[derive(Debug, Default)]
pub(super) struct Spare(HashMap<Vec<u64>, Vec<Buffer>>);

impl Spare {
    /// Keeps the memory of a scale that has ended.
    pub fn put(&mut self, executor: Executor) {
        let slots = executor.plan().layout.slots.clone();
        if let Some(memory) = executor.into_memory() {
            self.0.insert(slots, memory);
        }
    }

    /// The memory of a scale of these slots, if one has ended.
    pub fn take(&mut self, slots: &[u64]) -> Option<Vec<Buffer>> {
        self.0.remove(slots)
    }
}

/// Statistics of style pictures that other runs have the same of. The pictures must stay in memory as long as this.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// Gram matrices of one picture, of the layers of a term in order.
    pub grams: Known<Vec<Vec<f32>>>,
    /// What other terms compare with, of all pictures of a term together.
    pub statistics: Known<Vec<Statistic>>,
}

/// Results by what they are of.
#[derive(Debug)]
pub(super) struct Known<T>(Mutex<HashMap<Key, Arc<T>>>);

/// The term's number in the recipe, and for each picture where it lies in memory and the size that it was brought to.
type Key = (usize, Vec<(usize, (u32, u32))>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Known<T> {
    /// What is known of `pictures` at their sizes, or what `find` finds.
    pub fn get<'a>(
        &self,
        term: usize,
        pictures: impl Iterator<Item = (&'a Arc<Image>, (u32, u32))>,
        find: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let place = |(picture, size)| (Arc::as_ptr(picture) as usize, size);
        let key = (term, pictures.map(place).collect());
        if let Some(known) = self.0.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let found = Arc::new(find()?);
        let mut all = self.0.lock();
        if all.len() >= MEMORIES {
            all.clear();
        }
        all.insert(key, Arc::clone(&found));
        Ok(found)
    }
}
