//! What styles are compared with: places for a layer's statistics of the target pictures, and what fills them.

use super::activations::{grams, named};
use super::normal::{self, Normal, OfPicture as NormalOfPicture};
use super::objective::style_term;
use super::pictures::resized;
use super::statistics::{self, OfPicture};
use super::targets::Scale;
use crate::Error;
use crate::device::{Buffer, Given, Kind, Later, Scalar};
use crate::image::Image;
use crate::kernels::{VectorKernel, View};
use crate::net::NodeId;
use crate::objective::{VectorSet, goal_view};
use crate::spec::terms::{Style, StyleKind, TermProblem, Wanted};
use crate::spec::{MmdKernel, TermSpec};

/// Places for a style's statistic of a layer.
#[derive(Debug)]
pub(crate) enum StyleTarget {
    /// [C⁺, C⁺].
    Gram(Given),
    /// Means and variances, [2, C⁺].
    Moments(Given),
    /// Of a normal distribution.
    Normal { means: Given, factor: Given },
    /// Feature vectors, and what a kernel needs beside them, where one compares them.
    Vectors {
        set: VectorSet,
        vectors: Given,
        kernel: Option<KernelTarget>,
    },
}

/// What a kernel needs to compare feature vectors.
#[derive(Debug)]
pub(crate) struct KernelTarget {
    pub kernel: VectorKernel,
    /// 1/2σ² of a gaussian one.
    gamma: Later,
    /// mean k(s, s') of the target's vectors.
    pub similarity: Later,
}

/// A style's statistic of a layer, on the device.
#[derive(Debug)]
pub(crate) struct StyleStatistic {
    pub values: StyleValues,
    /// The term's value at all-zero activations, where the term is relative.
    pub at_zero: Option<f64>,
}

#[derive(Debug)]
pub(crate) enum StyleValues {
    Gram(Buffer),
    Moments(Buffer),
    Normal(Normal),
    Vectors {
        vectors: Buffer,
        kernel: Option<KernelValues>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct KernelValues {
    gamma: f64,
    similarity: f64,
}

impl StyleTarget {
    /// A place for what a style compares a layer of `channels` channels with; `positions` are those of the layer for
    /// each target picture that has a share.
    pub fn plan(kind: StyleKind, channels: u32, positions: &[(u32, f64)]) -> Self {
        let padded = channels.next_multiple_of(4) as usize;
        let reals = |len: usize| Given::later(Kind::Real, len);
        match kind.wanted() {
            Wanted::Gram => Self::Gram(reals(padded * padded)),
            Wanted::Moments => Self::Moments(reals(goal_view(channels).len())),
            Wanted::Normal => Self::Normal {
                means: reals(padded),
                factor: reals(padded * padded),
            },
            Wanted::Vectors => {
                let set = VectorSet::new(channels, positions);
                Self::Vectors {
                    vectors: reals(set.view.len()),
                    set,
                    kernel: kind.kernel().map(|kernel| {
                        let gamma = Later::default();
                        KernelTarget {
                            kernel: vector_kernel(kernel, &gamma),
                            gamma,
                            similarity: Later::default(),
                        }
                    }),
                }
            }
        }
    }

    /// Fills the place.
    pub fn fill(&self, found: &StyleValues) {
        match (self, found) {
            (Self::Gram(place), StyleValues::Gram(buffer))
            | (Self::Moments(place), StyleValues::Moments(buffer)) => {
                place.set(buffer.clone());
            }
            (Self::Normal { means, factor }, StyleValues::Normal(normal)) => {
                means.set(normal.means.clone());
                factor.set(normal.factor.clone());
            }
            (
                Self::Vectors {
                    vectors: place,
                    kernel,
                    ..
                },
                StyleValues::Vectors {
                    vectors,
                    kernel: found,
                },
            ) => {
                place.set(vectors.clone());
                if let (Some(kernel), Some(found)) = (kernel, found) {
                    let _ = kernel.gamma.set(found.gamma);
                    let _ = kernel.similarity.set(found.similarity);
                }
            }
            _ => unreachable!("a statistic of another kind than planned"),
        }
    }
}

impl Scale<'_> {
    /// The statistics that a style term compares with, one for each of its layers.
    pub(super) async fn style_statistics(
        &self,
        group: usize,
        (spec, style, kind): (&TermSpec, &Style, StyleKind),
        nodes: &[NodeId],
    ) -> Result<Vec<StyleStatistic>, Error> {
        let device = self.network.device();
        let masks = &self.pictures.masks[group].targets;
        let wanted = kind.wanted();
        let (mut shares, mut images) = (Vec::new(), Vec::new());
        let mut of_grams: Vec<Vec<Buffer>> = Vec::new();
        let mut of_moments: Vec<Vec<OfPicture>> = Vec::new();
        let mut normals: Vec<Vec<NormalOfPicture>> = Vec::new();
        for (which, picture, size, share) in self.styles(group, style) {
            let image = resized(picture, size)?;
            let masks = self.layer_masks(spec, nodes, masks.get(which), size)?;
            if wanted == Wanted::Gram {
                let found = grams(self.network, &image, nodes, &masks).await;
                of_grams.push(named(found, spec, size)?);
            }
            if needs_moments(kind) {
                let found = statistics::of_picture(self.network, &image, &masks, nodes).await;
                of_moments.push(named(found, spec, size)?);
            }
            if wanted == Wanted::Normal {
                let found = normal::of_picture(self.network, &image, &masks, nodes).await;
                normals.push(named(found, spec, size)?);
            }
            shares.push(share);
            images.push(image);
        }
        let (mut sets, mut vectors) = (Vec::new(), Vec::new());
        if wanted == Wanted::Vectors {
            for node in nodes {
                let channels = self.network.graph().node(*node).channels;
                let positions = self.positions(group, spec, style, *node)?;
                sets.push(VectorSet::new(channels, &positions));
            }
            let images: Vec<&Image> = images.iter().collect();
            vectors = statistics::vectors(self.network, &images, nodes, &sets).await?;
        }
        let mut all = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            let channels = self.network.graph().node(*node).channels;
            let mixture = || -> Vec<_> {
                let pictures = of_moments.iter().map(|found| &found[i]);
                pictures.zip(shares.iter().copied()).collect()
            };
            let values = match wanted {
                Wanted::Gram => {
                    let grams = of_grams.iter().map(|found| &found[i]);
                    let grams: Vec<_> = grams.zip(shares.iter().copied()).collect();
                    StyleValues::Gram(statistics::blended(device, &grams).await?)
                }
                Wanted::Moments => {
                    StyleValues::Moments(statistics::goal(device, channels, &mixture()).await?)
                }
                Wanted::Normal => {
                    let normals = normals.iter().map(|found| &found[i]);
                    let normals: Vec<_> = normals.zip(shares.iter().copied()).collect();
                    StyleValues::Normal(normal::mixture(device, channels, &normals)?)
                }
                Wanted::Vectors => {
                    let mut kernel = None;
                    if let Some(given) = kind.kernel() {
                        let mixture = mixture();
                        let variance =
                            async || statistics::variance(device, channels, &mixture).await;
                        let gamma = gamma(spec, given, variance).await?;
                        let known = Later::default();
                        let _ = known.set(gamma);
                        let given = vector_kernel(given, &known);
                        let similarity =
                            statistics::similarity(device, &given, &sets[i], &vectors[i]).await?;
                        kernel = Some(KernelValues { gamma, similarity });
                    }
                    StyleValues::Vectors {
                        vectors: vectors[i].clone(),
                        kernel,
                    }
                }
            };
            let at_zero = match style.relative {
                true => {
                    let positions = self.positions(group, spec, style, *node)?;
                    let target = StyleTarget::plan(kind, channels, &positions);
                    target.fill(&values);
                    Some(self.value_at_zero(kind, &target, channels).await?)
                }
                false => None,
            };
            all.push(StyleStatistic { values, at_zero });
        }
        Ok(all)
    }

    /// The value of a style term of weight 1 at all-zero activations.
    async fn value_at_zero(
        &self,
        kind: StyleKind,
        target: &StyleTarget,
        channels: u32,
    ) -> Result<f64, Error> {
        let (device, seed) = (self.network.device(), self.recipe.seed);
        let (layer, weight) = (View::new(1, 1, 1, channels), Scalar::from(1.0f64));
        let term = style_term(device, (kind, target), layer, seed, weight, None)?;
        statistics::value_at_zero(device, &*term, channels).await
    }

    /// Positions of a layer for each target picture of a style term, and the picture's share.
    pub(super) fn positions(
        &self,
        group: usize,
        spec: &TermSpec,
        style: &Style,
        node: NodeId,
    ) -> Result<Vec<(u32, f64)>, Error> {
        self.styles(group, style)
            .map(|(_, _, (w, h), share)| {
                let shape = self.network.graph().shape(node, h, w).map_err(Error::from);
                let shape = named(shape, spec, (w, h))?;
                Ok((shape.width * shape.height, share))
            })
            .collect()
    }
}

/// Whether a style needs means and variances of each target picture: of sets of vectors only for the width of a
/// gaussian kernel that the recipe does not give.
fn needs_moments(kind: StyleKind) -> bool {
    let no_width = matches!(kind.kernel(), Some(MmdKernel::Gaussian { sigma: None }));
    match kind.wanted() {
        Wanted::Moments => true,
        Wanted::Vectors => no_width,
        Wanted::Gram | Wanted::Normal => false,
    }
}

/// The kernel of a term that compares feature vectors; `gamma` is 1/2σ² of a gaussian one.
fn vector_kernel(kernel: MmdKernel, gamma: &Later) -> VectorKernel {
    match kernel {
        MmdKernel::Linear => VectorKernel::Polynomial {
            constant: 0.0,
            degree: 1,
        },
        MmdKernel::Poly { constant, degree } => VectorKernel::Polynomial {
            constant: constant as f32,
            degree,
        },
        MmdKernel::Gaussian { .. } => VectorKernel::Gaussian(gamma.clone().into()),
    }
}

/// 1/2σ² of a gaussian kernel; `variance` finds σ² where the recipe gives no σ. 1 of any other kernel.
async fn gamma(
    spec: &TermSpec,
    kernel: MmdKernel,
    variance: impl AsyncFnOnce() -> Result<f64, Error>,
) -> Result<f64, Error> {
    let variance = match kernel {
        MmdKernel::Linear | MmdKernel::Poly { .. } => return Ok(1.0),
        MmdKernel::Gaussian { sigma: Some(sigma) } => sigma * sigma,
        MmdKernel::Gaussian { sigma: None } => variance().await?,
    };
    let gamma = 0.5 / variance;
    if gamma > 0.0 && (gamma as f32).is_finite() {
        return Ok(gamma);
    }
    Err(spec.wrong(TermProblem::NoVariance).into())
}
