//! Masks of terms and of their targets: read, checked, and brought to the layers (Gatys et al. 2017, "Controlling Perceptual
//! Factors in Neural Style Transfer", section 4.1).

use std::sync::Arc;

use super::{MapSpec, Picture, Recipe, TermSpec};
use crate::Error;
use crate::image::{Grid, Image, Mask};
use crate::net::{self, NodeId, ReceptiveField, Shape};

/// The masks of a term, read once.
#[derive(Debug, Clone, Default)]
pub(super) struct Masks {
    /// Where in the image the term counts.
    pub image: Option<Mask>,
    /// Which part of each target counts; none: all of all.
    pub targets: Vec<Mask>,
}

impl Masks {
    /// `read` loads a picture.
    pub fn load(
        term: &TermSpec,
        mut read: impl FnMut(&Picture) -> Result<Arc<Image>, Error>,
    ) -> Result<Self, Error> {
        let mut read = |picture: &Picture| {
            let mask = Mask::of(&*read(picture)?);
            if mask.is_black() {
                return Err(term.wrong(&format!(
                    "the mask {picture} is black everywhere: white is where it counts"
                )));
            }
            Ok(mask)
        };
        Ok(Self {
            image: term.mask.as_ref().map(&mut read).transpose()?,
            targets: term
                .target_mask
                .iter()
                .map(&mut read)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Whether all masks have the shapes of what they are laid over: `size` is that of the image or of the picture that gives it
/// its shape, `targets` are those of a term's targets.
pub(super) fn check(
    recipe: &Recipe,
    masks: &[Masks],
    size: (u32, u32),
    targets: impl Fn(usize) -> Vec<(u32, u32)>,
) -> Result<(), Error> {
    let still = |map: &MapSpec| !matches!(map, MapSpec::Jitter { .. } | MapSpec::Warp);
    for (group, (term, masks)) in recipe.terms.iter().zip(masks).enumerate() {
        let fits = |name: &Picture, mask: &Mask, size: (u32, u32), whose: &str| {
            if same_shape((mask.width, mask.height), size) {
                return Ok(());
            }
            Err(term.wrong(&format!(
                "the mask {name} is {}x{} pixels, which is not the shape of {whose}, {}x{}",
                mask.width, mask.height, size.0, size.1
            )))
        };
        if let (Some(name), Some(mask)) = (&term.mask, &masks.image) {
            fits(name, mask, size, "the image")?;
            if !recipe.image.transformation.iter().all(still) {
                return Err(term.wrong(
                    "a `mask` stays where it is, but a transformation moves the image under it",
                ));
            }
        }
        let pairs = term.target_mask.iter().zip(&masks.targets);
        for ((name, mask), size) in pairs.zip(targets(group)) {
            fits(name, mask, size, "its target")?;
        }
    }
    Ok(())
}

/// Whether two sizes have one shape, but for the rounding of either to whole pixels.
fn same_shape(a: (u32, u32), b: (u32, u32)) -> bool {
    let (across, down) = (
        u64::from(a.0) * u64::from(b.1),
        u64::from(a.1) * u64::from(b.0),
    );
    let longest = [a.0, a.1, b.0, b.1].into_iter().max().unwrap_or(1);
    across.abs_diff(down) <= u64::from(longest)
}

/// A mask at the units of a layer, `[h][w]`: the guide g of Gatys et al. 2017, scaled so that the mean of g² is 1.
///
/// `size` is that of the picture that the network sees.
pub(super) fn guide(
    term: &TermSpec,
    graph: &net::Network,
    node: NodeId,
    mask: &Mask,
    size: (u32, u32),
) -> Result<Vec<f32>, Error> {
    let Shape { height, width, .. } = graph.shape(node, size.1, size.0)?;
    let mask = mask.resize(size.0, size.1)?;
    let field = graph.receptive_field(node);
    let grid = |axis: usize, count: u32, size: u32| match field.map(|field| field[axis]) {
        Some(ReceptiveField { start, stride, .. }) => Grid {
            start,
            stride: f64::from(stride),
            count,
        },
        // Behind a pool over everything a unit sees all of it.
        None => Grid {
            start: f64::from(size - 1) / 2.0,
            stride: f64::from(size),
            count,
        },
    };
    let mut guide = mask.at(grid(0, height, size.1), grid(1, width, size.0));
    let square: f64 = guide.iter().map(|g| f64::from(*g).powi(2)).sum();
    let mean = square / guide.len() as f64;
    if mean < 1e-9 {
        return Err(term.wrong(&format!(
            "at {}x{} pixels the mask has no white that layer `{}` could see",
            size.0,
            size.1,
            graph.node(node).name
        )));
    }
    let scale = 1.0 / mean.sqrt();
    guide
        .iter_mut()
        .for_each(|g| *g = (f64::from(*g) * scale) as f32);
    Ok(guide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network;
    use crate::recipe::TermKind;

    #[test]
    fn shapes_agree_up_to_a_rounding() {
        assert!(same_shape((451, 300), (902, 600)));
        assert!(same_shape((451, 300), (64, 43)));
        assert!(same_shape((1, 1), (500, 500)));
        assert!(!same_shape((64, 64), (64, 48)));
        assert!(!same_shape((300, 451), (451, 300)));
    }

    #[test]
    fn guides_have_a_mean_square_of_one_at_every_layer() {
        let rgb = (0..60 * 40).flat_map(|i| [if i % 60 < 20 { 1.0 } else { 0.0 }; 3]);
        let mask = Mask::of(&Image::new(60, 40, rgb.collect()).expect("a picture"));
        let graph = Network::open("squeezenet1_1").expect("the embedded network");
        let term = TermSpec::new(TermKind::Gram);
        for layer in ["relu_conv1", "fire2/concat", "fire7/concat", "logits"] {
            let node = graph.find(layer).expect("a layer");
            let shape = graph.shape(node, 64, 96).expect("a shape");
            let guide = guide(&term, &graph, node, &mask, (96, 64)).expect("a guide");
            assert_eq!(guide.len(), (shape.width * shape.height) as usize);
            let square: f64 = guide.iter().map(|g| f64::from(*g).powi(2)).sum();
            assert!((square / guide.len() as f64 - 1.0).abs() < 1e-6, "{layer}");
            // White on the left, black on the right.
            if shape.width > 2 {
                assert!(
                    guide[0] > 1.0 && guide[shape.width as usize - 1] == 0.0,
                    "{layer}"
                );
            }
        }
    }
}
