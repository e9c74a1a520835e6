//! Networks with random weights: for tests and measurements, and for textures that need no training.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::{Architecture, Graph, NetError, Network, Parameter, Preprocessing};

impl Network {
    /// The first `convs` convolutions of an architecture, its classifier for `classes` classes, with random weights,
    /// see [`Network::with_random_weights`].
    ///
    /// # Errors
    /// None with the defaults this crate ships; the type is that of reading a file.
    pub fn random(
        architecture: Architecture,
        classes: u32,
        convs: usize,
        seed: u64,
    ) -> Result<Network, NetError> {
        let name = format!("{architecture} with random weights");
        let mut graph = architecture.graph(classes);
        graph.cut(convs);
        let preprocessing = Preprocessing::TORCHVISION;
        graph.normalize(&preprocessing);
        Ok(Network {
            architecture: Some(architecture),
            preprocessing,
            ..Self::with_random_weights(&name, graph, seed)?
        })
    }

    /// A network whose weights are drawn so that activations keep their variance (He et al. 2015, section 2.2). The
    /// same seed gives the same network.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_random_weights(name: &str, graph: Graph, seed: u64) -> Result<Network, NetError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let parameters = graph.parameters().into_iter().map(|parameter| {
            // A positive standard deviation is always accepted.
            let normal = Normal::new(0.0, (2.0 / parameter.fan_in as f32).sqrt()).ok();
            let mut draw = || normal.map_or(0.0, |normal| normal.sample(&mut rng));
            let count: usize = parameter.shape.iter().product();
            Parameter {
                name: parameter.name,
                shape: parameter.shape,
                values: (0..count).map(|_| draw()).collect(),
            }
        });
        let parameters = parameters.collect();
        Network::new(name, graph, parameters)
    }
}
