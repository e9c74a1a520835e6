//! A network on a device: its layer graph, and its weights packed for the kernels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::device::{Device, Given, Kind};
use crate::kernels::View;
use crate::kernels::conv::{pack_weights, pack_weights_backward};
use crate::net;

use super::Precision;

/// A trained network on a device; cheap to clone.
///
/// Weights are uploaded when a plan first needs them and stay until the last clone is dropped.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    device: Device,
    graph: Arc<net::Network>,
    precision: Precision,
    weights: Weights,
}

/// The weights by convolution; networks that differ in padding, pools or precision only have them in common.
type Weights = Arc<Mutex<HashMap<(usize, Part, Precision), Given>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Forward,
    Backward,
    Bias,
}

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

    /// Puts a network that is already in memory on a device.
    #[must_use]
    pub fn new(device: &Device, graph: net::Network) -> Self {
        Self(Arc::new(Inner {
            device: device.clone(),
            graph: Arc::new(graph),
            precision: Precision::default(),
            weights: Weights::default(),
        }))
    }

    /// Another view of the same weights.
    fn with(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            device: self.0.device.clone(),
            graph: Arc::clone(&self.0.graph),
            weights: Arc::clone(&self.0.weights),
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

    /// The same network with its layers stored otherwise.
    #[must_use]
    pub fn stored(&self, precision: Precision) -> Self {
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

    /// The packed weights and the bias of convolution `index`.
    pub(super) fn forward(&self, index: usize) -> (Given, Given) {
        (
            self.part(index, Part::Forward),
            self.part(index, Part::Bias),
        )
    }

    /// The rotated, transposed weights of convolution `index`.
    pub(super) fn backward(&self, index: usize) -> Given {
        self.part(index, Part::Backward)
    }

    /// Packed and uploaded when a program that reads it gets its memory.
    fn part(&self, index: usize, part: Part) -> Given {
        let precision = match part {
            Part::Forward | Part::Backward => self.0.precision,
            Part::Bias => Precision::F32,
        };
        let mut weights = self
            .0
            .weights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let given = weights.entry((index, part, precision)).or_insert_with(|| {
            let conv = &self.0.graph.convs[index];
            let kind = match part {
                Part::Bias => Kind::Real,
                Part::Forward => precision.of_weights(&conv.weight),
                Part::Backward => precision.of_weights_backward(&conv.weight),
            };
            let (rows, columns) = (
                conv.in_channels.next_multiple_of(4),
                conv.out_channels.next_multiple_of(4),
            );
            let len = match part {
                Part::Forward | Part::Backward => conv.kernel * conv.kernel * rows * columns,
                Part::Bias => columns,
            };
            let (device, convs) = (self.0.device.clone(), Arc::clone(&self.0.graph.convs));
            Given::made_by(kind, len as usize, move || {
                let conv = &convs[index];
                let label = format!("{} {part:?}", conv.name);
                device.buffer_of(&label, kind, &part.packed(conv))
            })
        });
        given.clone()
    }
}

impl Part {
    /// The numbers of a convolution as kernels read them.
    fn packed(self, conv: &net::ConvWeights) -> Vec<f32> {
        let (out, input, kernel) = (conv.out_channels, conv.in_channels, conv.kernel);
        match self {
            Self::Forward => pack_weights(&conv.weight, out, input, kernel),
            Self::Backward => pack_weights_backward(&conv.weight, out, input, kernel),
            Self::Bias => {
                let mut bias = conv.bias.clone();
                bias.resize(out.next_multiple_of(4) as usize, 0.0);
                bias
            }
        }
    }
}
