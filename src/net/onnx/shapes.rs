//! What operators on shapes mean, of constants and of layers alike.

use super::error::Unsupported;
use super::node::{Node, axes, axis, unsupported};
use super::tensor::{Tensor, elements};

/// The axes of a value as numbers, from `start` to `end` where the node says so.
pub(super) fn shape_of(node: Node<'_>, shape: &[usize]) -> Tensor {
    let rank = shape.len() as i64;
    let clamped = |number: i64| {
        let from_start = if number < 0 {
            number.saturating_add(rank)
        } else {
            number
        };
        from_start.clamp(0, rank) as usize
    };
    let start = clamped(node.int("start").unwrap_or(0));
    let end = clamped(node.int("end").unwrap_or(rank)).max(start);
    Tensor::list(shape[start..end].iter().map(|&n| n as i64))
}

/// The shape that `wanted` means for as many elements as `shape` has: 0 keeps an axis, one -1 takes what is left.
pub(super) fn reshaped(
    shape: &[usize],
    wanted: &[i64],
    keeps_zero: bool,
) -> Result<Vec<usize>, Unsupported> {
    let fails = || Unsupported::Shape {
        shape: shape.to_vec(),
        wanted: wanted.to_vec(),
    };
    let count = elements(shape).ok_or_else(fails)?;
    let mut open = None;
    let mut made = Vec::with_capacity(wanted.len());
    for (axis, &size) in wanted.iter().enumerate() {
        made.push(match size {
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            0 if !keeps_zero => *shape.get(axis).ok_or_else(fails)?,
            size => usize::try_from(size).map_err(|_| fails())?,
        });
    }
    let known = elements(&made).ok_or_else(fails)?;
    if let Some(axis) = open {
        if known == 0 || count % known != 0 {
            return Err(fails());
        }
        made[axis] = count / known;
    } else if known != count {
        return Err(fails());
    }
    Ok(made)
}

/// The shape of two values combined element by element.
pub(super) fn broadcast(first: &[usize], other: &[usize]) -> Result<Vec<usize>, Unsupported> {
    let fails = || Unsupported::Broadcast {
        first: first.to_vec(),
        other: other.to_vec(),
    };
    let rank = first.len().max(other.len());
    let size = |shape: &[usize], axis: usize| {
        let lacks = rank - shape.len();
        if axis < lacks { 1 } else { shape[axis - lacks] }
    };
    let shape: Option<Vec<usize>> = (0..rank)
        .map(|axis| match (size(first, axis), size(other, axis)) {
            (a, b) if a == b => Some(a),
            (1, n) | (n, 1) => Some(n),
            _ => None,
        })
        .collect();
    let shape = shape.ok_or_else(fails)?;
    elements(&shape).map(|_| shape).ok_or_else(fails)
}

/// The shape with axes of one position more, at places counted in the new shape.
pub(super) fn unsqueezed(shape: &[usize], at: &[i64]) -> Result<Vec<usize>, Unsupported> {
    let rank = shape.len() + at.len();
    let new = axes(at, rank)?;
    let mut rest = shape.iter().copied();
    let size = |axis| {
        if new.contains(&axis) {
            Some(1)
        } else {
            rest.next()
        }
    };
    let made: Option<Vec<usize>> = (0..rank).map(size).collect();
    made.ok_or(Unsupported::Other("names an axis twice"))
}

/// The axes that a Squeeze takes away: all of one position where it names none.
pub(super) fn squeezed(shape: &[usize], at: Option<&[i64]>) -> Result<Vec<usize>, Unsupported> {
    match at {
        Some(at) => axes(at, shape.len()),
        None => Ok((0..shape.len()).filter(|&axis| shape[axis] == 1).collect()),
    }
}

/// The indices that a slice takes of an axis of `size` positions.
pub(super) fn sliced(
    size: usize,
    start: i64,
    end: i64,
    step: i64,
) -> Result<Vec<usize>, Unsupported> {
    if step == 0 {
        return Err(unsupported("steps", 0, "another number"));
    }
    let size = size as i64;
    let from_start = |number: i64| {
        if number < 0 {
            number.saturating_add(size)
        } else {
            number
        }
    };
    let (start, end) = if step > 0 {
        (
            from_start(start).clamp(0, size),
            from_start(end).clamp(0, size),
        )
    } else {
        (
            from_start(start).clamp(-1, size - 1),
            from_start(end).clamp(-1, size - 1),
        )
    };
    let mut indices = Vec::new();
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        indices.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(indices)
}

/// The indices that a slice takes of each axis.
pub(super) fn slices(
    shape: &[usize],
    starts: &[i64],
    ends: &[i64],
    at: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Result<Vec<Option<Vec<usize>>>, Unsupported> {
    let usual: Vec<i64> = (0..starts.len() as i64).collect();
    let at = at.unwrap_or(&usual);
    if ends.len() != starts.len() || at.len() != starts.len() {
        return Err(Unsupported::Other(
            "has starts and ends of different lengths",
        ));
    }
    let mut taken = vec![None; shape.len()];
    for (i, &number) in at.iter().enumerate() {
        let axis = axis(number, shape.len())?;
        let step = steps.and_then(|steps| steps.get(i)).copied().unwrap_or(1);
        taken[axis] = Some(sliced(shape[axis], starts[i], ends[i], step)?);
    }
    Ok(taken)
}

/// The order of axes that a Transpose means: the other way round where it names none.
pub(super) fn permutation(perm: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, Unsupported> {
    let Some(perm) = perm else {
        return Ok((0..rank).rev().collect());
    };
    let order: Result<Vec<usize>, _> = perm.iter().map(|&number| axis(number, rank)).collect();
    let order = order?;
    let is_order = order.len() == rank && (0..rank).all(|axis| order.contains(&axis));
    if is_order {
        Ok(order)
    } else {
        Err(unsupported("perm", format!("{perm:?}"), "each axis once"))
    }
}

/// How many positions each output of a Split gets.
pub(super) fn split_sizes(
    node: Node<'_>,
    size: usize,
    listed: Option<&Tensor>,
) -> Result<Vec<usize>, Unsupported> {
    let listed = match (node.ints("split"), listed) {
        (Some(ints), _) => Some(ints.to_vec()),
        (None, listed) => listed.map(|x| x.to_i64().to_vec()),
    };
    let parts = node.message.outputs.len().max(1);
    let sizes: Vec<usize> = match listed {
        Some(sizes) => sizes
            .iter()
            .map(|&n| usize::try_from(n).unwrap_or(0))
            .collect(),
        None => {
            let each = size.div_ceil(parts);
            (0..parts)
                .map(|i| each.min(size.saturating_sub(i * each)))
                .collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if sizes.contains(&0) || total != Some(size) || sizes.len() != parts {
        return Err(unsupported(
            "split",
            format!("{sizes:?}"),
            "parts that make the whole",
        ));
    }
    Ok(sizes)
}

/// The indices that numbers mean on an axis of `size` positions, counted from the end where they are negative.
pub(super) fn indices(numbers: &[i64], size: usize) -> Result<Vec<usize>, Unsupported> {
    let from_start = |number: i64| {
        if number < 0 {
            number + size as i64
        } else {
            number
        }
    };
    let within = |index: &usize| *index < size;
    let all = numbers
        .iter()
        .map(|&number| usize::try_from(from_start(number)).ok().filter(within));
    all.collect::<Option<_>>()
        .ok_or(Unsupported::Other("gathers an element that is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_take_what_is_left() {
        assert_eq!(
            reshaped(&[1, 8, 4, 4], &[0, -1, 16], false),
            Ok(vec![1, 8, 16])
        );
        assert!(reshaped(&[6], &[4, -1], false).is_err());
        assert!(reshaped(&[6], &[-1, -1], false).is_err());
        assert!(reshaped(&[6], &[1 << 40, 1 << 40], false).is_err());
        assert_eq!(unsqueezed(&[3, 4], &[0, -1]), Ok(vec![1, 3, 4, 1]));
        assert_eq!(broadcast(&[3, 1], &[2, 1, 5]), Ok(vec![2, 3, 5]));
    }
}
