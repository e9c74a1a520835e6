//! Which statistic of its targets a style term needs.

use crate::Error;
use crate::device::Later;
use crate::kernels::VectorKernel;
use crate::spec::{MmdKernel, TermKind, TermSpec};

/// What a style term needs of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StyleNeed {
    /// Gram matrices.
    Gram,
    /// Means and variances.
    Moments,
    /// A normal distribution: means and covariances.
    Normal,
    /// The feature vectors themselves.
    Vectors,
}

impl TermSpec {
    /// What it needs, of a style.
    pub(crate) fn style_need(&self) -> StyleNeed {
        match (self.kind, self.kernel) {
            (TermKind::Bn, _) | (TermKind::Mmd, Some(MmdKernel::Linear)) => StyleNeed::Moments,
            (TermKind::Wasserstein, _) => StyleNeed::Normal,
            // (xᵀy)²/(4C²) is what the Gram matrices' distance is.
            (TermKind::Mmd, Some(MmdKernel::Poly))
                if self.degree() == 2 && self.constant() == 0.0 =>
            {
                StyleNeed::Gram
            }
            (TermKind::Mmd, _) => StyleNeed::Vectors,
            _ => StyleNeed::Gram,
        }
    }

    fn degree(&self) -> u32 {
        self.degree.unwrap_or(2)
    }

    fn constant(&self) -> f64 {
        self.constant.unwrap_or(0.0)
    }

    /// 1/2σ² of a gaussian kernel; `variance` finds σ² where it is not given. 1 of any other kernel.
    pub(crate) fn gamma(
        &self,
        variance: impl FnOnce() -> Result<f64, Error>,
    ) -> Result<f64, Error> {
        if self.kernel != Some(MmdKernel::Gaussian) {
            return Ok(1.0);
        }
        let variance = match self.sigma {
            Some(sigma) => sigma * sigma,
            None => variance()?,
        };
        let gamma = 0.5 / variance;
        if gamma.is_finite() && gamma > 0.0 && (gamma as f32).is_finite() {
            return Ok(gamma);
        }
        Err(self.wrong(
            "a layer's answer to the target is the same everywhere, which leaves no scale for a gaussian kernel: give `sigma`",
        ))
    }
}

/// The kernel of a term that compares feature vectors; `gamma` is 1/2σ² of a gaussian one.
pub(crate) fn target_kernel(spec: &TermSpec, gamma: &Later) -> VectorKernel {
    if spec.kernel == Some(MmdKernel::Poly) {
        return VectorKernel::Polynomial {
            constant: spec.constant() as f32,
            degree: spec.degree(),
        };
    }
    VectorKernel::Gaussian(gamma.clone().into())
}
