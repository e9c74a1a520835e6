//! `direction`: the mean over positions of ⟨φ, v⟩ for a direction v in the space of a layer's channels: Szegedy et al.
//! 2013, section 3, who compare random directions with single units. With `cosine_power` p each product is multiplied
//! by max(0.1, cos)^p: Carter et al. 2019, "Activation Atlas", and Lucid's `direction` objective.

use super::{Band, Gathered, Loss, ObjectiveError, Saved, Term};
use crate::Error;
use crate::device::{Buffer, Device, Kind, Recording, ValueId};
use crate::kernels::{self, DirectionBackward, Tensor, View};
use crate::value::Rule;

/// How far a layer's activations point in a direction.
#[derive(Debug)]
pub struct Direction {
    directions: Buffer,
    cosine_power: f32,
    weight: f64,
}

impl Direction {
    /// `directions`: one of `layer.c` numbers for all images, or one for each image, one after the other.
    /// `cosine_power` is 0 or more; 0: the plain mean.
    ///
    /// # Errors
    /// [`Error::Objective`] where there are not as many numbers, one is not finite, or the power is negative;
    /// [`Error::Device`].
    pub fn new(
        device: &Device,
        layer: View,
        directions: &[f32],
        cosine_power: f32,
        weight: f64,
    ) -> Result<Self, Error> {
        let (n, c) = (layer.n as usize, layer.c as usize);
        if directions.len() != c && directions.len() != n * c {
            return Err(ObjectiveError::DirectionLength {
                numbers: directions.len(),
                channels: c,
                images: n,
            }
            .into());
        }
        if directions.iter().any(|v| !v.is_finite()) {
            return Err(ObjectiveError::DirectionNotFinite.into());
        }
        Rule::NOT_NEGATIVE
            .check("cosine_power", cosine_power)
            .map_err(ObjectiveError::CosinePower)?;
        let padded: Vec<f32> = directions
            .chunks(c)
            .flat_map(|one| {
                let padding = std::iter::repeat_n(0.0, layer.padded() - c);
                one.iter().copied().chain(padding)
            })
            .collect();
        Ok(Self {
            directions: device.buffer_from("directions", &padded)?,
            cosine_power,
            weight,
        })
    }

    fn kernel(&self, x: View) -> kernels::Direction {
        kernels::Direction {
            x,
            directions: (self.directions.len() / x.padded()) as u32,
            power: self.cosine_power,
        }
    }

    /// The mean of `x` in parts, which it returns, and what its gradient needs.
    fn record(&self, recording: &mut Recording, x: Tensor) -> (ValueId, [ValueId; 2]) {
        let kernel = self.kernel(x.view);
        let directions = recording.given("directions", self.directions.clone());
        let slopes = recording.transient("direction slopes", Kind::Real, kernel.slopes());
        let parts = (x.view.n * kernel.parts()) as usize;
        let partials = recording.transient("direction partial sums", Kind::Real, parts);
        recording.call(
            "direction",
            kernel,
            &[x.value, directions, slopes, partials],
        );
        (partials, [directions, slopes])
    }

    /// The weight of the mean of the rows `x` in that of their layer.
    fn share(&self, x: View, layer: View) -> f64 {
        self.weight * f64::from(x.h) / f64::from(layer.h)
    }
}

impl Term for Direction {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let (partials, slopes) = self.record(recording, x);
        gathered.add_sum(partials, self.share(x.view, band.layer));
        gathered.values = slopes.to_vec();
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "direction", layer.n, loss);
        if gathered.is_banded() {
            return Saved::default();
        }
        Saved(gathered.values)
    }

    /// The slopes of several bands are computed again, rather than kept.
    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let [directions, slopes] = match saved.0[..] {
            [directions, slopes] => [directions, slopes],
            _ => self.record(recording, x).1,
        };
        let gradient = DirectionBackward {
            forward: self.kernel(x.view),
            dx: dx.view,
            alpha: self.share(x.view, band.layer) as f32,
            accumulate,
        };
        recording.call(
            "direction gradient",
            gradient,
            &[x.value, directions, slopes, dx.value],
        );
    }
}
