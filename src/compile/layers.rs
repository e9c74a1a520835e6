//! From a recipe's terms to a network's layers.

use crate::Error;
use crate::methods::{default_content_layers, default_style_layers};
use crate::net::NodeId;
use crate::plan::Network;
use crate::spec::TermSpec;
use crate::spec::terms::{Reads, UsualLayers};

/// A term's layers, resolved against a network.
#[derive(Debug, Clone)]
pub(crate) struct Layers(pub Vec<(NodeId, f64)>);

impl TermSpec {
    /// Checks what can be checked without pictures, and resolves the layers.
    pub(crate) fn resolve(&self, network: &Network) -> Result<Layers, Error> {
        self.validate()?;
        let graph = network.graph();
        let (given, usual) = match self.kind.fields().reads() {
            Reads::Image => return Ok(Layers(vec![(NodeId(0), 1.0)])),
            Reads::Classes => return Ok(Layers(vec![(graph.logits()?, 1.0)])),
            Reads::Layers(given, usual) => (given, usual),
        };
        let usual = match usual {
            _ if !given.is_empty() => Vec::new(),
            UsualLayers::Content => default_content_layers(graph.architecture),
            UsualLayers::Style => default_style_layers(graph.architecture),
            UsualLayers::None => return Err(self.wrong("needs `layers`")),
        };
        let found = given
            .iter()
            .chain(&usual)
            .map(|layer| Ok((graph.find(&layer.layer)?, layer.weight)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Layers(found))
    }
}
