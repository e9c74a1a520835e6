//! What a network was trained to see, as its weights file's metadata say it.

use super::error::{PreprocessingProblem, WeightsProblem};
use super::graph::Graph;
use crate::layer::Normalize;

/// The preprocessing of torchvision's ImageNet networks, which holds where a file says nothing.
pub const DEFAULT: &str = "RGB/255 - mean(0.485,0.456,0.406), / std(0.229,0.224,0.225)";

/// Mean and standard deviation per channel, of RGB in `[0,1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

impl Preprocessing {
    /// Reads `RGB/255 - mean(r,g,b), / std(r,g,b)`, where the mean, the standard deviation or both may be
    /// absent and white space means nothing. Anything else, such as BGR order, is an error: such weights have
    /// to be converted, which the first convolution allows.
    pub(super) fn parse(text: &str) -> Result<Preprocessing, WeightsProblem> {
        Self::read(text).map_err(|problem| WeightsProblem::Preprocessing {
            found: text.to_owned(),
            problem,
            expected: DEFAULT,
        })
    }

    fn read(text: &str) -> Result<Preprocessing, PreprocessingProblem> {
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let Some(mut rest) = compact.strip_prefix("RGB/255") else {
            return Err(PreprocessingProblem::Start);
        };
        let mut read = Preprocessing {
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        if let Some(after) = rest.strip_prefix("-mean(") {
            (read.mean, rest) = triple(after)?;
        }
        let before_std = rest.strip_prefix(',').unwrap_or(rest);
        if let Some(after) = before_std.strip_prefix("/std(") {
            (read.std, rest) = triple(after)?;
        }
        if !rest.is_empty() {
            return Err(PreprocessingProblem::Rest {
                found: rest.to_owned(),
            });
        }
        if read.std.iter().any(|&std| std <= 0.0) {
            return Err(PreprocessingProblem::Deviation);
        }
        Ok(read)
    }

    /// What the first layer of a graph that normalizes does; without one the image stays as it is.
    pub(super) fn of(graph: &Graph) -> Preprocessing {
        let mut nodes = graph.nodes().iter();
        let normalize = nodes.find_map(|node| node.layer.of_kind::<Normalize>());
        let Normalize { scale, bias } = *normalize.unwrap_or(&Normalize::IDENTITY);
        Preprocessing {
            mean: std::array::from_fn(|c| -f64::from(bias[c]) / f64::from(scale[c])),
            std: scale.map(|scale| 1.0 / f64::from(scale)),
        }
    }

    /// `x * scale + bias` per channel is `(x - mean) / std`.
    pub fn scale_and_bias(&self) -> ([f32; 3], [f32; 3]) {
        let scale = self.std.map(|std| (1.0 / std) as f32);
        let bias = std::array::from_fn(|c| (-self.mean[c] / self.std[c]) as f32);
        (scale, bias)
    }
}

/// Three finite numbers up to the closing parenthesis, and what follows it.
fn triple(text: &str) -> Result<([f64; 3], &str), PreprocessingProblem> {
    let (inside, rest) = text
        .split_once(')')
        .ok_or(PreprocessingProblem::Parenthesis)?;
    let numbers: Vec<f64> = inside
        .split(',')
        .map(|number| number.parse().ok().filter(|n: &f64| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| PreprocessingProblem::NotNumbers {
            found: inside.to_owned(),
        })?;
    let numbers = numbers
        .try_into()
        .map_err(|n: Vec<f64>| PreprocessingProblem::Count { found: n.len() })?;
    Ok((numbers, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mean_and_standard_deviation() {
        let read = Preprocessing::parse(DEFAULT).unwrap();
        assert_eq!(read.mean, [0.485, 0.456, 0.406]);
        assert_eq!(read.std, [0.229, 0.224, 0.225]);
        let (scale, bias) = read.scale_and_bias();
        for c in 0..3 {
            // The mean becomes 0, and one standard deviation more becomes 1.
            let at = |x: f64| x as f32 * scale[c] + bias[c];
            assert!(at(read.mean[c]).abs() < 1e-6);
            assert!((at(read.mean[c] + read.std[c]) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn both_parts_are_optional() {
        let identity = Preprocessing::parse("RGB/255").unwrap();
        assert_eq!(identity.scale_and_bias(), ([1.0; 3], [0.0; 3]));
        let mean = Preprocessing::parse("RGB / 255 - mean(0.5, 0.25, 1)").unwrap();
        assert_eq!(mean.scale_and_bias(), ([1.0; 3], [-0.5, -0.25, -1.0]));
        let std = Preprocessing::parse("RGB/255 / std(0.5,0.25,2)").unwrap();
        assert_eq!(std.scale_and_bias(), ([2.0, 4.0, 0.5], [0.0; 3]));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (text, reason) in [
            ("", "does not start"),
            ("BGR - mean(104,117,123)", "does not start"),
            ("RGB/255 - mean(0.5,0.5)", "2 numbers"),
            ("RGB/255 - mean(0.5,0.5,NaN)", "three numbers"),
            ("RGB/255 - mean(0.5,0.5,0.5", "closing parenthesis"),
            ("RGB/255 / std(1,0,1)", "not positive"),
            ("RGB/255 * 2", "`*2`"),
        ] {
            let error = Preprocessing::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
