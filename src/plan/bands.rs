//! An image too large to be seen whole goes through the network in bands of rows, and nothing but rounding changes.
//!
//! Each band is cut with so much of its surroundings (its *halo*) that all layers are exact in the rows that belong to
//! the band: what the cut falsifies lies in the halo, and is not looked at. One pass over the bands gathers what the
//! terms need of the whole layers, sums over positions; a second one, with the values that follow from them, makes
//! every band's gradient, and these add up to the image's. Memory is that of one band, the work is half as much again,
//! and the halos.

use std::ops::Range;

use super::{Forward, Network, Placed, PlanError, Program};
use crate::Error;
use crate::device::Recording;
use crate::kernels::{CopyRows, Fill, Tensor, View};
use crate::net::{self, NodeId, ReceptiveField};
use crate::objective::{Band, Gathered, Loss, Saved, Term};

/// How an image is cut.
#[derive(Debug, Clone)]
pub struct Bands {
    pieces: Vec<Piece>,
    /// The layers that are looked at.
    layers: Vec<Layer>,
}

/// One band: rows of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Those that belong to it.
    own: Range<u32>,
    /// With the halo.
    cut: Range<u32>,
}

/// A layer that is looked at.
#[derive(Debug, Clone, Copy)]
struct Layer {
    node: NodeId,
    /// Rows of the image from one of the layer's to the next.
    stride: u32,
    /// Its shape over the whole image.
    whole: View,
}

impl Layer {
    /// The layer's rows that belong to a band; the last band has all that are left.
    fn rows(&self, piece: &Piece, last: bool) -> Range<u32> {
        let end = if last {
            self.whole.h
        } else {
            (piece.own.end / self.stride).min(self.whole.h)
        };
        piece.own.start / self.stride..end
    }
}

impl Bands {
    /// Cuts an image of the shape `image` into at most `count` bands for reading `nodes`.
    ///
    /// # Errors
    /// [`PlanError`] where a node sees the whole image at once, or bands would be thinner than the layers' rows.
    pub fn new(
        network: &net::Network,
        nodes: &[NodeId],
        image: View,
        count: u32,
    ) -> Result<Self, Error> {
        let mut layers: Vec<Layer> = Vec::new();
        // Rows of the image above and below a band's own that its layers see.
        let (mut above, mut below, mut stride) = (0.0f64, 0.0f64, 1);
        for &node in nodes {
            if layers.iter().any(|layer| layer.node == node) {
                continue;
            }
            let shape = network.shape(node, image.h, image.w)?;
            let mut layer = Layer {
                node,
                stride: 1,
                whole: View::new(image.n, shape.height, shape.width, shape.channels),
            };
            // One band is the image itself, whatever the layer sees of it.
            if count > 1 {
                let field = field(network, node).ok_or_else(|| {
                    let name = &network.node(node).name;
                    PlanError::WholeImage {
                        layer: name.clone(),
                    }
                })?;
                let reach = f64::from(field.size - 1) / 2.0;
                above = above.max((reach - field.start).ceil());
                below = below.max((field.start + reach).ceil() + 1.0 - f64::from(field.stride));
                stride = stride.max(field.stride);
                layer.stride = field.stride;
            }
            layers.push(layer);
        }
        let up = |rows: f64| (rows.max(0.0) as u32).next_multiple_of(stride);
        let (above, below) = (up(above), up(below));
        let rows = image.h.div_ceil(count.max(1)).next_multiple_of(stride);
        let pieces: Vec<Piece> = (0..image.h)
            .step_by(rows as usize)
            .map(|start| {
                let end = (start + rows).min(image.h);
                Piece {
                    own: start..end,
                    cut: start.saturating_sub(above)..end.saturating_add(below).min(image.h),
                }
            })
            .collect();
        let bands = Self { pieces, layers };
        let empty = |layer: &Layer| {
            let mut rows = bands
                .numbered()
                .map(|(i, piece)| bands.rows(layer, i, piece));
            rows.any(|rows| rows.is_empty())
        };
        if bands.layers.iter().any(empty) {
            return Err(PlanError::ThinBands {
                rows: image.h,
                count,
            }
            .into());
        }
        Ok(bands)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is none: never, an image has rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn numbered(&self) -> impl DoubleEndedIterator<Item = (usize, &Piece)> + ExactSizeIterator {
        self.pieces.iter().enumerate()
    }

    fn rows(&self, layer: &Layer, index: usize, piece: &Piece) -> Range<u32> {
        layer.rows(piece, index + 1 == self.pieces.len())
    }

    /// The forward pass of one band. `visit` sees the rows of every layer that belong to the band.
    fn forward<'a>(
        &self,
        recording: &mut Recording,
        network: &'a Network,
        image: Tensor,
        index: usize,
        mut visit: impl FnMut(&mut Recording, NodeId, Tensor, Band),
    ) -> Result<Forward<'a>, Error> {
        let cut = &self.pieces[index].cut;
        let band = copied(recording, "band", image, cut.start, cut.end - cut.start);
        let wanted: Vec<NodeId> = self.layers.iter().map(|layer| layer.node).collect();
        Forward::record(
            recording,
            network,
            band,
            &wanted,
            &[],
            |recording, node, x| {
                if let Some(layer) = self.layer(node) {
                    let (rows, band, _) = self.window(recording, x, layer, index);
                    visit(recording, node, rows, band);
                }
            },
        )
    }

    fn layer(&self, node: NodeId) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.node == node)
    }

    /// The rows that belong to a band of a layer of which the band's pass has `x`.
    fn window(
        &self,
        recording: &mut Recording,
        x: Tensor,
        layer: &Layer,
        index: usize,
    ) -> (Tensor, Band, u32) {
        let piece = &self.pieces[index];
        let rows = self.rows(layer, index, piece);
        let offset = rows.start - piece.cut.start / layer.stride;
        let window = copied(recording, "rows", x, offset, rows.end - rows.start);
        let band = Band {
            layer: layer.whole,
            first: rows.start,
            index: index as u32,
            count: self.pieces.len() as u32,
        };
        (window, band, offset)
    }

    /// Records the forward pass of band after band; `visit` sees the rows of every layer that belong to the band.
    ///
    /// # Errors
    /// As [`Forward::record`].
    pub fn visit(
        &self,
        recording: &mut Recording,
        network: &Network,
        image: Tensor,
        mut visit: impl FnMut(&mut Recording, NodeId, Tensor, Band),
    ) -> Result<(), Error> {
        for (index, _) in self.numbered() {
            self.forward(recording, network, image, index, &mut visit)?;
        }
        Ok(())
    }

    /// Records the values of terms of the network's layers and the gradient with respect to the image.
    ///
    /// # Errors
    /// As [`Forward::record`]; [`PlanError::WholeLayer`] where a term needs a whole layer at once.
    pub fn record(
        &self,
        recording: &mut Recording,
        network: &Network,
        image: Tensor,
        terms: &[(&Placed, Loss)],
    ) -> Result<Tensor, Error> {
        for (placed, _) in terms {
            if let Some(reason) = placed.term.needs_whole_layer() {
                let layer = &network.graph().node(placed.node).name;
                return Err(PlanError::WholeLayer {
                    layer: layer.clone(),
                    reason,
                }
                .into());
            }
        }
        let banded: Vec<(NodeId, &dyn Term, Loss)> = terms
            .iter()
            .map(|(placed, loss)| (placed.node, &*placed.term, *loss))
            .collect();
        let mut gathered = vec![Gathered::default(); banded.len()];
        let mut last = None;
        for (index, _) in self.numbered() {
            let gather = |recording: &mut Recording, at: NodeId, x: Tensor, band: Band| {
                for ((node, term, _), gathered) in banded.iter().zip(&mut gathered) {
                    if *node == at {
                        term.gather(recording, x, band, gathered);
                    }
                }
            };
            last = Some(self.forward(recording, network, image, index, gather)?);
        }
        let saved: Vec<Saved> = banded
            .iter()
            .zip(gathered)
            .map(|((node, term, loss), gathered)| {
                let whole = self.layer(*node).map_or(image.view, |layer| layer.whole);
                term.conclude(recording, whole, gathered, *loss)
            })
            .collect();
        let gradient = Tensor::transient(recording, "gradient", image.view);
        zero(recording, gradient);
        // The forward pass of the last band still stands: its gradient comes first.
        for (index, piece) in self.numbered().rev() {
            let forward = match last.take() {
                Some(forward) => forward,
                None => {
                    // The rows that nobody sees then are left out with all that is not read, see `Recording::prune`.
                    let nothing = |_: &mut Recording, _, _, _| ();
                    self.forward(recording, network, image, index, nothing)?
                }
            };
            let of_band = forward.record_backward(recording, |recording, node, x, gradient| {
                let Some(layer) = self.layer(node) else {
                    return;
                };
                let (x, band, offset) = self.window(recording, x, layer, index);
                let kind = network.precision().of_gradient(x.view);
                let dx = Tensor::of_kind(recording, "gradient of rows", x.view, kind);
                let terms = banded
                    .iter()
                    .zip(&saved)
                    .filter(|((at, ..), _)| *at == node);
                for (count, ((_, term, _), saved)) in terms.enumerate() {
                    term.backward(recording, x, band, saved, dx, count > 0);
                }
                let (whole, accumulate) = gradient.target(recording);
                if !accumulate {
                    zero(recording, whole);
                }
                let add = CopyRows {
                    x: dx.view,
                    y: whole.view,
                    from: 0,
                    to: offset,
                    rows: dx.view.h,
                    accumulate: true,
                };
                recording.call("gradient of rows", add, &[dx.value, whole.value]);
            })?;
            let add = CopyRows {
                x: of_band.view,
                y: image.view,
                from: 0,
                to: piece.cut.start,
                rows: of_band.view.h,
                accumulate: true,
            };
            recording.call(
                "gradient of the band",
                add,
                &[of_band.value, gradient.value],
            );
        }
        Ok(gradient)
    }
}

/// What a unit of the layer sees of the image's rows; `None` where that depends on the image's size.
fn field(network: &net::Network, node: NodeId) -> Option<ReceptiveField> {
    let [rows, _] = network.receptive_field(node)?;
    network.graph().is_local(node).then_some(rows)
}

/// Numbers of bands that are tried where the whole image does not fit, fewest first.
const COUNTS: [u32; 14] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192];

/// Why bands of an image of so many rows take hardly less memory than the image, if that is so: one of the layers sees
/// more than half of them.
fn wide_field(network: &net::Network, nodes: &[NodeId], rows: u32) -> Option<PlanError> {
    let seen = nodes
        .iter()
        .filter_map(|&node| Some((node, field(network, node)?.size)));
    let (node, sees) = seen.max_by_key(|(_, sees)| *sees)?;
    (sees > rows / 2).then(|| PlanError::WideField {
        layer: network.node(node).name.clone(),
        sees,
        rows,
    })
}

/// What `make` makes with the fewest bands with which its program fits the device, and how many those are. It reads
/// `nodes` of an image of so many `rows`. `program` finds the program in what was made, `needed` the bytes that it
/// takes.
///
/// # Errors
/// Those of `make` with one band; else [`Error::TooLarge`] where it does not fit in any number of bands, with the
/// reason why there cannot be more, or why they do not help.
pub fn fewest_bands<M>(
    network: &Network,
    (nodes, rows): (&[NodeId], u32),
    program: impl Fn(&M) -> &Program,
    needed: impl Fn(&M) -> u64,
    make: impl Fn(u32) -> Result<M, Error>,
) -> Result<(u32, M), Error> {
    let device = network.device();
    let fitting = |made: M| {
        let fits = program(&made).check_fits(device, needed(&made));
        fits.map(|()| made)
    };
    let mut too_large = match fitting(make(1)?) {
        Ok(made) => return Ok((1, made)),
        Err(error) => error,
    };
    for count in COUNTS {
        match make(count).map(fitting) {
            Ok(Ok(made)) => return Ok((count, made)),
            Ok(Err(error)) => too_large = error,
            // It cannot be cut so, or no finer.
            Err(reason) => {
                if let Error::TooLarge { uncut, .. } = &mut too_large {
                    *uncut = Some(Box::new(reason));
                }
                break;
            }
        }
    }
    // Where bands can be made, thinner ones are no way out if each needs most of the image.
    if let Error::TooLarge { uncut, .. } = &mut too_large
        && matches!(
            uncut.as_deref(),
            None | Some(Error::Plan(PlanError::ThinBands { .. }))
        )
        && let Some(reason) = wide_field(network.graph(), nodes, rows)
    {
        *uncut = Some(Box::new(reason.into()));
    }
    Err(too_large)
}

fn copied(recording: &mut Recording, label: &str, x: Tensor, from: u32, rows: u32) -> Tensor {
    let view = View::new(x.view.n, rows, x.view.w, x.view.c);
    let kind = recording.value(x.value).kind;
    let y = Tensor::of_kind(recording, label, view, kind);
    let copy = CopyRows {
        x: x.view,
        y: view,
        from,
        to: 0,
        rows,
        accumulate: false,
    };
    recording.call(label, copy, &[x.value, y.value]);
    y
}

fn zero(recording: &mut Recording, x: Tensor) {
    let fill = Fill {
        len: x.view.len() as u32,
        value: 0.0,
    };
    recording.call("no gradient yet", fill, &[x.value]);
}
