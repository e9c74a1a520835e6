//! A network's parameters: what it has learned.

use super::error::{GraphError, GraphProblem};
use super::graph::Graph;

/// One tensor of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in a weights file, e.g. `features.0.weight`.
    pub name: String,
    /// Its shape there, the last axis the fastest.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// All parameters of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Those that the layers of `graph` have, in their order; others are left out.
    ///
    /// # Errors
    /// Names the layer and the parameter that is missing or has another shape.
    pub fn new(graph: &Graph, all: Vec<Parameter>) -> Result<Self, GraphError> {
        let mut given: Vec<Option<Parameter>> = all.into_iter().map(Some).collect();
        let mut kept: Vec<Parameter> = Vec::new();
        for node in graph.nodes() {
            let wrong = |problem| GraphError {
                layer: node.name.clone(),
                problem,
            };
            for needed in node.layer.parameters() {
                if kept.iter().any(|known| known.name == needed.name) {
                    continue;
                }
                let is_it = |given: &&mut Option<Parameter>| {
                    given
                        .as_ref()
                        .is_some_and(|given| given.name == needed.name)
                };
                let (parameter, expected) = (needed.name.clone(), needed.shape.clone());
                let Some(found) = given.iter_mut().find(is_it).and_then(Option::take) else {
                    return Err(wrong(GraphProblem::MissingParameter {
                        parameter,
                        expected,
                    }));
                };
                if found.shape != needed.shape {
                    return Err(wrong(GraphProblem::ParameterShape {
                        parameter,
                        expected,
                        found: found.shape,
                    }));
                }
                if found.values.len() != found.shape.iter().product::<usize>() {
                    return Err(wrong(GraphProblem::ParameterValues {
                        parameter,
                        shape: found.shape,
                        found: found.values.len(),
                    }));
                }
                kept.push(found);
            }
        }
        Ok(Self(kept))
    }

    /// The parameter of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|parameter| parameter.name == name)
    }

    /// All of them, to be changed.
    pub(super) fn into_vec(self) -> Vec<Parameter> {
        self.0
    }

    /// All of them, in the order of the layers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter> {
        self.0.iter()
    }
}
