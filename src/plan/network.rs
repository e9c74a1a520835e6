//! A network on a device: its layer graph, and its weights packed for the kernels.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Error;
use crate::device::{Device, Given, Kind};
use crate::kernels::View;
use crate::layer::{Arrange, ParameterBuffers, Role};
use crate::net;

use super::{PlanError, Precision};

/// A trained network on a device; cheap to clone.
///
/// Weights are uploaded when a plan first needs them and stay until the last clone is dropped.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    device: Device,
    graph: Arc<net::Network>,
    precision: Precision,
    arranged: Arranged,
    tables: Tables,
}

/// The parameters on the device; networks that differ in padding, pools or precision only have them in common.
type Arranged = Arc<Mutex<HashMap<(String, Role, Precision), Given>>>;

/// Tables that layers make of their options, by what is in them.
type Tables = Arc<Mutex<HashMap<Vec<u32>, Given>>>;

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({} on {:?})", self.0.graph.name, self.0.device)
    }
}

impl Network {
    /// Loads an embedded network, an installed one, or a weights file, see [`net::Network::open`].
    ///
    /// # Errors
    /// [`Error::Net`] says what is wrong with the name or the file.
    pub fn load(device: &Device, spec: &str) -> Result<Self, Error> {
        Ok(Self::new(device, net::Network::open(spec)?))
    }

    /// As [`Network::load`], with what the file does not say itself.
    ///
    /// # Errors
    /// As [`net::Network::open_with`].
    pub fn load_with(device: &Device, spec: &str, opening: &net::Opening) -> Result<Self, Error> {
        Ok(Self::new(device, net::Network::open_with(spec, opening)?))
    }

    /// Puts a network that is already in memory on a device.
    #[must_use]
    pub fn new(device: &Device, graph: net::Network) -> Self {
        Self(Arc::new(Inner {
            device: device.clone(),
            graph: Arc::new(graph),
            precision: Precision::default(),
            arranged: Arranged::default(),
            tables: Tables::default(),
        }))
    }

    /// Another view of the same weights.
    fn with(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            device: self.0.device.clone(),
            graph: Arc::clone(&self.0.graph),
            arranged: Arc::clone(&self.0.arranged),
            tables: Arc::clone(&self.0.tables),
            ..*self.0
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// The same weights with other padding and pools, see [`net::Network::rewired`].
    #[must_use]
    pub fn rewired(&self, padding: net::Padding, pooling: net::Pooling) -> Self {
        if padding.is_zero() && pooling.is_max() {
            return self.clone();
        }
        let graph = Arc::new(self.0.graph.rewired(padding, pooling));
        self.with(|inner| inner.graph = graph)
    }

    /// The same network in another precision.
    #[must_use]
    pub fn with_precision(&self, precision: Precision) -> Self {
        self.with(|inner| inner.precision = precision)
    }

    /// How its layers are stored.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// What layer `id` is stored as for the backward pass, at this size.
    pub(crate) fn kind_of(&self, id: net::NodeId, layer: View) -> Kind {
        let rectified = self.graph().is_rectified(id);
        self.0.precision.of_layer(layer, rectified)
    }

    /// The layers.
    #[must_use]
    pub fn graph(&self) -> &net::Network {
        &self.0.graph
    }

    /// The device it is on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.0.device
    }
}

impl ParameterBuffers for Network {
    fn arranged(
        &self,
        name: &str,
        role: Role,
        len: usize,
        arrange: Arrange,
    ) -> Result<Given, Error> {
        let precision = match role {
            Role::Exact => Precision::F32,
            _ => self.0.precision,
        };
        let key = (name.to_owned(), role, precision);
        let mut known = self.0.arranged.lock();
        if let Some(given) = known.get(&key) {
            return Ok(given.clone());
        }
        let parameter =
            self.0
                .graph
                .parameters()
                .get(name)
                .ok_or_else(|| PlanError::UnknownParameter {
                    parameter: name.to_owned(),
                })?;
        let kind = match role {
            Role::Exact => Kind::Real,
            Role::Forward | Role::ForwardTransposed => precision.of_weights(&parameter.values),
            Role::Backward | Role::BackwardTransposed => {
                precision.of_weights_backward(&parameter.values)
            }
        };
        let (device, graph) = (self.0.device.clone(), Arc::clone(&self.0.graph));
        let name = name.to_owned();
        let given = Given::made_by(kind, len, move || {
            let parameter = graph.parameters().get(&name);
            let values = parameter.map_or(&[][..], |parameter| &parameter.values);
            device.buffer_of(&format!("{name} {role:?}"), kind, &arrange(values))
        });
        known.insert(key, given.clone());
        Ok(given)
    }

    fn words(&self, words: Vec<u32>) -> Given {
        let mut known = self.0.tables.lock();
        let given = known.entry(words).or_insert_with_key(|words| {
            let (device, words) = (self.0.device.clone(), words.clone());
            Given::made_by(Kind::Word, words.len(), move || {
                let buffer = device.buffer("table", Kind::Word, words.len())?;
                device.upload_words(&buffer, &words)?;
                Ok(buffer)
            })
        });
        given.clone()
    }
}
