//! A network on a device: its layer graph, and its weights packed for the kernels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::device::{Buffer, Device, Kind};
use crate::kernels::conv::{pack_weights, pack_weights_backward};
use crate::net;

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
    buffers: Buffers,
}

/// What has been uploaded, by convolution; networks that differ in padding or pools only have it in common.
type Buffers = Arc<Mutex<HashMap<(usize, Part), Buffer>>>;

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
        Self::with(device.clone(), Arc::new(graph), false, Buffers::default())
    }

    fn with(device: Device, graph: Arc<net::Network>, outline: bool, buffers: Buffers) -> Self {
        Self(Arc::new(Inner {
            device,
            graph,
            outline,
            buffers,
        }))
    }

    /// The same network for planning only: its weights have their sizes and no values.
    #[must_use]
    pub fn outline(&self) -> Self {
        let graph = Arc::clone(&self.0.graph);
        Self::with(Device::cpu(), graph, true, Buffers::default())
    }

    /// The same weights with other padding and pools, see [`net::Network::rewired`].
    #[must_use]
    pub fn rewired(&self, padding: net::Padding, pooling: net::Pooling) -> Self {
        if padding.is_zero() && pooling.is_max() {
            return self.clone();
        }
        let graph = Arc::new(self.0.graph.rewired(padding, pooling));
        let (device, buffers) = (self.0.device.clone(), Arc::clone(&self.0.buffers));
        Self::with(device, graph, self.0.outline, buffers)
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
        let mut buffers = self
            .0
            .buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = buffers.get(&(index, part)) {
            return Ok(buffer.clone());
        }
        let conv = &self.0.graph.convs[index];
        let (out, input, kernel) = (conv.out_channels, conv.in_channels, conv.kernel);
        let label = format!("{} {part:?}", conv.name);
        if self.0.outline {
            let (rows, columns) = (input.next_multiple_of(4), out.next_multiple_of(4));
            let len = match part {
                Part::Forward | Part::Backward => kernel * kernel * rows * columns,
                Part::Bias => columns,
            };
            let buffer = self.0.device.buffer(&label, Kind::Real, len as usize)?;
            buffers.insert((index, part), buffer.clone());
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
        let buffer = self.0.device.buffer_from(&label, &data)?;
        buffers.insert((index, part), buffer.clone());
        Ok(buffer)
    }
}
