//! The class that each image of a batch is compared with, and the weight of each.

use super::ObjectiveError;
use crate::Error;
use crate::device::{Buffer, Device, Kind, Recording, ValueId};
use crate::kernels::View;

/// A label and a weight for each image, on the device. A plan reads them in every iteration: setting them between
/// iterations changes the objective, the plan stays. A clone is the same memory.
#[derive(Debug, Clone)]
pub struct Labels {
    labels: Buffer,
    weights: Buffer,
    classes: u32,
}

impl Labels {
    /// For scores of shape \[n, classes, 1, 1\]: n labels and n weights. A weight multiplies its image's value; it may
    /// be 0 or negative.
    ///
    /// # Errors
    /// [`Error::Objective`] where the scores are not of that shape or have fewer than two classes, and as
    /// [`Labels::set_labels`] and [`Labels::set_weights`].
    pub fn new(
        device: &Device,
        scores: View,
        labels: &[u32],
        weights: &[f32],
    ) -> Result<Self, Error> {
        if (scores.h, scores.w) != (1, 1) {
            return Err(ObjectiveError::SeveralScores {
                height: scores.h,
                width: scores.w,
            }
            .into());
        }
        if scores.c < 2 {
            return Err(ObjectiveError::OneClass.into());
        }
        let n = scores.n as usize;
        let made = Self {
            labels: device.buffer("labels", Kind::Word, n)?,
            weights: device.buffer("weights", Kind::Real, n)?,
            classes: scores.c,
        };
        made.set_labels(device, labels)?;
        made.set_weights(device, weights)?;
        Ok(made)
    }

    /// Sets all labels, for the iterations to come.
    ///
    /// # Errors
    /// [`Error::Objective`] where their number is not that of the images, or there is no such class; [`Error::Device`].
    pub fn set_labels(&self, device: &Device, labels: &[u32]) -> Result<(), Error> {
        self.one_for_each("labels", labels.len())?;
        let classes = self.classes;
        if let Some(&label) = labels.iter().find(|label| **label >= classes) {
            return Err(ObjectiveError::NoSuchClass { label, classes }.into());
        }
        Ok(device.upload_words(&self.labels, labels)?)
    }

    /// Sets all weights, for the iterations to come.
    ///
    /// # Errors
    /// [`Error::Objective`] where their number is not that of the images, or one is no finite number;
    /// [`Error::Device`].
    pub fn set_weights(&self, device: &Device, weights: &[f32]) -> Result<(), Error> {
        self.one_for_each("weights", weights.len())?;
        if let Some(&weight) = weights.iter().find(|weight| !weight.is_finite()) {
            return Err(ObjectiveError::WeightNotFinite { weight }.into());
        }
        Ok(device.upload(&self.weights, weights)?)
    }

    fn one_for_each(&self, what: &'static str, found: usize) -> Result<(), ObjectiveError> {
        let images = self.labels.len();
        if found == images {
            return Ok(());
        }
        Err(ObjectiveError::OneForEach {
            what,
            found,
            images,
        })
    }

    /// The number of classes; every label is below it.
    pub(crate) fn classes(&self) -> u32 {
        self.classes
    }

    /// The memory of the labels and of the weights.
    pub(crate) fn buffers(&self) -> (&Buffer, &Buffer) {
        (&self.labels, &self.weights)
    }

    /// Labels and weights as values of a recording.
    pub(super) fn record(&self, recording: &mut Recording) -> (ValueId, ValueId) {
        (
            recording.given("labels", self.labels.clone()),
            recording.given("weights", self.weights.clone()),
        )
    }
}
