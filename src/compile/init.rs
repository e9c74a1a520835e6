//! The image that the optimization starts from.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, StandardNormal};

use super::pictures::{Pictures, resized};
use crate::Error;
use crate::image::{Image, mean_std};
use crate::spec::{BallNorm, Init, ProjectionSpec, Recipe, RecipeError};
use crate::value::Rule;

/// The start images at `size`, `n` of them; `mean` is the networks' mean colour. Without `noise`: the pictures
/// themselves, where there are.
pub(crate) fn start(
    recipe: &Recipe,
    pictures: &Pictures,
    size: (u32, u32),
    n: u32,
    mean: [f32; 3],
) -> Result<Vec<Image>, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    let deviation = recipe.image.noise;
    Rule::NOT_NEGATIVE
        .check("noise", deviation)
        .map_err(RecipeError::Image)?;
    let normal = Normal::new(0.0, deviation).map_err(RecipeError::Statistics)?;
    let statistics = match recipe.image.init {
        Init::Stats => Some(style_statistics(recipe, pictures)?),
        _ => None,
    };
    (0..n as usize)
        .map(|i| {
            let mut image = one(recipe, pictures, size, i, mean, statistics, &mut rng)?;
            if deviation > 0.0 {
                for value in &mut image.rgb {
                    *value = (*value + normal.sample(&mut rng)).clamp(0.0, 1.0);
                }
            }
            Ok(image)
        })
        .collect()
}

/// The start of image `i` of a batch.
fn one(
    recipe: &Recipe,
    pictures: &Pictures,
    size: (u32, u32),
    i: usize,
    mean: [f32; 3],
    statistics: Option<[Normal<f32>; 3]>,
    rng: &mut ChaCha8Rng,
) -> Result<Image, Error> {
    let len = size.0 as usize * size.1 as usize * 3;
    let noise = |rgb: Vec<f32>| Ok(Image::new(size.0, size.1, rgb)?);
    match (&recipe.image.init, pictures.content(recipe)) {
        (Init::Picture(_) | Init::Pictures(_), _) => {
            match pictures.starts.get(i).or(pictures.starts.first()) {
                Some(picture) => resized(picture, size),
                None => Err(RecipeError::NoStart.into()),
            }
        }
        (Init::Content, Some(content)) => resized(content, size),
        (Init::Content | Init::Noise, _) => {
            noise((0..len).map(|_| rng.random_range(0.0..1.0)).collect())
        }
        (Init::Gray, _) => noise(
            (0..len)
                .map(|_| 0.5 + rng.random_range(0.0..1.0) / 255.0)
                .collect(),
        ),
        (Init::Mean, _) => noise((0..len).map(|i| mean[i % 3]).collect()),
        (Init::Stats, _) => {
            let channels = statistics.ok_or(RecipeError::NoStatistics)?;
            noise(
                (0..len)
                    .map(|i| channels[i % 3].sample(rng).clamp(0.0, 1.0))
                    .collect(),
            )
        }
    }
}

/// Random points of the balls around the images, where a projection asks for that: uniform in a cube (linf), or of a
/// uniform direction and radius (l2, as foolbox draws it).
pub(crate) fn random_in_balls(recipe: &Recipe, mut images: Vec<Image>) -> Vec<Image> {
    let ball = recipe.projections.iter().find_map(|p| match p {
        ProjectionSpec::Ball {
            norm,
            radius,
            random_start: true,
        } => Some((*norm, *radius)),
        _ => None,
    });
    let Some((norm, radius)) = ball else {
        return images;
    };
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed ^ 0xba11);
    for image in &mut images {
        let change: Vec<f32> = match norm {
            BallNorm::Linf => (0..image.rgb.len())
                .map(|_| rng.random_range(-radius..=radius))
                .collect(),
            BallNorm::L2 => {
                let normal: Vec<f64> = (0..image.rgb.len())
                    .map(|_| StandardNormal.sample(&mut rng))
                    .collect();
                let length = normal.iter().map(|v| v * v).sum::<f64>().sqrt();
                let scale = f64::from(radius) * rng.random_range(0.0..=1.0) / length.max(1e-30);
                normal.iter().map(|v| (v * scale) as f32).collect()
            }
        };
        for (value, change) in image.rgb.iter_mut().zip(change) {
            *value = (*value + change).clamp(0.0, 1.0);
        }
    }
    images
}

/// The distribution of each channel's values in the style pictures, evenly blended.
fn style_statistics(recipe: &Recipe, pictures: &Pictures) -> Result<[Normal<f32>; 3], RecipeError> {
    let styles: Vec<_> = recipe
        .terms
        .iter()
        .zip(&pictures.targets)
        .filter(|(term, _)| !term.kind.is_spatial())
        .flat_map(|(_, targets)| targets)
        .map(|picture| mean_std(picture))
        .collect();
    if styles.is_empty() {
        return Err(RecipeError::NoStatistics);
    }
    let count = styles.len() as f32;
    let channel = |c: usize| {
        Normal::new(
            styles.iter().map(|(mean, _)| mean[c]).sum::<f32>() / count,
            styles.iter().map(|(_, std)| std[c]).sum::<f32>() / count,
        )
        .map_err(RecipeError::Statistics)
    };
    Ok([channel(0)?, channel(1)?, channel(2)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Picture;

    #[test]
    fn the_same_seed_gives_the_same_noise() {
        let recipe = Recipe::texture(
            [Picture::from(
                Image::filled(4, 4, [0.2, 0.5, 0.7]).expect("an image"),
            )],
            9,
            7,
        );
        let pictures = Pictures::load(&recipe).expect("pictures in memory");
        let make = |seed| {
            start(&recipe.clone().seed(seed), &pictures, (9, 7), 1, [0.5; 3])
                .expect("noise")
                .remove(0)
                .rgb
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
