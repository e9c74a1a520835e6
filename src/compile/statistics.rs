//! Statistics of target pictures, computed on the device and left there.

use super::activations::{LayerMasks, record_copy, record_kept, run_once, visited};
use crate::Error;
use crate::device::{Buffer, Device, Given, Kind, Recording};
use crate::image::Image;
use crate::kernels::{Combine, Fill, Pick, Tensor, VectorKernel, View, record_moments};
use crate::net::NodeId;
use crate::objective::{
    Gathered, Loss, MMD_EXACT, Moments, Spread, Term, VectorSet, conclude_moments, evenly_spread,
    gather_moments, record_goal, record_mixture, record_similarity, record_value, spread_view,
};
use crate::plan::Network;
use crate::spec::terms::{TermError, TermProblem};

/// Means and variances of a layer's feature vectors for one picture, on the device.
#[derive(Debug, Clone)]
pub(crate) struct OfPicture {
    /// [C⁺].
    means: Buffer,
    /// [C⁺].
    variances: Buffer,
}

/// The statistics of a picture at each of `nodes`, seen through the masks that there are.
pub(crate) async fn of_picture(
    network: &Network,
    image: &Image,
    masks: &LayerMasks,
    nodes: &[NodeId],
) -> Result<Vec<OfPicture>, Error> {
    type Kept = (Gathered, Option<[Tensor; 2]>);
    let (loaded, found) = visited(
        network,
        image,
        nodes,
        |recording, node, x, band, kept: &mut Option<Kept>| {
            let (gathered, result) = kept.get_or_insert_default();
            let spread = Spread::Variances;
            gather_moments(recording, x, band, masks.get(&node), Some(spread), gathered);
            if band.is_last() {
                let moments = conclude_moments(recording, band.layer, spread, gathered);
                let view = spread_view(spread, band.layer);
                *result = Some([
                    record_kept(recording, "means", moments.means, view),
                    record_kept(recording, "variances", moments.spread, view),
                ]);
            }
        },
    )
    .await?;
    let buffers = |(_, kept): Kept| {
        let [means, variances] = kept?.map(|tensor| loaded.buffer(tensor.value).clone());
        Some(OfPicture { means, variances })
    };
    Ok(found.into_iter().filter_map(buffers).collect())
}

/// Records the moments of a mixture of pictures, each with its share.
fn record_mixed(
    recording: &mut Recording,
    channels: u32,
    pictures: &[(&OfPicture, f64)],
) -> Moments {
    let of_pictures: Vec<_> = pictures
        .iter()
        .map(|(picture, share)| {
            let moments = Moments {
                means: recording.given("means", picture.means.clone()),
                spread: recording.given("variances", picture.variances.clone()),
            };
            (moments, *share)
        })
        .collect();
    match of_pictures[..] {
        [(moments, _)] => moments,
        _ => record_mixture(recording, channels, &of_pictures),
    }
}

/// Means and variances of a mixture, as [`crate::objective::ChannelStatistics`] is compared with: [2, C⁺].
pub(crate) async fn goal(
    device: &Device,
    channels: u32,
    pictures: &[(&OfPicture, f64)],
) -> Result<Buffer, Error> {
    let mut recording = Recording::new();
    let mixed = record_mixed(&mut recording, channels, pictures);
    let view = View::new(1, 1, 1, channels);
    let tensor = |value| Tensor { value, view };
    let goal = record_goal(&mut recording, tensor(mixed.means), tensor(mixed.spread));
    Ok(run_once(device, recording)
        .await?
        .buffer(goal.value)
        .clone())
}

/// Half the mean squared distance of two feature vectors of a mixture, the sum of the channels' variances: σ² of a
/// gaussian kernel.
pub(crate) async fn variance(
    device: &Device,
    channels: u32,
    pictures: &[(&OfPicture, f64)],
) -> Result<f64, Error> {
    let mut recording = Recording::new();
    let mixed = record_mixed(&mut recording, channels, pictures);
    let variances = Tensor {
        value: mixed.spread,
        view: View::new(1, 1, 1, channels),
    };
    let sums = record_moments(&mut recording, "variance", variances, [0.0; 4]);
    let sums = record_kept(&mut recording, "variance", sums, View::new(1, 1, 1, 4));
    Ok(f64::from(
        run_once(device, recording).await?.read_async(sums).await?[1],
    ))
}

/// The weighted sum of Gram matrices of a layer, [C⁺, C⁺].
pub(crate) async fn blended(device: &Device, grams: &[(&Buffer, f64)]) -> Result<Buffer, Error> {
    let [(first, _), ..] = grams else {
        let kind = "gram".to_string();
        let problem = TermProblem::NoTarget;
        return Err(TermError { kind, problem }.into());
    };
    if grams.len() == 1 {
        return Ok((*first).clone());
    }
    let mut recording = Recording::new();
    let len = first.len();
    let sum = recording.persistent("gram", Kind::Real, len);
    let len = len as u32;
    recording.call("gram", Fill { len, value: 0.0 }, &[sum]);
    for (gram, share) in grams {
        let gram = recording.given("gram", (*gram).clone());
        let add = Combine {
            len,
            alpha: *share as f32,
            beta: 1.0,
        };
        recording.call("gram", add, &[gram, sum]);
    }
    Ok(run_once(device, recording).await?.buffer(sum).clone())
}

/// The feature vectors of pictures at each of `nodes`, those that the node's set has, one picture's after the other's.
pub(crate) async fn vectors(
    network: &Network,
    pictures: &[&Image],
    nodes: &[NodeId],
    sets: &[VectorSet],
) -> Result<Vec<Buffer>, Error> {
    let device = network.device();
    let buffers = sets
        .iter()
        .map(|set| device.buffer("mmd vectors", Kind::Real, set.view.len()))
        .collect::<Result<Vec<_>, _>>()?;
    for (number, picture) in pictures.iter().enumerate() {
        visited(
            network,
            picture,
            nodes,
            |recording, node, x, band, _: &mut Option<()>| {
                for (i, _) in nodes.iter().enumerate().filter(|(_, at)| **at == node) {
                    let set = &sets[i];
                    let [first, count] = [0, 1].map(|word| set.segments[number * 3 + word]);
                    let positions = band.layer.h * band.layer.w;
                    let (begin, end) = (band.first * x.view.w, (band.first + x.view.h) * x.view.w);
                    let chosen = evenly_spread(positions, count);
                    let before = chosen.partition_point(|position| *position < begin);
                    let own = &chosen[before..chosen.partition_point(|position| *position < end)];
                    if own.is_empty() {
                        continue;
                    }
                    let picked = Tensor::transient(
                        recording,
                        "picked",
                        View::new(1, own.len() as u32, 1, x.view.c),
                    );
                    let words: Vec<u32> = own.iter().map(|position| position - begin).collect();
                    let given = Given::made_by(Kind::Word, words.len(), {
                        let device = device.clone();
                        move || {
                            let buffer = device.buffer("picked", Kind::Word, words.len())?;
                            device.upload_words(&buffer, &words)?;
                            Ok(buffer)
                        }
                    });
                    let words = recording.given("picked", given);
                    let pick = Pick {
                        x: x.view,
                        y: picked.view,
                    };
                    recording.call("picked", pick, &[words, x.value, picked.value]);
                    let all = Tensor {
                        value: recording.given("mmd vectors", buffers[i].clone()),
                        view: View::new(1, set.count(), 1, x.view.c),
                    };
                    record_copy(recording, "mmd vectors", picked, all, first + before as u32);
                }
            },
        )
        .await?;
    }
    Ok(buffers)
}

/// mean k(s, s') of the vectors of a set.
pub(crate) async fn similarity(
    device: &Device,
    kernel: &VectorKernel,
    set: &VectorSet,
    vectors: &Buffer,
) -> Result<f64, Error> {
    let (thin, chosen) = set.thinned(MMD_EXACT);
    let mut recording = Recording::new();
    let words = device.buffer("picked", Kind::Word, chosen.len())?;
    device.upload_words(&words, &chosen)?;
    let words = recording.given("picked", words);
    let all = recording.given("mmd vectors", vectors.clone());
    let picked = Tensor::transient(&mut recording, "picked", thin.view);
    let pick = Pick {
        x: set.view,
        y: thin.view,
    };
    recording.call("picked", pick, &[words, all, picked.value]);
    let weights = device.buffer_from("weights", &thin.padded_weights())?;
    let weights = recording.given("weights", weights);
    let values = record_similarity(&mut recording, kernel, picked, weights);
    let values = record_kept(
        &mut recording,
        "similarities",
        values,
        View::new(1, 1, 1, thin.count()),
    );
    let loaded = run_once(device, recording).await?;
    let values = loaded.read_async(values).await?;
    let products = values.iter().zip(&thin.weights);
    Ok(products.map(|(v, w)| f64::from(*v) * f64::from(*w)).sum())
}

/// The value of a term at a layer of `channels` channels whose activations are all 0. It is the same for any number of
/// positions, so the layer has one.
pub(crate) async fn value_at_zero(
    device: &Device,
    term: &dyn Term,
    channels: u32,
) -> Result<f64, Error> {
    let mut recording = Recording::new();
    let x = Tensor::transient(&mut recording, "zero", View::new(1, 1, 1, channels));
    let fill = Fill {
        len: x.view.len() as u32,
        value: 0.0,
    };
    recording.call("zero", fill, &[x.value]);
    let loss = Loss {
        losses: recording.persistent("value", Kind::Real, 1),
        slots: 1,
        slot: 0,
        step: recording.persistent("step", Kind::Word, 1),
    };
    let _ = record_value(&mut recording, term, x, loss);
    let loaded = run_once(device, recording).await?;
    Ok(f64::from(
        device.download_async(loaded.buffer(loss.losses)).await?[0],
    ))
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::compile::activations::activations;
    use crate::device::DeviceOptions;
    use crate::objective::Gram;

    /// With less memory than it needs whole a style is seen in bands, and its statistics are the same.
    #[test]
    fn statistics_of_a_picture_that_does_not_fit() {
        let rgb = (0..3 * 180 * 260).map(|i| {
            let row = (i / (3 * 180)) as f32 / 260.0;
            row * row * (0.5 + 0.5 * (i as f32 * 0.37).sin())
        });
        let image = Image::new(180, 260, rgb.collect()).expect("a picture");
        let find = |memory| {
            let device = Device::new(&DeviceOptions {
                device: Some("cpu".to_string()),
                memory,
                ..Default::default()
            });
            let device = device.expect("the processor");
            let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
            let layers = ["relu_conv1", "fire3/concat"];
            let nodes = layers.map(|layer| network.graph().find(layer).expect("a layer"));
            let found = block_on(of_picture(&network, &image, &LayerMasks::new(), &nodes));
            let read = |buffer: &Buffer| device.download(buffer).expect("read back");
            let found = found.expect("statistics").into_iter();
            let found: Vec<_> = found
                .map(|f| [read(&f.means), read(&f.variances)])
                .collect();
            (found, device.allocated().1)
        };
        let (whole, needed) = find(None);
        let (banded, taken) = find(Some(needed / 2));
        assert!(taken <= needed / 2, "{taken} of {needed} bytes");
        for (got, expected) in banded.iter().flatten().zip(whole.iter().flatten()) {
            let expected: Vec<f64> = expected.iter().map(|v| f64::from(*v)).collect();
            assert_close(got, &expected, 1e-5, "in bands");
        }
    }

    /// Feature vectors of two small pictures at a layer, `[position][channel]`, and the pictures.
    fn two_pictures(network: &Network, node: NodeId) -> Vec<(Image, Vec<Vec<f64>>)> {
        let picture = |width: u32, height: u32, seed: f32| {
            let value =
                |i: u32| 0.5 + 0.5 * (seed + i as f32 * 0.73).sin() * (i as f32 * 0.011).cos();
            Image::new(width, height, (0..3 * width * height).map(value).collect())
        };
        let pictures = [picture(24, 17, 1.0), picture(15, 21, 2.0)];
        let vectors = |image: Image| {
            let found = block_on(activations(network, std::slice::from_ref(&image), &[node]));
            let (shape, planes) = found.expect("activations").remove(0);
            let positions = (shape.height * shape.width) as usize;
            let vector = |i: usize| {
                let channels = 0..shape.channels as usize;
                channels
                    .map(|c| f64::from(planes[c * positions + i]))
                    .collect()
            };
            (image, (0..positions).map(vector).collect())
        };
        pictures
            .map(|picture| vectors(picture.expect("a picture")))
            .into()
    }

    fn assert_close(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let difference = got.iter().zip(expected).map(|(a, b)| f64::from(*a) - b);
        let error = square(&mut difference.into_iter()).sqrt();
        let size = square(&mut expected.iter().copied()).sqrt();
        assert!(
            error <= tolerance * size,
            "{what}: off by {error:e} of {size:e}"
        );
    }

    /// Mixtures of pictures, and their vectors: against plain sums in f64.
    #[test]
    fn statistics_of_two_pictures_with_shares() {
        let device = Device::cpu();
        let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
        let node = network.graph().find("fire2/squeeze1x1").expect("a layer");
        let c = network.graph().node(node).channels as usize;
        let shares = [0.75, 0.25];
        let pictures = two_pictures(&network, node);
        let weighted = || {
            let of_picture = pictures.iter().zip(shares);
            of_picture.flat_map(|((_, vectors), share)| {
                let each = share / vectors.len() as f64;
                vectors.iter().map(move |vector| (vector, each))
            })
        };
        let mut means = vec![0.0; c];
        for (vector, weight) in weighted() {
            means
                .iter_mut()
                .zip(vector)
                .for_each(|(m, v)| *m += weight * v);
        }
        let mut variances = vec![0.0; c];
        for (vector, weight) in weighted() {
            for (i, variance) in variances.iter_mut().enumerate() {
                *variance += weight * (vector[i] - means[i]).powi(2);
            }
        }

        let of = |(image, _): &(Image, _)| {
            let found = block_on(of_picture(&network, image, &LayerMasks::new(), &[node]));
            found.expect("statistics").remove(0)
        };
        let found: Vec<OfPicture> = pictures.iter().map(of).collect();
        let read = |buffer: &Buffer| device.download(buffer).expect("read back");
        let mixture: Vec<_> = found.iter().zip(shares).collect();
        let goal = read(&block_on(goal(&device, c as u32, &mixture)).expect("a goal"));
        let expected: Vec<f64> = means.iter().chain(&variances).copied().collect();
        assert_close(&goal, &expected, 1e-5, "means and variances");
        let variance = block_on(variance(&device, c as u32, &mixture)).expect("a variance");
        let expected = variances.iter().sum::<f64>();
        assert!(
            (variance - expected).abs() < 1e-5 * expected,
            "{variance} {expected}"
        );

        let positions = |(_, vectors): &(Image, Vec<Vec<f64>>)| vectors.len() as u32;
        let counted: Vec<_> = pictures.iter().map(positions).zip(shares).collect();
        let set = VectorSet::new(c as u32, &counted);
        let images: Vec<&Image> = pictures.iter().map(|(image, _)| image).collect();
        let sets = std::slice::from_ref(&set);
        let kept = block_on(vectors(&network, &images, &[node], sets))
            .expect("vectors")
            .remove(0);
        let all: Vec<f64> = weighted().flat_map(|(vector, _)| vector.clone()).collect();
        assert_close(&read(&kept), &all, 1e-6, "vectors");
        let kernel = VectorKernel::Polynomial {
            constant: 0.5,
            degree: 2,
        };
        let got = block_on(similarity(&device, &kernel, &set, &kept)).expect("a similarity");
        let mut expected = 0.0;
        for ((x, u), (y, v)) in weighted().flat_map(|x| weighted().map(move |y| (x, y))) {
            let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
            expected += u * v * (product + 0.5).powi(2);
        }
        assert!((got - expected).abs() < 1e-5 * expected, "{got} {expected}");
    }

    /// Gram matrices are blended, and a term's value at zero is that of its formula.
    #[test]
    fn a_gram_term_at_zero() {
        let device = Device::cpu();
        let upload = |values: &[f32]| device.buffer_from("gram", values).expect("it fits");
        let (a, b) = (upload(&[1.0; 16]), upload(&[3.0; 16]));
        let blended = block_on(blended(&device, &[(&a, 0.25), (&b, 0.75)])).expect("a blend");
        assert_eq!(device.download(&blended).expect("read back"), [2.5; 16]);
        let term = Gram::new(blended, 4, 1.0);
        let value = block_on(value_at_zero(&device, &term, 4)).expect("a value");
        assert!(
            (value - 16.0 * 2.5 * 2.5 / (4.0 * 16.0)).abs() < 1e-6,
            "{value}"
        );
    }
}
