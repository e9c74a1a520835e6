//! A node of an ONNX graph with its options.

use super::error::{Obstacle, Unsupported};
use super::proto;

/// A node, and which version of its operator it means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub message: &'a proto::Node,
    pub opset: i64,
}

impl<'a> Node<'a> {
    pub fn operator(&self) -> &'a str {
        &self.message.operator
    }

    /// The node's name, or that of its first output where it has none.
    pub fn name(&self) -> &'a str {
        match (&self.message.name, self.message.outputs.first()) {
            (name, Some(output)) if name.is_empty() => output,
            (name, _) => name,
        }
    }

    /// What stands in the way if this node is not understood. `deepest` is the last layer that it reads.
    pub fn obstacle(&self, why: Unsupported, deepest: Option<String>) -> Obstacle {
        Obstacle {
            node: self.name().to_owned(),
            operator: self.operator().to_owned(),
            why,
            deepest,
        }
    }

    fn attribute(&self, name: &str) -> Option<&'a proto::Attribute> {
        let mut attributes = self.message.attributes.iter();
        attributes.find(|attribute| attribute.name == name)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.int)
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|attribute| attribute.float)
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|attribute| &attribute.floats[..])
    }

    pub fn tensor(&self, name: &str) -> Option<&'a proto::Tensor> {
        self.attribute(name)?.tensor.as_ref()
    }

    /// An option in words, or what holds without it.
    pub fn word(&self, name: &str, default: &'static str) -> &'a str {
        self.attribute(name).map_or(default, |attribute| {
            std::str::from_utf8(&attribute.string).unwrap_or("?")
        })
    }

    /// Two numbers, one for rows and one for columns.
    pub fn pair(&self, name: &'static str) -> Result<Option<[u32; 2]>, Unsupported> {
        let Some(ints) = self.ints(name) else {
            return Ok(None);
        };
        let pair: Option<Vec<u32>> = ints.iter().map(|&x| small(x)).collect();
        match pair.as_deref() {
            Some(&[h, w]) => Ok(Some([h, w])),
            _ => Err(unsupported(
                name,
                format!("{ints:?}"),
                "two numbers from 0 to 65535",
            )),
        }
    }

    /// Fails unless an option has the only value that is supported.
    pub fn only(&self, name: &'static str, value: i64) -> Result<(), Unsupported> {
        match self.int(name) {
            Some(found) if found != value => Err(unsupported(name, found, &format!("{value}"))),
            _ => Ok(()),
        }
    }
}

/// A number as kernels, strides and paddings may be.
pub(super) fn small(number: i64) -> Option<u32> {
    u16::try_from(number).ok().map(u32::from)
}

/// An option that is not supported.
pub(super) fn unsupported(
    option: &'static str,
    found: impl std::fmt::Display,
    expected: &str,
) -> Unsupported {
    Unsupported::Option {
        option,
        found: found.to_string(),
        expected: match expected {
            "" => String::new(),
            expected => format!(": expected {expected}"),
        },
    }
}

/// The axis that a number means, counted from the end where it is negative.
pub(super) fn axis(number: i64, rank: usize) -> Result<usize, Unsupported> {
    let from_start = if number < 0 {
        number + rank as i64
    } else {
        number
    };
    let axis = usize::try_from(from_start).ok().filter(|&axis| axis < rank);
    axis.ok_or_else(|| unsupported("axis", number, &format!("one of {rank} axes")))
}

/// The axes that numbers mean, sorted.
pub(super) fn axes(numbers: &[i64], rank: usize) -> Result<Vec<usize>, Unsupported> {
    let axes: Result<Vec<usize>, _> = numbers.iter().map(|&number| axis(number, rank)).collect();
    let mut axes = axes?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}
