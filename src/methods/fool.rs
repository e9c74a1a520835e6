//! Fooling images: pictures of nothing that a network is sure about (Nguyen, Yosinski and Clune 2015, section 3.4).

use crate::spec::{Class, FilterSpec, Init, Measure, OptimizerKind, Recipe, TermSpec};

impl Recipe {
    /// Gradient ascent on a class's probability from faint noise around the mean colour, without any regularisation.
    #[must_use]
    pub fn fool(class: Class, side: u32) -> Self {
        let mut recipe = Self::new().size(side).init(Init::Mean);
        recipe.image.noise = 0.02;
        recipe.terms = vec![TermSpec::cross_entropy([class])];
        recipe.filters = vec![FilterSpec::Normalize {
            by: Measure::L2,
            epsilon: 0.0,
        }];
        recipe.optimizer.kind = OptimizerKind::Gradient;
        // A thousandth of the range per pixel and step, on average.
        recipe.optimizer.step_size = 0.002 * side as f32;
        recipe.optimizer.iterations = 300;
        recipe
    }
}
