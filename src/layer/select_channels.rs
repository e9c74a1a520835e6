//! Channels picked out, put in another order, or repeated.

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::select_channels::{selection, selection_backward};
use crate::kernels::{self, SelectChannelsBackward};

/// Channel `i` of the output is channel `channels[i]` of the input: a slice, a shuffle, repetitions. Where a channel is
/// there several times, its gradient is the sum of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectChannels {
    pub channels: Vec<u32>,
}

impl Layer for SelectChannels {
    fn kind(&self) -> &'static str {
        "select_channels"
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        let channels = inputs[0];
        match self.channels.iter().find(|channel| **channel >= channels) {
            Some(&channel) => Err(LayerError::NoSuchChannel { channel, channels }),
            None if self.channels.is_empty() => Err(LayerError::NoChannels),
            None => Ok(self.channels.len() as u32),
        }
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let table = pass.parameters.words(selection(&self.channels));
        let table = pass.recording.given(pass.label, table);
        let select = kernels::SelectChannels {
            x: x.view,
            y: y.view,
        };
        pass.call(select, &[x.value, table, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let table = selection_backward(&self.channels, dx.view.c);
        let table = pass.parameters.words(table);
        let table = pass.recording.given(pass.label, table);
        let select = SelectChannelsBackward {
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(select, &[dy.value, table, dx.value]);
        Ok(())
    }
}
