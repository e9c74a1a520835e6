//! Adversarial attacks: the smallest or a bounded change of pictures that changes what a network sees in them. Each is
//! a [`Recipe`] for the one engine, all pictures of one size as one batch; what is left to the host is the choice
//! between results: the search over the weight of the class's term, and DeepFool's choice of the nearest class.

mod deepfool;
mod descend;
mod judge;
mod recipes;
mod rounding;
mod search;

use std::ops::ControlFlow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use judge::{Distance, top_one_async};

use crate::Error;
use crate::image::Image;
use crate::methods::MethodError;
use crate::methods::classify::Score;
use crate::plan::Network;
use crate::run::Progress;
use crate::spec::{BallNorm, Recipe};
use crate::value::Rule;
use judge::{by_size, margins};

/// How a change is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackMethod {
    /// One step along the gradient's sign (Goodfellow et al. 2015, section 4).
    Fgsm,
    /// Several, within a ball (Kurakin et al. 2017, section 2.2).
    Bim,
    /// With momentum μ = 1 (Dong et al. 2018, algorithm 1).
    MiFgsm,
    /// From a random point of the ball (Madry et al. 2018, section 2.1).
    Pgd,
    /// Box-constrained L-BFGS (Szegedy et al. 2013, section 4.1).
    Lbfgs,
    /// Adam in tanh space (Carlini and Wagner 2017, section V).
    Cw,
    /// Newton's steps to the nearest linearised border (Moosavi-Dezfooli et al. 2016, algorithm 2).
    DeepFool,
}

impl AttackMethod {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fgsm,
        Self::Bim,
        Self::MiFgsm,
        Self::Pgd,
        Self::Lbfgs,
        Self::Cw,
        Self::DeepFool,
    ];

    /// The name in reports and options.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fgsm => "fgsm",
            Self::Bim => "bim",
            Self::MiFgsm => "mi-fgsm",
            Self::Pgd => "pgd",
            Self::Lbfgs => "lbfgs",
            Self::Cw => "cw",
            Self::DeepFool => "deepfool",
        }
    }

    /// Whether it looks for any change within a ball, else for the smallest change.
    #[must_use]
    pub fn has_ball(self) -> bool {
        matches!(self, Self::Fgsm | Self::Bim | Self::MiFgsm | Self::Pgd)
    }

    /// Whether it searches for the weight c of the class's term.
    #[must_use]
    pub fn has_search(self) -> bool {
        matches!(self, Self::Lbfgs | Self::Cw)
    }
}

/// An attack with its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Attack {
    /// Which.
    pub method: AttackMethod,
    /// `pgd`: how the ball is measured.
    pub norm: BallNorm,
    /// Radius of the ball, in units of the `[0,1]` image.
    pub epsilon: f32,
    /// Iterations, of each round where there are several; absent: see [`Attack::steps`].
    pub steps: Option<u64>,
    /// Length of a step; absent: see [`Attack::step_size`].
    pub step_size: Option<f32>,
    /// `cw`: κ, how far beyond the border to go, in logits.
    pub confidence: f64,
    /// `lbfgs`, `cw`: the first weight of the class's term that is tried; absent: see [`Attack::initial_c`].
    pub initial_c: Option<f32>,
    /// `lbfgs`, `cw`: how many weights are tried for each picture.
    pub rounds: u32,
    /// `deepfool`: how far beyond the border to go, as a fraction of the way to it.
    pub overshoot: f32,
    /// `deepfool`: of how many of the likeliest classes the borders are looked at, the picture's own included.
    pub candidates: usize,
    /// Whether the change is made to survive an 8-bit file.
    pub survive_8bit: bool,
    /// Seed of random starts and random targets.
    pub seed: u64,
}

impl Attack {
    /// A method with its usual numbers, a ball of 8/255 in the largest difference.
    #[must_use]
    pub fn new(method: AttackMethod) -> Self {
        Self {
            method,
            norm: BallNorm::Linf,
            epsilon: 8.0 / 255.0,
            steps: None,
            step_size: None,
            confidence: 0.0,
            initial_c: None,
            rounds: 6,
            overshoot: 0.02,
            candidates: 10,
            survive_8bit: false,
            seed: 0,
        }
    }

    /// Iterations: as given, else 1 for `fgsm`, 10 for `bim` and `mi-fgsm`, 40 for `pgd` (50 in l2), 50 for `deepfool`:
    /// foolbox's defaults; 100 a round for `lbfgs` and 150 for `cw`.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.unwrap_or(match (self.method, self.norm) {
            (AttackMethod::Fgsm, _) => 1,
            (AttackMethod::Bim | AttackMethod::MiFgsm, _) => 10,
            (AttackMethod::Pgd, BallNorm::Linf) => 40,
            (AttackMethod::Pgd, BallNorm::L2) | (AttackMethod::DeepFool, _) => 50,
            (AttackMethod::Lbfgs, _) => 100,
            (AttackMethod::Cw, _) => 150,
        })
    }

    /// Length of a step: as given, else ε for `fgsm`, ε/5 for `bim` and `mi-fgsm`, ε/30 for `pgd` (ε/40 in l2):
    /// foolbox's defaults. For `cw` Adam's step in tanh space: 0.01, without a target, where the border is nearer,
    /// 0.002. For `lbfgs` the root mean square of the first step, 0.001.
    #[must_use]
    pub fn step_size(&self, targeted: bool) -> f32 {
        self.step_size.unwrap_or(match (self.method, self.norm) {
            (AttackMethod::Fgsm, _) => self.epsilon,
            (AttackMethod::Bim | AttackMethod::MiFgsm, _) => 0.2 * self.epsilon,
            (AttackMethod::Pgd, BallNorm::Linf) => self.epsilon / 30.0,
            (AttackMethod::Pgd, BallNorm::L2) => 0.025 * self.epsilon,
            (AttackMethod::Cw, _) if targeted => 0.01,
            (AttackMethod::Cw, _) => 0.002,
            (AttackMethod::Lbfgs | AttackMethod::DeepFool, _) => 0.001,
        })
    }

    /// The first weight of the class's term: as given, else 0.1 for `lbfgs`, for `cw` 0.05, without a target 0.005.
    #[must_use]
    pub fn initial_c(&self, targeted: bool) -> f32 {
        self.initial_c.unwrap_or(match (self.method, targeted) {
            (AttackMethod::Lbfgs, _) => 0.1,
            (_, true) => 0.05,
            (_, false) => 0.005,
        })
    }

    /// What is minimised, in the notation of the papers.
    #[must_use]
    pub fn objective(&self, targeted: bool) -> &'static str {
        match (self.method, targeted) {
            (AttackMethod::Lbfgs, true) => "|r|^2 + c*cross_entropy(target)",
            (AttackMethod::Lbfgs, false) => "|r|^2 + c*cross_entropy(nearest other class)",
            (AttackMethod::Cw, true) => "|r|^2 + c*max(max_other - z_target, -confidence)",
            (AttackMethod::Cw, false) => "|r|^2 + c*max(z_own - max_other, -confidence)",
            (AttackMethod::DeepFool, _) => "|r| to the nearest border",
            (_, true) => "cross_entropy(target)",
            (_, false) => "-cross_entropy(own class)",
        }
    }

    /// Whether the numbers can be used.
    ///
    /// # Errors
    /// [`MethodError`] names the first that cannot.
    pub fn check(&self) -> Result<(), MethodError> {
        for (rule, field, value) in [
            (Rule::Positive, "epsilon", self.epsilon),
            (Rule::Positive, "step_size", self.step_size(true)),
            (Rule::Positive, "c", self.initial_c(true)),
            (Rule::NOT_NEGATIVE, "overshoot", self.overshoot),
        ] {
            rule.check(field, value).map_err(MethodError::Attack)?;
        }
        Rule::NOT_NEGATIVE
            .check("confidence", self.confidence)
            .map_err(MethodError::Attack)?;
        let Self {
            method, candidates, ..
        } = *self;
        if self.steps() == 0 || self.rounds == 0 {
            Err(MethodError::NoSteps)
        } else if candidates < 2 {
            Err(MethodError::Candidates { candidates })
        } else if self.norm == BallNorm::L2 && method != AttackMethod::Pgd {
            Err(MethodError::NoL2 { method })
        } else {
            Ok(())
        }
    }
}

/// What an attack wants the network to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// Anything but what it sees.
    Leave,
    /// Anything but a class, for each picture.
    LeaveClasses(Vec<usize>),
    /// A class, for each picture.
    Reach(Vec<usize>),
    /// A class that it does not see, drawn for each picture.
    Random,
}

/// The class of each picture of a batch that is to be reached or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// For each picture.
    pub classes: Vec<usize>,
    /// Whether to reach it.
    pub targeted: bool,
}

impl Goal {
    /// The part of the goal that is of these pictures.
    fn of(&self, pictures: &[usize]) -> Self {
        Self {
            classes: pictures.iter().map(|i| self.classes[*i]).collect(),
            targeted: self.targeted,
        }
    }
}

/// A picture after an attack.
#[derive(Debug, Clone)]
pub struct Adversarial {
    /// The picture; the attack's last where it has not succeeded.
    pub image: Image,
    /// What the network saw before.
    pub clean: Score,
    /// What it sees now.
    pub adversarial: Score,
    /// The class that was to be reached.
    pub target: Option<usize>,
    /// Whether the network saw the target before the attack, or something other than the class to leave. Then the
    /// picture is left as it is, which is no success.
    pub already_seen: bool,
    /// Whether the network sees the target and did not before, or without a target something other than before.
    pub success: bool,
    /// How far the picture has moved.
    pub distance: Distance,
    /// Evaluations of the gradient.
    pub iterations: u64,
    /// The weight of the class's term that led here, where it was searched for.
    pub c: Option<f32>,
}

impl Adversarial {
    /// Whether what a network sees now is what was wanted.
    #[must_use]
    pub fn is_success(&self, now: &Score) -> bool {
        match self.target {
            Some(target) => now.class == target && !self.already_seen,
            None => now.class != self.clean.class,
        }
    }
}

/// What the engine hands back of one picture.
#[derive(Debug, Clone)]
struct Found {
    image: Image,
    iterations: u64,
    c: Option<f32>,
}

impl Found {
    fn unchanged(image: &Image) -> Self {
        Self {
            image: image.clone(),
            iterations: 0,
            c: None,
        }
    }
}

/// Sees every iteration and may end the attack.
pub type Watch<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// Attacks pictures as they are, each in its own size; those of one size at once. They must have values in `[0,1]`;
/// alpha is ignored. A picture whose target is seen already is left as it is. When `watch` breaks, what has been found
/// so far is the result.
///
/// # Errors
/// [`Error::Net`] for a network without a classifier or pictures too small for it, [`Error::Method`] for numbers that
/// no attack has, [`Error::TooLarge`] where not even one picture fits the device.
pub async fn attack_async(
    network: &Network,
    images: &[Image],
    aim: &Aim,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Adversarial>, Error> {
    attack.check()?;
    network.graph().logits()?;
    let clean = top_one_async(network, images).await?;
    let goal = goal(network, aim, attack.seed, &clean)?;
    if goal.targeted && attack.method == AttackMethod::DeepFool {
        return Err(MethodError::NoTarget.into());
    }
    let already_seen = |i: usize| (clean[i].class == goal.classes[i]) == goal.targeted;
    let mut found: Vec<Option<Found>> = images
        .iter()
        .enumerate()
        .map(|(i, image)| already_seen(i).then(|| Found::unchanged(image)))
        .collect();
    for mut pictures in by_size(images) {
        pictures.retain(|i| !already_seen(*i));
        if pictures.is_empty() {
            continue;
        }
        let of_size = in_batches(network, images, &pictures, &goal, attack, watch).await?;
        for (i, result) in of_size {
            found[i] = Some(result);
        }
    }
    let found: Vec<Found> = found.into_iter().flatten().collect();
    let results: Vec<Image> = found.iter().map(|f| f.image.clone()).collect();
    let now = top_one_async(network, &results).await?;
    Ok(images
        .iter()
        .zip(clean)
        .zip(found.into_iter().zip(now))
        .zip(&goal.classes)
        .map(|(((before, clean), (found, adversarial)), class)| {
            let mut result = Adversarial {
                already_seen: (clean.class == *class) == goal.targeted,
                distance: Distance::between(before, &found.image),
                image: found.image,
                clean,
                adversarial,
                target: goal.targeted.then_some(*class),
                success: false,
                iterations: found.iterations,
                c: found.c,
            };
            result.success = result.is_success(&result.adversarial);
            result
        })
        .collect())
}

/// The class of each picture, drawn where the aim says so.
fn goal(network: &Network, aim: &Aim, seed: u64, clean: &[Score]) -> Result<Goal, Error> {
    let own = || clean.iter().map(|score| score.class);
    let classes = network.graph().classes().unwrap_or(1) as usize;
    let (classes, targeted) = match aim {
        Aim::Leave => (own().collect(), false),
        Aim::LeaveClasses(classes) | Aim::Reach(classes) => {
            if classes.len() != clean.len() {
                return Err(MethodError::Targets {
                    targets: classes.len(),
                    pictures: clean.len(),
                }
                .into());
            }
            for class in classes {
                network.graph().class_index(&class.to_string())?;
            }
            (classes.clone(), matches!(aim, Aim::Reach(_)))
        }
        Aim::Random => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7a26e7);
            // One of the others: those from the own class on move up by one.
            let mut draw = |own: usize| {
                let other = rng.random_range(0..classes.saturating_sub(1).max(1));
                if other < own { other } else { other + 1 }
            };
            (own().map(&mut draw).collect(), true)
        }
    };
    Ok(Goal { classes, targeted })
}

/// Attacks pictures of one size, in as few batches as the device's memory allows.
async fn in_batches(
    network: &Network,
    images: &[Image],
    pictures: &[usize],
    goal: &Goal,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<(usize, Found)>, Error> {
    let batch: Vec<Image> = pictures.iter().map(|i| images[*i].clone()).collect();
    let of_batch = goal.of(pictures);
    let found = match attack.method {
        AttackMethod::DeepFool => {
            deepfool::deepfool(network, &batch, &of_batch.classes, attack, watch).await
        }
        AttackMethod::Lbfgs if !goal.targeted => {
            search::leave(network, &batch, &of_batch.classes, attack, watch).await
        }
        method if method.has_search() => {
            search::search(network, &batch, &of_batch, attack, watch).await
        }
        _ => descend::descend(network, &batch, &of_batch, attack, watch).await,
    };
    match found {
        Err(Error::TooLarge { .. }) if pictures.len() > 1 => {
            let (first, second) = pictures.split_at(pictures.len() / 2);
            let mut all = Box::pin(in_batches(network, images, first, goal, attack, watch)).await?;
            all.extend(Box::pin(in_batches(network, images, second, goal, attack, watch)).await?);
            Ok(all)
        }
        found => Ok(pictures.iter().copied().zip(found?).collect()),
    }
}
