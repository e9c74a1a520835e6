//! Memory: values whose lifetimes do not overlap share a slot.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::device::{Home, Kind, Recording};

/// Which slot each value lives in.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Slots: what they hold and how many elements.
    pub slots: Vec<(Kind, usize)>,
    /// For each value its slot; `None` for values in given buffers and for values that no call touches.
    pub slot_of: Vec<Option<usize>>,
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
                    layout.slots.push((value.kind, value.len));
                    layout.slot_of[i] = Some(layout.slots.len() - 1);
                }
                (Home::Transient, Some(life)) => transients.push((life, i)),
                (Home::Transient, None) | (Home::Given(_), _) => {}
            }
        }
        let first_shared = layout.slots.len();
        let mut taken: Vec<Taken> = Vec::new();
        transients.sort_by_key(|((first, _), i)| (Reverse(recording.values()[*i].len), *first));
        for (life, i) in transients {
            let value = &recording.values()[i];
            // The slots stand in the order of their sizes, none smaller than this value.
            let found = taken.iter().enumerate().rev().find(|(slot, taken)| {
                layout.slots[first_shared + slot].0 == value.kind && is_free(taken, life)
            });
            let slot = found.map_or(taken.len(), |(slot, _)| slot);
            if slot == taken.len() {
                layout.slots.push((value.kind, value.len));
                taken.push(Taken::new());
            }
            taken[slot].insert(life.0, life.1);
            layout.slot_of[i] = Some(first_shared + slot);
        }
        layout
    }

    /// Bytes of each slot, as it is allocated.
    pub fn slot_bytes(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots
            .iter()
            .map(|(kind, len)| kind.buffer_bytes(*len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::ValueId;
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
    fn a_chain_needs_two_slots_and_its_image() {
        let (recording, values) = chain();
        let layout = Layout::new(&recording);
        let reals = layout
            .slots
            .iter()
            .filter(|(kind, _)| *kind == Kind::Real)
            .count();
        let words = layout
            .slots
            .iter()
            .filter(|(kind, _)| *kind == Kind::Word)
            .count();
        assert_eq!((reals, words), (3, 1));
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
