//! What one run of a series leaves for the next.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::style_targets::StyleStatistic;
use crate::Error;
use crate::device::Buffer;
use crate::image::Image;
use crate::schedule::Executor;

/// Statistics kept at most: those of a few styles at all scales of a few sizes.
const MOST: usize = 64;

/// The memory of scales that are done, for the same scales of the next picture.
#[derive(Debug, Default)]
pub(crate) struct MemoryPool(HashMap<Vec<u64>, Vec<Buffer>>);

impl MemoryPool {
    /// Keeps the memory of a scale that has ended.
    pub fn put(&mut self, executor: Executor) {
        let slots = executor.program().layout.slots.clone();
        if let Some(memory) = executor.into_memory() {
            self.0.insert(slots, memory);
        }
    }

    /// The memory of a scale of these slots, if one has ended.
    pub fn take(&mut self, slots: &[u64]) -> Option<Vec<Buffer>> {
        self.0.remove(slots)
    }
}

/// Statistics of style pictures that other runs have the same of, on the device. The pictures must stay in memory as
/// long as this.
#[derive(Debug, Default)]
pub(crate) struct TargetCache(Mutex<HashMap<Key, Arc<Vec<StyleStatistic>>>>);

/// The term's number in the recipe, and for each picture where it lies in memory and the size that it was brought to.
type Key = (usize, Vec<(usize, (u32, u32))>);

impl TargetCache {
    /// What is known of `pictures` at their sizes for the layers of a term, or what `find` finds.
    pub async fn get<'a>(
        &self,
        term: usize,
        pictures: impl Iterator<Item = (&'a Arc<Image>, (u32, u32))>,
        find: impl AsyncFnOnce() -> Result<Vec<StyleStatistic>, Error>,
    ) -> Result<Arc<Vec<StyleStatistic>>, Error> {
        let place = |(picture, size)| (Arc::as_ptr(picture) as usize, size);
        let key = (term, pictures.map(place).collect());
        if let Some(known) = self.0.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let found = Arc::new(find().await?);
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, Arc::clone(&found));
        Ok(found)
    }
}
