//! Networks with random weights: for tests and measurements, and for textures that need no training.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::preprocessing::DEFAULT;
use super::{Architecture, ConvWeights, Network, Op, Preprocessing, WeightsError};

impl Network {
    /// The first `convs` convolutions of an architecture, its classifier for `classes` classes, with weights drawn
    /// so that activations keep their variance (He et al. 2015, section 2.2). The same seed gives the same network.
    ///
    /// # Errors
    /// None with the defaults this crate ships; the type is that of reading a file.
    pub fn random(
        architecture: Architecture,
        classes: u32,
        convs: usize,
        seed: u64,
    ) -> Result<Network, WeightsError> {
        let mut graph = architecture.graph(classes);
        graph.cut(convs);
        let preprocessing = Preprocessing::parse(DEFAULT)?;
        let (scale, bias) = preprocessing.scale_and_bias();
        let normalized = graph.normalized();
        graph.nodes[normalized.0].op = Op::Normalize { scale, bias };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let convs = graph
            .convs
            .iter()
            .map(|spec| {
                let inputs = spec.in_channels * spec.kernel * spec.kernel;
                // A positive standard deviation is always accepted.
                let normal = Normal::new(0.0, (2.0 / inputs as f32).sqrt()).ok();
                let mut draw = |n: u32| -> Vec<f32> {
                    (0..n)
                        .map(|_| normal.map_or(0.0, |normal| normal.sample(&mut rng)))
                        .collect()
                };
                ConvWeights {
                    name: spec.tensor.clone(),
                    out_channels: spec.out_channels,
                    in_channels: spec.in_channels,
                    kernel: spec.kernel,
                    weight: draw(inputs * spec.out_channels),
                    bias: draw(spec.out_channels),
                }
            })
            .collect();
        Ok(Network {
            name: format!("{architecture} with random weights"),
            architecture,
            nodes: graph.nodes,
            convs,
            preprocessing,
            metadata: BTreeMap::new(),
        })
    }
}
