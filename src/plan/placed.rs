//! Which layers are computed in their place in a concatenation, so that nothing needs to be copied.
//!
//! A slice of channels of a larger tensor begins and ends at whole vec4s, and a kernel may not write the tensor that it
//! reads, even elsewhere in it. So an input of a concatenation is copied if its channels do not fit, if it is there
//! twice, if it is already in another concatenation, or if it and another layer of the same tensor are computed of one
//! another.

use std::collections::{BTreeMap, BTreeSet};

use super::fused::may_be_read_by;
use crate::net::{self, NodeId};

/// A layer in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub node: NodeId,
    /// Its first channel in the whole tensor.
    pub first: u32,
}

/// Where layers stand in concatenations.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// The concatenations that have a tensor of their own, and what is computed in it.
    wholes: BTreeMap<NodeId, Vec<Part>>,
    /// The concatenation that a layer is an input of, in its place.
    of: BTreeMap<NodeId, NodeId>,
}

impl Placement {
    pub fn new(graph: &net::Network, needed: &BTreeSet<NodeId>) -> Self {
        let mut placement = Self::default();
        // From the last one on, so that a concatenation within another has its place before its own inputs get theirs.
        for &id in needed.iter().rev() {
            if !graph.node(id).layer.joins() {
                continue;
            }
            let (whole, first) = placement.own(id).unwrap_or_else(|| {
                placement.wholes.insert(id, Vec::new());
                (id, 0)
            });
            placement.place_inputs(graph, id, whole, first);
        }
        placement
    }

    /// The whole tensor that a layer stands in, and its first channel there.
    fn own(&self, id: NodeId) -> Option<(NodeId, u32)> {
        let mut wholes = self.wholes.iter();
        wholes.find_map(|(whole, parts)| {
            let part = parts.iter().find(|part| part.node == id)?;
            Some((*whole, part.first))
        })
    }

    fn place_inputs(&mut self, graph: &net::Network, id: NodeId, whole: NodeId, first: u32) {
        let inputs = &graph.node(id).inputs;
        let mut first = first;
        for (i, &input) in inputs.iter().enumerate() {
            let channels = graph.node(input).channels;
            let is_last = i + 1 == inputs.len();
            let fits = first.is_multiple_of(4) && (is_last || channels.is_multiple_of(4));
            let once = inputs.iter().filter(|other| **other == input).count() == 1;
            let parts = self.wholes.entry(whole).or_default();
            // What is copied into the tensor must not stand in it either; this concatenation itself copies nothing that
            // is in place.
            let apart = parts.iter().all(|part| {
                let reads = part.node != id && may_be_read_by(graph, input, part.node);
                !reads && !may_be_read_by(graph, part.node, input)
            });
            let apart = apart && (whole == id || !may_be_read_by(graph, input, whole));
            let is_free = input != graph.input() && !self.of.contains_key(&input);
            if fits && once && apart && is_free {
                parts.push(Part { node: input, first });
                self.of.insert(input, id);
            }
            first += channels;
        }
    }

    /// The concatenations that have a tensor of their own, in topological order, each with what is computed in it.
    pub fn wholes(&self) -> impl Iterator<Item = (NodeId, &[Part])> {
        self.wholes
            .iter()
            .map(|(whole, parts)| (*whole, &parts[..]))
    }

    /// The concatenation that a layer is computed in its place of.
    pub fn whole(&self, id: NodeId) -> Option<NodeId> {
        self.of.get(&id).copied()
    }

    /// Whether needed layers read parts of a whole, or write it in parts: then it is in f32, whatever it is stored as
    /// later.
    pub fn is_read_in_parts(
        &self,
        graph: &net::Network,
        needed: &BTreeSet<NodeId>,
        whole: NodeId,
    ) -> bool {
        let parts = &self.wholes[&whole];
        let inside = |id: NodeId| id == whole || parts.iter().any(|part| part.node == id);
        let joins = || {
            needed
                .iter()
                .filter(|id| inside(**id) && graph.node(**id).layer.joins())
        };
        let copies = joins().any(|join| {
            let mut inputs = graph.node(*join).inputs.iter();
            inputs.any(|input| self.whole(*input) != Some(*join))
        });
        let others = needed.iter().filter(|id| !joins().any(|join| join == *id));
        let read = others
            .flat_map(|id| &graph.node(*id).inputs)
            .any(|input| *input != whole && inside(*input));
        copies || read
    }
}
