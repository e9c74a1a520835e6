//! Options of `visualize`.

use super::{CLASSIFIER, Given, USUAL_SIDE, fit, parse};
use crate::Error;
use crate::methods::{Canvas, MethodError, Subject, VisualizePreset};
use crate::plan::Network;
use crate::run::Finish;
use crate::spec::{Class, Position, ProjectionSpec, Recipe, TermKind};

/// A layer, channels of it, or units of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Any accepted name.
    pub layer: String,
    /// Their numbers; none: all.
    pub channels: Vec<u32>,
    /// One unit of each channel.
    pub position: Option<Position>,
}

/// Options of `visualize`. The subject is one of `class`, `unit` and `direction`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VisualizeOptions {
    /// Classes; each gets a picture.
    pub class: Vec<Class>,
    /// Channels of a layer, or units.
    pub unit: Option<Unit>,
    /// Seeds of random directions in the space of the channels of `layer`.
    pub direction: Vec<u64>,
    /// The layer of `direction`.
    pub layer: Option<String>,
    /// The regularization.
    pub preset: VisualizePreset,
    /// Side of the square picture; absent: [`USUAL_SIDE`], or what the network needs.
    pub size: Option<u32>,
    /// Whether the picture is as large as the receptive field of `unit`.
    pub canvas: bool,
    /// So many pictures, each from other noise.
    pub restarts: Option<u32>,
}

impl VisualizeOptions {
    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        Ok(Self {
            class: given.list("class", parse::class)?,
            unit: given.value("unit", parse::unit)?,
            direction: given.list("direction", parse::seed)?,
            layer: given.value("layer", parse::layer_name)?,
            preset: given
                .value("preset", |text| {
                    text.parse().map_err(|e: MethodError| e.to_string())
                })?
                .unwrap_or_default(),
            size: given.value("size", parse::side)?,
            canvas: given.value("canvas", parse::canvas)?.is_some(),
            restarts: given.value("restarts", parse::restarts)?,
        })
    }

    fn subject(&self) -> Subject {
        match (&self.unit, &self.layer) {
            (Some(unit), _) => Subject::Channels {
                layer: unit.layer.clone(),
                channels: unit.channels.clone(),
                unit: unit.position,
            },
            (None, Some(layer)) => Subject::Directions {
                layer: layer.clone(),
                seeds: self.direction.clone(),
            },
            (None, None) => Subject::Classes(self.class.clone()),
        }
    }
}

/// What a visualization needs to know of its network: see [`Visualization::complete`].
#[derive(Debug, Clone)]
pub struct Visualization {
    /// What was asked for.
    pub options: VisualizeOptions,
    own_step: bool,
    crop: Option<Canvas>,
}

impl Visualization {
    /// `own_step`: whether the step size was asked for.
    ///
    /// # Errors
    /// [`MethodError::Option`] where the options do not go together.
    pub fn new(options: VisualizeOptions, own_step: bool) -> Result<Self, MethodError> {
        let wrong = |option: &str, problem: &str| {
            Err(MethodError::Option {
                option: option.to_string(),
                problem: problem.to_string(),
            })
        };
        let subjects = [
            !options.class.is_empty(),
            options.unit.is_some(),
            !options.direction.is_empty(),
        ];
        if subjects.iter().filter(|given| **given).count() != 1 {
            return wrong("class", "name either a class, a unit or a direction");
        }
        if options.direction.is_empty() != options.layer.is_none() {
            return wrong("layer", "it is the layer of direction, which needs one");
        }
        if options.canvas && options.unit.is_none() {
            return wrong("canvas", "receptive-field is for a unit");
        }
        if options.canvas && options.size.is_some() {
            return wrong("canvas", "it cannot be used with size");
        }
        let channels = options.unit.as_ref().map_or(1, |u| u.channels.len());
        let most = options.class.len().max(options.direction.len());
        if most.max(channels) > 1 && options.restarts.is_some() {
            let problem = "they make several pictures of one subject: name one";
            return wrong("restarts", problem);
        }
        Ok(Self {
            options,
            own_step,
            crop: None,
        })
    }

    /// The recipe, before the network is known.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let options = &self.options;
        let side = options.size.unwrap_or(USUAL_SIDE);
        let mut recipe = Recipe::visualize(options.subject(), options.preset, side);
        recipe.model = CLASSIFIER.to_string();
        recipe.image.batch = options.restarts;
        recipe
    }

    /// Completes the recipe: its size, and the place of the unit.
    ///
    /// # Errors
    /// [`Error::Net`] for an unknown layer, [`Error::Method`] for a layer without a canvas.
    pub fn complete(&mut self, recipe: &mut Recipe, network: &Network) -> Result<(), Error> {
        let graph = network.graph();
        if self.options.size.is_none() {
            let layer = match (&self.options.unit, &self.options.layer) {
                (Some(unit), _) => graph.find(&unit.layer)?,
                (None, Some(layer)) => graph.find(layer)?,
                (None, None) => graph.logits()?,
            };
            let larger = fit(recipe, network, layer);
            // One preset keeps the norm of the picture, and steps by a part of it.
            for projection in &mut recipe.projections {
                if let ProjectionSpec::Norm { radius, .. } = projection {
                    *radius *= larger;
                    if !self.own_step {
                        recipe.optimizer.step_size *= larger;
                    }
                }
            }
        }
        let Some(unit) = self.options.unit.as_ref().filter(|_| self.options.canvas) else {
            return Ok(());
        };
        let problem = match graph.receptive_field(graph.find(&unit.layer)?) {
            Some([rows, columns]) if rows == columns => {
                let canvas = Canvas::of(rows);
                recipe.image.size = Some(canvas.side);
                for term in &mut recipe.terms {
                    if let TermKind::Activation(activation) = &mut term.kind {
                        activation.unit = Some(Position::At(canvas.unit, canvas.unit));
                    }
                }
                self.crop = Some(canvas);
                return Ok(());
            }
            Some(_) => "does not see a square: its receptive field has no canvas",
            None => "sees the whole picture: its receptive field has no size",
        };
        Err(MethodError::Option {
            option: "canvas".to_string(),
            problem: format!("`{}` {problem}", unit.layer),
        }
        .into())
    }

    /// How the picture is made of those that were optimized.
    #[must_use]
    pub fn finish(&self) -> Finish {
        Finish {
            stretch: self.options.preset.is_faint(),
            crop: self.crop.map(|canvas| canvas.size),
        }
    }
}
