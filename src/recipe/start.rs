//! The first image, and the sizes of all scales.

use std::sync::Arc;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, StandardNormal};

use super::masks::Masks;
use super::{BallNorm, Init, PreserveColor, ProjectionSpec, Recipe};
use crate::Error;
use crate::image::{Filter, Image, gray_like, match_colours, mean_std, size_for_long_side};
use crate::kernels::MAX_SIDE;

/// The pictures of a recipe, read once.
#[derive(Debug)]
pub(super) struct Pictures {
    /// For each term its targets.
    pub targets: Vec<Vec<Arc<Image>>>,
    /// The start images, where pictures are.
    pub starts: Vec<Arc<Image>>,
    /// For each term its masks.
    pub masks: Vec<Masks>,
    /// The content as it was, where the result gets its chroma.
    pub chroma: Option<Arc<Image>>,
    /// All as they were read, in the order in which the recipe names them.
    named: Vec<Arc<Image>>,
}

impl Pictures {
    pub fn load(recipe: &Recipe) -> Result<Self, Error> {
        let mut named = Vec::new();
        let mut read = |picture: &super::Picture| {
            let image = picture.load()?;
            named.push(Arc::clone(&image));
            Ok(image)
        };
        let starts = recipe.image.init.pictures().iter().map(&mut read);
        let starts = starts.collect::<Result<Vec<_>, Error>>()?;
        let (mut targets, mut masks) = (Vec::new(), Vec::new());
        for term in &recipe.terms {
            let own = term.target.iter().map(&mut read);
            targets.push(own.collect::<Result<Vec<_>, Error>>()?);
            masks.push(Masks::load(term, &mut read)?);
        }
        let mut pictures = Self {
            targets,
            starts,
            masks,
            chroma: None,
            named,
        };
        pictures.preserve_colour(recipe)?;
        Ok(pictures)
    }

    /// Takes the colours out of the pictures that are not to bring theirs, see [`PreserveColor`].
    fn preserve_colour(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let mode = recipe.image.preserve_color;
        if mode == PreserveColor::Off {
            return Ok(());
        }
        let content = self.content(recipe).cloned().ok_or_else(|| {
            Error::Recipe(
                "`preserve_color` needs a term `content`, whose target's colours are kept"
                    .to_string(),
            )
        })?;
        let luma = mode == PreserveColor::Luma;
        for (term, targets) in recipe.terms.iter().zip(&mut self.targets) {
            for target in targets {
                *target = match (term.kind.is_spatial(), luma) {
                    (true, true) => Arc::new(gray_like(target, target)),
                    (true, false) => continue,
                    (false, true) => Arc::new(gray_like(target, &content)),
                    (false, false) => Arc::new(match_colours(target, &content).clamp()),
                };
            }
        }
        if luma {
            for start in &mut self.starts {
                *start = Arc::new(gray_like(start, start));
            }
            self.chroma = Some(content);
        }
        Ok(())
    }

    /// The same with every target that is compared position by position brought to `size`; the others are the very same.
    pub fn at(&self, recipe: &Recipe, size: (u32, u32)) -> Result<Self, Error> {
        let mut targets = self.targets.clone();
        for (term, targets) in recipe.terms.iter().zip(&mut targets) {
            if term.kind.is_spatial() {
                for target in targets.iter_mut().filter(|t| t.size() != size) {
                    *target = Arc::new(resized(target, size)?);
                }
            }
        }
        Ok(Self {
            targets,
            starts: self.starts.clone(),
            masks: self.masks.clone(),
            chroma: self.chroma.clone(),
            named: self.named.clone(),
        })
    }

    /// All of them as they were read, in the order in which the recipe names its pictures.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.named.iter()
    }

    /// The target of the term that compares position by position.
    pub fn content(&self, recipe: &Recipe) -> Option<&Arc<Image>> {
        let index = recipe.terms.iter().position(|t| t.kind.is_spatial())?;
        self.targets[index].first()
    }

    /// The picture that gives the result its shape and its alpha: the content, else the start image.
    pub fn shape(&self, recipe: &Recipe) -> Option<&Arc<Image>> {
        self.content(recipe).or(self.starts.first())
    }
}

/// Images optimized at once.
pub(super) fn batch(recipe: &Recipe) -> Result<u32, Error> {
    let pictures = recipe.image.init.pictures().len();
    let lists = recipe
        .terms
        .iter()
        .flat_map(|t| [t.channel.len(), t.class.len(), t.direction.len()])
        .chain([pictures]);
    let longest = lists.clone().max().unwrap_or(1).max(1);
    let batch = recipe.image.batch.map_or(longest, |n| n as usize);
    if batch == 0 {
        return Err(Error::Recipe(
            "`batch` is 0; it is a number of images, at least 1".to_string(),
        ));
    }
    // A list of one serves every image.
    if let Some(wrong) = lists.into_iter().find(|len| *len > 1 && *len != batch) {
        return Err(Error::Recipe(format!(
            "the recipe has a list of {wrong} for a batch of {batch} images; give one for all or one for each"
        )));
    }
    u32::try_from(batch)
        .map_err(|_| Error::Recipe(format!("a batch of {batch} images is too large")))
}

/// Width and height of every scale in pixels, coarsest first.
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
    if !(spec.scale_factor > 1.0 && spec.scale_factor.is_finite()) {
        return Err(Error::Recipe(format!(
            "`scale_factor` is {}; it is a scale's size over that of the one before, greater than 1",
            spec.scale_factor
        )));
    }
    if spec.octaves == Some(0) || (spec.octaves.is_some() && min_size.is_some()) {
        return Err(Error::Recipe(
            "give `octaves`, at least 1, or `min_size`, not both".to_string(),
        ));
    }
    let long = last.0.max(last.1);
    let mut scales = vec![last];
    for i in 1.. {
        let coarser = f64::from(long) / spec.scale_factor.powf(f64::from(i));
        let wanted = match (spec.octaves, min_size) {
            (Some(octaves), _) => i < octaves && coarser >= 1.0,
            (None, Some(min)) => coarser >= f64::from(min) - 0.5,
            (None, None) => false,
        };
        if !wanted {
            break;
        }
        scales.push(size_for_long_side(
            last.0,
            last.1,
            coarser.round().max(1.0) as u32,
        ));
    }
    scales.reverse();
    // Scales of a pixel or two may round to the same size.
    scales.dedup();
    Ok(scales)
}

/// The start images at `size`, `n` of them; `mean` is the networks' mean colour. Without `noise`: the pictures
/// themselves, where there are.
pub(super) fn start(
    recipe: &Recipe,
    pictures: &Pictures,
    size: (u32, u32),
    n: u32,
    mean: [f32; 3],
) -> Result<Vec<Image>, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    let deviation = recipe.image.noise;
    let normal = Normal::new(0.0, deviation)
        .ok()
        .filter(|_| deviation >= 0.0)
        .ok_or_else(|| Error::Recipe(format!("`noise` is {deviation}; it must be 0 or more")))?;
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
                None => Err(Error::Recipe("there is no start picture".to_string())),
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
            let channels = statistics.ok_or_else(|| {
                Error::Recipe("the style pictures have no statistics".to_string())
            })?;
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
pub(super) fn random_in_balls(recipe: &Recipe, mut images: Vec<Image>) -> Vec<Image> {
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
fn style_statistics(recipe: &Recipe, pictures: &Pictures) -> Result<[Normal<f32>; 3], Error> {
    let styles: Vec<_> = recipe
        .terms
        .iter()
        .zip(&pictures.targets)
        .filter(|(term, _)| !term.kind.is_spatial())
        .flat_map(|(_, targets)| targets)
        .map(|picture| mean_std(picture))
        .collect();
    if styles.is_empty() {
        return Err(Error::Recipe(
            "the start `stats` needs a style picture to take them from".to_string(),
        ));
    }
    let count = styles.len() as f32;
    let channel = |c: usize| {
        Normal::new(
            styles.iter().map(|(mean, _)| mean[c]).sum::<f32>() / count,
            styles.iter().map(|(_, std)| std[c]).sum::<f32>() / count,
        )
        .map_err(|e| Error::Recipe(format!("the style pictures have no statistics: {e}")))
    };
    Ok([channel(0)?, channel(1)?, channel(2)?])
}

/// The picture at exactly `size`, by antialiased bicubic resampling.
pub(super) fn resized(picture: &Image, size: (u32, u32)) -> Result<Image, Error> {
    if picture.size() == size {
        return Ok(picture.clone());
    }
    Ok(picture.resize(size.0, size.1, Filter::Bicubic)?.clamp())
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
            start(&recipe.clone().seed(seed), &pictures, (9, 7), 1, [0.5; 3])
                .expect("noise")
                .remove(0)
                .rgb
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
