//! The image.

use std::ops::RangeInclusive;

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;

/// What a network is given: for an image RGB in `[0,1]`, sRGB-encoded, 3 channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    pub channels: u32,
}

impl Layer for Input {
    fn kind(&self) -> &'static str {
        "input"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        0..=0
    }

    fn channels(&self, _: &[u32]) -> Result<u32, LayerError> {
        match self.channels {
            0 => Err(LayerError::NoChannels),
            channels => Ok(channels),
        }
    }

    fn is_rectified(&self, _: bool) -> bool {
        false
    }

    fn forward(&self, _: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        Ok(Vec::new())
    }

    fn backward(&self, _: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        Ok(())
    }
}
