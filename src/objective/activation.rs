//! `activation`: the mean of what is selected of a layer, a channel or a unit; or the mean of its squares.
//!
//! Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network", section 3: the image that maximises a
//! unit. At the layer `logits` and one channel it is Simonyan et al. 2013's class score S_c, section 2.

use std::ops::Range;

use super::{Band, Gathered, Loss, ObjectiveError, Saved, SelectionError, Term};
use crate::Error;
use crate::device::{Buffer, Device, Kind, Recording, ValueId};
use crate::kernels::{SELECTION_WORDS, Select, SelectBackward, Tensor, View};

/// What an objective looks at in one image's layer: a box of channels, rows and columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Channels.
    pub channels: Range<u32>,
    /// Rows.
    pub rows: Range<u32>,
    /// Columns.
    pub columns: Range<u32>,
}

impl Selection {
    /// All of a layer.
    #[must_use]
    pub fn whole(layer: View) -> Self {
        Self {
            channels: 0..layer.c,
            rows: 0..layer.h,
            columns: 0..layer.w,
        }
    }

    /// One channel, everywhere.
    #[must_use]
    pub fn channel(layer: View, channel: u32) -> Self {
        Self {
            channels: channel..channel.saturating_add(1),
            ..Self::whole(layer)
        }
    }

    /// One unit.
    #[must_use]
    pub fn unit(channel: u32, row: u32, column: u32) -> Self {
        let one = |at: u32| at..at.saturating_add(1);
        Self {
            channels: one(channel),
            rows: one(row),
            columns: one(column),
        }
    }

    /// Row and column of a layer's central unit: half the size, rounded down; of even sizes the lower right one of the
    /// middle four, as Lucid has it.
    #[must_use]
    pub fn center(layer: View) -> (u32, u32) {
        (layer.h / 2, layer.w / 2)
    }

    /// Whether it lies within a layer and is not empty.
    ///
    /// # Errors
    /// What is outside, and what there is.
    pub fn validate(&self, layer: View) -> Result<(), SelectionError> {
        let axes = [
            ("channel", &self.channels, layer.c),
            ("row", &self.rows, layer.h),
            ("column", &self.columns, layer.w),
        ];
        for (axis, range, size) in axes {
            if range.start >= range.end {
                return Err(SelectionError::Empty {
                    axis,
                    range: range.clone(),
                });
            }
            if range.end > size {
                return Err(SelectionError::Outside {
                    axis,
                    last: range.end - 1,
                    size,
                });
            }
        }
        Ok(())
    }

    /// Puts one selection for each image of `layer`, or one for all, on the device, as [`Activation::new`] takes them.
    ///
    /// # Errors
    /// [`Error::Objective`] where one does not lie within the layer, or their number is another; [`Error::Device`].
    pub fn upload(device: &Device, layer: View, selections: &[Self]) -> Result<Buffer, Error> {
        if selections.len() != 1 && selections.len() != layer.n as usize {
            return Err(ObjectiveError::Selections {
                selections: selections.len(),
                images: layer.n,
            }
            .into());
        }
        let mut words = Vec::new();
        for selection in selections {
            selection
                .validate(layer)
                .map_err(ObjectiveError::Selection)?;
            for range in [&selection.channels, &selection.rows, &selection.columns] {
                words.extend([range.start, range.end]);
            }
        }
        let buffer = device.buffer("selections", Kind::Word, words.len())?;
        device.upload_words(&buffer, &words)?;
        Ok(buffer)
    }

    /// Elements it selects.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.channels.len() * self.rows.len() * self.columns.len()
    }
}

/// The mean of a, or of a², over what is selected.
#[derive(Debug)]
pub struct Activation {
    selections: Buffer,
    square: bool,
    weight: f64,
}

impl Activation {
    /// `selections` as [`Selection::upload`] makes them; `square`: the mean of a², else of a.
    #[must_use]
    pub fn new(selections: Buffer, square: bool, weight: f64) -> Self {
        Self {
            selections,
            square,
            weight,
        }
    }

    fn kernel(&self, x: View, first: u32) -> Select {
        let (linear, quadratic) = if self.square { (0.0, 1.0) } else { (1.0, 0.0) };
        Select {
            x,
            first,
            selections: (self.selections.len() / SELECTION_WORDS) as u32,
            linear,
            quadratic,
        }
    }

    fn selections(&self, recording: &mut Recording) -> ValueId {
        recording.given("selections", self.selections.clone())
    }
}

impl Term for Activation {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let kernel = self.kernel(x.view, band.first);
        let selections = self.selections(recording);
        let parts = (x.view.n * kernel.parts()) as usize;
        let partials = recording.transient("activation partial sums", Kind::Real, parts);
        recording.call("activation", kernel, &[x.value, selections, partials]);
        gathered.add_sum(partials, self.weight);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "activation", layer.n, loss);
        Saved(vec![self.selections(recording)])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = SelectBackward {
            forward: self.kernel(x.view, band.first),
            dx: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call(
            "activation gradient",
            gradient,
            &[x.value, saved.0[0], dx.value],
        );
    }
}
