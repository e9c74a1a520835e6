//! Masks of terms and of their targets: read, checked, and brought to the layers (Gatys et al. 2017, "Controlling
//! Perceptual Factors in Neural Style Transfer", section 4.1).

use std::sync::Arc;

use crate::Error;
use crate::image::{Grid, Image, Mask, with_hidden_filled};
use crate::net::{self, NodeId, ReceptiveField, Shape};
use crate::spec::terms::{TermError, TermProblem};
use crate::spec::{MapSpec, Picture, Recipe, TermSpec};

/// The masks of a term, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Masks {
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
                let mask = picture.to_string();
                return Err(Error::from(term.wrong(TermProblem::BlackMask { mask })));
            }
            Ok(mask)
        };
        Ok(Self {
            image: term.kind.fields().mask().map(&mut read).transpose()?,
            targets: target_masks(term)
                .iter()
                .map(&mut read)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Masks {
    /// Makes what is transparent in a style's targets count for nothing: there they get the mean colour of the rest,
    /// which layers see at the edge, and their masks are weighted by the opacity. A loss that takes no mask sees the
    /// mean colour.
    ///
    /// # Errors
    /// Where a target is transparent everywhere.
    pub fn weigh_by_opacity(
        &mut self,
        term: &TermSpec,
        targets: &mut [Arc<Image>],
    ) -> Result<(), Error> {
        let Some((style, kind)) = term.kind.style() else {
            return Ok(());
        };
        let hides = |image: &Image| {
            image
                .alpha
                .as_ref()
                .is_some_and(|a| a.iter().any(|a| *a < 1.0))
        };
        if !targets.iter().any(|target| hides(target)) {
            return Ok(());
        }
        let takes_masks = kind.why_no_mask().is_none();
        let mut masks = Vec::new();
        for (i, (target, name)) in targets.iter_mut().zip(&style.target).enumerate() {
            let (width, height) = target.size();
            let mut mask = match self.targets.get(i) {
                Some(mask) => mask.resize(width, height)?,
                None => Mask {
                    width,
                    height,
                    values: vec![1.0; width as usize * height as usize],
                },
            };
            if let Some(alpha) = &target.alpha {
                if alpha.iter().all(|opacity| *opacity < 0.5 / 255.0) {
                    let target = name.to_string();
                    return Err(Error::from(
                        term.wrong(TermProblem::TransparentTarget { target }),
                    ));
                }
                // A position counts by the square of its mask.
                let values = mask.values.iter_mut().zip(alpha);
                values.for_each(|(value, opacity)| *value *= opacity.clamp(0.0, 1.0).sqrt());
                *target = Arc::new(with_hidden_filled(target));
            }
            masks.push(mask);
        }
        if takes_masks {
            self.targets = masks;
        }
        Ok(())
    }
}

/// The masks of a style's targets.
fn target_masks(term: &TermSpec) -> &[Picture] {
    term.kind
        .style()
        .map_or(&[], |(style, _)| &style.target_mask)
}

/// Whether all masks have the shapes of what they are laid over: `size` is that of the image or of the picture that
/// gives it its shape, `targets` are those of a term's targets.
pub(crate) fn check(
    recipe: &Recipe,
    masks: &[Masks],
    size: (u32, u32),
    targets: impl Fn(usize) -> Vec<(u32, u32)>,
) -> Result<(), TermError> {
    let still = |map: &MapSpec| !matches!(map, MapSpec::Jitter { .. } | MapSpec::Warp {});
    for (group, (term, masks)) in recipe.terms.iter().zip(masks).enumerate() {
        let fits = |name: &Picture, mask: &Mask, expected: (u32, u32), of_target: bool| {
            let size = (mask.width, mask.height);
            if same_shape(size, expected) {
                return Ok(());
            }
            Err(term.wrong(TermProblem::MaskShape {
                mask: name.to_string(),
                size,
                of_target,
                expected,
            }))
        };
        if let (Some(name), Some(mask)) = (term.kind.fields().mask(), &masks.image) {
            fits(name, mask, size, false)?;
            if !recipe.image.transformation.iter().all(still) {
                return Err(term.wrong(TermProblem::MaskOfMovingImage));
            }
        }
        let pairs = target_masks(term).iter().zip(&masks.targets);
        for ((name, mask), size) in pairs.zip(targets(group)) {
            fits(name, mask, size, true)?;
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

/// A mask at the positions of a layer, `[h][w]`: the guidance channel of Gatys et al. 2017, scaled so that its mean
/// square is 1.
///
/// `size` is that of the picture that the network sees.
pub(crate) fn layer_mask(
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
        // Each unit sees all of it: they are shared out evenly. Behind a pool over everything there is one.
        None => {
            let stride = f64::from(size) / f64::from(count);
            Grid {
                start: (stride - 1.0) / 2.0,
                stride,
                count,
            }
        }
    };
    let mut values = mask.at(grid(0, height, size.1), grid(1, width, size.0));
    let square: f64 = values.iter().map(|m| f64::from(*m).powi(2)).sum();
    let mean = square / values.len() as f64;
    if mean < 1e-9 {
        let layer = graph.node(node).name.clone();
        return Err(term.wrong(TermProblem::UnseenMask { size, layer }).into());
    }
    let scale = 1.0 / mean.sqrt();
    values
        .iter_mut()
        .for_each(|m| *m = (f64::from(*m) * scale) as f32);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network;

    #[test]
    fn shapes_agree_up_to_a_rounding() {
        assert!(same_shape((451, 300), (902, 600)));
        assert!(same_shape((451, 300), (64, 43)));
        assert!(same_shape((1, 1), (500, 500)));
        assert!(!same_shape((64, 64), (64, 48)));
        assert!(!same_shape((300, 451), (451, 300)));
    }

    #[test]
    fn masks_have_a_mean_square_of_one_at_every_layer() {
        let rgb = (0..60 * 40).flat_map(|i| [if i % 60 < 20 { 1.0 } else { 0.0 }; 3]);
        let mask = Mask::of(&Image::new(60, 40, rgb.collect()).expect("a picture"));
        let graph = Network::open("squeezenet1_1").expect("the embedded network");
        let term = TermSpec::gram(["a.png"]);
        for layer in ["relu_conv1", "fire2/concat", "fire7/concat", "logits"] {
            let node = graph.find(layer).expect("a layer");
            let shape = graph.shape(node, 64, 96).expect("a shape");
            let values = layer_mask(&term, &graph, node, &mask, (96, 64)).expect("a mask");
            assert_eq!(values.len(), (shape.width * shape.height) as usize);
            let square: f64 = values.iter().map(|m| f64::from(*m).powi(2)).sum();
            assert!((square / values.len() as f64 - 1.0).abs() < 1e-6, "{layer}");
            // White on the left, black on the right.
            if shape.width > 2 {
                assert!(
                    values[0] > 1.0 && values[shape.width as usize - 1] == 0.0,
                    "{layer}"
                );
            }
        }
    }
}
