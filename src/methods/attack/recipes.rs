//! The attacks as recipes.

use super::rounding::radius;
use super::{Attack, AttackMethod, Goal, Recipe};
use crate::Error;
use crate::image::Image;
use crate::spec::terms::{L2, Margin};
use crate::spec::{
    BallNorm, Class, FilterSpec, Init, KeepSpec, MapSpec, Measure, OptimizerKind, Picture,
    ProjectionSpec, TermSpec,
};

/// Where the term that pulls towards the class stands in every attack's recipe.
pub(super) const PULL: usize = 0;

/// Weight of the term of which only the sign is wanted: next to the others its gradient is nothing.
const WATCHED: f64 = 1e-9;

impl Recipe {
    /// The recipe of an attack on pictures of one size, with `initial_c` as the weight of the class's term where there
    /// is a search for it. DeepFool's is the gradient that one of its steps needs.
    ///
    /// # Errors
    /// [`SmallBall`](crate::MethodError::SmallBall) where the ball holds no 8-bit image but the picture itself.
    pub fn attack(images: &[Image], goal: &Goal, attack: &Attack) -> Result<Self, Error> {
        let pictures = |images: &[Image]| images.iter().map(picture).collect();
        let mut recipe = Self::new().seed(attack.seed);
        recipe.image.init = Init::Pictures(pictures(images));
        recipe.image.batch = u32::try_from(images.len()).ok();
        recipe.optimizer.iterations = attack.steps();
        recipe.optimizer.step_size = attack.step_size(goal.targeted);
        let class: Vec<Class> = goal
            .classes
            .iter()
            .map(|c| Class::Index(*c as u32))
            .collect();
        let cross_entropy = |weight| TermSpec::cross_entropy(class.clone()).weight(weight);
        // Towards the class, or away from it.
        let sign = if goal.targeted { 1.0 } else { -1.0 };
        let c = f64::from(attack.initial_c(goal.targeted));
        // Σ(x − x₀)², not its mean.
        let elements = images.first().map_or(0, |image| image.rgb.len());
        let distance = TermSpec::new(L2 {}).weight(elements as f64);
        let margin = Margin {
            class: class.clone(),
            untargeted: !goal.targeted,
            confidence: attack.confidence,
        };
        let margin = |weight| TermSpec::new(margin.clone()).weight(weight);
        match attack.method {
            AttackMethod::Lbfgs => {
                recipe.terms = vec![cross_entropy(sign * c), distance];
                recipe.optimizer.kind = OptimizerKind::Lbfgs;
                return Ok(recipe);
            }
            AttackMethod::Cw => {
                recipe.terms = vec![margin(c), distance, margin(WATCHED)];
                recipe.image.parameterisation = vec![MapSpec::Tanh {}];
                // Its value is at least this where κ is reached, but for rounding.
                let reached = -WATCHED * attack.confidence * (1.0 - 1e-5);
                recipe.keep = Some(KeepSpec {
                    term: 2,
                    at_most: reached as f32,
                });
                recipe.optimizer.beta2 = 0.999;
            }
            AttackMethod::DeepFool => {
                recipe.terms = vec![TermSpec::logit(class)];
                return Ok(recipe);
            }
            AttackMethod::Fgsm | AttackMethod::Bim | AttackMethod::MiFgsm | AttackMethod::Pgd => {
                recipe.terms = vec![cross_entropy(sign)];
                recipe.optimizer.kind = OptimizerKind::Gradient;
                recipe.filters = filters(attack);
                recipe.projections = vec![ProjectionSpec::Ball {
                    norm: attack.norm,
                    radius: radius(images, attack)?,
                    random_start: attack.method == AttackMethod::Pgd,
                }];
            }
        }
        if attack.survive_8bit {
            recipe.image.transformation = vec![MapSpec::Round {}];
        }
        Ok(recipe)
    }
}

/// A picture without its alpha, which no network sees.
fn picture(image: &Image) -> Picture {
    Picture::from(Image {
        alpha: None,
        ..image.clone()
    })
}

/// What the gradient becomes before the step.
fn filters(attack: &Attack) -> Vec<FilterSpec> {
    let normalize = |by| FilterSpec::Normalize { by, epsilon: 0.0 };
    match (attack.method, attack.norm) {
        (AttackMethod::MiFgsm, _) => vec![
            normalize(Measure::L1),
            FilterSpec::Momentum { decay: 1.0 },
            normalize(Measure::Sign),
        ],
        (_, BallNorm::L2) => vec![normalize(Measure::L2)],
        (_, BallNorm::Linf) => vec![normalize(Measure::Sign)],
    }
}
