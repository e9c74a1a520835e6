//! What a network answers to pictures: its layers, whole or in bands of rows, and what is gathered from them on the device.

use std::collections::HashMap;

use crate::Error;
use crate::device::{Buffer, Kind, Recording};
use crate::image::Image;
use crate::kernels::{CopyRows, Tensor, View, pack};
use crate::net::{NetError, NodeId, Shape};
use crate::objective::{Band, gather_gram, record_guided};
use crate::plan::{Bands, Network, Plan, RING_ROWS, fewest_bands};
use crate::schedule::Executor;
use crate::spec::TermSpec;

/// A target's activations at a layer.
#[derive(Debug)]
pub(crate) struct Activations {
    /// Their shape: one image.
    pub view: View,
    /// Where they are on the device, and the sum of their squares; none where only the size matters, which may be beyond
    /// any memory.
    pub values: Option<(Buffer, f64)>,
}

/// The guides of layers with a mask, on the device.
pub(crate) type Guides = HashMap<NodeId, Buffer>;

/// A target that is too small for a layer is told from the image that is optimized.
pub(crate) fn named<T>(
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

/// Images of one size in the engine's layout.
///
/// # Panics
/// Without an image, or when sizes differ: a bug in the caller.
pub(crate) fn packed(images: &[Image]) -> (View, Vec<f32>) {
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
pub(crate) fn activations(
    network: &Network,
    images: &[Image],
    nodes: &[NodeId],
) -> Result<Vec<(Shape, Vec<f32>)>, Error> {
    let (view, pixels) = packed(images);
    Reader::new(network, view, nodes)?.read(&pixels)
}

/// Reads layers, for batches of one shape, as often as one likes: buffers and pipelines are made once.
#[derive(Debug)]
pub(crate) struct Reader {
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
pub(crate) fn answers(
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
pub(crate) fn grams(
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
pub(crate) fn visited<K: Clone>(
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
pub(crate) fn run_once(network: &Network, plan: Plan, pixels: &[f32]) -> Result<Executor, Error> {
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
