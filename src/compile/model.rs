//! Which network a recipe runs on.

use crate::Error;
use crate::device::Device;
use crate::plan::Network;
use crate::spec::Recipe;

/// What the model `auto` means on a device: `vgg19`, whose styles are finest, on a GPU; `squeezenet1_1`, far less
/// work, on the processor and on software adapters.
#[must_use]
pub fn auto_model(device: &Device) -> &'static str {
    if device.info().is_software() {
        "squeezenet1_1"
    } else {
        "vgg19"
    }
}

impl Recipe {
    /// Loads the recipe's network onto a device, with its preprocessing and labels; `auto` as [`auto_model`] says.
    ///
    /// # Errors
    /// As [`Network::load_with`].
    pub fn network(&self, device: &Device) -> Result<Network, Error> {
        match self.model.as_str() {
            "auto" => Network::load_with(device, auto_model(device), &self.opening()),
            model => Network::load_with(device, model, &self.opening()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_takes_the_small_network() {
        let mut recipe = Recipe::new();
        let device = Device::cpu();
        let name = |recipe: &Recipe| recipe.network(&device).map(|n| n.graph().name.clone());
        assert_eq!(name(&recipe).ok().as_deref(), Some("squeezenet1_1"));
        recipe.model = "vgg19".to_string();
        assert_eq!(name(&recipe).ok().as_deref(), Some("vgg19"));
        recipe.model = "vgg20".to_string();
        assert!(name(&recipe).is_err());
    }
}
