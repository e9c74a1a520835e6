//! Options of `attack` and `transfer`.

use super::{Given, parse};
use crate::methods::{Attack, AttackMethod, MethodError};
use crate::spec::BallNorm;

/// Options of `attack` and `transfer`. What is absent is as the method has it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackOptions {
    /// The attack.
    pub method: AttackMethod,
    /// How the ball is measured.
    pub norm: Option<BallNorm>,
    /// Radius of the ball in units of the `[0,1]` image.
    pub epsilon: Option<f32>,
    /// Iterations, of each round where there are several.
    pub steps: Option<u64>,
    /// Length of a step.
    pub step_size: Option<f32>,
    /// The first weight of the class's loss.
    pub c: Option<f32>,
    /// How many weights are tried.
    pub rounds: Option<u64>,
    /// How far beyond the border to go, in logits.
    pub confidence: Option<f64>,
    /// Whether the change is made to survive an 8-bit file.
    pub survive_8bit: bool,
    /// Seed of random starts and random targets.
    pub seed: u64,
}

impl Default for AttackOptions {
    fn default() -> Self {
        Self {
            method: AttackMethod::Bim,
            norm: None,
            epsilon: None,
            steps: None,
            step_size: None,
            c: None,
            rounds: None,
            confidence: None,
            survive_8bit: false,
            seed: 0,
        }
    }
}

impl AttackOptions {
    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        let usual = Self::default();
        Ok(Self {
            method: given
                .value("method", parse::attack_method)?
                .unwrap_or(usual.method),
            norm: given.value("norm", parse::norm)?,
            epsilon: given.value("epsilon", parse::fraction)?,
            steps: given.value("steps", parse::count)?,
            step_size: given.value("step_size", parse::fraction)?,
            c: given.value("c", parse::fraction)?,
            rounds: given.value("rounds", parse::count)?,
            confidence: given.value("confidence", parse::weight)?,
            survive_8bit: given.flag("survive_8bit")?,
            seed: given.value("seed", parse::seed)?.unwrap_or(usual.seed),
        })
    }

    /// The attack that was asked for.
    ///
    /// # Errors
    /// [`MethodError::Option`] for an option that the method does not have.
    pub fn attack(&self) -> Result<Attack, MethodError> {
        let method = self.method;
        let mut attack = Attack::new(method);
        let (ball, search) = (method.has_ball(), method.has_search());
        let cw = method == AttackMethod::Cw;
        let steps = method != AttackMethod::Fgsm;
        let lengths = steps && method != AttackMethod::DeepFool;
        // Each option, whether it is given, and whether the method has it.
        let options = [
            ("epsilon", self.epsilon.is_some(), ball),
            ("norm", self.norm.is_some(), method == AttackMethod::Pgd),
            ("steps", self.steps.is_some(), steps),
            ("step_size", self.step_size.is_some(), lengths),
            ("c", self.c.is_some(), search),
            ("rounds", self.rounds.is_some(), search),
            ("confidence", self.confidence.is_some(), cw),
        ];
        if let Some((option, ..)) = options.iter().find(|(_, given, has)| *given && !has) {
            return Err(MethodError::Option {
                option: (*option).to_string(),
                problem: format!("{} does not have it", method.name()),
            });
        }
        if self.norm == Some(BallNorm::L2) {
            attack.norm = BallNorm::L2;
            attack.epsilon = 1.0;
        }
        attack.epsilon = self.epsilon.unwrap_or(attack.epsilon);
        attack.steps = self.steps;
        attack.step_size = self.step_size;
        attack.initial_c = self.c;
        if let Some(rounds) = self.rounds {
            attack.rounds = u32::try_from(rounds).map_err(|_| MethodError::Option {
                option: "rounds".to_string(),
                problem: format!("there can be {}", u32::MAX),
            })?;
        }
        attack.confidence = self.confidence.unwrap_or(attack.confidence);
        attack.survive_8bit = self.survive_8bit;
        attack.seed = self.seed;
        Ok(attack)
    }
}
