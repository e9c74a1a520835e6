//! What the terms compare with: the target pictures' activations and their statistics, read back once per scale.

use std::collections::HashMap;
use std::sync::Arc;

use super::masks::guide;
use super::series::Memo;
use super::start::Pictures;
use super::statistics::{self, Statistic, Wanted};
use super::terms::Layers;
use super::{PreserveColor, Recipe, TermKind, TermSpec};
use crate::Error;
use crate::device::{Buffer, Kind, Recording};
use crate::image::{Filter, Image, Mask, size_for_long_side};
use crate::kernels::{CopyRows, Tensor, View, pack};
use crate::net::{NetError, NodeId, Shape};
use crate::objective::{Band, gather_gram, record_guided};
use crate::plan::{Bands, Network, Plan, RING_ROWS, fewest_bands};
use crate::schedule::Executor;

/// A target's activations at a layer.
#[derive(Debug)]
pub(super) struct Activations {
    /// Their shape: one image.
    pub view: View,
    /// Where they are on the device, and the sum of their squares; none where only the size matters, which may be beyond
    /// any memory.
    pub values: Option<(Buffer, f64)>,
}

/// The guides of layers with a mask, on the device.
pub(super) type Guides = HashMap<NodeId, Buffer>;

/// A style picture of its size, its share, and where at the layers it counts, if not everywhere.
#[derive(Debug)]
pub(super) struct Target {
    pub image: Image,
    pub share: f64,
    pub guides: Guides,
}

/// Targets of every term and layer of a recipe at one scale.
#[derive(Debug, Default)]
pub(super) struct Targets {
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
    /// `memo` knows is not found again.
    pub fn extract(
        recipe: &Recipe,
        layers: &[Layers],
        network: &Network,
        pictures: &Pictures,
        size: (u32, u32),
        native: Option<(u32, u32)>,
        memo: Option<&Memo>,
    ) -> Result<Self, Error> {
        let mut targets = Self::default();
        // Pictures in a content's colours are others for every content.
        let memo = memo.filter(|_| recipe.image.preserve_color == PreserveColor::Off);
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
            match spec.kind {
                TermKind::Content | TermKind::Inversion | TermKind::Guide => {
                    let long = size.0.max(size.1);
                    let picture = if spec.kind == TermKind::Guide {
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
                kind if kind.is_style() => {
                    if spec.wanted() != Wanted::Gram {
                        let numbered = || pictures.iter().zip(spec.blend()).enumerate();
                        let find = || {
                            let target =
                                |(which, (picture, share)): (usize, (&Arc<Image>, f64))| {
                                    let image = style_picture(spec, which, picture, size, native)?;
                                    let mask = masks.targets.get(which);
                                    let guides = guides(spec, network, &nodes, mask, image.size())?;
                                    Ok(Target {
                                        image,
                                        share,
                                        guides,
                                    })
                                };
                            let all = numbered().map(target).collect::<Result<Vec<_>, Error>>()?;
                            statistics::extract(spec, network, &all, &nodes)
                        };
                        let found = match memo {
                            Some(memo) => {
                                let sized = numbered().map(|(which, (picture, _))| {
                                    (picture, style_size(spec, which, picture, size, native))
                                });
                                memo.statistics.get(group, sized, find)?
                            }
                            None => Arc::new(find()?),
                        };
                        for (index, statistic) in found.iter().enumerate() {
                            targets.statistics.insert((group, index), statistic.clone());
                        }
                        continue;
                    }
                    for (which, (picture, share)) in pictures.iter().zip(spec.blend()).enumerate() {
                        let mask = masks.targets.get(which);
                        let find = || {
                            let small = style_picture(spec, which, picture, size, native)?;
                            let theirs = guides(spec, network, &nodes, mask, small.size())?;
                            named(grams(network, &small, &nodes, &theirs), spec, &small)
                        };
                        let found = match memo {
                            Some(memo) => {
                                let size = style_size(spec, which, picture, size, native);
                                let one = std::iter::once((picture, size));
                                memo.grams.get(group, one, find)?
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
                _ => {}
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
                if spec.mask.is_some() {
                    let pixels = shape.height as usize * shape.width as usize;
                    targets.guides.insert((group, index), (pixels, None));
                }
                match spec.kind {
                    TermKind::Content | TermKind::Inversion => {
                        targets.activations.insert((group, index), unread(shape));
                    }
                    TermKind::Guide => {
                        let (w, h) = size_not_enlarged(&pictures[group][0], size.0.max(size.1));
                        let shape = graph.shape(*node, h, w)?;
                        targets.activations.insert((group, index), unread(shape));
                    }
                    kind if kind.is_style() => {
                        if spec.wanted() == Wanted::Gram {
                            let ones = vec![1.0; padded * padded];
                            targets.gram.insert((group, index), ones);
                            continue;
                        }
                        let columns = pictures[group].iter().enumerate().map(|(which, picture)| {
                            let (w, h) = style_size(spec, which, picture, size, native);
                            let shape = graph.shape(*node, h, w)?;
                            Ok(shape.width * shape.height)
                        });
                        let statistic = statistics::outline(spec, shape.channels, columns)?;
                        targets.statistics.insert((group, index), statistic);
                    }
                    _ => {}
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
    spec: &TermSpec,
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
        (long * spec.scale_of(which)).round().max(1.0) as u32,
    )
}

fn style_picture(
    spec: &TermSpec,
    which: usize,
    picture: &Image,
    size: (u32, u32),
    native: Option<(u32, u32)>,
) -> Result<Image, Error> {
    resized(picture, style_size(spec, which, picture, size, native))
}

/// A target that is too small for a layer is told from the image that is optimized.
pub(super) fn named<T>(
    result: Result<T, Error>,
    spec: &TermSpec,
    picture: &Image,
) -> Result<T, Error> {
    result.map_err(|error| match error {
        Error::Net(problem @ NetError::ImageTooSmall { .. }) => Error::Recipe(format!(
            "a target of term `{}` is {}x{} pixels at this size: {problem}",
            spec.kind.name(),
            picture.width,
            picture.height
        )),
        other => other,
    })
}

/// The picture at exactly `size`, by antialiased bicubic resampling.
pub(super) fn resized(picture: &Image, size: (u32, u32)) -> Result<Image, Error> {
    if picture.size() == size {
        return Ok(picture.clone());
    }
    Ok(picture.resize(size.0, size.1, Filter::Bicubic)?.clamp())
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

/// Images of one size in the engine's layout.
///
/// # Panics
/// Without an image, or when sizes differ: a bug in the caller.
pub(super) fn packed(images: &[Image]) -> (View, Vec<f32>) {
    let (width, height) = images[0].size();
    assert!(images.iter().all(|image| image.size() == (width, height)));
    let view = View::new(images.len() as u32, height, width, 3);
    let planes: Vec<f32> = images
        .iter()
        .flat_map(|image| (0..3).flat_map(|c| image.rgb.iter().skip(c).step_by(3).copied()))
        .collect();
    (view, pack(view, &planes))
}

/// The activations of `nodes` for images of one size, as `[N,C,H,W]`; the shape is that of one image.
pub(super) fn activations(
    network: &Network,
    images: &[Image],
    nodes: &[NodeId],
) -> Result<Vec<(Shape, Vec<f32>)>, Error> {
    let (view, pixels) = packed(images);
    Reader::new(network, view, nodes)?.read(&pixels)
}

/// Reads layers, for batches of one shape, as often as one likes: buffers and pipelines are made once.
#[derive(Debug)]
pub(super) struct Reader {
    view: View,
    executor: Executor,
    tensors: Vec<Tensor>,
}

impl Reader {
    pub fn new(network: &Network, view: View, nodes: &[NodeId]) -> Result<Self, Error> {
        let (plan, tensors) = Plan::forward(network, view, nodes)?;
        Ok(Self {
            view,
            executor: Executor::new(network.device(), plan)?,
            tensors,
        })
    }

    /// The shape of its batches.
    pub fn view(&self) -> View {
        self.view
    }

    /// For a batch in the engine's layout what [`activations`] returns.
    pub fn read(&mut self, pixels: &[f32]) -> Result<Vec<(Shape, Vec<f32>)>, Error> {
        run_on(&mut self.executor, pixels)?;
        let read = |tensor: &Tensor| {
            let View { c, h, w, .. } = tensor.view;
            let shape = Shape {
                channels: c,
                height: h,
                width: w,
            };
            Ok((shape, self.executor.read(*tensor)?))
        };
        self.tensors.iter().map(read).collect()
    }
}

/// A picture's activations at `nodes`, seen through the guides that there are, left on the device.
fn answers(
    network: &Network,
    image: &Image,
    nodes: &[NodeId],
    guides: &Guides,
) -> Result<Vec<Activations>, Error> {
    let (executor, outputs) =
        visited(network, image, nodes, |recording, node, x, band, output| {
            let x = seen_through(recording, x, band, guides.get(&node));
            // Stored as the layer is that it will be compared with.
            let kind = network.kind_of(node, band.layer);
            let whole = *output.get_or_insert_with(|| Tensor {
                value: recording.persistent("target", kind, band.layer.len()),
                view: band.layer,
            });
            let copy = CopyRows {
                x: x.view,
                y: whole.view,
                from: 0,
                to: band.first,
                rows: x.view.h,
                accumulate: false,
            };
            recording.call("target", copy, &[x.value, whole.value]);
        })?;
    outputs
        .into_iter()
        .map(|output| {
            let buffer = executor.buffer(output.value).clone();
            let values = executor.device().download(&buffer)?;
            let squares = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            Ok(Activations {
                view: output.view,
                values: Some((buffer, squares)),
            })
        })
        .collect()
}

/// The Gram matrices of `nodes` for an image, seen through the guides that there are, as `[C⁺, C⁺]`.
fn grams(
    network: &Network,
    image: &Image,
    nodes: &[NodeId],
    guides: &Guides,
) -> Result<Vec<Vec<f32>>, Error> {
    let (executor, outputs) = visited(network, image, nodes, |recording, node, x, band, sum| {
        let x = seen_through(recording, x, band, guides.get(&node));
        gather_gram(recording, x, band, true, sum);
    })?;
    outputs
        .into_iter()
        .map(|gram| executor.read(gram))
        .collect()
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

/// Some rows of a layer, seen through its guide where there is one.
fn seen_through(
    recording: &mut Recording,
    x: Tensor,
    band: Band,
    guide: Option<&Buffer>,
) -> Tensor {
    guide.map_or(x, |guide| record_guided(recording, x, guide, band.first))
}

/// Runs an image through the network, in as few bands as fit the device: `visit` sees each band's rows of each of `nodes`, and
/// makes and fills what is kept of the layer.
pub(super) fn visited<K: Clone>(
    network: &Network,
    image: &Image,
    nodes: &[NodeId],
    visit: impl Fn(&mut Recording, NodeId, Tensor, Band, &mut Option<K>),
) -> Result<(Executor, Vec<K>), Error> {
    let (view, pixels) = packed(std::slice::from_ref(image));
    let record = |count| {
        let mut recording = Recording::new();
        let input = Tensor::persistent(&mut recording, "image", view);
        let ring = recording.persistent("loss ring", Kind::Real, RING_ROWS as usize);
        let step = recording.persistent("step", Kind::Word, 1);
        let mut kept: HashMap<NodeId, Option<K>> = HashMap::new();
        Bands::new(network.graph(), nodes, view, count)?.visit(
            &mut recording,
            network,
            input,
            |recording, node, x, band| {
                visit(recording, node, x, band, kept.entry(node).or_default());
            },
        )?;
        let outputs: Vec<K> = nodes.iter().filter_map(|node| kept[node].clone()).collect();
        Ok::<_, Error>((Plan::finished(recording, input, step, ring), outputs))
    };
    let device = network.device();
    let (bands, plan) = fewest_bands(
        device,
        |plan| plan.bytes_on_top(device),
        |count| Ok(record(count)?.0),
    )?;
    let executor = run_once(network, plan, &pixels)?;
    Ok((executor, record(bands)?.1))
}

/// Runs a plan once on an image.
pub(super) fn run_once(network: &Network, plan: Plan, pixels: &[f32]) -> Result<Executor, Error> {
    let mut executor = Executor::new(network.device(), plan)?;
    run_on(&mut executor, pixels)?;
    Ok(executor)
}

fn run_on(executor: &mut Executor, pixels: &[f32]) -> Result<(), Error> {
    let image = executor.buffer(executor.plan().image.value);
    executor.device().upload(image, pixels)?;
    let _ = executor.run(1, &mut |_| std::ops::ControlFlow::Continue(()))?;
    Ok(())
}
