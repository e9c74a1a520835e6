//! What the terms compare with. A scale is planned with places for it; before it runs, the target pictures go through
//! the network and fill them. Nothing of that leaves the device but a few numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::activations::{LayerMasks, named, target_activations};
use super::layers::{Layers, nodes};
use super::masks::layer_mask;
use super::pictures::{Pictures, resized};
use super::reuse::TargetCache;
use super::sizes::fitting;
use super::style_targets::StyleTarget;
use crate::Error;
use crate::device::{Given, Kind, Later};
use crate::image::{Image, Mask, size_for_long_side};
use crate::kernels::View;
use crate::net::NodeId;
use crate::plan::Network;
use crate::spec::terms::{Comparison, Style, TermError, TermProblem};
use crate::spec::{PreserveColor, Recipe, RecipeError, TermKind, TermSpec};

/// Targets of every term and layer of a recipe at one scale.
#[derive(Debug, Default)]
pub(crate) struct Targets(HashMap<(usize, usize), LayerTarget>);

/// What one term compares one layer with.
#[derive(Debug, Default)]
pub(crate) struct LayerTarget {
    pub values: TargetValues,
    /// 1/(the value at all-zero activations), of a relative term.
    pub relative: Option<Later>,
    /// Where in the layer the term counts, if it has a mask.
    pub mask: Option<Given>,
}

/// Places for the values that a term compares with.
#[derive(Debug, Default)]
pub(crate) enum TargetValues {
    /// The term has no target.
    #[default]
    None,
    /// A picture's activations, and 1/Σ of their squares.
    Activations {
        view: View,
        values: Given,
        inverse_square: Later,
    },
    Style(StyleTarget),
}

/// What targets are planned and computed for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub recipe: &'a Recipe,
    pub layers: &'a [Layers],
    pub network: &'a Network,
    pub pictures: &'a Pictures,
    /// Of the optimized image, in pixels.
    pub size: (u32, u32),
}

impl Scale<'_> {
    fn terms(&self) -> impl Iterator<Item = (usize, &TermSpec, &Layers)> {
        let terms = self.recipe.terms.iter().zip(self.layers);
        terms
            .enumerate()
            .map(|(i, (term, layers))| (i, term, layers))
    }

    /// Each target picture of a style term at its size, with its share; those without one are left out.
    pub(super) fn styles(
        &self,
        group: usize,
        style: &Style,
    ) -> impl Iterator<Item = (usize, &Arc<Image>, (u32, u32), f64)> {
        let sizes: Vec<_> = self.pictures.targets[group]
            .iter()
            .enumerate()
            .map(|(which, picture)| self.style_size(style, which, picture))
            .collect();
        let pictures = self.pictures.targets[group]
            .iter()
            .zip(sizes)
            .zip(style.blend());
        pictures
            .enumerate()
            .map(|(which, ((picture, size), share))| (which, picture, size, share))
            .filter(|(.., share)| *share > 0.0)
    }

    fn style_size(&self, style: &Style, which: usize, picture: &Image) -> (u32, u32) {
        let long = f64::from(self.size.0.max(self.size.1));
        let long = (long * style.scale_of(which)).round().max(1.0) as u32;
        self.target_size(picture, long)
    }

    /// The size at which the network sees a picture: at most `long` pixels on its long side, not enlarged but for what
    /// makes the layers fit that it joins.
    fn target_size(&self, picture: &Image, long: u32) -> (u32, u32) {
        let size = size_not_enlarged(picture, long);
        fitting(self.network.graph(), &nodes(self.layers), size)
    }

    /// A mask at all of `nodes`, for a picture of `size`; nothing without a mask.
    pub(super) fn layer_masks(
        &self,
        spec: &TermSpec,
        nodes: &[NodeId],
        mask: Option<&Mask>,
        size: (u32, u32),
    ) -> Result<LayerMasks, Error> {
        let Some(mask) = mask else {
            return Ok(LayerMasks::new());
        };
        let of = |node: &NodeId| {
            let values = layer_mask(spec, self.network.graph(), *node, mask, size)?;
            let buffer = self.network.device().buffer_from("mask", &values)?;
            Ok((*node, buffer.into()))
        };
        nodes.iter().map(of).collect()
    }
}

impl Targets {
    /// Places for the targets of a scale: nothing runs on the device.
    pub fn plan(scale: &Scale<'_>) -> Result<Self, Error> {
        let graph = scale.network.graph();
        let mut targets = HashMap::new();
        for (group, spec, layers) in scale.terms() {
            for (index, (node, _)) in layers.0.iter().enumerate() {
                let (width, height) = scale.size;
                let activations = |(width, height): (u32, u32)| {
                    let shape = graph.shape(*node, height, width)?;
                    let view = View::new(1, shape.height, shape.width, shape.channels);
                    let kind = scale.network.kind_of(*node, view);
                    Ok::<_, Error>(TargetValues::Activations {
                        view,
                        values: Given::later(kind, view.len()),
                        inverse_square: Later::default(),
                    })
                };
                let values = match spec.kind.comparison() {
                    Comparison::Nothing => TargetValues::None,
                    Comparison::Positions(_) => activations(scale.size)?,
                    Comparison::BestMatches(_) => {
                        let picture = &scale.pictures.targets[group][0];
                        activations(scale.target_size(picture, width.max(height)))?
                    }
                    Comparison::Style(style, kind) => {
                        let channels = graph.node(*node).channels;
                        let positions = scale.positions(group, spec, style, *node)?;
                        TargetValues::Style(StyleTarget::plan(kind, channels, &positions))
                    }
                };
                let mask = match spec.kind.fields().mask() {
                    Some(_) => {
                        let shape = graph.shape(*node, height, width)?;
                        let pixels = shape.height as usize * shape.width as usize;
                        Some(Given::later(Kind::Real, pixels))
                    }
                    None => None,
                };
                let target = LayerTarget {
                    values,
                    relative: spec.kind.fields().relative().then(Later::default),
                    mask,
                };
                targets.insert((group, index), target);
            }
        }
        Ok(Self(targets))
    }

    /// What a term compares a layer with.
    pub fn of(&self, group: usize, index: usize) -> &LayerTarget {
        &self.0[&(group, index)]
    }

    /// Runs every target picture through the network once and fills all places. What `cache` knows is not computed
    /// again.
    pub async fn compute(
        &self,
        scale: &Scale<'_>,
        cache: Option<&TargetCache>,
    ) -> Result<(), Error> {
        // Pictures in a content's colours are others for every content.
        let cache = cache.filter(|_| scale.recipe.image.preserve_color == PreserveColor::Off);
        for (group, spec, layers) in scale.terms() {
            let nodes: Vec<NodeId> = layers.0.iter().map(|(node, _)| *node).collect();
            let mask = scale.pictures.masks[group].image.as_ref();
            let masks = scale.layer_masks(spec, &nodes, mask, scale.size)?;
            for (index, node) in nodes.iter().enumerate() {
                if let Some(place) = &self.of(group, index).mask {
                    place.set(masks[node].buffer()?);
                }
            }
            match spec.kind.comparison() {
                Comparison::Nothing => {}
                Comparison::Positions(_) => {
                    self.compute_activations(scale, (group, spec), &nodes, &masks, scale.size)
                        .await?;
                }
                Comparison::BestMatches(_) => {
                    let picture = &scale.pictures.targets[group][0];
                    let size = scale.target_size(picture, scale.size.0.max(scale.size.1));
                    self.compute_activations(scale, (group, spec), &nodes, &masks, size)
                        .await?;
                }
                Comparison::Style(style, kind) => {
                    let style_of = (spec, style, kind);
                    let find = async || scale.style_statistics(group, style_of, &nodes).await;
                    let found = match cache {
                        Some(cache) => {
                            let styles = scale.styles(group, style);
                            let pictures = styles.map(|(_, picture, size, _)| (picture, size));
                            cache.get(group, pictures, find).await?
                        }
                        None => Arc::new(find().await?),
                    };
                    for (index, statistic) in found.iter().enumerate() {
                        let target = self.of(group, index);
                        if let TargetValues::Style(place) = &target.values {
                            place.fill(&statistic.values);
                        }
                        if let (Some(later), Some(at_zero)) = (&target.relative, statistic.at_zero)
                        {
                            set_relative(scale, spec, nodes[index], later, at_zero)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn compute_activations(
        &self,
        scale: &Scale<'_>,
        (group, spec): (usize, &TermSpec),
        nodes: &[NodeId],
        masks: &LayerMasks,
        size: (u32, u32),
    ) -> Result<(), Error> {
        let picture = resized(&scale.pictures.targets[group][0], size)?;
        // What is compared is m∘F with m∘P.
        let found = target_activations(scale.network, &picture, nodes, masks).await;
        for (index, activations) in named(found, spec, size)?.into_iter().enumerate() {
            let target = self.of(group, index);
            let TargetValues::Activations {
                view,
                values,
                inverse_square,
            } = &target.values
            else {
                continue;
            };
            values.set(activations.buffer);
            let squares = activations.squares;
            if matches!(spec.kind, TermKind::Inversion(_)) {
                let _ = inverse_square.set(inverse_norm(squares)?);
            }
            if let Some(later) = &target.relative {
                let at_zero = squares / view.elements() as f64;
                set_relative(scale, spec, nodes[index], later, at_zero)?;
            }
        }
        Ok(())
    }
}

/// 1/‖Φ₀‖² of an inversion's target.
fn inverse_norm(norm: f64) -> Result<f64, RecipeError> {
    if norm > 0.0 && norm.is_finite() {
        return Ok(1.0 / norm);
    }
    Err(RecipeError::InversionNorm { norm })
}

/// A relative term is divided by its value at all-zero activations.
fn set_relative(
    scale: &Scale<'_>,
    spec: &TermSpec,
    node: NodeId,
    later: &Later,
    at_zero: f64,
) -> Result<(), TermError> {
    if at_zero > 0.0 {
        let _ = later.set(1.0 / at_zero);
        return Ok(());
    }
    let layer = scale.network.graph().node(node).name.clone();
    Err(spec.wrong(TermProblem::NothingToRelate { layer }))
}

/// The size of a picture with at most `long` pixels on its long side.
fn size_not_enlarged(picture: &Image, long: u32) -> (u32, u32) {
    let (width, height) = picture.size();
    if width.max(height) <= long {
        (width, height)
    } else {
        size_for_long_side(width, height, long)
    }
}

#[cfg(test)]
mod tests {
    use super::inverse_norm;

    #[test]
    fn an_inversion_needs_a_target_that_activates_the_layer() {
        assert_eq!(inverse_norm(4.0).ok(), Some(0.25));
        for norm in [0.0, f64::NAN, f64::INFINITY] {
            let why = inverse_norm(norm).expect_err("refused").to_string();
            assert!(why.contains("must be positive"), "{why}");
        }
    }
}
