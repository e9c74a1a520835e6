//! What the style terms beside `gram` compare with: statistics of the columns of target pictures, read back once per scale.

use std::collections::HashMap;

use super::activations::{Guides, activations, named, run_once, visited};
use crate::Error;
use crate::device::{Kind, Recording};
use crate::image::Image;
use crate::kernels::{ColumnKernel, Combine, Tensor, View};
use crate::net::NodeId;
use crate::objective::{
    Columns, MMD_EXACT, MMD_KEPT, Saved, Spread, conclude_moments, gather_moments, record_root,
    record_similarity, regular, spread_view,
};
use crate::plan::{Network, Plan, RING_ROWS};
use crate::spec::terms::{Style, Wanted};
use crate::spec::{MmdKernel, TermSpec};

/// A style picture of its size, its share, and where at the layers it counts, if not everywhere.
#[derive(Debug)]
pub(crate) struct Target {
    pub image: Image,
    pub share: f64,
    pub guides: Guides,
}

/// A layer's answers to pictures, `[C,H,W]`, each with the picture's share.
type Planes = Vec<(Vec<f32>, f64)>;

/// What one term compares one layer with.
#[derive(Debug, Clone)]
pub(crate) enum Statistic {
    /// Means and variances of C channels.
    Moments {
        means: Vec<f64>,
        variances: Vec<f64>,
    },
    /// Means of C channels; Σ + ε·I and its root, [C⁺, C⁺].
    Normal {
        means: Vec<f64>,
        covariance: Vec<f64>,
        root: Vec<f32>,
    },
    /// The columns themselves, the kernel they are compared with, and mean k(s, s').
    Columns {
        columns: Columns,
        kernel: ColumnKernel,
        similarity: f64,
    },
}

/// The kernel that feature vectors are compared with.
fn column_kernel(
    spec: &TermSpec,
    kernel: MmdKernel,
    columns: &Columns,
) -> Result<ColumnKernel, Error> {
    let variance = match kernel {
        MmdKernel::Linear => {
            return Ok(ColumnKernel::Polynomial {
                constant: 0.0,
                degree: 1,
            });
        }
        MmdKernel::Poly { constant, degree } => {
            return Ok(ColumnKernel::Polynomial {
                constant: constant as f32,
                degree,
            });
        }
        MmdKernel::Gaussian { sigma } => sigma.map_or_else(|| columns.spread(), |s| s * s),
    };
    let gamma = (0.5 / variance) as f32;
    if !(gamma.is_finite() && gamma > 0.0) {
        return Err(spec.wrong(
            "a layer's answer to the target is the same everywhere, which leaves no scale for a gaussian kernel: give `sigma`",
        ));
    }
    Ok(ColumnKernel::Gaussian(gamma))
}

/// A number for every channel, without the padding.
fn meaningful(values: &[f32], c: usize) -> Vec<f64> {
    values[..c].iter().map(|v| f64::from(*v)).collect()
}

/// Means and variances, or covariances, of `nodes` for an image.
struct OfPicture {
    means: Vec<f64>,
    /// [C], or [C⁺, C⁺].
    spread: Vec<f64>,
}

fn of_picture(
    network: &Network,
    image: &Image,
    guides: &Guides,
    nodes: &[NodeId],
    covariances: bool,
) -> Result<Vec<OfPicture>, Error> {
    let spread = if covariances {
        Spread::Covariances
    } else {
        Spread::Variances
    };
    // Kept as tensors: of one pixel, or a matrix.
    let keep = |recording: &mut Recording, from, view: View| {
        let to = Tensor::persistent(recording, "statistics", view);
        let copy = Combine {
            len: view.len() as u32,
            alpha: 1.0,
            beta: 0.0,
        };
        recording.call("statistics", copy, &[from, to.value]);
        to
    };
    let (executor, found) = visited(
        network,
        image,
        nodes,
        |recording, node, x, band, kept: &mut Option<(Saved, Vec<Tensor>)>| {
            let (gathered, tensors) = kept.get_or_insert_default();
            let guide = guides.get(&node);
            gather_moments(recording, x, band, guide, Some(spread), gathered);
            if band.index + 1 == band.count {
                let moments = conclude_moments(recording, band.layer, spread, gathered);
                let of_means = spread_view(Spread::Variances, band.layer);
                tensors.push(keep(recording, moments.means, of_means));
                let of_spread = spread_view(spread, band.layer);
                tensors.push(keep(recording, moments.spread, of_spread));
            }
        },
    )?;
    nodes
        .iter()
        .zip(found)
        .map(|(node, (_, tensors))| {
            let c = network.graph().node(*node).channels as usize;
            let spread = executor.read(tensors[1])?;
            Ok(OfPicture {
                means: meaningful(&executor.read(tensors[0])?, c),
                spread: if covariances {
                    spread.iter().map(|v| f64::from(*v)).collect()
                } else {
                    meaningful(&spread, c)
                },
            })
        })
        .collect()
}

/// The statistics of a mixture of pictures, each with its share: raw moments are averaged, so that the spread between the
/// pictures' means counts as well.
fn mixed(pictures: &[(OfPicture, f64)], covariances: bool) -> OfPicture {
    let c = pictures[0].0.means.len();
    let side = c.next_multiple_of(4);
    let average = |of: &dyn Fn(&OfPicture) -> &[f64]| {
        let mut sum = vec![0.0; of(&pictures[0].0).len()];
        for (picture, share) in pictures {
            for (sum, value) in sum.iter_mut().zip(of(picture)) {
                *sum += share * value;
            }
        }
        sum
    };
    let means = average(&|p| &p.means);
    let mut spread = average(&|p| &p.spread);
    for (picture, share) in pictures {
        let apart: Vec<f64> = picture
            .means
            .iter()
            .zip(&means)
            .map(|(a, b)| a - b)
            .collect();
        for i in 0..c {
            if covariances {
                for j in 0..c {
                    spread[i * side + j] += share * apart[i] * apart[j];
                }
            } else {
                spread[i] += share * apart[i] * apart[i];
            }
        }
    }
    OfPicture { means, spread }
}

/// The statistics that a term wants of its target pictures at `nodes`: for each layer one.
pub(crate) fn extract(
    spec: &TermSpec,
    wanted: Wanted,
    network: &Network,
    pictures: &[Target],
    nodes: &[NodeId],
) -> Result<Vec<Statistic>, Error> {
    if let Wanted::Columns(kernel) = wanted {
        return columns(spec, kernel, network, pictures, nodes);
    }
    let covariances = wanted == Wanted::Normal;
    let mut by_node: Vec<Vec<(OfPicture, f64)>> = nodes.iter().map(|_| Vec::new()).collect();
    for Target {
        image,
        share,
        guides,
    } in pictures
    {
        let found = of_picture(network, image, guides, nodes, covariances);
        let found = named(found, spec, image)?;
        for (of_node, found) in by_node.iter_mut().zip(found) {
            of_node.push((found, *share));
        }
    }
    by_node
        .iter()
        .map(|pictures| {
            let OfPicture { means, spread } = mixed(pictures, covariances);
            if !covariances {
                return Ok(Statistic::Moments {
                    means,
                    variances: spread,
                });
            }
            let channels = means.len() as u32;
            let (covariance, norm) = regular(&spread, channels);
            let root = root(network, &covariance, norm, channels)?;
            Ok(Statistic::Normal {
                means,
                covariance,
                root,
            })
        })
        .collect()
}

/// The root of a symmetric positive matrix of norm `norm`, [C⁺, C⁺].
fn root(network: &Network, m: &[f64], norm: f64, channels: u32) -> Result<Vec<f32>, Error> {
    let side = channels.next_multiple_of(4);
    let mut recording = Recording::new();
    let view = View::new(1, 1, side, side);
    let a = Tensor::persistent(&mut recording, "matrix", view);
    let ring = recording.persistent("loss ring", Kind::Real, RING_ROWS as usize);
    let step = recording.persistent("step", Kind::Word, 1);
    let root = record_root(&mut recording, a, channels);
    let plan = Plan::finished(recording, a, step, ring);
    let normalised: Vec<f32> = m.iter().map(|v| (v / norm) as f32).collect();
    let executor = run_once(network, plan, &normalised)?;
    let root = network.device().download(executor.buffer(root.value))?;
    let scale = norm.sqrt();
    Ok(root
        .iter()
        .map(|v| (f64::from(*v) * scale) as f32)
        .collect())
}

fn columns(
    spec: &TermSpec,
    kernel: MmdKernel,
    network: &Network,
    pictures: &[Target],
    nodes: &[NodeId],
) -> Result<Vec<Statistic>, Error> {
    let mut by_node: HashMap<usize, (u32, Planes)> = HashMap::new();
    for Target { image, share, .. } in pictures.iter().filter(|target| target.share > 0.0) {
        let answers = activations(network, std::slice::from_ref(image), nodes);
        let answers = named(answers, spec, image)?;
        for (i, (shape, values)) in answers.into_iter().enumerate() {
            let of_node = by_node.entry(i).or_insert((shape.channels, Vec::new()));
            of_node.1.push((values, *share));
        }
    }
    (0..nodes.len())
        .filter_map(|i| by_node.remove(&i))
        .map(|(channels, pictures)| {
            let columns = Columns::new(channels, &pictures);
            let kernel = column_kernel(spec, kernel, &columns)?;
            let similarity = similarity(network, kernel, &columns.thinned(MMD_EXACT))?;
            Ok(Statistic::Columns {
                columns,
                kernel,
                similarity,
            })
        })
        .collect()
}

/// mean k(s, s').
fn similarity(network: &Network, kernel: ColumnKernel, columns: &Columns) -> Result<f64, Error> {
    let mut recording = Recording::new();
    let set = Tensor::persistent(&mut recording, "columns", columns.view);
    let ring = recording.persistent("loss ring", Kind::Real, RING_ROWS as usize);
    let step = recording.persistent("step", Kind::Word, 1);
    let mut padded = columns.weights.clone();
    padded.resize(padded.len().next_multiple_of(4), 0.0);
    let weights = network.device().buffer_from("weights", &padded)?;
    let weights = recording.given("weights", weights);
    let values = record_similarity(&mut recording, kernel, set, weights);
    let plan = Plan::finished(recording, set, step, ring);
    let executor = run_once(network, plan, &columns.packed)?;
    let values = network.device().download(executor.buffer(values))?;
    let products = values.iter().zip(&columns.weights);
    Ok(products.map(|(v, w)| f64::from(*v) * f64::from(*w)).sum())
}

/// A statistic of the right size for planning: `pictures` pictures whose answers have these shapes.
pub(crate) fn outline(
    spec: &TermSpec,
    style: &Style,
    wanted: Wanted,
    channels: u32,
    columns: impl Iterator<Item = Result<u32, Error>>,
) -> Result<Statistic, Error> {
    let c = channels as usize;
    let square = c.next_multiple_of(4).pow(2);
    Ok(match wanted {
        Wanted::Columns(kernel) => {
            let counts = columns.collect::<Result<Vec<_>, _>>()?;
            let share = style.blend();
            let pictures: Vec<(Vec<f32>, f64)> = counts
                .iter()
                .zip(share)
                .filter(|(_, share)| *share > 0.0)
                .map(|(count, share)| (vec![1.0; c * (*count).min(MMD_KEPT) as usize], share))
                .collect();
            let kernel = match kernel {
                MmdKernel::Gaussian { .. } => ColumnKernel::Gaussian(1.0),
                kernel => column_kernel(spec, kernel, &Columns::new(channels, &[]))?,
            };
            Statistic::Columns {
                columns: Columns::new(channels, &pictures),
                kernel,
                // More than that of columns of zeros, or nothing could be relative to it.
                similarity: kernel.value(0.0) + 1.0,
            }
        }
        Wanted::Normal => Statistic::Normal {
            means: vec![1.0; c],
            covariance: vec![1.0; square],
            root: vec![0.0; square],
        },
        _ => Statistic::Moments {
            means: vec![1.0; c],
            variances: vec![1.0; c],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, DeviceOptions};

    /// With less memory than it needs whole a style is seen in bands, and its statistics are the same.
    #[test]
    fn statistics_of_a_picture_that_does_not_fit() {
        let rgb = (0..3 * 180 * 260).map(|i| {
            let row = (i / (3 * 180)) as f32 / 260.0;
            row * row * (0.5 + 0.5 * (i as f32 * 0.37).sin())
        });
        let image = Image::new(180, 260, rgb.collect()).expect("a picture");
        let find = |memory, covariances| {
            let device = Device::new(&DeviceOptions {
                device: Some("cpu".to_string()),
                memory,
                ..Default::default()
            });
            let device = device.expect("the processor");
            let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
            let layers = ["relu_conv1", "fire3/concat"];
            let nodes = layers.map(|layer| network.graph().find(layer).expect("a layer"));
            let found = of_picture(&network, &image, &Guides::new(), &nodes, covariances)
                .expect("statistics");
            (found, device.allocated().1)
        };
        for covariances in [false, true] {
            let (whole, needed) = find(None, covariances);
            let (banded, taken) = find(Some(needed / 2), covariances);
            assert!(taken <= needed / 2, "{taken} of {needed} bytes");
            for (banded, whole) in banded.iter().zip(&whole) {
                for (got, expected) in [
                    (&banded.means, &whole.means),
                    (&banded.spread, &whole.spread),
                ] {
                    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>();
                    let error = norm(&mut got.iter().zip(expected).map(|(a, b)| a - b));
                    let size = norm(&mut expected.iter().copied());
                    assert!(error.sqrt() <= 1e-5 * size.sqrt(), "{error:e} of {size:e}");
                }
            }
        }
    }
}
