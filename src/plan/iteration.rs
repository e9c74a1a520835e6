//! One iteration of an objective on a network at one size.

use std::sync::Arc;

use super::{Bands, Forward, Network, PlanError, Program};
use crate::Error;
use crate::device::{Given, Kind, Recording, ValueId};
use crate::kernels::{Record, Tensor, View};
use crate::net::NodeId;
use crate::objective::{Labels, Loss, Saved, Term, record_gradient, record_value};
use crate::optim::{Average, Filter, Optimizer, Projection, Site, State, record_keep_best};
use crate::param::{Map, Mapped};

/// Iterations whose losses the ring holds: the most that one submission may run.
pub const RING_ROWS: u32 = 64;

/// A term at the layer that it reads.
#[derive(Debug)]
pub struct Placed {
    /// The layer; the network's input is the image.
    pub node: NodeId,
    /// The term.
    pub term: Box<dyn Term>,
    /// Which term of the recipe this belongs to: their values are reported together.
    pub group: usize,
    /// The class and the weight of each image of the batch, where the term has them: they may be changed between
    /// iterations.
    pub labels: Option<Labels>,
}

/// What to make an iteration of.
#[derive(Debug)]
pub struct Problem<'a> {
    /// The network that the terms' layers are of.
    pub network: &'a Network,
    /// Shape of the image: n images of h×w pixels, 3 channels.
    pub image: View,
    /// Makes the image of what is optimized, first to last; none: the pixels are optimized.
    pub parameterisation: &'a [Arc<dyn Map>],
    /// What happens to the image before the network sees it, first to last.
    pub transformations: &'a [Arc<dyn Map>],
    /// The objective.
    pub terms: &'a [Placed],
    /// Change the gradient, first to last.
    pub filters: &'a [Box<dyn Filter>],
    /// What steps the image; `None`: the gradient is all that is wanted, and it is kept.
    pub optimizer: Option<&'a dyn Optimizer>,
    /// Change the image after the step, first to last.
    pub projections: &'a [Box<dyn Projection>],
    /// The average of the iterates.
    pub average: Option<Average>,
    /// Which iterate of each image is the result; `None`: the last.
    pub keep: Option<Keep>,
    /// In how many bands of rows the network sees the image: 1, or as many as memory makes necessary.
    pub bands: u32,
}

/// The result is, of each image of the batch, the iterate nearest to its origin among those where a loss is low enough.
#[derive(Debug, Clone)]
pub struct Keep {
    /// The place of that loss among those of an image.
    pub slot: u32,
    /// The greatest value that is low enough.
    pub threshold: f32,
    /// The images that the distance is to, of the shape of the image.
    pub origin: Given,
}

impl<'a> Problem<'a> {
    /// The gradient of the objective with respect to the pixels, nothing stepped.
    #[must_use]
    pub fn new(network: &'a Network, image: View, terms: &'a [Placed]) -> Self {
        Self {
            network,
            image,
            parameterisation: &[],
            transformations: &[],
            terms,
            filters: &[],
            optimizer: None,
            projections: &[],
            average: None,
            keep: None,
            bands: 1,
        }
    }
}

/// A program that is run again and again: the image, its gradient and a step.
#[derive(Debug)]
pub struct Iteration {
    /// The calls, and memory for their values.
    pub program: Program,
    /// Which of the program's values are what.
    pub handles: Handles,
}

/// Which of an iteration's values are what.
#[derive(Debug)]
pub struct Handles {
    /// What is optimized: the image, or the parameters that it is made of.
    pub parameter: Tensor,
    /// The image: as the terms of the last iteration saw it where it is made of parameters, else with the last step
    /// taken.
    pub image: Tensor,
    /// The gradient with respect to what is optimized; its memory lasts only where there is no optimizer.
    pub gradient: Tensor,
    /// The running average of the image.
    pub average: Option<(Average, Tensor)>,
    /// The iterates that are the result, in the shape of the image.
    pub kept: Option<Tensor>,
    /// The optimizer's memory.
    pub state: State,
    /// What makes the image of the parameter.
    pub parameterisation: Vec<Arc<dyn Map>>,
    /// The classes and weights of each image of the batch, by the recipe's term: they may be changed between
    /// iterations.
    pub labels: Vec<(usize, Labels)>,
    /// Completed iterations: one word.
    pub step: ValueId,
    /// Losses of the last [`RING_ROWS`] iterations, `[rows, n, slots]`.
    pub ring: ValueId,
    /// For each loss of an iteration (`[n, slots]`) the recipe's term it belongs to.
    pub groups: Vec<usize>,
}

/// Records the maps one after the other.
fn apply(
    recording: &mut Recording,
    maps: &[Arc<dyn Map>],
    x: Tensor,
    step: ValueId,
) -> Vec<Mapped> {
    let mut results: Vec<Mapped> = Vec::new();
    for map in maps {
        let x = results.last().map_or(x, |before| before.y);
        results.push(map.forward(recording, x, step));
    }
    results
}

/// Records the gradient with respect to the first map's input from that with respect to the last one's output.
fn pull_back(
    recording: &mut Recording,
    maps: &[Arc<dyn Map>],
    results: &[Mapped],
    gradient: Tensor,
    step: ValueId,
) -> Tensor {
    maps.iter()
        .zip(results)
        .rev()
        .fold(gradient, |dy, (map, mapped)| {
            map.backward(recording, mapped, dy, step)
        })
}

/// Records the values of terms of layers and the gradient with respect to what the network sees.
fn through_network(
    recording: &mut Recording,
    network: &Network,
    input: Tensor,
    terms: &[(&Placed, Loss)],
) -> Result<Tensor, Error> {
    let wanted: Vec<NodeId> = terms.iter().map(|(placed, _)| placed.node).collect();
    let mut saved = vec![Saved::default(); terms.len()];
    let forward = Forward::record(
        recording,
        network,
        input,
        &wanted,
        &[],
        |recording, node, x| {
            for ((placed, loss), saved) in terms.iter().zip(&mut saved) {
                if placed.node == node {
                    *saved = record_value(recording, &*placed.term, x, *loss);
                }
            }
        },
    )?;
    forward.record_backward(recording, |recording, node, x, gradient| {
        let own = terms
            .iter()
            .zip(&saved)
            .filter(|((t, _), _)| t.node == node);
        for ((placed, _), saved) in own {
            let (dx, accumulate) = gradient.target(recording);
            record_gradient(recording, &*placed.term, x, saved, dx, accumulate);
        }
    })
}

impl Iteration {
    /// Plans one iteration: the image from its parameters, forward pass, losses, backward pass, filters of the
    /// gradient, optimizer step, projections, record of the losses.
    ///
    /// Terms of the network's input read the image itself; all others what the network sees of it after the
    /// transformations.
    ///
    /// # Errors
    /// [`Error::Net`] where the image is too small for a layer; [`PlanError::NoGradient`] where no term depends on the
    /// image.
    pub fn new(problem: &Problem<'_>) -> Result<Self, Error> {
        let mut recording = Recording::new();
        let n = problem.image.n;
        let slots = problem.terms.len() as u32;
        let per_iteration = (n * slots).max(1);
        let step = recording.persistent("step", Kind::Word, 1);
        let losses = recording.persistent("losses", Kind::Real, per_iteration as usize);
        let ring = recording.persistent(
            "loss ring",
            Kind::Real,
            (RING_ROWS * per_iteration) as usize,
        );

        let shape = problem
            .parameterisation
            .iter()
            .rev()
            .fold(problem.image, |view, map| map.input(view));
        let parameter = Tensor::persistent(&mut recording, "parameter", shape);
        let made = apply(&mut recording, problem.parameterisation, parameter, step);
        let image = made.last().map_or(parameter, |mapped| mapped.y);
        let seen = apply(&mut recording, problem.transformations, image, step);
        let input = seen.last().map_or(image, |mapped| mapped.y);

        // Terms of the image itself see it before the transformations, the others through the network.
        let loss = |slot| Loss {
            losses,
            slots,
            slot,
            step,
        };
        let (of_image, of_layers): (Vec<_>, Vec<_>) = problem
            .terms
            .iter()
            .zip((0..).map(loss))
            .partition(|(placed, _)| placed.node == problem.network.graph().input());
        let mut gradient = None;
        if !of_layers.is_empty() {
            let from_network = if problem.bands > 1 {
                let nodes: Vec<NodeId> = of_layers.iter().map(|(t, _)| t.node).collect();
                let graph = problem.network.graph();
                Bands::new(graph, &nodes, input.view, problem.bands)?.record(
                    &mut recording,
                    problem.network,
                    input,
                    &of_layers,
                )?
            } else {
                through_network(&mut recording, problem.network, input, &of_layers)?
            };
            gradient = Some(pull_back(
                &mut recording,
                problem.transformations,
                &seen,
                from_network,
                step,
            ));
        }
        for (placed, loss) in of_image {
            let saved = record_value(&mut recording, &*placed.term, image, loss);
            let accumulate = gradient.is_some();
            let dx = *gradient
                .get_or_insert_with(|| Tensor::transient(&mut recording, "gradient", image.view));
            record_gradient(&mut recording, &*placed.term, image, &saved, dx, accumulate);
        }
        let Some(gradient) = gradient else {
            return Err(PlanError::NoGradient.into());
        };
        let gradient = pull_back(
            &mut recording,
            problem.parameterisation,
            &made,
            gradient,
            step,
        );
        // Before the step: the losses are those of the image as it is now.
        let kept = problem.keep.as_ref().map(|keep| {
            let origin = Tensor {
                value: recording.given("start pictures", keep.origin.clone()),
                view: problem.image,
            };
            let (slot, threshold) = (keep.slot, keep.threshold);
            record_keep_best(
                &mut recording,
                image,
                origin,
                losses,
                slots,
                slot,
                threshold,
                step,
            )
            .image
        });
        let mut site = Site {
            x: parameter,
            gradient,
            step,
            losses,
            slots,
        };
        for filter in problem.filters {
            site.gradient = filter.record(&mut recording, site);
        }
        let state = problem
            .optimizer
            .map(|optimizer| optimizer.record(&mut recording, site))
            .unwrap_or_default();
        for projection in problem.projections {
            projection.record(&mut recording, site);
        }
        let average = problem
            .average
            .map(|average| (average, average.record(&mut recording, parameter)));
        let record = Record {
            slots: per_iteration,
            rows: RING_ROWS,
        };
        recording.call("record", record, &[losses, ring, step]);
        let outputs = [("gradient".to_string(), site.gradient)];
        let groups = (0..n)
            .flat_map(|_| problem.terms.iter().map(|t| t.group))
            .collect();
        let handles = Handles {
            parameter,
            image,
            gradient: site.gradient,
            average,
            kept,
            state,
            parameterisation: problem.parameterisation.to_vec(),
            labels: problem
                .terms
                .iter()
                .filter_map(|t| Some((t.group, t.labels.clone()?)))
                .collect(),
            step,
            ring,
            groups,
        };
        Ok(Self {
            program: Program::new(recording, outputs),
            handles,
        })
    }

    /// An iteration that somebody else has recorded, which ends with a [`Record`] of `losses` values into `ring`.
    #[must_use]
    pub fn recorded(
        recording: Recording,
        image: Tensor,
        step: ValueId,
        ring: ValueId,
        losses: usize,
    ) -> Self {
        let handles = Handles {
            parameter: image,
            image,
            gradient: image,
            average: None,
            kept: None,
            state: State::default(),
            parameterisation: Vec::new(),
            labels: Vec::new(),
            step,
            ring,
            groups: vec![0; losses],
        };
        Self {
            program: Program::new(recording, []),
            handles,
        }
    }

    /// The most bytes at one time: the whole program and an image that is read out of it; or, before it is complete,
    /// what it keeps from one iteration to the next together with `beside` bytes that hand over to it.
    #[must_use]
    pub fn peak_bytes(&self, beside: u64) -> u64 {
        let cost = self.program.cost();
        let kept = self.program.persistent_bytes();
        let whole = cost.total_bytes() + self.result_bytes();
        whole.max(kept + cost.given_bytes + beside)
    }

    /// What is taken beside the program when its image is asked for: that is made of an average, where no memory is
    /// free between iterations, or of parameters.
    fn result_bytes(&self) -> u64 {
        let bytes = |x: View| Kind::Real.buffer_bytes(x.len());
        let average = self
            .handles
            .average
            .as_ref()
            .map_or(0, |(_, x)| bytes(x.view));
        let spare = self.program.layout.spare(&self.program.recording, average);
        let made = if self.handles.parameterisation.is_empty() {
            0
        } else {
            bytes(self.handles.image.view)
        };
        made + if spare.is_some() { 0 } else { average }
    }
}
