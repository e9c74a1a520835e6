//! What is measured: style transfer by one network on one device.

use super::picture::picture;
use crate::net;
use crate::run::Run;
use crate::{Device, Error, Network, Precision, Recipe};

/// Larger pictures are made from one of this size, which costs no less to compute with.
const LARGEST: u32 = 1024;

/// A network on a device.
pub struct Subject<'a> {
    pub device: &'a Device,
    pub network: Network,
    pub precision: Precision,
    /// Bytes on the device before the network was loaded.
    before: u64,
}

impl<'a> Subject<'a> {
    pub fn new(device: &'a Device, graph: net::Network, precision: Precision) -> Self {
        let before = device.allocated().0;
        Self {
            device,
            network: Network::new(device, graph),
            precision,
            before,
        }
    }

    /// The network's name. A path could tell who somebody is.
    pub fn model(&self) -> &str {
        &self.network.graph().name
    }

    /// Style transfer at `size` pixels as `style` does it by default, at one scale.
    fn recipe(&self, size: u32) -> Recipe {
        let drawn = size.min(LARGEST);
        let mut recipe = Recipe::style(picture(drawn, 1), [picture(drawn, 2)])
            .size(size)
            .min_size(size)
            .iterations(1 << 20);
        recipe.precision = self.precision;
        recipe
    }

    /// A run that does not end by itself.
    pub async fn run(&self, size: u32) -> Result<Run, Error> {
        let recipe = self.recipe(size);
        recipe.compile_async(self.device, &self.network).await
    }

    /// Bytes that the network and what has been compiled for it take now.
    pub fn allocated(&self) -> u64 {
        self.device.allocated().0.saturating_sub(self.before)
    }

    /// ‖g − g'‖/‖g'‖ of the gradients and |l − l'|/l' of the objectives at a small size, here and on another device.
    pub async fn deviations(&self, reference: &Device) -> Result<(f64, f64), Error> {
        const SIZE: u32 = 64;
        let recipe = self.recipe(SIZE);
        let ours = recipe.gradient_async(&self.network).await?;
        let there = Network::new(reference, self.network.graph().clone());
        let theirs = recipe.gradient_async(&there).await?;
        let (mut error, mut norm) = (0.0, 0.0);
        for (a, b) in ours.gradient.iter().zip(&theirs.gradient) {
            error += f64::from(a - b).powi(2);
            norm += f64::from(*b).powi(2);
        }
        let loss = f64::from(ours.loss - theirs.loss) / f64::from(theirs.loss);
        // JSON has no infinity, and no NaN.
        let told = |deviation: f64| {
            if deviation.is_finite() {
                deviation
            } else {
                1.0
            }
        };
        Ok((told((error / norm).sqrt()), told(loss.abs())))
    }
}

/// What a device's results are held against: the `cpu` device, and for that itself the same in f64.
pub fn reference(device: &Device) -> Device {
    if device.gpu().is_some() {
        Device::cpu()
    } else {
        Device::oracle()
    }
}
