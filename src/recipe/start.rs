//! The first image, and the sizes of all scales.

use std::sync::Arc;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::targets::resized;
use super::{Init, Recipe, TermKind};
use crate::Error;
use crate::image::{Image, mean_std, size_for_long_side};
use crate::kernels::MAX_SIDE;

/// The pictures of a recipe, read once.
#[derive(Debug)]
pub(super) struct Pictures {
    /// For each term its targets.
    pub targets: Vec<Vec<Arc<Image>>>,
    /// The start image, where a picture is.
    pub start: Option<Arc<Image>>,
}

impl Pictures {
    pub fn load(recipe: &Recipe) -> Result<Self, Error> {
        let targets = recipe
            .terms
            .iter()
            .map(|term| {
                term.target
                    .iter()
                    .map(super::Picture::load)
                    .collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let start = match &recipe.image.init {
            Init::Picture(picture) => Some(picture.load()?),
            _ => None,
        };
        Ok(Self { targets, start })
    }

    /// The content term's target.
    pub fn content(&self, recipe: &Recipe) -> Option<&Arc<Image>> {
        let index = recipe
            .terms
            .iter()
            .position(|t| t.kind == TermKind::Content)?;
        self.targets[index].first()
    }

    /// The picture that gives the result its shape and its alpha: the content, else the start image.
    pub fn shape(&self, recipe: &Recipe) -> Option<&Arc<Image>> {
        self.content(recipe).or(self.start.as_ref())
    }
}

/// Width and height of every scale in pixels, coarsest first: the long side shrinks by √2 from one to the next.
pub(super) fn scales(recipe: &Recipe, pictures: &Pictures) -> Result<Vec<(u32, u32)>, Error> {
    let spec = &recipe.image;
    let positive = |value: Option<u32>, name: &str| match value {
        Some(side) if !(1..=MAX_SIDE).contains(&side) => Err(Error::Recipe(format!(
            "`{name}` is {side}; it is a number of pixels, from 1 to {MAX_SIDE}"
        ))),
        other => Ok(other),
    };
    let (size, min_size) = (
        positive(spec.size, "size")?,
        positive(spec.min_size, "min_size")?,
    );
    let (width, height) = (
        positive(spec.width, "width")?,
        positive(spec.height, "height")?,
    );
    let last = match (width, height, pictures.shape(recipe)) {
        (Some(width), Some(height), None) if size.is_none() => (width, height),
        (Some(_), Some(_), None) => {
            return Err(Error::Recipe(
                "give either `size` or `width` and `height`, not both".to_string(),
            ));
        }
        (None, None, Some(picture)) => {
            let (w, h) = picture.size();
            size.map_or((w, h), |size| size_for_long_side(w, h, size))
        }
        (None, None, None) => size.map(|s| (s, s)).unwrap_or((256, 256)),
        (Some(_), Some(_), Some(_)) => {
            return Err(Error::Recipe(
                "`width` and `height` are for a result without a content or start picture; use `size`".to_string(),
            ));
        }
        _ => {
            return Err(Error::Recipe(
                "`width` and `height` go together".to_string(),
            ));
        }
    };
    let long = last.0.max(last.1);
    let mut scales = vec![last];
    for i in 1.. {
        let coarser = f64::from(long) / 2f64.powf(f64::from(i) / 2.0);
        match min_size {
            Some(min) if coarser >= f64::from(min) - 0.5 => {
                scales.push(size_for_long_side(last.0, last.1, coarser.round() as u32));
            }
            _ => break,
        }
    }
    scales.reverse();
    // Scales of a pixel or two may round to the same size.
    scales.dedup();
    Ok(scales)
}

/// The start image at `size`.
pub(super) fn start(
    recipe: &Recipe,
    pictures: &Pictures,
    size: (u32, u32),
) -> Result<Image, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    let len = size.0 as usize * size.1 as usize * 3;
    let noise = |rgb: Vec<f32>| Ok(Image::new(size.0, size.1, rgb)?);
    match (&recipe.image.init, pictures.content(recipe)) {
        (Init::Picture(_), _) => match &pictures.start {
            Some(picture) => resized(picture, size),
            None => Err(Error::Recipe(
                "the start picture has not been read".to_string(),
            )),
        },
        (Init::Content, Some(content)) => resized(content, size),
        (Init::Content | Init::Noise, _) => {
            noise((0..len).map(|_| rng.random_range(0.0..1.0)).collect())
        }
        (Init::Gray, _) => noise(
            (0..len)
                .map(|_| 0.5 + rng.random_range(0.0..1.0) / 255.0)
                .collect(),
        ),
        (Init::Stats, _) => {
            let styles: Vec<_> = recipe
                .terms
                .iter()
                .zip(&pictures.targets)
                .filter(|(term, _)| term.kind != TermKind::Content)
                .flat_map(|(_, targets)| targets)
                .map(|picture| mean_std(picture))
                .collect();
            if styles.is_empty() {
                return Err(Error::Recipe(
                    "the start `stats` needs a style picture to take them from".to_string(),
                ));
            }
            let count = styles.len() as f32;
            let channels = [0, 1, 2]
                .map(|c| {
                    let mean = styles.iter().map(|(mean, _)| mean[c]).sum::<f32>() / count;
                    Normal::new(
                        mean,
                        styles.iter().map(|(_, std)| std[c]).sum::<f32>() / count,
                    )
                })
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| {
                    Error::Recipe(format!("the style pictures have no statistics: {e}"))
                })?;
            noise(
                (0..len)
                    .map(|i| channels[i % 3].sample(&mut rng).clamp(0.0, 1.0))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Picture;

    fn sizes(size: Option<u32>, min_size: Option<u32>, picture: (u32, u32)) -> Vec<(u32, u32)> {
        let image = Image::filled(picture.0, picture.1, [0.5; 3]).expect("an image");
        let mut recipe = Recipe::style(Picture::from(image.clone()), [Picture::from(image)]);
        recipe.image.size = size;
        recipe.image.min_size = min_size;
        let pictures = Pictures::load(&recipe).expect("pictures in memory");
        scales(&recipe, &pictures).expect("valid sizes")
    }

    #[test]
    fn scales_shrink_by_the_square_root_of_two() {
        assert_eq!(
            sizes(Some(256), Some(128), (512, 512)),
            [(128, 128), (181, 181), (256, 256)]
        );
        assert_eq!(
            sizes(Some(256), Some(129), (512, 512)),
            [(181, 181), (256, 256)]
        );
        assert_eq!(sizes(Some(100), Some(128), (200, 100)), [(100, 50)]);
        assert_eq!(sizes(None, None, (31, 17)), [(31, 17)]);
        assert_eq!(sizes(None, Some(1), (3, 1)), [(1, 1), (2, 1), (3, 1)]);
    }

    #[test]
    fn sizes_that_no_image_has_are_refused() {
        let image = Image::filled(4, 4, [0.5; 3]).expect("an image");
        let recipe = Recipe::style(Picture::from(image.clone()), [Picture::from(image)]);
        let pictures = Pictures::load(&recipe).expect("pictures in memory");
        for size in [0, MAX_SIDE + 1, u32::MAX] {
            assert!(
                scales(&recipe.clone().size(size), &pictures).is_err(),
                "{size}"
            );
        }
        assert!(scales(&recipe.size(MAX_SIDE), &pictures).is_ok());
    }

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
            start(&recipe.clone().seed(seed), &pictures, (9, 7))
                .expect("noise")
                .rgb
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
