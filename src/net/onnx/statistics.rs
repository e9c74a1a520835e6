//! Sums over the axes of constants, and constants that are normalized.

use super::error::Unsupported;
use super::fold::{Folded, places};
use super::node::{Node, axes};
use super::tensor::{Data, Tensor};

/// A batch normalization, with the mean and the variance that are known or else its own: of weights that are
/// standardized (Qiao et al. 2019).
pub(super) fn normalize(
    x: &Tensor,
    [scale, bias]: [&Tensor; 2],
    known: Option<[&Tensor; 2]>,
    epsilon: f32,
) -> Folded {
    let channels = x.shape.get(1).copied().unwrap_or(1);
    let inner: usize = x.shape.iter().skip(2).product();
    let list = |list: &Tensor| -> Result<Vec<f64>, Unsupported> {
        let numbers: Vec<f64> = list.to_f32().iter().map(|&v| f64::from(v)).collect();
        let fits = numbers.len() == channels;
        fits.then_some(numbers)
            .ok_or_else(|| Unsupported::Constant {
                shape: list.shape.clone(),
                wanted: "one number for each channel",
            })
    };
    let values = x.to_f32();
    let means = |of_each: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        let mut sums = vec![0.0; channels];
        for (place, &value) in values.iter().enumerate() {
            let channel = place / inner % channels;
            sums[channel] += of_each(channel, f64::from(value));
        }
        let count = (values.len() / channels.max(1)) as f64;
        sums.iter().map(|sum| sum / count).collect()
    };
    let (mean, variance) = if let Some([mean, variance]) = known {
        (list(mean)?, list(variance)?)
    } else {
        let mean = means(&|_, value| value);
        let variance = means(&|channel, value| (value - mean[channel]).powi(2));
        (mean, variance)
    };
    let (scale, bias) = (list(scale)?, list(bias)?);
    let values = values.iter().enumerate().map(|(place, &value)| {
        let c = place / inner % channels;
        let normal = (f64::from(value) - mean[c]) / (variance[c] + f64::from(epsilon)).sqrt();
        (normal * scale[c] + bias[c]) as f32
    });
    Ok(Tensor::floats(x.shape.clone(), values.collect()))
}

/// How the numbers along axes become one, in f64.
pub(super) struct Reduction {
    /// What is taken of each.
    pub first: fn(f64) -> f64,
    pub join: fn(f64, f64) -> f64,
    /// What is made of all, which are so many.
    pub last: fn(f64, f64) -> f64,
    /// The same for integers, where it makes an integer of them.
    pub ints: Option<fn(i64, i64) -> i64>,
}

impl Reduction {
    pub const SUM: Self = Self::plain(|a, b| a + b, i64::wrapping_add);

    pub const fn plain(join: fn(f64, f64) -> f64, ints: fn(i64, i64) -> i64) -> Self {
        Self {
            first: |v| v,
            join,
            last: |v, _| v,
            ints: Some(ints),
        }
    }
}

pub(super) fn reduce(
    node: Node<'_>,
    x: &Tensor,
    over: Option<Vec<i64>>,
    how: &Reduction,
) -> Folded {
    let rank = x.shape.len();
    let gone = match over {
        Some(over) if !over.is_empty() => axes(&over, rank)?,
        _ if node.int("noop_with_empty_axes") == Some(1) => return Ok(x.clone()),
        _ => (0..rank).collect(),
    };
    let sizes: Vec<usize> = (0..rank)
        .map(|a| if gone.contains(&a) { 1 } else { x.shape[a] })
        .collect();
    if x.len() == 0 {
        return Err(Unsupported::Other("sums up no numbers"));
    }
    let count: usize = sizes.iter().product();
    let to = places(&sizes, &x.shape);
    let data = match (&x.data, how.ints) {
        (Data::Int(values), Some(ints)) => {
            let mut sums: Vec<Option<i64>> = vec![None; count];
            for (place, &value) in to.zip(values.iter()) {
                sums[place] = Some(sums[place].map_or(value, |sum| ints(sum, value)));
            }
            Data::Int(sums.into_iter().flatten().collect())
        }
        (Data::Int(_), None) => {
            return Err(Unsupported::Other("makes fractions of integers"));
        }
        (Data::Float(values), _) => {
            let mut sums: Vec<Option<f64>> = vec![None; count];
            for (place, &value) in to.zip(values.iter()) {
                let value = (how.first)(f64::from(value));
                sums[place] = Some(sums[place].map_or(value, |sum| (how.join)(sum, value)));
            }
            let each = (x.len() / count) as f64;
            let all = sums.into_iter().flatten();
            Data::Float(all.map(|sum| (how.last)(sum, each) as f32).collect())
        }
    };
    let keeps = node.int("keepdims").unwrap_or(1) == 1;
    let kept = (0..rank).filter(|axis| keeps || !gone.contains(axis));
    let shape = kept.map(|axis| sizes[axis]).collect();
    Ok(Tensor { shape, data })
}
