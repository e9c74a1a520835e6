//! The normal distributions that `wasserstein` compares with. The device gathers what they are made of, and the
//! processor factors the covariance in f64, once for each target.

use super::activations::{LayerMasks, record_kept, visited};
use crate::Error;
use crate::device::{Buffer, Device, Gemm, Real};
use crate::image::Image;
use crate::kernels::{Tensor, View};
use crate::net::NodeId;
use crate::objective::{Dispersion, Gathered, conclude_normal, covariance_factor, gather_normal};
use crate::plan::Network;

/// Means and covariances of a layer's feature vectors for one picture.
#[derive(Debug)]
pub(crate) struct OfPicture {
    /// [C].
    means: Vec<f64>,
    /// [C, C].
    covariance: Vec<f64>,
}

/// What [`crate::objective::Wasserstein`] compares with, on the device.
#[derive(Debug, Clone)]
pub(crate) struct Normal {
    /// [C⁺].
    pub means: Buffer,
    /// [C⁺, C⁺], see [`covariance_factor`].
    pub factor: Buffer,
}

/// The distribution of a picture at each of `nodes`, seen through the masks that there are.
pub(crate) async fn of_picture(
    network: &Network,
    image: &Image,
    masks: &LayerMasks,
    nodes: &[NodeId],
) -> Result<Vec<OfPicture>, Error> {
    type Kept = (Gathered, Option<(Tensor, Dispersion)>);
    let (loaded, found) = visited(
        network,
        image,
        nodes,
        |recording, node, x, band, kept: &mut Option<Kept>| {
            let mask = masks.get(&node);
            let (gathered, result) = kept.get_or_insert_default();
            gather_normal(recording, x, band, mask, gathered);
            if band.is_last() {
                let (means, dispersion) = conclude_normal(recording, band.layer, mask, gathered);
                let view = View::new(1, 1, 1, band.layer.c);
                let means = record_kept(recording, "means", means, view);
                let mut keep = |t: Tensor| record_kept(recording, "dispersion", t.value, t.view);
                let dispersion = match dispersion {
                    Dispersion::Deviations(tensor) => Dispersion::Deviations(keep(tensor)),
                    Dispersion::Covariances(tensor) => Dispersion::Covariances(keep(tensor)),
                };
                *result = Some((means, dispersion));
            }
        },
    )
    .await?;
    // By channel: [C, positions], or [C⁺, C⁺].
    let read = async |tensor: Tensor| -> Result<Vec<f64>, Error> {
        let values = loaded.read_async(tensor).await?;
        Ok(values.into_iter().map(f64::from).collect())
    };
    let mut pictures = Vec::new();
    for (means, dispersion) in found.into_iter().filter_map(|(_, result)| result) {
        let channels = means.view.c as usize;
        let covariance = match dispersion {
            Dispersion::Deviations(tensor) => mean_products(&read(tensor).await?, channels),
            Dispersion::Covariances(tensor) => {
                let side = channels.next_multiple_of(4);
                let all = read(tensor).await?;
                let rows = all.chunks_exact(side).take(channels);
                rows.flat_map(|row| &row[..channels]).copied().collect()
            }
        };
        pictures.push(OfPicture {
            means: read(means).await?,
            covariance,
        });
    }
    Ok(pictures)
}

/// The means of the products of all pairs of channels, [C, C].
fn mean_products(planes: &[f64], channels: usize) -> Vec<f64> {
    let positions = planes.len() / channels;
    let vectors: Vec<f64> = (0..planes.len())
        .map(|at| planes[at % channels * positions + at / channels])
        .collect();
    let mut products = vec![0.0; channels * channels];
    f64::gemm(Gemm {
        m: channels,
        k: positions,
        n: channels,
        dst: &mut products,
        dst_stride: channels,
        lhs: planes,
        lhs_stride: positions,
        lhs_step: 1,
        rhs: &vectors,
        rhs_stride: channels,
        accumulate: false,
    });
    products.iter_mut().for_each(|v| *v /= positions as f64);
    products
}

/// The normal distribution with the moments of a mixture of pictures, each with its share; the shares sum to 1. Raw
/// moments are averaged, so that the spread between the pictures' means counts as well:
/// Σ = Σₚ shareₚ·(Σₚ + (μₚ − μ)(μₚ − μ)ᵀ).
pub(crate) fn mixture(
    device: &Device,
    channels: u32,
    pictures: &[(&OfPicture, f64)],
) -> Result<Normal, Error> {
    let c = channels as usize;
    let mean = |i: usize| pictures.iter().map(|(p, share)| share * p.means[i]).sum();
    let means: Vec<f64> = (0..c).map(mean).collect();
    let mut covariance = vec![0.0; c * c];
    for (picture, share) in pictures {
        let apart: Vec<f64> = picture
            .means
            .iter()
            .zip(&means)
            .map(|(p, m)| p - m)
            .collect();
        for (at, sum) in covariance.iter_mut().enumerate() {
            *sum += share * (picture.covariance[at] + apart[at / c] * apart[at % c]);
        }
    }
    let mut padded: Vec<f32> = means.iter().map(|v| *v as f32).collect();
    padded.resize(c.next_multiple_of(4), 0.0);
    Ok(Normal {
        means: device.buffer_from("means", &padded)?,
        factor: device.buffer_from("covariance factor", &covariance_factor(&covariance, c))?,
    })
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::compile::activations::activations;
    use crate::device::DeviceOptions;

    /// A picture with rows of falling contrast, so that its bands differ.
    fn picture(width: u32, height: u32, seed: f32) -> Image {
        let value = |i: u32| {
            let row = (i / (3 * width)) as f32 / height as f32;
            0.5 + 0.5
                * (1.0 - 0.8 * row)
                * (seed + i as f32 * 0.73).sin()
                * (i as f32 * 0.011).cos()
        };
        let rgb = (0..3 * width * height).map(value).collect();
        Image::new(width, height, rgb).expect("a picture")
    }

    /// Whether numbers are near those that should be, in the Euclidean norm.
    fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
        assert_eq!(got.len(), expected.len(), "{what}");
        let error: f64 = got.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
        let size: f64 = expected.iter().map(|v| v * v).sum();
        let (error, size) = (error.sqrt(), size.sqrt());
        assert!(error <= tolerance * size, "{what}: {error:e} of {size:e}");
    }

    /// Two pictures with shares, where the deviations are kept (64 channels, 99 positions) and where covariances are
    /// (16 channels): against plain sums over all feature vectors.
    #[test]
    fn the_distribution_of_two_pictures_with_shares() {
        let device = Device::cpu();
        let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
        let shares = [0.75, 0.25];
        let pictures = [picture(24, 20, 1.0), picture(18, 23, 2.0)];
        for layer in ["relu_conv1", "fire2/squeeze1x1"] {
            let node = network.graph().find(layer).expect("a layer");
            let c = network.graph().node(node).channels as usize;
            let (mut means, mut raw) = (vec![0.0; c], vec![0.0; c * c]);
            for (image, share) in pictures.iter().zip(shares) {
                let found = block_on(activations(&network, std::slice::from_ref(image), &[node]));
                let (_, planes) = found.expect("activations").remove(0);
                let planes: Vec<f64> = planes.into_iter().map(f64::from).collect();
                let positions = planes.len() / c;
                for (i, plane) in planes.chunks_exact(positions).enumerate() {
                    means[i] += share * plane.iter().sum::<f64>() / positions as f64;
                }
                let products = mean_products(&planes, c);
                raw.iter_mut()
                    .zip(products)
                    .for_each(|(r, p)| *r += share * p);
            }
            let expected: Vec<f64> = (0..c * c)
                .map(|at| raw[at] - means[at / c] * means[at % c])
                .collect();
            let of = |image: &Image| {
                let found = block_on(of_picture(&network, image, &LayerMasks::new(), &[node]));
                found.expect("a distribution").remove(0)
            };
            let found: Vec<OfPicture> = pictures.iter().map(of).collect();
            let mixed: Vec<_> = found.iter().zip(shares).collect();
            let normal = mixture(&device, c as u32, &mixed).expect("a distribution");
            let read = |buffer: &Buffer| -> Vec<f64> {
                let values = device.download(buffer).expect("read back");
                values.into_iter().map(f64::from).collect()
            };
            assert_close(&read(&normal.means), &means, 1e-6, layer);
            let factor = read(&normal.factor);
            let square = |at: usize| -> f64 {
                let products = factor.chunks_exact(c).map(|row| row[at / c] * row[at % c]);
                products.sum()
            };
            let squares: Vec<f64> = (0..c * c).map(square).collect();
            let regular: Vec<f64> = (0..c * c)
                .map(|at| expected[at] + if at / c == at % c { 1e-4 } else { 0.0 })
                .collect();
            assert_close(&squares, &regular, 1e-5, layer);
        }
    }

    /// With less memory than it needs whole a picture is seen in bands, and its distribution is the same.
    #[test]
    fn the_distribution_of_a_picture_that_does_not_fit() {
        let image = picture(180, 260, 0.0);
        let find = |memory| {
            let options = DeviceOptions {
                device: Some("cpu".to_string()),
                memory,
                ..Default::default()
            };
            let device = Device::new(&options).expect("the processor");
            let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
            let layers = ["relu_conv1", "fire6/concat"];
            let nodes = layers.map(|layer| network.graph().find(layer).expect("a layer"));
            let found = block_on(of_picture(&network, &image, &LayerMasks::new(), &nodes));
            (found.expect("distributions"), device.allocated().1)
        };
        let (whole, needed) = find(None);
        // The deviations of the deeper layer stay whole: two thirds are less than they and a band need.
        let memory = needed * 4 / 5;
        let (banded, taken) = find(Some(memory));
        assert!(taken <= memory, "{taken} of {needed} bytes");
        for (got, expected) in banded.iter().zip(&whole) {
            assert_close(&got.means, &expected.means, 1e-5, "means");
            assert_close(&got.covariance, &expected.covariance, 1e-5, "covariance");
        }
    }
}
