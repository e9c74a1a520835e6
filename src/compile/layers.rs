//! From a recipe's terms to a network's layers.

use crate::Error;
use crate::net::{self, NodeId, Purpose};
use crate::plan::Network;
use crate::spec::terms::{Reads, TermProblem, UsualLayers};
use crate::spec::{LayerWeight, TermSpec};

/// A term's layers, resolved against a network.
#[derive(Debug, Clone)]
pub(crate) struct Layers(pub Vec<(NodeId, f64)>);

/// The layers that terms read, all together.
pub(crate) fn nodes(layers: &[Layers]) -> Vec<NodeId> {
    let nodes = layers.iter().flat_map(|layers| &layers.0);
    nodes.map(|(node, _)| *node).collect()
}

impl TermSpec {
    /// Checks what can be checked without pictures, and resolves the layers.
    pub(crate) fn resolve(&self, network: &Network) -> Result<Layers, Error> {
        self.validate()?;
        let graph = network.graph();
        let (given, usual) = match self.kind.fields().reads() {
            Reads::Image => return Ok(Layers(vec![(graph.input(), 1.0)])),
            Reads::Classes => return Ok(Layers(vec![(graph.logits()?, 1.0)])),
            Reads::Layers(given, usual) => (given, usual),
        };
        let usual = match usual {
            _ if !given.is_empty() => Vec::new(),
            UsualLayers::Content => default_layers(graph, Purpose::Content)?,
            UsualLayers::Style => default_layers(graph, Purpose::Style)?,
            UsualLayers::None => return Err(self.wrong(TermProblem::NoLayers).into()),
        };
        let found = given
            .iter()
            .chain(&usual)
            .map(|layer| Ok((graph.find(&layer.layer)?, layer.weight)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Layers(found))
    }
}

/// The layers that a network has for a purpose.
///
/// # Errors
/// As [`net::Network::default_layers`].
pub fn default_layers(graph: &net::Network, purpose: Purpose) -> Result<Vec<LayerWeight>, Error> {
    let layers = graph.default_layers(purpose)?.into_iter();
    Ok(layers
        .map(|(layer, weight)| LayerWeight { layer, weight })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_layers_exist() {
        for name in net::embedded() {
            let network = net::Network::open(name).expect("an embedded network opens");
            for purpose in [Purpose::Content, Purpose::Style, Purpose::Dream] {
                let layers = default_layers(&network, purpose).expect("layers");
                assert!(!layers.is_empty(), "{name}: {purpose:?}");
                for layer in layers {
                    assert!(network.find(&layer.layer).is_ok(), "{name} has no {layer}");
                }
            }
        }
    }
}
