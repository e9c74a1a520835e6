//! What the terms compare with: the target pictures' activations and their statistics, read back once per scale.

use std::collections::HashMap;
use std::sync::Arc;

use super::activations::{Activations, Guides, answers, grams, named};
use super::layers::Layers;
use super::masks::guide;
use super::pictures::{Pictures, resized};
use super::reuse::TargetCache;
use super::statistics::{self, Statistic, Target};
use crate::Error;
use crate::device::Buffer;
use crate::image::{Image, Mask, size_for_long_side};
use crate::kernels::View;
use crate::net::{NodeId, Shape};
use crate::plan::Network;
use crate::spec::terms::{Comparison, Style, Wanted};
use crate::spec::{PreserveColor, Recipe, TermSpec};

/// Targets of every term and layer of a recipe at one scale.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    activations: HashMap<(usize, usize), Activations>,
    gram: HashMap<(usize, usize), Vec<f32>>,
    statistics: HashMap<(usize, usize), Statistic>,
    /// Where in the layer a term with a mask counts: the pixels of the layer, and the guide.
    guides: HashMap<(usize, usize), (usize, Option<Buffer>)>,
}

impl Targets {
    /// Runs every target picture through the network once.
    ///
    /// The optimized image has `size` pixels. A style target has the image's long side; with `native`, the final size of an
    /// image that no size was asked of, it keeps its own size, too, and shrinks with the image on coarser scales. What
    /// `cache` knows is not found again.
    pub fn extract(
        recipe: &Recipe,
        layers: &[Layers],
        network: &Network,
        pictures: &Pictures,
        size: (u32, u32),
        native: Option<(u32, u32)>,
        cache: Option<&TargetCache>,
    ) -> Result<Self, Error> {
        let mut targets = Self::default();
        // Pictures in a content's colours are others for every content.
        let cache = cache.filter(|_| recipe.image.preserve_color == PreserveColor::Off);
        let masks = &pictures.masks;
        for (group, ((spec, layers), pictures)) in recipe
            .terms
            .iter()
            .zip(layers)
            .zip(&pictures.targets)
            .enumerate()
        {
            let masks = &masks[group];
            let nodes: Vec<NodeId> = layers.0.iter().map(|(node, _)| *node).collect();
            let own = guides(spec, network, &nodes, masks.image.as_ref(), size)?;
            for (index, node) in nodes.iter().enumerate() {
                if let Some(guide) = own.get(node) {
                    let entry = (guide.len(), Some(guide.clone()));
                    targets.guides.insert((group, index), entry);
                }
            }
            match spec.kind.comparison() {
                Comparison::Nothing => {}
                comparison @ (Comparison::Positions(_) | Comparison::BestMatches(_)) => {
                    let long = size.0.max(size.1);
                    let picture = if matches!(comparison, Comparison::BestMatches(_)) {
                        not_enlarged(&pictures[0], long)?
                    } else {
                        resized(&pictures[0], size)?
                    };
                    // What is compared is g∘F with g∘P.
                    let answers = answers(network, &picture, &nodes, &own);
                    for (index, answers) in named(answers, spec, &picture)?.into_iter().enumerate()
                    {
                        targets.activations.insert((group, index), answers);
                    }
                }
                Comparison::Style(style, kind) => {
                    let wanted = kind.wanted();
                    if wanted != Wanted::Gram {
                        let numbered = || pictures.iter().zip(style.blend()).enumerate();
                        let find = || {
                            let target =
                                |(which, (picture, share)): (usize, (&Arc<Image>, f64))| {
                                    let image = style_picture(style, which, picture, size, native)?;
                                    let mask = masks.targets.get(which);
                                    let guides = guides(spec, network, &nodes, mask, image.size())?;
                                    Ok(Target {
                                        image,
                                        share,
                                        guides,
                                    })
                                };
                            let all = numbered().map(target).collect::<Result<Vec<_>, Error>>()?;
                            statistics::extract(spec, wanted, network, &all, &nodes)
                        };
                        let found = match cache {
                            Some(cache) => {
                                let sized = numbered().map(|(which, (picture, _))| {
                                    (picture, style_size(style, which, picture, size, native))
                                });
                                cache.statistics.get(group, sized, find)?
                            }
                            None => Arc::new(find()?),
                        };
                        for (index, statistic) in found.iter().enumerate() {
                            targets.statistics.insert((group, index), statistic.clone());
                        }
                        continue;
                    }
                    for (which, (picture, share)) in pictures.iter().zip(style.blend()).enumerate()
                    {
                        let mask = masks.targets.get(which);
                        let find = || {
                            let small = style_picture(style, which, picture, size, native)?;
                            let theirs = guides(spec, network, &nodes, mask, small.size())?;
                            named(grams(network, &small, &nodes, &theirs), spec, &small)
                        };
                        let found = match cache {
                            Some(cache) => {
                                let size = style_size(style, which, picture, size, native);
                                let one = std::iter::once((picture, size));
                                cache.grams.get(group, one, find)?
                            }
                            None => Arc::new(find()?),
                        };
                        for (index, gram) in found.iter().enumerate() {
                            let sum = targets
                                .gram
                                .entry((group, index))
                                .or_insert_with(|| vec![0.0; gram.len()]);
                            for (sum, value) in sum.iter_mut().zip(gram) {
                                *sum += share as f32 * value;
                            }
                        }
                    }
                }
            }
        }
        Ok(targets)
    }

    /// Targets of the right sizes for planning without running anything: without values where they are as large as the
    /// image, else with a constant for every value.
    pub fn shapes_only(
        recipe: &Recipe,
        layers: &[Layers],
        network: &Network,
        pictures: &[Vec<Arc<Image>>],
        size: (u32, u32),
        native: Option<(u32, u32)>,
    ) -> Result<Self, Error> {
        let mut targets = Self::default();
        let graph = network.graph();
        for (group, (spec, layers)) in recipe.terms.iter().zip(layers).enumerate() {
            for (index, (node, _)) in layers.0.iter().enumerate() {
                let shape = graph.shape(*node, size.1, size.0)?;
                let padded = shape.channels.next_multiple_of(4) as usize;
                let unread = |shape: Shape| Activations {
                    view: View::new(1, shape.height, shape.width, shape.channels),
                    values: None,
                };
                if spec.kind.fields().mask().is_some() {
                    let pixels = shape.height as usize * shape.width as usize;
                    targets.guides.insert((group, index), (pixels, None));
                }
                match spec.kind.comparison() {
                    Comparison::Nothing => {}
                    Comparison::Positions(_) => {
                        targets.activations.insert((group, index), unread(shape));
                    }
                    Comparison::BestMatches(_) => {
                        let (w, h) = size_not_enlarged(&pictures[group][0], size.0.max(size.1));
                        let shape = graph.shape(*node, h, w)?;
                        targets.activations.insert((group, index), unread(shape));
                    }
                    Comparison::Style(style, kind) => {
                        let wanted = kind.wanted();
                        if wanted == Wanted::Gram {
                            let ones = vec![1.0; padded * padded];
                            targets.gram.insert((group, index), ones);
                            continue;
                        }
                        let columns = pictures[group].iter().enumerate().map(|(which, picture)| {
                            let (w, h) = style_size(style, which, picture, size, native);
                            let shape = graph.shape(*node, h, w)?;
                            Ok(shape.width * shape.height)
                        });
                        let statistic =
                            statistics::outline(spec, style, wanted, shape.channels, columns)?;
                        targets.statistics.insert((group, index), statistic);
                    }
                }
            }
        }
        Ok(targets)
    }

    /// A target's activations; without values in a dry plan.
    pub fn activations(&self, group: usize, index: usize) -> &Activations {
        &self.activations[&(group, index)]
    }

    pub fn statistic(&self, group: usize, index: usize) -> &Statistic {
        &self.statistics[&(group, index)]
    }

    /// Where in the layer the term counts, if it has a mask: the layer's pixels, and the guide; without values in a dry
    /// plan.
    pub fn guide(&self, group: usize, index: usize) -> Option<&(usize, Option<Buffer>)> {
        self.guides.get(&(group, index))
    }

    pub fn gram(&self, group: usize, index: usize) -> &[f32] {
        &self.gram[&(group, index)]
    }
}

/// Size of a style target: see [`Targets::extract`].
fn style_size(
    style: &Style,
    which: usize,
    picture: &Image,
    size: (u32, u32),
    native: Option<(u32, u32)>,
) -> (u32, u32) {
    let long = match native {
        Some(full) => {
            let (width, height) = picture.size();
            let shrink = f64::from(size.0) / f64::from(full.0);
            f64::from(width.max(height)) * shrink
        }
        None => f64::from(size.0.max(size.1)),
    };
    size_not_enlarged(
        picture,
        (long * style.scale_of(which)).round().max(1.0) as u32,
    )
}

fn style_picture(
    style: &Style,
    which: usize,
    picture: &Image,
    size: (u32, u32),
    native: Option<(u32, u32)>,
) -> Result<Image, Error> {
    resized(picture, style_size(style, which, picture, size, native))
}

/// The picture with at most `long` pixels on its long side.
fn not_enlarged(picture: &Image, long: u32) -> Result<Image, Error> {
    resized(picture, size_not_enlarged(picture, long))
}

fn size_not_enlarged(picture: &Image, long: u32) -> (u32, u32) {
    let (width, height) = picture.size();
    if width.max(height) <= long {
        (width, height)
    } else {
        size_for_long_side(width, height, long)
    }
}

/// A mask at all of `nodes`, for a picture of `size`; nothing without a mask.
fn guides(
    spec: &TermSpec,
    network: &Network,
    nodes: &[NodeId],
    mask: Option<&Mask>,
    size: (u32, u32),
) -> Result<Guides, Error> {
    let Some(mask) = mask else {
        return Ok(Guides::new());
    };
    let of = |node: &NodeId| {
        let guide = guide(spec, network.graph(), *node, mask, size)?;
        Ok((*node, network.device().buffer_from("guide", &guide)?))
    };
    nodes.iter().map(of).collect()
}
