//! The size of every scale, and how many images are optimized at once.

use super::pictures::Pictures;
use crate::image::size_for_long_side;
use crate::kernels::MAX_SIDE;
use crate::net::{NetError, Network, NodeId};
use crate::spec::{MAX_BATCH, Recipe, RecipeError};

/// Images optimized at once.
pub(crate) fn batch(recipe: &Recipe) -> Result<u32, RecipeError> {
    let pictures = recipe.image.init.pictures().len();
    let lists = recipe
        .terms
        .iter()
        .map(|term| term.kind.fields().per_image())
        .chain([pictures]);
    let longest = lists.clone().max().unwrap_or(1).max(1);
    let batch = recipe.image.batch.map_or(longest, |n| n as usize);
    if batch == 0 {
        return Err(RecipeError::EmptyBatch);
    }
    // Before anything of so many is made.
    if batch > MAX_BATCH as usize {
        return Err(RecipeError::LargeBatch { batch });
    }
    // A list of one serves every image.
    if let Some(found) = lists.into_iter().find(|len| *len > 1 && *len != batch) {
        return Err(RecipeError::List { found, batch });
    }
    u32::try_from(batch).map_err(|_| RecipeError::LargeBatch { batch })
}

/// More scales than these are refused. With the usual factor an image of the largest size has 33.
const MOST_SCALES: u32 = 200;

/// Width and height of every scale in pixels, coarsest first.
pub(crate) fn scales(recipe: &Recipe, pictures: &Pictures) -> Result<Vec<(u32, u32)>, RecipeError> {
    let spec = &recipe.image;
    let positive = |value: Option<u32>, field: &'static str| match value {
        Some(side) if !(1..=MAX_SIDE).contains(&side) => Err(RecipeError::Side { field, side }),
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
    let last = match (width, height, pictures.shape()) {
        (Some(width), Some(height), None) if size.is_none() => (width, height),
        (Some(_), Some(_), None) => {
            return Err(RecipeError::SizeTwice);
        }
        (None, None, Some(picture)) => {
            let (w, h) = picture.size();
            size.map_or((w, h), |size| size_for_long_side(w, h, size))
        }
        (None, None, None) => size.map(|s| (s, s)).unwrap_or((256, 256)),
        (Some(_), Some(_), Some(_)) => {
            return Err(RecipeError::ShapeTwice);
        }
        _ => {
            return Err(RecipeError::OneSide);
        }
    };
    let factor = spec.scale_factor;
    if !(factor > 1.0 && factor.is_finite()) {
        return Err(RecipeError::ScaleFactor { factor });
    }
    if spec.octaves == Some(0) || (spec.octaves.is_some() && min_size.is_some()) {
        return Err(RecipeError::Octaves);
    }
    let long = last.0.max(last.1);
    // Each one is planned, which a factor next to 1 would never come to an end with.
    let scales_down_to = |side: f64| (f64::from(long) / side).ln() / factor.ln() + 1.0;
    let many = match (spec.octaves, min_size) {
        (Some(octaves), _) => scales_down_to(1.0).min(f64::from(octaves)),
        (None, Some(min)) => scales_down_to(f64::from(min)),
        (None, None) => 1.0,
    };
    if many > f64::from(MOST_SCALES) {
        return Err(RecipeError::ManyScales {
            most: MOST_SCALES,
            factor,
        });
    }
    let mut scales = vec![last];
    for i in 1.. {
        let coarser = f64::from(long) / factor.powf(f64::from(i));
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

/// Whether the size of the result is that of a picture as it is, or was asked for side by side: no other will do then.
pub(crate) fn is_exact(recipe: &Recipe, pictures: &Pictures) -> bool {
    let image = &recipe.image;
    image.size.is_none() && (pictures.shape().is_some() || image.width.is_some())
}

/// Width and height next to `size` at which all of `nodes` have an output: `size` itself, unless the network joins
/// layers whose sizes agree for some images only, as a feature pyramid does.
pub(crate) fn fitting(network: &Network, nodes: &[NodeId], size: (u32, u32)) -> (u32, u32) {
    let mut near = Vec::new();
    for node in nodes {
        if let Err(NetError::UnevenImageSize(error)) = network.shape(*node, size.1, size.0) {
            near.extend(error.fitting.iter().map(|&[height, width]| (width, height)));
        }
    }
    let fits = |(width, height): (u32, u32)| {
        let mut nodes = nodes.iter();
        nodes.all(|node| network.shape(*node, height, width).is_ok())
    };
    let off = |(width, height): (u32, u32)| {
        u64::from(width.abs_diff(size.0)) + u64::from(height.abs_diff(size.1))
    };
    let near = near.into_iter().filter(|other| fits(*other));
    near.min_by_key(|other| off(*other)).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::spec::Picture;

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
    fn scales_without_end_are_refused() {
        let image = Image::filled(200, 100, [0.5; 3]).expect("an image");
        let scales = |octaves, min_size, factor| {
            let mut recipe =
                Recipe::style(Picture::from(image.clone()), [Picture::from(image.clone())]);
            (recipe.image.octaves, recipe.image.min_size) = (octaves, min_size);
            recipe.image.scale_factor = factor;
            let pictures = Pictures::load(&recipe).expect("pictures in memory");
            super::scales(&recipe, &pictures)
        };
        for wrong in [
            scales(Some(u32::MAX), None, 1.000_000_1),
            scales(None, Some(1), 1.000_000_1),
            scales(Some(201), None, 1.001),
        ] {
            assert!(
                matches!(wrong, Err(RecipeError::ManyScales { .. })),
                "{wrong:?}"
            );
        }
        assert!(scales(Some(u32::MAX), None, 1.1).is_ok());
        assert!(scales(Some(150), None, 1.000_000_1).is_ok());
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
}
