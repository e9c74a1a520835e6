//! Visualisation: the picture that activates a class, a channel, a unit or a direction of a layer most

use std::ops::ControlFlow;
use std::str::FromStr;

use super::MethodError;
use crate::Error;
use crate::image::{Image, sheet};
use crate::net::ReceptiveField;
use crate::plan::Network;
use crate::run::{Finish, Run};
use crate::spec::terms::{Activation, Direction};
use crate::spec::{
    Class, FilterSpec, Init, MapSpec, Measure, OptimizerKind, Picture, Position, ProgressPolicy,
    ProjectionSpec, Recipe, TermSpec,
};

/// What is to be activated.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// The scores of classes before the softmax; a picture for each.
    Classes(Vec<Class>),
    /// Channels of a layer, at one position or on average over all; a picture for each.
    Channels {
        /// Any accepted name.
        layer: String,
        /// Their indices; none: the mean of the whole layer.
        channels: Vec<u32>,
        /// One unit of the channel.
        unit: Option<Position>,
    },
    /// Random directions in the space of a layer's channels, by seed; a picture for each.
    Directions {
        /// Any accepted name.
        layer: String,
        /// Their seeds.
        seeds: Vec<u64>,
    },
}

/// The published ways of keeping the picture from being noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VisualizePreset {
    /// A Fourier spectrum in decorrelated colours, seen through random transformations (Olah et al. 2017).
    #[default]
    Lucid,
    /// The norm of the picture is held (Erhan et al. 2009).
    Erhan,
    /// Yosinski et al. 2015, table 1, first row: blur and clipping of pixels of small norm.
    Yosinski1,
    /// Second row: L2 decay and clipping of pixels of small norm.
    Yosinski2,
    /// Third row: blur and a little decay; most pictures of the paper.
    Yosinski3,
    /// Fourth row: blur and clipping of pixels of small contribution.
    Yosinski4,
}

impl FromStr for VisualizePreset {
    type Err = MethodError;
    fn from_str(s: &str) -> Result<Self, MethodError> {
        match s {
            "lucid" => Ok(Self::Lucid),
            "erhan" => Ok(Self::Erhan),
            "yosinski1" => Ok(Self::Yosinski1),
            "yosinski2" => Ok(Self::Yosinski2),
            "yosinski3" => Ok(Self::Yosinski3),
            "yosinski4" => Ok(Self::Yosinski4),
            _ => Err(MethodError::UnknownPreset {
                presets: &[
                    "lucid",
                    "erhan",
                    "yosinski1",
                    "yosinski2",
                    "yosinski3",
                    "yosinski4",
                ],
            }),
        }
    }
}

impl VisualizePreset {
    /// Whether its pictures have so little contrast that they are shown stretched, as the authors do.
    #[must_use]
    pub fn is_faint(self) -> bool {
        !matches!(self, Self::Lucid | Self::Erhan)
    }
}

/// A picture with its differences from the `mean` colour enlarged so that all but a thousandth of the values are within
/// the range; and by how much.
#[must_use]
pub fn stretched(image: &Image, mean: [f32; 3]) -> (Image, f32) {
    let mut differences: Vec<f32> = (0..image.rgb.len())
        .map(|i| (image.rgb[i] - mean[i % 3]).abs())
        .collect();
    let place = (differences.len() - 1) * 999 / 1000;
    let (_, large, _) = differences.select_nth_unstable_by(place, f32::total_cmp);
    // Never less contrast, and no noise of rounding blown up.
    let factor = (0.5 / large.max(1e-4)).max(1.0);
    let mut picture = image.clone();
    for (i, value) in picture.rgb.iter_mut().enumerate() {
        *value = (0.5 + (*value - mean[i % 3]) * factor).clamp(0.0, 1.0);
    }
    (picture, factor)
}

/// The picture that `visualize` writes, of the images of its run.
///
/// # Errors
/// [`Error::Device`] when the device has failed, and [`Error::Image`] where the square that is to be cut out is larger
/// than the images.
pub async fn finished_async(run: &Run, finish: Finish) -> Result<Image, Error> {
    let mut images = run.images_async().await?;
    if finish.stretch {
        let mean = run
            .compiled
            .network
            .graph()
            .preprocessing
            .mean
            .map(|v| v as f32);
        images = images
            .iter()
            .map(|image| stretched(image, mean).0)
            .collect();
    }
    joined(images, finish.crop)
}

/// One picture of several: the middle of each, as a sheet.
///
/// # Errors
/// [`Error::Image`] where the square that is to be cut out is larger than the images.
pub fn joined(mut images: Vec<Image>, crop: Option<u32>) -> Result<Image, Error> {
    if let Some(side) = crop {
        images = images
            .iter()
            .map(|image| image.center_crop(side, side))
            .collect::<Result<_, _>>()?;
    }
    if let [only] = &images[..] {
        return Ok(only.clone());
    }
    let columns = (images.len() as f64).sqrt().ceil() as usize;
    Ok(sheet(&images, columns, 4, [1.0; 3])?)
}

impl Recipe {
    /// A picture of `side`×`side` pixels that activates the subject most; as many as the subject names.
    #[must_use]
    pub fn visualize(subject: Subject, preset: VisualizePreset, side: u32) -> Self {
        let term = match subject {
            Subject::Classes(classes) => TermSpec::logit(classes),
            Subject::Channels {
                layer,
                channels,
                unit,
            } => TermSpec::new(Activation {
                channel: channels,
                unit,
                ..Activation::at(&layer)
            }),
            Subject::Directions { layer, seeds } => TermSpec::new(Direction::at(&layer, seeds)),
        };
        let mut recipe = Self::new().size(side);
        recipe.terms = vec![term.weight(-1.0)];
        match preset {
            VisualizePreset::Lucid => recipe.lucid(),
            VisualizePreset::Erhan => recipe.erhan(side),
            _ => recipe.yosinski(preset),
        }
        recipe
    }

    /// Lucid's defaults: 512 steps of Adam on the spectrum, standard transformations.
    fn lucid(&mut self) {
        self.image.init = Init::Noise;
        self.image.parameterisation = vec![
            MapSpec::Fourier { decay: 1.0 },
            MapSpec::Colour { decorrelate: true },
        ];
        self.image.transformation = vec![MapSpec::Warp {}];
        self.optimizer.step_size = 0.05;
        self.optimizer.beta2 = 0.999;
        self.optimizer.iterations = 512;
    }

    /// Steps of one length along the gradient from a faint start; after each the norm is at most that of a natural
    /// picture.
    fn erhan(&mut self, side: u32) {
        // A mean-free photograph of 227×227 pixels has the norm 27098 in units of 0–255: 0.468 per pixel.
        let radius = 0.468 * side as f32;
        self.image.init = Init::Mean;
        self.image.noise = 0.01;
        self.optimizer.kind = OptimizerKind::Gradient;
        self.optimizer.step_size = 0.02 * radius;
        self.optimizer.iterations = 300;
        self.filters = vec![FilterSpec::Normalize {
            by: Measure::L2,
            epsilon: 0.0,
        }];
        self.projections = vec![ProjectionSpec::Norm {
            radius,
            at_most: true,
        }];
    }

    /// The four sets of table 1; steps are the authors' in units of 0–255, of the picture and of the gradient both.
    fn yosinski(&mut self, preset: VisualizePreset) {
        const UNIT: f32 = 255.0 * 255.0;
        self.image.init = Init::Mean;
        self.image.noise = 10.0 / 255.0;
        self.optimizer.kind = OptimizerKind::Gradient;
        let blur = |sigma| ProjectionSpec::Blur { sigma, every: 4 };
        let small_norm = |percentile| ProjectionSpec::ClipSmallNorm { percentile };
        let towards = Some(ProgressPolicy::Fixed { desired: 2.0 });
        let (step, progress, iterations, projections) = match preset {
            VisualizePreset::Yosinski1 => (100.0, towards, 500, vec![blur(0.5), small_norm(50.0)]),
            VisualizePreset::Yosinski2 => (
                100.0,
                None,
                750,
                vec![ProjectionSpec::Decay { rate: 0.3 }, small_norm(20.0)],
            ),
            VisualizePreset::Yosinski4 => (
                1e8,
                towards,
                1000,
                vec![
                    blur(0.5),
                    ProjectionSpec::ClipSmallContribution {
                        percentile: 90.0,
                        absolute: true,
                    },
                ],
            ),
            _ => (
                100.0,
                None,
                1000,
                vec![ProjectionSpec::Decay { rate: 1e-4 }, blur(1.0)],
            ),
        };
        self.optimizer.step_size = step / UNIT;
        self.optimizer.progress = progress;
        self.optimizer.iterations = iterations;
        self.projections = projections;
    }
}

/// How far each picture activates what a recipe of [`Recipe::visualize`] maximizes: the objective without its weight
/// of −1, at the pictures themselves, without the recipe's random transformation.
///
/// # Errors
/// As [`Recipe::compile`].
pub async fn activations_of_async(
    recipe: &Recipe,
    network: &Network,
    pictures: &[Image],
) -> Result<Vec<f32>, Error> {
    let mut plain = Recipe::new();
    plain.terms.clone_from(&recipe.terms);
    (plain.padding, plain.pooling) = (recipe.padding, recipe.pooling);
    plain.precision = recipe.precision;
    let pictures: Vec<Picture> = pictures.iter().cloned().map(Picture::from).collect();
    plain.image.batch = u32::try_from(pictures.len()).ok();
    plain.image.init = Init::Pictures(pictures);
    plain.optimizer.iterations = 1;
    let mut found = Vec::new();
    let mut run = plain.compile_async(network.device(), network).await?;
    run.run_for_async(1, |progress| {
        found = progress.images.iter().map(|loss| -loss).collect();
        ControlFlow::Continue(())
    })
    .await?;
    Ok(found)
}

/// A picture in which one unit's receptive field lies wholly inside, so that no padding reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Side of the picture in pixels.
    pub side: u32,
    /// Row and column of the unit.
    pub unit: u32,
    /// First row and column of its receptive field.
    pub first: u32,
    /// Side of the receptive field.
    pub size: u32,
}

impl Canvas {
    /// The smallest such picture with the field in its middle.
    #[must_use]
    pub fn of(field: ReceptiveField) -> Self {
        let half = (f64::from(field.size) - 1.0) / 2.0;
        let stride = f64::from(field.stride);
        let unit = ((half - field.start) / stride).ceil().max(0.0);
        let first = field.start + unit * stride - half;
        Self {
            side: (2.0 * first) as u32 + field.size,
            unit: unit as u32,
            first: first as u32,
            size: field.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network as Graph;

    #[test]
    fn the_canvas_holds_the_whole_field_and_the_unit_is_in_the_layer() {
        for (name, layers) in [
            (
                "squeezenet1_1",
                &["relu_conv1", "fire2/concat", "fire8/concat"][..],
            ),
            ("vgg19", &["relu1_1", "relu2_2", "pool3", "relu4_1"]),
        ] {
            let network = Graph::open(name).expect("an embedded network opens");
            for layer in layers {
                let node = network.find(layer).expect("a layer");
                let [field, _] = network.receptive_field(node).expect("a field");
                let canvas = Canvas::of(field);
                assert!(
                    canvas.first + canvas.size <= canvas.side,
                    "{layer}: {canvas:?}"
                );
                let shape = network.shape(node, canvas.side, canvas.side).expect("fits");
                assert!(canvas.unit < shape.height, "{layer}: {canvas:?} {shape:?}");
                // The field's centre is where the network has it.
                let centre = field.start + f64::from(canvas.unit * field.stride);
                let middle = f64::from(canvas.first) + (f64::from(canvas.size) - 1.0) / 2.0;
                assert_eq!(centre, middle, "{layer}");
            }
        }
    }

    #[test]
    fn presets_have_their_published_numbers() {
        let classes = || Subject::Classes(vec![Class::Index(130)]);
        let recipe = |preset| Recipe::visualize(classes(), preset, 224);
        let third = recipe(VisualizePreset::Yosinski3);
        assert_eq!(third.optimizer.iterations, 1000);
        assert_eq!(
            third.projections[1],
            ProjectionSpec::Blur {
                sigma: 1.0,
                every: 4
            }
        );
        assert_eq!(recipe(VisualizePreset::Lucid).optimizer.iterations, 512);
        assert_eq!(recipe(VisualizePreset::Yosinski2).optimizer.iterations, 750);
    }
}
