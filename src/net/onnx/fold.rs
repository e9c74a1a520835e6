//! Nodes all of whose inputs are constants, computed when a file is read: arithmetic on shapes above all.

use std::cmp::Ordering;

use super::error::Unsupported;
use super::node::{Node, axis};
use super::shapes::{
    broadcast, indices, permutation, reshaped, shape_of, slices, split_sizes, squeezed, unsqueezed,
};
use super::statistics::{Reduction, normalize, reduce};
use super::tensor::{Data, Tensor, elements, strides};

pub(super) type Folded = Result<Tensor, Unsupported>;

/// What a node makes of constants. `None` stands for an input that is left out.
pub(super) fn fold(node: Node<'_>, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>, Unsupported> {
    let x = |index: usize| -> Result<&Tensor, Unsupported> {
        let input = inputs.get(index).and_then(Option::as_ref);
        input.ok_or(Unsupported::Missing { index })
    };
    let float = |f: fn(f32) -> f32| -> Folded { Ok(map_floats(x(0)?, f)) };
    // Axes are an option in old opsets and an input in new ones.
    let given_axes = |input: usize| -> Option<Vec<i64>> {
        let listed = node.ints("axes").map(<[i64]>::to_vec);
        listed.or_else(|| Some(x(input).ok()?.to_i64().to_vec()))
    };
    let one = match node.operator() {
        "Identity" | "Dropout" => x(0)?.clone(),
        "Cast" => cast(x(0)?, node.int("to").unwrap_or(1)),
        "CastLike" if x(1)?.is_float() => {
            Tensor::floats(x(0)?.shape.clone(), x(0)?.to_f32().to_vec())
        }
        "CastLike" => cast(x(0)?, 7),
        "Shape" => shape_of(node, &x(0)?.shape),
        "Size" => Tensor::ints(vec![], vec![x(0)?.len() as i64]),
        "Gather" => gather(x(0)?, x(1)?, node.int("axis").unwrap_or(0))?,
        "Unsqueeze" => unsqueeze(
            x(0)?,
            &given_axes(1).ok_or(Unsupported::Missing { index: 1 })?,
        )?,
        "Squeeze" => squeeze(x(0)?, given_axes(1).as_deref())?,
        "Concat" => {
            let all: Result<Vec<&Tensor>, _> = (0..inputs.len()).map(x).collect();
            concat(&all?, node.int("axis").unwrap_or(0))?
        }
        "Slice" => {
            let numbers = |name: &str, input: usize| -> Option<Vec<i64>> {
                let listed = node.ints(name).map(<[i64]>::to_vec);
                listed.or_else(|| Some(x(input).ok()?.to_i64().to_vec()))
            };
            let missing = |index| Unsupported::Missing { index };
            slice(
                x(0)?,
                &numbers("starts", 1).ok_or(missing(1))?,
                &numbers("ends", 2).ok_or(missing(2))?,
                numbers("axes", 3).as_deref(),
                numbers("steps", 4).as_deref(),
            )?
        }
        "Reshape" => {
            let wanted = match node.ints("shape") {
                Some(shape) => shape.to_vec(),
                None => x(1)?.to_i64().to_vec(),
            };
            let keeps_zero = node.int("allowzero") == Some(1);
            Tensor {
                shape: reshaped(&x(0)?.shape, &wanted, keeps_zero)?,
                ..x(0)?.clone()
            }
        }
        "Flatten" => {
            let rank = x(0)?.shape.len();
            let split = node.int("axis").unwrap_or(1);
            let split = if split == rank as i64 {
                rank
            } else {
                axis(split, rank)?
            };
            let (outer, inner) = x(0)?.shape.split_at(split);
            Tensor {
                shape: vec![outer.iter().product(), inner.iter().product()],
                ..x(0)?.clone()
            }
        }
        "Transpose" => transpose(x(0)?, node.ints("perm"))?,
        "Expand" => {
            let wanted: Vec<usize> = x(1)?.to_i64().iter().map(|&n| n.max(0) as usize).collect();
            let shape = broadcast(&x(0)?.shape, &wanted)?;
            expand(x(0)?, &shape)
        }
        "Tile" => {
            let shape: Vec<usize> = x(0)?
                .shape
                .iter()
                .zip(x(1)?.to_i64().iter())
                .map(|(&n, &times)| n.saturating_mul(times.max(0) as usize))
                .collect();
            tile(x(0)?, shape)?
        }
        "Add" => binary(x(0)?, x(1)?, |a, b| a + b, i64::wrapping_add)?,
        "Sub" => binary(x(0)?, x(1)?, |a, b| a - b, i64::wrapping_sub)?,
        "Mul" => binary(x(0)?, x(1)?, |a, b| a * b, i64::wrapping_mul)?,
        "Div" => binary(
            x(0)?,
            x(1)?,
            |a, b| a / b,
            |a, b| a.checked_div(b).unwrap_or(0),
        )?,
        "Mod" => binary(
            x(0)?,
            x(1)?,
            |a, b| a % b,
            |a, b| a.checked_rem_euclid(b).unwrap_or(0),
        )?,
        "Pow" => binary(x(0)?, x(1)?, f32::powf, |a, b| {
            u32::try_from(b).map_or(0, |b| a.saturating_pow(b))
        })?,
        "Sum" => all(inputs, |a, b| a + b, i64::wrapping_add)?,
        "Min" => all(inputs, f32::min, i64::min)?,
        "Max" => all(inputs, f32::max, i64::max)?,
        "Mean" => {
            let count = inputs.len() as f32;
            map_floats(&all(inputs, |a, b| a + b, i64::wrapping_add)?, |v| {
                v / count
            })
        }
        "Clip" => clip(node, x(0)?, [inputs.get(1), inputs.get(2)])?,
        "Equal" => compare(x(0)?, x(1)?, Ordering::is_eq)?,
        "Greater" => compare(x(0)?, x(1)?, Ordering::is_gt)?,
        "GreaterOrEqual" => compare(x(0)?, x(1)?, Ordering::is_ge)?,
        "Less" => compare(x(0)?, x(1)?, Ordering::is_lt)?,
        "LessOrEqual" => compare(x(0)?, x(1)?, Ordering::is_le)?,
        "And" => binary(x(0)?, x(1)?, f32::min, i64::min)?,
        "Or" => binary(x(0)?, x(1)?, f32::max, i64::max)?,
        "Not" => map(x(0)?, |v| f32::from(v == 0.0), |v| i64::from(v == 0)),
        "Where" => choose(x(0)?, x(1)?, x(2)?)?,
        "Neg" => map(x(0)?, |v| -v, i64::wrapping_neg),
        "Abs" => map(x(0)?, f32::abs, i64::wrapping_abs),
        "Sign" => map(
            x(0)?,
            |v| if v == 0.0 { 0.0 } else { v.signum() },
            i64::signum,
        ),
        "Floor" => float(f32::floor)?,
        "Ceil" => float(f32::ceil)?,
        "Round" => float(f32::round_ties_even)?,
        "Sqrt" => float(f32::sqrt)?,
        "Reciprocal" => float(f32::recip)?,
        "Exp" => float(f32::exp)?,
        "Log" => float(f32::ln)?,
        "Sigmoid" => float(|v| 1.0 / (1.0 + (-v).exp()))?,
        "Tanh" => float(f32::tanh)?,
        "Sin" => float(f32::sin)?,
        "Cos" => float(f32::cos)?,
        "Softplus" => float(|v| v.max(0.0) + (-v.abs()).exp().ln_1p())?,
        "Xor" => binary(x(0)?, x(1)?, |a, b| (a - b).abs(), |a, b| a ^ b)?,
        "Relu" => map(x(0)?, |v| v.max(0.0), |v| v.max(0)),
        "BatchNormalization" => {
            let is_training = node.int("training_mode").unwrap_or(0) != 0;
            let known = if is_training {
                None
            } else {
                Some([x(3)?, x(4)?])
            };
            let epsilon = node.float("epsilon").unwrap_or(1e-5);
            normalize(x(0)?, [x(1)?, x(2)?], known, epsilon)?
        }
        "Range" => range(x(0)?, x(1)?, x(2)?)?,
        "ReduceProd" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction::plain(|a, b| a * b, i64::wrapping_mul),
        )?,
        "ReduceSum" => reduce(node, x(0)?, given_axes(1), &Reduction::SUM)?,
        "ReduceMax" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction::plain(f64::max, i64::max),
        )?,
        "ReduceMin" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction::plain(f64::min, i64::min),
        )?,
        "ReduceMean" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction {
                last: |sum, count| sum / count,
                ints: None,
                ..Reduction::SUM
            },
        )?,
        "ReduceL1" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction {
                first: f64::abs,
                ints: None,
                ..Reduction::SUM
            },
        )?,
        "ReduceL2" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction {
                first: |v| v * v,
                last: |sum, _| sum.sqrt(),
                ints: None,
                ..Reduction::SUM
            },
        )?,
        "ReduceSumSquare" => reduce(
            node,
            x(0)?,
            given_axes(1),
            &Reduction {
                first: |v| v * v,
                ints: None,
                ..Reduction::SUM
            },
        )?,
        "Split" => return split(node, inputs),
        _ => return Err(Unsupported::Operator),
    };
    Ok(vec![one])
}

/// The element of `shape` that stands at each element of the wider shape `over`.
pub(super) fn places(shape: &[usize], over: &[usize]) -> impl Iterator<Item = usize> + use<> {
    let lacks = over.len() - shape.len();
    let own = strides(shape);
    let step: Vec<usize> = (0..over.len())
        .map(|axis| match axis.checked_sub(lacks) {
            Some(axis) if shape[axis] != 1 => own[axis],
            _ => 0,
        })
        .collect();
    walk(over.to_vec(), step, 0)
}

/// `start` plus each index of `shape` times its `step`, the last axis the fastest.
fn walk(shape: Vec<usize>, step: Vec<usize>, start: usize) -> impl Iterator<Item = usize> {
    let count: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut place = start;
    (0..count).map(move |_| {
        let here = place;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            place += step[axis];
            if index[axis] < shape[axis] {
                break;
            }
            place -= step[axis] * shape[axis];
            index[axis] = 0;
        }
        here
    })
}

fn map_floats(x: &Tensor, f: impl Fn(f32) -> f32) -> Tensor {
    Tensor::floats(x.shape.clone(), x.to_f32().iter().map(|&v| f(v)).collect())
}

fn map(x: &Tensor, float: impl Fn(f32) -> f32, int: impl Fn(i64) -> i64) -> Tensor {
    match &x.data {
        Data::Float(_) => map_floats(x, float),
        Data::Int(values) => {
            Tensor::ints(x.shape.clone(), values.iter().map(|&v| int(v)).collect())
        }
    }
}

fn cast(x: &Tensor, to: i64) -> Tensor {
    const BOOL: i64 = 9;
    let shape = x.shape.clone();
    match i32::try_from(to) {
        Ok(to) if super::tensor::is_float(to) => Tensor::floats(shape, x.to_f32().to_vec()),
        _ if to == BOOL => Tensor::ints(
            shape,
            x.to_f32().iter().map(|&v| i64::from(v != 0.0)).collect(),
        ),
        _ => Tensor::ints(shape, x.to_i64().to_vec()),
    }
}

fn binary(
    a: &Tensor,
    b: &Tensor,
    float: impl Fn(f32, f32) -> f32,
    int: impl Fn(i64, i64) -> i64,
) -> Folded {
    let shape = broadcast(&a.shape, &b.shape)?;
    let pairs = places(&a.shape, &shape).zip(places(&b.shape, &shape));
    Ok(if let (Data::Int(a), Data::Int(b)) = (&a.data, &b.data) {
        let values = pairs.map(|(i, j)| int(a[i], b[j])).collect();
        Tensor::ints(shape, values)
    } else {
        let (a, b) = (a.to_f32(), b.to_f32());
        let values = pairs.map(|(i, j)| float(a[i], b[j])).collect();
        Tensor::floats(shape, values)
    })
}

/// All inputs combined, one after another.
fn all(
    inputs: &[Option<Tensor>],
    float: impl Fn(f32, f32) -> f32,
    int: impl Fn(i64, i64) -> i64,
) -> Folded {
    let mut all = (0..).zip(inputs);
    let needed = |index: usize, x: &Option<Tensor>| x.clone().ok_or(Unsupported::Missing { index });
    let (index, first) = all.next().ok_or(Unsupported::Missing { index: 0 })?;
    all.try_fold(needed(index, first)?, |made, (index, x)| {
        binary(&made, &needed(index, x)?, &float, &int)
    })
}

/// The bounds are options in old opsets and inputs in new ones.
fn clip(node: Node<'_>, x: &Tensor, bounds: [Option<&Option<Tensor>>; 2]) -> Folded {
    let [low, high] = bounds.map(|bound| bound.and_then(Option::as_ref).cloned());
    let option = |name| Some(Tensor::floats(vec![], vec![node.float(name)?]));
    let mut made = x.clone();
    if let Some(low) = low.or_else(|| option("min")) {
        made = binary(&made, &low, f32::max, i64::max)?;
    }
    if let Some(high) = high.or_else(|| option("max")) {
        made = binary(&made, &high, f32::min, i64::min)?;
    }
    Ok(made)
}

fn compare(a: &Tensor, b: &Tensor, holds: fn(Ordering) -> bool) -> Folded {
    let compared = binary(
        a,
        b,
        |a, b| f32::from(a.partial_cmp(&b).is_some_and(holds)),
        |a, b| i64::from(holds(a.cmp(&b))),
    )?;
    Ok(cast(&compared, 9))
}

fn choose(condition: &Tensor, yes: &Tensor, no: &Tensor) -> Folded {
    let shape = broadcast(&broadcast(&condition.shape, &yes.shape)?, &no.shape)?;
    let condition_values = condition.to_i64();
    let chosen = places(&condition.shape, &shape).map(|i| condition_values[i] != 0);
    let pairs = places(&yes.shape, &shape).zip(places(&no.shape, &shape));
    let all = chosen.zip(pairs);
    Ok(
        if let (Data::Int(yes), Data::Int(no)) = (&yes.data, &no.data) {
            let values = all.map(|(yes_is, (i, j))| if yes_is { yes[i] } else { no[j] });
            Tensor::ints(shape, values.collect())
        } else {
            let (yes, no) = (yes.to_f32(), no.to_f32());
            let values = all.map(|(yes_is, (i, j))| if yes_is { yes[i] } else { no[j] });
            Tensor::floats(shape, values.collect())
        },
    )
}

fn expand(x: &Tensor, shape: &[usize]) -> Tensor {
    x.picked(shape.to_vec(), places(&x.shape, shape))
}

fn tile(x: &Tensor, shape: Vec<usize>) -> Folded {
    if shape.len() != x.shape.len() {
        return Err(Unsupported::Other(
            "repeats another number of axes than there are",
        ));
    }
    elements(&shape).ok_or(Unsupported::Other("makes more numbers than can be"))?;
    let own = strides(&x.shape);
    let steps = strides(&shape);
    let count = shape.iter().product();
    let pick = (0..count).map(|place: usize| {
        let along = (0..shape.len())
            .map(|axis| place / steps[axis] % shape[axis] % x.shape[axis] * own[axis]);
        along.sum()
    });
    let pick: Vec<usize> = pick.collect();
    Ok(x.picked(shape, pick.into_iter()))
}

fn gather(x: &Tensor, numbers: &Tensor, along: i64) -> Folded {
    let along = axis(along, x.shape.len())?;
    let chosen = indices(&numbers.to_i64(), x.shape[along])?;
    let inner: usize = x.shape[along + 1..].iter().product();
    let outer: usize = x.shape[..along].iter().product();
    let mut shape = x.shape[..along].to_vec();
    shape.extend(&numbers.shape);
    shape.extend(&x.shape[along + 1..]);
    elements(&shape).ok_or(Unsupported::Other("makes more numbers than can be"))?;
    let whole = x.shape[along] * inner;
    let pick = (0..outer)
        .flat_map(|o| chosen.iter().map(move |i| o * whole + i * inner))
        .flat_map(|start| start..start + inner);
    Ok(x.picked(shape, pick))
}

fn unsqueeze(x: &Tensor, at: &[i64]) -> Folded {
    let shape = unsqueezed(&x.shape, at)?;
    Ok(Tensor { shape, ..x.clone() })
}

fn squeeze(x: &Tensor, at: Option<&[i64]>) -> Folded {
    let gone = squeezed(&x.shape, at)?;
    let kept = (0..x.shape.len()).filter(|axis| !gone.contains(axis));
    let shape: Vec<usize> = kept.map(|axis| x.shape[axis]).collect();
    if elements(&shape) != Some(x.len()) {
        return Err(Unsupported::Other(
            "takes an axis away that has several positions",
        ));
    }
    Ok(Tensor { shape, ..x.clone() })
}

fn concat(all: &[&Tensor], along: i64) -> Folded {
    let first = all.first().ok_or(Unsupported::Missing { index: 0 })?;
    let along = axis(along, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[along] = 0;
    for x in all {
        let same = x.shape.len() == shape.len()
            && (0..shape.len()).all(|axis| axis == along || x.shape[axis] == shape[axis]);
        if !same {
            return Err(Unsupported::Broadcast {
                first: first.shape.clone(),
                other: x.shape.clone(),
            });
        }
        shape[along] += x.shape[along];
    }
    elements(&shape).ok_or(Unsupported::Other("makes more numbers than can be"))?;
    let outer: usize = shape[..along].iter().product();
    let inner: usize = shape[along + 1..].iter().product();
    let pieces = |o: usize| {
        all.iter().map(move |x| {
            let length = x.shape[along] * inner;
            (x, o * length..(o + 1) * length)
        })
    };
    Ok(if all.iter().any(|x| x.is_float()) {
        let mut values = Vec::with_capacity(shape.iter().product());
        (0..outer).for_each(|o| pieces(o).for_each(|(x, piece)| values.extend(&x.to_f32()[piece])));
        Tensor::floats(shape, values)
    } else {
        let mut values = Vec::with_capacity(shape.iter().product());
        (0..outer).for_each(|o| pieces(o).for_each(|(x, piece)| values.extend(&x.to_i64()[piece])));
        Tensor::ints(shape, values)
    })
}

fn slice(
    x: &Tensor,
    starts: &[i64],
    ends: &[i64],
    at: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Folded {
    let taken = slices(&x.shape, starts, ends, at, steps)?;
    let mut result = x.clone();
    for (axis, taken) in taken.into_iter().enumerate() {
        let Some(taken) = taken else { continue };
        let indices = Tensor::list(taken.into_iter().map(|i| i as i64));
        result = gather(&result, &indices, axis as i64)?;
    }
    Ok(result)
}

fn transpose(x: &Tensor, perm: Option<&[i64]>) -> Folded {
    let order = permutation(perm, x.shape.len())?;
    let own = strides(&x.shape);
    let shape: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    let step = order.iter().map(|&axis| own[axis]).collect();
    Ok(x.picked(shape.clone(), walk(shape, step, 0)))
}

fn range(start: &Tensor, end: &Tensor, step: &Tensor) -> Folded {
    const MOST: f64 = 1e6;
    let number = |x: &Tensor| match &x.data {
        Data::Float(values) => values.first().map(|&v| f64::from(v)),
        Data::Int(values) => values.first().map(|&v| v as f64),
    };
    let all = number(start).zip(number(end)).zip(number(step));
    let ((from, to), by) = all.ok_or(Unsupported::Missing { index: 0 })?;
    let count = ((to - from) / by).ceil().max(0.0);
    if count.is_nan() || count > MOST {
        return Err(Unsupported::Other("makes more numbers than can be"));
    }
    let values = (0..count as i64).map(|i| from + i as f64 * by);
    Ok(if start.is_float() {
        let values: Vec<f32> = values.map(|v| v as f32).collect();
        Tensor::floats(vec![values.len()], values)
    } else {
        Tensor::list(values.map(|v| v as i64))
    })
}

fn split(node: Node<'_>, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>, Unsupported> {
    let x = inputs
        .first()
        .and_then(Option::as_ref)
        .ok_or(Unsupported::Missing { index: 0 })?;
    let along = axis(node.int("axis").unwrap_or(0), x.shape.len())?;
    let sizes = split_sizes(node, x.shape[along], inputs.get(1).and_then(Option::as_ref))?;
    let mut start = 0;
    let parts = sizes.into_iter().map(|size| {
        let indices = Tensor::list((start..start + size).map(|i| i as i64));
        start += size;
        gather(x, &indices, along as i64)
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::onnx::proto;

    fn folded(operator: &str, ints: &[(&str, &[i64])], inputs: &[Tensor]) -> Vec<Tensor> {
        let attributes = ints.iter().map(|(name, ints)| proto::Attribute {
            name: (*name).to_owned(),
            int: ints.first().copied().unwrap_or(0),
            ints: ints.to_vec(),
            ..Default::default()
        });
        let message = proto::Node {
            operator: operator.to_owned(),
            outputs: vec![String::new(); 2],
            attributes: attributes.collect(),
            ..Default::default()
        };
        let node = Node {
            message: &message,
            opset: 13,
        };
        let inputs: Vec<Option<Tensor>> = inputs.iter().cloned().map(Some).collect();
        fold(node, &inputs).expect("a constant")
    }

    fn ints(shape: &[usize], values: &[i64]) -> Tensor {
        Tensor::ints(shape.to_vec(), values.to_vec())
    }

    #[test]
    fn elements_are_moved_as_onnx_says() {
        let x = ints(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(
            folded("Transpose", &[], std::slice::from_ref(&x)),
            [ints(&[3, 2], &[1, 4, 2, 5, 3, 6])]
        );
        let last = ints(&[], &[-1]);
        assert_eq!(
            folded("Gather", &[("axis", &[1])], &[x.clone(), last]),
            [ints(&[2], &[3, 6])]
        );
        let twice = folded("Concat", &[("axis", &[1])], &[x.clone(), x.clone()]);
        assert_eq!(
            twice,
            [ints(&[2, 6], &[1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])]
        );
        let list = |values: &[i64]| Tensor::list(values.iter().copied());
        let backwards = [
            x.clone(),
            list(&[-1]),
            list(&[-100]),
            list(&[1]),
            list(&[-2]),
        ];
        assert_eq!(
            folded("Slice", &[], &backwards),
            [ints(&[2, 2], &[3, 1, 6, 4])]
        );
        let halves = folded("Split", &[("axis", &[1])], std::slice::from_ref(&x));
        assert_eq!(
            halves,
            [ints(&[2, 2], &[1, 2, 4, 5]), ints(&[2, 1], &[3, 6])]
        );
        let sums = folded(
            "ReduceSum",
            &[("axes", &[0]), ("keepdims", &[0])],
            std::slice::from_ref(&x),
        );
        assert_eq!(sums, [ints(&[3], &[5, 7, 9])]);
        assert_eq!(
            folded("Tile", &[], &[ints(&[1, 2], &[7, 8]), list(&[2, 2])]),
            [ints(&[2, 4], &[7, 8, 7, 8, 7, 8, 7, 8])]
        );
        let sum = folded("Add", &[], &[x, ints(&[2, 1], &[10, 20])]);
        assert_eq!(sum, [ints(&[2, 3], &[11, 12, 13, 24, 25, 26])]);
    }
}
