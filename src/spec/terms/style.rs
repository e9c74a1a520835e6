//! Styles: terms that compare statistics of a layer's feature vectors with those of target pictures, wherever they are.

use serde::{Deserialize, Serialize, Serializer};

use super::fields::is_no;
use super::{LayerWeight, Reads, TermFields, TermKind, TermProblem, UsualLayers};
use crate::spec::{Picture, lists};
use crate::value::Rule;

/// What all styles have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Style {
    /// The layers it reads, each with a weight; none: the network's usual ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// The picture or pictures it compares with.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub target: Vec<Picture>,
    /// How several targets are blended; normalised to sum 1. None: evenly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_weights: Vec<f64>,
    /// Long side of a target relative to the image's, one number for all or one for each. Targets are never enlarged.
    /// None: 1.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub target_scale: Vec<f64>,
    /// Where in the image the term counts, white where it does, in the image's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Picture>,
    /// Which part of each target counts, one picture for each, in its target's shape. None: all of it.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub target_mask: Vec<Picture>,
    /// Divides each layer's value by the value it has at all-zero activations.
    #[serde(skip_serializing_if = "is_no")]
    pub relative: bool,
}

impl Style {
    /// At the network's usual layers, blended evenly.
    #[must_use]
    pub fn new<P: Into<Picture>>(targets: impl IntoIterator<Item = P>) -> Self {
        Self {
            target: targets.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The scale of a target, see `target_scale`.
    #[must_use]
    pub fn scale_of(&self, target: usize) -> f64 {
        let scales = &self.target_scale;
        scales
            .get(target)
            .or(scales.first())
            .copied()
            .unwrap_or(1.0)
    }

    /// The targets' weights, summing to 1.
    #[must_use]
    pub fn blend(&self) -> Vec<f64> {
        if self.target_weights.is_empty() {
            return vec![1.0 / self.target.len() as f64; self.target.len()];
        }
        let sum: f64 = self.target_weights.iter().sum();
        self.target_weights.iter().map(|w| w / sum).collect()
    }
}

impl Style {
    fn validate(&self) -> Result<(), TermProblem> {
        let targets = self.target.len();
        if targets == 0 {
            return Err(TermProblem::NoTarget);
        }
        let weights = &self.target_weights;
        if !weights.is_empty() && weights.len() != targets {
            return Err(TermProblem::TargetWeights {
                weights: weights.len(),
                targets,
            });
        }
        let sum: f64 = weights.iter().sum();
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || (!weights.is_empty() && sum <= 0.0)
        {
            return Err(TermProblem::Blend {
                weights: weights.clone(),
            });
        }
        let scales = &self.target_scale;
        for scale in scales {
            Rule::Positive.check("target_scale", *scale)?;
        }
        for (field, found, one_for_all) in [
            ("target_scale", scales.len(), true),
            ("target_mask", self.target_mask.len(), false),
        ] {
            if found > 0 && found != targets && !(one_for_all && found == 1) {
                return Err(TermProblem::OneForEach {
                    field,
                    found,
                    targets,
                });
            }
        }
        Ok(())
    }
}

/// A style with the way in which it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleTerm {
    /// How it is compared.
    pub kind: StyleKind,
    /// What all styles have.
    pub style: Style,
}

/// In a file the kind's name comes first, and a kernel's keys are beside the others.
impl Serialize for StyleTerm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Keys<'a> {
            kind: &'static str,
            #[serde(flatten)]
            style: &'a Style,
            #[serde(flatten)]
            kernel: Option<MmdKernel>,
        }
        let keys = Keys {
            kind: self.kind.name(),
            style: &self.style,
            kernel: self.kind.kernel(),
        };
        keys.serialize(serializer)
    }
}

impl TermFields for StyleTerm {
    fn validate(&self) -> Result<(), TermProblem> {
        if let Some(kernel) = self.kind.kernel() {
            kernel.validate()?;
        }
        let masked = self.style.mask.is_some() || !self.style.target_mask.is_empty();
        if let (true, Some(why)) = (masked, self.kind.why_no_mask()) {
            return Err(why);
        }
        self.style.validate()
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Layers(&self.style.layers, UsualLayers::Style)
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.style.layers)
    }

    fn pictures_mut(&mut self) -> Vec<&mut Picture> {
        let style = &mut self.style;
        let targets = style.target.iter_mut().chain(&mut style.mask);
        targets.chain(&mut style.target_mask).collect()
    }

    fn mask(&self) -> Option<&Picture> {
        self.style.mask.as_ref()
    }

    fn relative(&self) -> bool {
        self.style.relative
    }
}

/// The kernels of `mmd`, each with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kernel", rename_all = "snake_case", try_from = "KernelKeys")]
pub enum MmdKernel {
    /// xᵀy, ÷C.
    Linear,
    /// (xᵀy + c)^d, ÷4C².
    Poly {
        /// c.
        constant: f64,
        /// d.
        degree: u32,
    },
    /// exp(−‖x−y‖²/2σ²).
    Gaussian {
        /// σ, in units of the activations; absent: σ² is half the mean squared distance of the target's feature
        /// vectors.
        #[serde(skip_serializing_if = "Option::is_none")]
        sigma: Option<f64>,
    },
}

impl MmdKernel {
    /// `poly` with the numbers that it has where a recipe gives none: (xᵀy)².
    pub const SQUARE: Self = Self::Poly {
        constant: 0.0,
        degree: 2,
    };

    fn validate(self) -> Result<(), TermProblem> {
        match self {
            Self::Linear | Self::Gaussian { sigma: None } => Ok(()),
            Self::Poly { constant, degree } => {
                Rule::FromTo(1.0, 8.0).check("degree", degree)?;
                Ok(Rule::NOT_NEGATIVE.check("constant", constant)?)
            }
            Self::Gaussian { sigma: Some(sigma) } => Ok(Rule::Positive.check("sigma", sigma)?),
        }
    }
}

/// A kernel as a recipe file has it: its numbers are keys beside its name.
#[derive(Default, Deserialize)]
#[serde(default)]
struct KernelKeys {
    kernel: Option<KernelName>,
    constant: Option<f64>,
    degree: Option<u32>,
    sigma: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KernelName {
    Linear,
    Poly,
    Gaussian,
}

impl TryFrom<KernelKeys> for MmdKernel {
    type Error = &'static str;

    fn try_from(keys: KernelKeys) -> Result<Self, Self::Error> {
        let kernel = keys
            .kernel
            .ok_or("needs a `kernel`: linear, poly or gaussian")?;
        let of_poly = keys.constant.is_some() || keys.degree.is_some();
        if of_poly && kernel != KernelName::Poly {
            return Err("`constant` and `degree` are for the kernel poly");
        }
        if keys.sigma.is_some() && kernel != KernelName::Gaussian {
            return Err("`sigma` is for the kernel gaussian");
        }
        Ok(match kernel {
            KernelName::Linear => Self::Linear,
            KernelName::Poly => Self::Poly {
                constant: keys.constant.unwrap_or(0.0),
                degree: keys.degree.unwrap_or(2),
            },
            KernelName::Gaussian => Self::Gaussian { sigma: keys.sigma },
        })
    }
}

/// How styles are compared. All that recipes and the command line know of a loss is here; which term computes it is in
/// `compile::objective`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StyleKind {
    /// 1/(4C²)·Σ(G/N − A/N_s)².
    Gram,
    /// Maximum mean discrepancy of the feature vectors, with a kernel.
    Mmd(MmdKernel),
    /// (1/C)·Σ(μ−μ')² + (σ−σ')².
    Bn,
    /// Wasserstein distance of the feature vectors' normal distributions.
    Wasserstein,
    /// Mean Wasserstein distance of the feature vectors along random directions.
    SlicedWasserstein,
}

/// A style loss as the command line knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StyleName {
    /// What it is called there.
    pub name: &'static str,
    /// What it is.
    pub kind: StyleKind,
    /// Who proposed it as a style loss, for the help text.
    pub source: Option<&'static str>,
}

impl StyleName {
    const fn new(name: &'static str, kind: StyleKind, source: Option<&'static str>) -> Self {
        Self { name, kind, source }
    }
}

/// What a style needs of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Gram matrices.
    Gram,
    /// Means and variances of the channels.
    Moments,
    /// Means and covariances of the channels.
    Normal,
    /// The feature vectors themselves.
    Vectors,
}

impl StyleKind {
    /// Every loss of the command line. Each kind is in it, so that recipes have the kinds from here.
    pub const LOSSES: &[StyleName] = &[
        StyleName::new("gram", Self::Gram, Some("Gatys et al. 2016")),
        StyleName::new("mmd-linear", Self::Mmd(MmdKernel::Linear), None),
        StyleName::new("mmd-poly", Self::Mmd(MmdKernel::SQUARE), None),
        StyleName::new(
            "mmd-gaussian",
            Self::Mmd(MmdKernel::Gaussian { sigma: None }),
            None,
        ),
        StyleName::new("bn", Self::Bn, Some("Li et al. 2017")),
        StyleName::new("wasserstein", Self::Wasserstein, None),
        StyleName::new(
            "sliced-wasserstein",
            Self::SlicedWasserstein,
            Some("Heitz et al. 2021"),
        ),
    ];

    /// The term's name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gram => "gram",
            Self::Mmd(_) => "mmd",
            Self::Bn => "bn",
            Self::Wasserstein => "wasserstein",
            Self::SlicedWasserstein => "sliced_wasserstein",
        }
    }

    /// The kernel that compares the feature vectors, where one does.
    #[must_use]
    pub fn kernel(self) -> Option<MmdKernel> {
        match self {
            Self::Mmd(kernel) => Some(kernel),
            _ => None,
        }
    }

    /// A term's kind that compares a style in this way.
    #[must_use]
    pub fn of(self, style: Style) -> TermKind {
        TermKind::Style(StyleTerm { kind: self, style })
    }

    /// What it needs of the target pictures.
    pub(crate) fn wanted(self) -> Wanted {
        match self {
            // (xᵀy)²/(4C²) is what the Gram matrices' distance is.
            Self::Gram | Self::Mmd(MmdKernel::SQUARE) => Wanted::Gram,
            Self::Bn | Self::Mmd(MmdKernel::Linear) => Wanted::Moments,
            Self::Wasserstein => Wanted::Normal,
            Self::Mmd(_) | Self::SlicedWasserstein => Wanted::Vectors,
        }
    }

    /// Why it takes no mask, where it takes none.
    pub(crate) fn why_no_mask(self) -> Option<TermProblem> {
        match self {
            Self::Mmd(_) if self.wanted() == Wanted::Vectors => Some(TermProblem::MaskWithKernel),
            Self::SlicedWasserstein => Some(TermProblem::MaskWithSorting),
            _ => None,
        }
    }
}
