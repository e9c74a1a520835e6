//! Memory: values whose lifetimes do not overlap share a slot.

use crate::device::{Home, Kind, Recording, ValueId};

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

impl Layout {
    /// Gives every value a slot: persistent ones their own, transient ones the smallest free slot that is large
    /// enough, else the largest free one, grown, else a new one.
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
                    layout.slot_of[i] = Some(layout.add(value.kind, value.len))
                }
                (Home::Transient, Some(life)) => transients.push((life, i)),
                (Home::Transient, None) | (Home::Given(_), _) => {}
            }
        }
        transients.sort_by_key(|((first, _), _)| *first);
        // Slots in use until the given call.
        let mut busy: Vec<(usize, usize)> = Vec::new();
        let mut free: Vec<usize> = Vec::new();
        for ((first, last), i) in transients {
            let value = recording.value(ValueId(i as u32));
            busy.retain(|(until, slot)| {
                let ended = *until < first;
                if ended {
                    free.push(*slot);
                }
                !ended
            });
            let slot = layout.take(&mut free, value.kind, value.len);
            busy.push((last, slot));
            layout.slot_of[i] = Some(slot);
        }
        layout
    }

    fn add(&mut self, kind: Kind, len: usize) -> usize {
        self.slots.push((kind, len));
        self.slots.len() - 1
    }

    fn take(&mut self, free: &mut Vec<usize>, kind: Kind, len: usize) -> usize {
        let of_kind = |slot: &usize| self.slots[*slot].0 == kind;
        let fitting = free
            .iter()
            .copied()
            .filter(of_kind)
            .filter(|s| self.slots[*s].1 >= len);
        let chosen = fitting.min_by_key(|s| self.slots[*s].1).or_else(|| {
            free.iter()
                .copied()
                .filter(of_kind)
                .max_by_key(|s| self.slots[*s].1)
        });
        match chosen {
            Some(slot) => {
                free.retain(|s| *s != slot);
                self.slots[slot].1 = self.slots[slot].1.max(len);
                slot
            }
            None => self.add(kind, len),
        }
    }

    /// Bytes of each slot, as it is allocated.
    pub fn slot_bytes(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots
            .iter()
            .map(|(_, len)| (*len as u64 * 4).max(16).next_multiple_of(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
