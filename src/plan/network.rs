//! A network on a device: its layer graph, and its weights packed for the kernels.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Error;
use crate::device::{Buffer, Device, Kind};
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
    /// Whether the weights' values matter, or only their sizes.
    outline: bool,
    precision: Precision,
    buffers: Buffers,
}

/// What has been uploaded, by convolution; networks that differ in padding, pools or precision only have it in common.
type Buffers = Arc<Mutex<HashMap<(usize, Part, Precision), Buffer>>>;

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
            outline: false,
            precision: Precision::default(),
            buffers: Buffers::default(),
        }))
    }

    /// Another view of the same weights.
    fn with(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            device: self.0.device.clone(),
            graph: Arc::clone(&self.0.graph),
            buffers: Arc::clone(&self.0.buffers),
            ..*self.0
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// The same network for planning only: its weights have their sizes and no values.
    #[must_use]
    pub fn outline(&self) -> Self {
        self.with(|inner| {
            inner.device = Device::cpu();
            inner.outline = true;
            inner.buffers = Buffers::default();
        })
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
    pub(super) fn forward(&self, index: usize) -> Result<(Buffer, Buffer), Error> {
        Ok((
            self.part(index, Part::Forward)?,
            self.part(index, Part::Bias)?,
        ))
    }

    /// The rotated, transposed weights of convolution `index`.
    pub(super) fn backward(&self, index: usize) -> Result<Buffer, Error> {
        self.part(index, Part::Backward)
    }

    fn part(&self, index: usize, part: Part) -> Result<Buffer, Error> {
        let mut buffers = self.0.buffers.lock();
        let precision = match part {
            Part::Forward | Part::Backward => self.0.precision,
            Part::Bias => Precision::F32,
        };
        let key = (index, part, precision);
        if let Some(buffer) = buffers.get(&key) {
            return Ok(buffer.clone());
        }
        let conv = &self.0.graph.convs[index];
        let kind = match part {
            Part::Bias => Kind::Real,
            // As many bytes as any others in f32: there is nothing to look for.
            _ if self.0.outline && precision.is_f32() => Kind::Real,
            Part::Forward => precision.of_weights(&conv.weight),
            Part::Backward => precision.of_weights_backward(&conv.weight),
        };
        let (out, input, kernel) = (conv.out_channels, conv.in_channels, conv.kernel);
        let label = format!("{} {part:?}", conv.name);
        if self.0.outline {
            let (rows, columns) = (input.next_multiple_of(4), out.next_multiple_of(4));
            let len = match part {
                Part::Forward | Part::Backward => kernel * kernel * rows * columns,
                Part::Bias => columns,
            };
            let buffer = self.0.device.buffer(&label, kind, len as usize)?;
            buffers.insert(key, buffer.clone());
            return Ok(buffer);
        }
        let data = match part {
            Part::Forward => pack_weights(&conv.weight, out, input, kernel),
            Part::Backward => pack_weights_backward(&conv.weight, out, input, kernel),
            Part::Bias => {
                let mut bias = conv.bias.clone();
                bias.resize(out.next_multiple_of(4) as usize, 0.0);
                bias
            }
        };
        let buffer = self.0.device.buffer_of(&label, kind, &data)?;
        buffers.insert(key, buffer.clone());
        Ok(buffer)
    }
}
