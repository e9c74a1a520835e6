//! Memory: values that are not alive at the same time share their bytes.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::device::{ALIGNMENT, Home, Recording, Value, ValueId};

/// Where each value lives.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Slots: how many bytes each has. Values of any kind may share one.
    pub slots: Vec<u64>,
    /// For each value its place; `None` for values in given buffers and for values that no call touches.
    pub places: Vec<Option<Place>>,
}

/// Bytes of a slot, from `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The slot's number.
    pub slot: usize,
    /// A multiple of [`ALIGNMENT`].
    pub offset: u64,
}

/// Bytes of the memory that a value needs.
fn bytes(value: &Value) -> u64 {
    value.kind.buffer_bytes(value.len)
}

/// First and last call that touches each value; results are touched after all.
fn lifetimes(recording: &Recording, results: &[ValueId]) -> Vec<Option<(usize, usize)>> {
    let mut lives = vec![None; recording.values().len()];
    for (i, call) in recording.calls().iter().enumerate() {
        for id in &call.values {
            let life: &mut Option<(usize, usize)> = &mut lives[id.0 as usize];
            *life = Some(life.map_or((i, i), |(first, _)| (first, i)));
        }
    }
    for id in results {
        if let Some((_, last)) = &mut lives[id.0 as usize] {
            *last = recording.calls().len();
        }
    }
    lives
}

/// For each value those that a call touches together with it.
fn companions(recording: &Recording) -> Vec<HashSet<usize>> {
    let mut companions = vec![HashSet::new(); recording.values().len()];
    for call in recording.calls() {
        for id in &call.values {
            let others = call.values.iter().filter(|other| *other != id);
            companions[id.0 as usize].extend(others.map(|other| other.0 as usize));
        }
    }
    companions
}

/// A value in a slot: its number, the first byte and the one after the last, the first and the last call.
#[derive(Debug, Clone, Copy)]
struct Tenant {
    value: usize,
    bytes: (u64, u64),
    life: (usize, usize),
}

impl Tenant {
    fn is_alive_in(&self, (first, last): (usize, usize)) -> bool {
        self.life.0 <= last && first <= self.life.1
    }
}

/// Where in a slot of `size` bytes there are `needed`, and how many bytes more there are: the narrowest gap between
/// tenants.
fn gap(size: u64, alive: &[&Tenant], needed: u64) -> Option<(u64, u64)> {
    let starts = alive.iter().map(|t| t.bytes.1.next_multiple_of(ALIGNMENT));
    let gaps = std::iter::once(0).chain(starts).filter_map(|start| {
        let end = start + needed;
        if end > size || alive.iter().any(|t| t.bytes.0 < end && start < t.bytes.1) {
            return None;
        }
        let starts = alive.iter().map(|t| t.bytes.0);
        let next = starts.filter(|next| *next >= end).min();
        Some((next.unwrap_or(size) - end, start))
    });
    gaps.min().map(|(rest, start)| (start, rest))
}

impl Layout {
    /// Gives every value its place: persistent ones a slot of their own; transient ones, the largest first, a gap in
    /// one of the slots there are, else a new slot. So no slot is larger than the first of its values. The slot with
    /// the fewest values that the same calls touch is preferred (what a kernel reads is declared to be written where it
    /// is in one buffer with what the kernel writes, and that leaves a compiler less freedom), and of these the
    /// narrowest gap. `results` are read after the iteration.
    #[must_use]
    pub fn new(recording: &Recording, results: &[ValueId]) -> Self {
        let (lives, companions) = (lifetimes(recording, results), companions(recording));
        let mut layout = Self {
            slots: Vec::new(),
            places: vec![None; recording.values().len()],
        };
        let mut transients = Vec::new();
        for (i, value) in recording.values().iter().enumerate() {
            match (&value.home, lives[i]) {
                (Home::Persistent, _) => {
                    let slot = layout.slots.len();
                    layout.slots.push(bytes(value));
                    layout.places[i] = Some(Place { slot, offset: 0 });
                }
                (Home::Transient, Some(life)) => transients.push((life, i)),
                (Home::Transient, None) | (Home::Given(_), _) => {}
            }
        }
        let first_shared = layout.slots.len();
        let mut shared: Vec<Vec<Tenant>> = Vec::new();
        transients.sort_by_key(|((first, _), i)| (Reverse(bytes(&recording.values()[*i])), *first));
        for (life, value) in transients {
            let needed = bytes(&recording.values()[value]);
            let found = shared.iter().enumerate().filter_map(|(slot, tenants)| {
                let alive: Vec<&Tenant> = tenants.iter().filter(|t| t.is_alive_in(life)).collect();
                let (offset, rest) = gap(layout.slots[first_shared + slot], &alive, needed)?;
                let met = alive
                    .iter()
                    .filter(|t| companions[value].contains(&t.value));
                Some((met.count(), rest, slot, offset))
            });
            let (slot, offset) = match found.min() {
                Some((.., slot, offset)) => (slot, offset),
                None => {
                    layout.slots.push(needed);
                    shared.push(Vec::new());
                    (shared.len() - 1, 0)
                }
            };
            shared[slot].push(Tenant {
                value,
                bytes: (offset, offset + needed),
                life,
            });
            layout.places[value] = Some(Place {
                slot: first_shared + slot,
                offset,
            });
        }
        layout
    }

    /// The smallest slot of at least so many bytes that holds nothing between iterations.
    #[must_use]
    pub fn spare(&self, recording: &Recording, bytes: u64) -> Option<usize> {
        let kept = self.kept(recording);
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(i, size)| **size >= bytes && !kept.contains(i))
            .min_by_key(|(_, size)| **size)
            .map(|(i, _)| i)
    }

    /// The slots that hold something between iterations.
    #[must_use]
    pub fn kept(&self, recording: &Recording) -> Vec<usize> {
        let values = recording.values().iter().zip(&self.places);
        values
            .filter(|(value, _)| matches!(value.home, Home::Persistent))
            .filter_map(|(_, place)| Some((*place)?.slot))
            .collect()
    }

    /// Bytes of all slots.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.slots.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Kind;
    use crate::kernels::{CopyRows, Relu, View};

    /// A chain of five ReLUs, each reading the one before.
    fn chain() -> (Recording, Vec<ValueId>) {
        let mut recording = Recording::new();
        let view = View::new(1, 4, 4, 4);
        let mut values = vec![recording.persistent("image", Kind::Real, view.len())];
        for i in 0..5 {
            let y = recording.transient(format!("y{i}"), Kind::Real, view.len());
            let mask = recording.transient(format!("mask{i}"), Kind::Word, view.mask_len());
            recording.call("relu", Relu { x: view, y: view }, &[values[i], y, mask]);
            values.push(y);
        }
        (recording, values)
    }

    #[test]
    fn a_chain_needs_as_many_slots_as_are_alive_at_once() {
        let (recording, values) = chain();
        let layout = Layout::new(&recording, &[]);
        // The image; a layer, the one before it, and its mask.
        assert_eq!(layout.slots.len(), 4);
        let slot = |v: &ValueId| layout.places[v.0 as usize].map(|place| place.slot);
        let image = slot(&values[0]);
        assert!(
            values[1..].iter().all(|v| slot(v) != image),
            "the image keeps its memory"
        );
    }

    #[test]
    fn values_alive_at_the_same_call_never_share() {
        for recording in [chain().0, halves()] {
            let layout = Layout::new(&recording, &[]);
            let lives = lifetimes(&recording, &[]);
            let range = |i: usize| {
                let Place { slot, offset } = layout.places[i].expect("a place");
                assert!(offset.is_multiple_of(ALIGNMENT));
                let end = offset + bytes(&recording.values()[i]);
                assert!(end <= layout.slots[slot]);
                (slot, offset..end)
            };
            for (i, a) in lives.iter().enumerate() {
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let (Some(a), Some(b)) = (a, b) else { continue };
                    if a.0 <= b.1 && b.0 <= a.1 {
                        let ((slot, own), (other, others)) = (range(i), range(j));
                        assert!(
                            slot != other || own.end <= others.start || others.end <= own.start,
                            "values {i} and {j}"
                        );
                    }
                }
            }
        }
    }

    /// A large layer, from it a small one that is read to the end, from that another, and from that a third.
    fn halves() -> Recording {
        let mut recording = Recording::new();
        let view = |h| View::new(1, h, 16, 4);
        let image = recording.persistent("image", Kind::Real, view(16).len());
        let [large, a, b, c] = [32, 16, 16, 16].map(|h| {
            let view = view(h);
            recording.transient(format!("of {h} rows"), Kind::Real, view.len())
        });
        for (x, y) in [(image, large), (large, a), (a, b), (b, c), (a, image)] {
            let copy = CopyRows {
                x: view(16),
                y: view(16),
                from: 0,
                to: 0,
                rows: 16,
                accumulate: false,
            };
            recording.call("copy", copy, &[x, y]);
        }
        recording
    }

    #[test]
    fn small_values_lie_side_by_side_where_a_large_one_was() {
        let layout = Layout::new(&halves(), &[]);
        assert_eq!(layout.slots, [4096, 8192, 4096], "{layout:?}");
        let of_it = layout.places.iter().flatten();
        assert_eq!(of_it.filter(|place| place.slot == 1).count(), 3);
    }
}
