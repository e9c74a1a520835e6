//! The network run on pictures: its activations, whole or in bands of rows, and what is gathered from them on the
//! device.

use std::collections::HashMap;

use crate::Error;
use crate::device::{Buffer, Device, Given, Recording, ValueId};
use crate::image::Image;
use crate::kernels::{CopyRows, Tensor, View, record_moments, to_quads};
use crate::net::{NetError, NodeId, Shape};
use crate::objective::{Band, gather_gram, record_masked};
use crate::plan::{Bands, Network, Program, fewest_bands};
use crate::schedule::Loaded;
use crate::spec::{RecipeError, TermSpec};

/// The masks of layers, where a term has one.
pub(crate) type LayerMasks = HashMap<NodeId, Given>;

/// A target that is too small for a layer is told from the image that is optimized.
pub(crate) fn named<T>(
    result: Result<T, Error>,
    spec: &TermSpec,
    size: (u32, u32),
) -> Result<T, Error> {
    result.map_err(|error| match error {
        Error::Net(NetError::ImageTooSmall(source)) => RecipeError::TargetTooSmall {
            kind: spec.kind.name().to_string(),
            target: size,
            source,
        }
        .into(),
        other => other,
    })
}

/// Images of one size in the engine's layout.
///
/// # Panics
/// Without an image, or when sizes differ: a bug in the caller.
pub(crate) fn quads_of(images: &[Image]) -> (View, Vec<f32>) {
    let (width, height) = images[0].size();
    assert!(images.iter().all(|image| image.size() == (width, height)));
    let view = View::new(images.len() as u32, height, width, 3);
    let planes: Vec<f32> = images
        .iter()
        .flat_map(|image| (0..3).flat_map(|c| image.rgb.iter().skip(c).step_by(3).copied()))
        .collect();
    (view, to_quads(view, &planes))
}

/// The activations of `nodes` for images of one size, as `[N,C,H,W]`; the shape is that of one image.
///
/// # Errors
/// As [`Reader::read`].
pub(crate) async fn activations(
    network: &Network,
    images: &[Image],
    nodes: &[NodeId],
) -> Result<Vec<(Shape, Vec<f32>)>, Error> {
    let (view, pixels) = quads_of(images);
    Reader::new(network, view, nodes).await?.read(&pixels).await
}

/// Reads layers, for batches of one shape, as often as one likes: buffers and pipelines are made once.
#[derive(Debug)]
pub(crate) struct Reader {
    network: String,
    image: Tensor,
    loaded: Loaded,
    /// Each with its name.
    layers: Vec<(String, Tensor)>,
}

impl Reader {
    pub async fn new(network: &Network, view: View, nodes: &[NodeId]) -> Result<Self, Error> {
        let (program, image, layers) = Program::forward(network, view, nodes)?;
        let graph = network.graph();
        let names = nodes.iter().map(|node| graph.node(*node).name.clone());
        let layers = names.zip(layers).collect();
        Ok(Self {
            network: graph.name.clone(),
            image,
            loaded: Loaded::new_async(network.device(), program).await?,
            layers,
        })
    }

    /// The shape of its batches.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn view(&self) -> View {
        self.image.view
    }

    /// For a batch in the engine's layout what [`activations`] returns.
    ///
    /// # Errors
    /// [`NetError::NotFinite`] where an activation is infinite or NaN, so that nobody takes it for an answer.
    pub async fn read(&mut self, pixels: &[f32]) -> Result<Vec<(Shape, Vec<f32>)>, Error> {
        self.loaded.upload(self.image.value, pixels)?;
        self.loaded.run_once_async().await?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (layer, tensor) in &self.layers {
            let View { c, h, w, .. } = tensor.view;
            let shape = Shape {
                channels: c,
                height: h,
                width: w,
            };
            let activations = self.loaded.read_async(*tensor).await?;
            let values = activations.iter().filter(|a| !a.is_finite()).count();
            if values > 0 {
                return Err(NetError::NotFinite {
                    network: self.network.clone(),
                    layer: layer.clone(),
                    values,
                    all: activations.len(),
                }
                .into());
            }
            layers.push((shape, activations));
        }
        Ok(layers)
    }
}

/// A target's activations at a layer, on the device.
#[derive(Debug, Clone)]
pub(crate) struct Activations {
    pub buffer: Buffer,
    /// Σ P² of them.
    pub squares: f64,
}

/// A picture's activations at `nodes`, seen through the masks that there are.
pub(crate) async fn target_activations(
    network: &Network,
    image: &Image,
    nodes: &[NodeId],
    masks: &LayerMasks,
) -> Result<Vec<Activations>, Error> {
    type Kept = (Tensor, Option<Tensor>);
    let (loaded, outputs) = visited(
        network,
        image,
        nodes,
        |recording, node, x, band, output: &mut Option<Kept>| {
            let x = masked(recording, x, band, masks.get(&node));
            // Stored as the layer is that it will be compared with.
            let kind = network.kind_of(node, band.layer);
            let (whole, squares) = output.get_or_insert_with(|| {
                let value = recording.persistent("target", kind, band.layer.len());
                let view = band.layer;
                (Tensor { value, view }, None)
            });
            record_copy(recording, "target", x, *whole, band.first);
            if band.is_last() {
                let moments = record_moments(recording, "target", *whole, [0.0; 4]);
                *squares = Some(record_kept(
                    recording,
                    "moments",
                    moments,
                    View::new(1, 1, 1, 4),
                ));
            }
        },
    )
    .await?;
    let mut found = Vec::with_capacity(outputs.len());
    for (target, moments) in outputs {
        let squares = match moments {
            Some(moments) => f64::from(loaded.read_async(moments).await?[2]),
            None => 0.0,
        };
        found.push(Activations {
            buffer: loaded.buffer(target.value).clone(),
            squares,
        });
    }
    Ok(found)
}

/// The Gram matrices of `nodes` for an image, seen through the masks that there are, `[C⁺, C⁺]` on the device.
pub(crate) async fn grams(
    network: &Network,
    image: &Image,
    nodes: &[NodeId],
    masks: &LayerMasks,
) -> Result<Vec<Buffer>, Error> {
    type Kept = (Option<Tensor>, Option<Tensor>);
    let (loaded, outputs) = visited(
        network,
        image,
        nodes,
        |recording, node, x, band, kept: &mut Option<Kept>| {
            let x = masked(recording, x, band, masks.get(&node));
            let (sum, result) = kept.get_or_insert_default();
            let gram = gather_gram(recording, x, band, sum);
            if band.is_last() {
                *result = Some(record_kept(recording, "gram", gram.value, gram.view));
            }
        },
    )
    .await?;
    let result = |(_, gram): (_, Option<Tensor>)| Some(loaded.buffer(gram?.value).clone());
    Ok(outputs.into_iter().filter_map(result).collect())
}

/// Some rows of a layer, seen through its mask where there is one.
fn masked(recording: &mut Recording, x: Tensor, band: Band, mask: Option<&Given>) -> Tensor {
    mask.map_or(x, |mask| record_masked(recording, x, mask, band.first))
}

/// Records a copy of x into the rows of y from `first` on.
pub(crate) fn record_copy(
    recording: &mut Recording,
    label: &str,
    x: Tensor,
    y: Tensor,
    first: u32,
) {
    let copy = CopyRows {
        x: x.view,
        y: y.view,
        from: 0,
        to: first,
        rows: x.view.h,
        accumulate: false,
    };
    recording.call(label, copy, &[x.value, y.value]);
}

/// Records a copy of reals that outlives the program.
pub(crate) fn record_kept(
    recording: &mut Recording,
    label: &str,
    value: ValueId,
    view: View,
) -> Tensor {
    let kept = Tensor::persistent(recording, label, view);
    record_copy(recording, label, Tensor { value, view }, kept, 0);
    kept
}

/// Runs an image through the network, in as few bands as fit the device: `visit` sees each band's rows of each of
/// `nodes`, and makes and fills what is kept of the layer.
pub(crate) async fn visited<K: Clone>(
    network: &Network,
    image: &Image,
    nodes: &[NodeId],
    visit: impl Fn(&mut Recording, NodeId, Tensor, Band, &mut Option<K>),
) -> Result<(Loaded, Vec<K>), Error> {
    let (view, pixels) = quads_of(std::slice::from_ref(image));
    let record = |count| {
        let mut recording = Recording::new();
        let input = Tensor::persistent(&mut recording, "image", view);
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
        Ok::<_, Error>((Program::new(recording, []), input, outputs))
    };
    let device = network.device();
    let (_, (program, input, outputs)) = fewest_bands(
        network,
        (nodes, view.h),
        |(program, ..)| program,
        |(program, ..)| program.bytes_on_top(device),
        record,
    )?;
    let mut loaded = Loaded::new_async(device, program).await?;
    loaded.upload(input.value, &pixels)?;
    loaded.run_once_async().await?;
    Ok((loaded, outputs))
}

/// Runs a recording once.
pub(crate) async fn run_once(device: &Device, recording: Recording) -> Result<Loaded, Error> {
    let mut loaded = Loaded::new_async(device, Program::new(recording, [])).await?;
    loaded.run_once_async().await?;
    Ok(loaded)
}
