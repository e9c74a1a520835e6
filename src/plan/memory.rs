//! Memory: values whose lifetimes do not overlap share a slot.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::device::{Home, Recording, Value};

/// Which slot each value lives in.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Slots: how many bytes each has. Values of any kind may share one.
    pub slots: Vec<u64>,
    /// For each value its slot; `None` for values in given buffers and for values that no call touches.
    pub slot_of: Vec<Option<usize>>,
}

/// Bytes of the memory that a value needs.
fn bytes(value: &Value) -> u64 {
    value.kind.buffer_bytes(value.len)
}

/// First and last call that touches each value.
fn lifetimes(recording: &Recording) -> Vec<Option<(usize, usize)>> {
    let mut lives = vec![None; recording.values().len()];
    for (i, call) in recording.calls().iter().enumerate() {
        for id in &call.values {
            let life: &mut Option<(usize, usize)> = &mut lives[id.0 as usize];
            *life = Some(life.map_or((i, i), |(first, _)| (first, i)));
        }
    }
    lives
}

/// The calls during which a slot is taken: the last of each of its values, by the first.
type Taken = BTreeMap<usize, usize>;

/// Whether no value of a slot is alive between calls `first` and `last`.
fn is_free(taken: &Taken, (first, last): (usize, usize)) -> bool {
    let before = taken.range(..=last).next_back();
    before.is_none_or(|(_, until)| *until < first)
}

impl Layout {
    /// Gives every value a slot: persistent ones their own; transient ones, the largest first, the smallest slot in which no
    /// other is alive at the same time, else a new one. So no slot is larger than the first of its values.
    #[must_use]
    pub fn new(recording: &Recording) -> Self {
        let lives = lifetimes(recording);
        let mut layout = Self {
            slots: Vec::new(),
            slot_of: vec![None; recording.values().len()],
        };
        let mut transients = Vec::new();
        for (i, value) in recording.values().iter().enumerate() {
            match (&value.home, lives[i]) {
                (Home::Persistent, _) => {
                    layout.slots.push(bytes(value));
                    layout.slot_of[i] = Some(layout.slots.len() - 1);
                }
                (Home::Transient, Some(life)) => transients.push((life, i)),
                (Home::Transient, None) | (Home::Given(_), _) => {}
            }
        }
        let first_shared = layout.slots.len();
        let mut taken: Vec<Taken> = Vec::new();
        transients.sort_by_key(|((first, _), i)| (Reverse(bytes(&recording.values()[*i])), *first));
        for (life, i) in transients {
            // The slots stand in the order of their sizes, none smaller than this value.
            let all = taken.iter().enumerate();
            let found = all.rev().find(|(_, taken)| is_free(taken, life));
            let slot = found.map_or(taken.len(), |(slot, _)| slot);
            if slot == taken.len() {
                layout.slots.push(bytes(&recording.values()[i]));
                taken.push(Taken::new());
            }
            taken[slot].insert(life.0, life.1);
            layout.slot_of[i] = Some(first_shared + slot);
        }
        layout
    }

    /// The smallest slot of at least so many bytes that holds nothing between iterations.
    #[must_use]
    pub fn spare(&self, recording: &Recording, bytes: u64) -> Option<usize> {
        let values = recording.values().iter().zip(&self.slot_of);
        let kept: Vec<usize> = values
            .filter(|(value, _)| matches!(value.home, Home::Persistent))
            .filter_map(|(_, slot)| *slot)
            .collect();
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(i, size)| **size >= bytes && !kept.contains(i))
            .min_by_key(|(_, size)| **size)
            .map(|(i, _)| i)
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
    use crate::device::{Kind, ValueId};
    use crate::kernels::{Relu, View};

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
        let layout = Layout::new(&recording);
        // The image; a layer, the one before it, and its mask.
        assert_eq!(layout.slots.len(), 4);
        let image = layout.slot_of[values[0].0 as usize];
        assert!(
            values[1..]
                .iter()
                .all(|v| layout.slot_of[v.0 as usize] != image),
            "the image keeps its memory"
        );
    }

    #[test]
    fn values_alive_at_the_same_call_never_share() {
        let (recording, _) = chain();
        let layout = Layout::new(&recording);
        let lives = lifetimes(&recording);
        for (i, a) in lives.iter().enumerate() {
            for (j, b) in lives.iter().enumerate().skip(i + 1) {
                let (Some(a), Some(b)) = (a, b) else { continue };
                if a.0 <= b.1 && b.0 <= a.1 {
                    assert_ne!(layout.slot_of[i], layout.slot_of[j], "values {i} and {j}");
                }
            }
        }
    }
}
