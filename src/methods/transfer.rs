//! Whether images made to mislead one network mislead others: the tables 2 to 4 of Szegedy et al. 2013.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use super::MethodError;
use crate::Error;
use crate::image::Image;
use crate::methods::attack::{Aim, Attack, Distance, Watch};
use crate::methods::blocking::{attack, top_one};
use crate::plan::Network;
use crate::value::Rule;

/// What [`transfer`] finds.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Of the images as the attack made them, and of all changes scaled to one root mean square.
    pub tables: [TransferTable; 2],
    /// The images as the attack made them, for each network by its name, in the order of the originals.
    pub made: Vec<(String, Vec<Image>)>,
}

/// How often the networks change their minds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferTable {
    /// Root mean square of all changes, in units of the `[0,1]` image; absent: as the attack made them.
    pub rms: Option<f64>,
    /// One for each network, one of noise, one of the images themselves.
    pub rows: Vec<TransferRow>,
}

/// What one kind of changed images does to every network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferRow {
    /// The network that the images were made for, `noise` or `original`.
    pub made_for: String,
    /// Mean over the images of the change's root mean square.
    pub mean_rms: f64,
    /// For each network the fraction of images for which it sees something other than in the original.
    pub fooled: Vec<f64>,
}

/// Makes adversarial images for each of the networks and shows them to all: as they are, and with all changes scaled to
/// one root mean square. Noise is Gaussian; in the first table each image's has the mean of the norms of its changes.
///
/// `begin` is told the name of the network that comes next.
///
/// # Errors
/// As [`attack`]; [`Error::Method`] without an image or a network, or where `rms` is no positive number.
pub fn transfer(
    networks: &[(String, Network)],
    images: &[Image],
    numbers: &Attack,
    rms: f64,
    begin: &mut dyn FnMut(&str),
    watch: &mut Watch<'_>,
) -> Result<Transfer, Error> {
    if networks.is_empty() || images.is_empty() {
        return Err(MethodError::NothingToTransfer.into());
    }
    Rule::Positive
        .check("rms", rms)
        // No two images of [0,1] are farther apart.
        .and_then(|()| Rule::Within(0.0, 1.0).check("rms", rms))
        .map_err(MethodError::Transfer)?;
    let clean = networks
        .iter()
        .map(|(_, network)| classes(network, images))
        .collect::<Result<Vec<_>, _>>()?;
    let mut made = Vec::new();
    for (name, network) in networks {
        begin(name);
        let results = attack(network, images, &Aim::Leave, numbers, watch)?;
        let changed: Vec<Image> = results.into_iter().map(|result| result.image).collect();
        made.push((name.clone(), changed));
    }
    // The mean norm of each image's changes.
    let norms: Vec<f64> = (0..images.len())
        .map(|i| {
            let of = |(_, changed): &(String, Vec<Image>)| {
                Distance::between(&images[i], &changed[i]).rms
            };
            made.iter().map(of).sum::<f64>() / made.len() as f64
        })
        .collect();
    let noise = noisy(images, numbers.seed);
    let rescaled = |changed: &[Image], rms: &dyn Fn(usize) -> f64| -> Vec<Image> {
        let each = images.iter().zip(changed).enumerate();
        each.map(|(i, (image, changed))| at_rms(image, changed, rms(i)))
            .collect()
    };
    let noise_row = ("noise".to_string(), rescaled(&noise, &|i| norms[i]));
    let original = ("original".to_string(), images.to_vec());
    let all_at_rms: Vec<(String, Vec<Image>)> = made
        .iter()
        .map(|(name, changed)| (name.clone(), rescaled(changed, &|_| rms)))
        .chain([
            ("noise".to_string(), rescaled(&noise, &|_| rms)),
            original.clone(),
        ])
        .collect();
    let rows = made.iter().cloned().chain([noise_row, original]).collect();
    let table = |rms, rows: Vec<(String, Vec<Image>)>| {
        let row = |(made_for, changed): (String, Vec<Image>)| {
            let fooled = networks
                .iter()
                .zip(&clean)
                .map(|((_, network), before)| {
                    let now = classes(network, &changed)?;
                    let fooled = now.iter().zip(before).filter(|(now, before)| now != before);
                    Ok(fooled.count() as f64 / images.len() as f64)
                })
                .collect::<Result<Vec<_>, Error>>()?;
            let distances = images.iter().zip(&changed);
            let sum: f64 = distances.map(|(a, b)| Distance::between(a, b).rms).sum();
            Ok(TransferRow {
                made_for,
                mean_rms: sum / images.len() as f64,
                fooled,
            })
        };
        let rows = rows.into_iter().map(row).collect::<Result<Vec<_>, Error>>();
        Ok::<_, Error>(TransferTable { rms, rows: rows? })
    };
    Ok(Transfer {
        tables: [table(None, rows)?, table(Some(rms), all_at_rms)?],
        made,
    })
}

fn classes(network: &Network, images: &[Image]) -> Result<Vec<usize>, Error> {
    let scores = top_one(network, images)?;
    Ok(scores.into_iter().map(|score| score.class).collect())
}

/// The images with normal noise of deviation 1 on top, not clamped: a direction to scale.
fn noisy(images: &[Image], seed: u64) -> Vec<Image> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6a055);
    let mut images = images.to_vec();
    for value in images.iter_mut().flat_map(|image| &mut image.rgb) {
        let noise: f32 = StandardNormal.sample(&mut rng);
        *value += noise;
    }
    images
}

/// `from` moved towards `to`, or beyond, until the root mean square of the change is `rms`; values stay in `[0,1]`,
/// which the length of the way makes up for as far as it can.
fn at_rms(from: &Image, to: &Image, rms: f64) -> Image {
    let full = Distance::between(from, to).rms;
    if full == 0.0 {
        return from.clone();
    }
    let moved = |factor: f64| {
        let mut image = from.clone();
        for (value, to) in image.rgb.iter_mut().zip(&to.rgb) {
            let way = f64::from(*to - *value);
            *value = (f64::from(*value) + factor * way).clamp(0.0, 1.0) as f32;
        }
        image
    };
    let mut factor = rms / full;
    let mut image = moved(factor);
    for _ in 0..20 {
        let reached = Distance::between(from, &image).rms;
        if reached >= rms * (1.0 - 1e-4) || reached == 0.0 {
            break;
        }
        factor *= rms / reached;
        image = moved(factor);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_get_the_length_asked_for() {
        let values = (0..300).map(|i| f32::from(i as u8 % 11) / 10.0).collect();
        let image = Image::new(10, 10, values).expect("an image");
        for noise in noisy(&[image.clone(), image.clone()], 3) {
            for rms in [0.001, 0.03, 0.2] {
                let moved = at_rms(&image, &noise, rms);
                let reached = Distance::between(&image, &moved).rms;
                assert!((reached / rms - 1.0).abs() < 1e-3, "{reached} for {rms}");
                assert!(moved.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
            }
        }
        assert_eq!(at_rms(&image, &image, 0.1), image, "no way to go");
    }
}
