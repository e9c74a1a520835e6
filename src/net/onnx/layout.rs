//! How the axes of an ONNX value lie in a layer's output.
//!
//! A file reshapes and transposes freely, a layer's output is always channels by rows by columns. So a value is a layer
//! with a layout: for each axis of the value the parts of the layer's axes that make it up, the first the slowest. A
//! part is the rows, the columns, or every `stride`-th channel, `len` of them. Reshape, Transpose, Squeeze and Flatten
//! then only rewrite layouts; a channel shuffle becomes an order of channels; and the layer behind a Flatten knows
//! which of its weights meets which position.
//!
//! Parts of length 1 are left out, and so is the batch, which has one image.

use crate::layer::Shape;

/// A part of an axis of a layer's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The channels `0, stride, .., (len - 1) * stride`, added to those that other parts give.
    Channels {
        stride: u32,
        len: u32,
    },
    Rows(u32),
    Columns(u32),
}

impl Part {
    pub fn len(self) -> usize {
        let (Self::Channels { len, .. } | Self::Rows(len) | Self::Columns(len)) = self;
        len as usize
    }

    pub fn is_channels(self) -> bool {
        matches!(self, Self::Channels { .. })
    }
}

/// What an axis of a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Channels,
    Rows,
    Columns,
}

/// Why the elements of a layout cannot have a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// So many rows and columns must become channels first.
    Blocks([u32; 2]),
    Shape,
}

/// The parts of each axis of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout(pub Vec<Vec<Part>>);

/// The parts of a whole layer's axes.
fn channels(shape: Shape) -> Vec<Part> {
    axis(Part::Channels {
        stride: 1,
        len: shape.channels,
    })
}

fn axis(part: Part) -> Vec<Part> {
    if part.len() == 1 { vec![] } else { vec![part] }
}

impl Layout {
    /// `[N, C, H, W]`.
    pub fn image(shape: Shape) -> Self {
        Self(vec![
            vec![],
            channels(shape),
            axis(Part::Rows(shape.height)),
            axis(Part::Columns(shape.width)),
        ])
    }

    /// `[N, H, W, C]`.
    pub fn channels_last(shape: Shape) -> Self {
        Self::image(shape).transposed(&[0, 2, 3, 1])
    }

    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The value's shape.
    pub fn shape(&self) -> Vec<usize> {
        let size = |parts: &Vec<Part>| parts.iter().map(|part| part.len()).product();
        self.0.iter().map(size).collect()
    }

    pub fn transposed(&self, order: &[usize]) -> Self {
        Self(order.iter().map(|&axis| self.0[axis].clone()).collect())
    }

    /// The axes that channels make up, wholly or in part.
    pub fn channel_axes(&self) -> Vec<usize> {
        let has = |&axis: &usize| self.0[axis].iter().any(|part| part.is_channels());
        (0..self.rank()).filter(has).collect()
    }

    /// The axis of all channels and nothing else, if there is one; `wanted` where the layer has one channel only and
    /// so any axis of one position would do.
    pub fn channel_axis(&self, wanted: usize) -> Option<usize> {
        match self.channel_axes()[..] {
            [] => self.0.get(wanted)?.is_empty().then_some(wanted),
            [axis] => {
                let only = self.0[axis].iter().all(|part| part.is_channels());
                only.then_some(axis)
            }
            _ => None,
        }
    }

    /// The axes of an image with nothing else in them: `[_, C, H, W]`, the channels in any order.
    pub fn is_image(&self) -> bool {
        let [batch, channels, rows, columns] = &self.0[..] else {
            return false;
        };
        batch.is_empty()
            && channels.iter().all(|part| part.is_channels())
            && rows.iter().all(|part| matches!(part, Part::Rows(_)))
            && columns.iter().all(|part| matches!(part, Part::Columns(_)))
    }

    /// The channels in the order in which the value has them, none where that is the layer's own.
    pub fn order(&self) -> Option<Vec<u32>> {
        let parts = self.0.iter().flatten().copied();
        let order = enumerate(parts.filter(|part| part.is_channels()));
        let is_own = order
            .iter()
            .enumerate()
            .all(|(i, &channel)| i == channel as usize);
        (!is_own).then_some(order)
    }

    /// The layout after the channels were put into the value's order.
    pub fn ordered(&self) -> Self {
        let mut below = 1;
        let mut layout = self.clone();
        for part in layout.0.iter_mut().flatten().rev() {
            if let Part::Channels { stride, len } = part {
                *stride = below;
                below *= *len;
            }
        }
        layout.merged()
    }

    /// Parts of channels that go on where another ends are one.
    fn merged(mut self) -> Self {
        for parts in &mut self.0 {
            let mut whole: Vec<Part> = Vec::with_capacity(parts.len());
            for &part in parts.iter() {
                if let (
                    Some(Part::Channels {
                        stride: outer,
                        len: times,
                    }),
                    Part::Channels { stride, len },
                ) = (whole.last_mut(), part)
                    && *outer == stride * len
                {
                    (*outer, *times) = (stride, *times * len);
                } else {
                    whole.push(part);
                }
            }
            *parts = whole;
        }
        self
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// Where rows or columns had to be cut into pieces first, or the shape does not fit.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self, Misfit> {
        let mut parts = self.0.iter().flatten().copied();
        let mut left: Option<Part> = None;
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape {
            let mut axis = Vec::new();
            let mut open = size;
            while open > 1 {
                let part = left.take().or_else(|| parts.next());
                let part = part.ok_or(Misfit::Shape)?;
                if open.is_multiple_of(part.len()) {
                    open /= part.len();
                    axis.push(part);
                } else {
                    let outer = u32::try_from(open).map_err(|_| Misfit::Shape)?;
                    let inner = part.len() as u32 / outer;
                    if !part.len().is_multiple_of(open) {
                        return Err(Misfit::Shape);
                    }
                    let stride = match part {
                        Part::Channels { stride, .. } => stride,
                        Part::Rows(_) => return Err(Misfit::Blocks([inner, 1])),
                        Part::Columns(_) => return Err(Misfit::Blocks([1, inner])),
                    };
                    axis.push(Part::Channels {
                        stride: stride * inner,
                        len: outer,
                    });
                    left = Some(Part::Channels { stride, len: inner });
                    open = 1;
                }
            }
            if size == 0 {
                return Err(Misfit::Shape);
            }
            axes.push(axis);
        }
        if left.is_some() || parts.next().is_some() {
            return Err(Misfit::Shape);
        }
        Ok(Self(axes).merged())
    }

    /// The layout after each block of rows and columns became channels, those of a block's first position first; a
    /// position had so many channels before.
    pub fn in_blocks(&self, [rows, columns]: [u32; 2], channels: u32) -> Self {
        let mut layout = self.clone();
        let in_two = |part: Part| match part {
            Part::Rows(len) => [
                Part::Rows(len / rows),
                Part::Channels {
                    stride: channels * columns,
                    len: rows,
                },
            ],
            Part::Columns(len) => [
                Part::Columns(len / columns),
                Part::Channels {
                    stride: channels,
                    len: columns,
                },
            ],
            part => [part, Part::Channels { stride: 1, len: 1 }],
        };
        for parts in &mut layout.0 {
            *parts = parts.iter().copied().flat_map(in_two).collect();
            parts.retain(|part| part.len() != 1);
        }
        layout.merged()
    }

    /// The channels that lie within the rows and the columns of `[_, C, H, W]`, as the faster part of each; none where
    /// the axes are not these.
    pub fn blocks(&self) -> Option<[Vec<Part>; 2]> {
        let [batch, channels, rows, columns] = &self.0[..] else {
            return None;
        };
        let within = |axis: &[Part], is_axis: fn(&Part) -> bool| {
            let rest = match axis {
                [first, rest @ ..] if is_axis(first) => rest,
                all => all,
            };
            rest.iter()
                .all(|part| part.is_channels())
                .then(|| rest.to_vec())
        };
        let rows = within(rows, |part| matches!(part, Part::Rows(_)))?;
        let columns = within(columns, |part| matches!(part, Part::Columns(_)))?;
        let is_plain = batch.is_empty() && channels.iter().all(|part| part.is_channels());
        is_plain.then_some([rows, columns])
    }

    /// The channel at each index of an axis that only channels make up.
    pub fn along(&self, axis: usize) -> Vec<u32> {
        enumerate(self.0[axis].iter().copied())
    }

    /// What an axis is, if it is one thing. An axis of one position is what it is in an image.
    pub fn role(&self, axis: usize) -> Option<Role> {
        match (&self.0[axis][..], axis) {
            ([Part::Rows(_)], _) => Some(Role::Rows),
            ([Part::Columns(_)], _) => Some(Role::Columns),
            ([], 1) if self.is_image() => Some(Role::Channels),
            ([], 2) if self.is_image() => Some(Role::Rows),
            ([], 3) if self.is_image() => Some(Role::Columns),
            ([], _) => None,
            _ => (self.channel_axis(axis) == Some(axis)).then_some(Role::Channels),
        }
    }

    /// The same axes of a layer of another number of rows and columns.
    pub fn resized(&self, shape: Shape) -> Self {
        if self.is_image() {
            return Self::image(shape);
        }
        let mut layout = self.clone();
        for parts in &mut layout.0 {
            for part in parts.iter_mut() {
                match part {
                    Part::Rows(len) => *len = shape.height,
                    Part::Columns(len) => *len = shape.width,
                    Part::Channels { .. } => {}
                }
            }
            parts.retain(|part| part.len() != 1);
        }
        layout
    }

    /// The layout with the channels of an axis replaced by `count` others, the axes kept; all channels are then in the
    /// value's order.
    pub fn with_channels(&self, axis: usize, count: u32) -> Self {
        let mut layout = self.clone();
        layout.0[axis] = if count == 1 {
            vec![]
        } else {
            vec![Part::Channels {
                stride: 1,
                len: count,
            }]
        };
        layout.ordered()
    }
}

/// All sums of one channel of each part, the last part the fastest.
fn enumerate(parts: impl Iterator<Item = Part>) -> Vec<u32> {
    parts.fold(vec![0], |places, part| {
        let Part::Channels { stride, len } = part else {
            return places;
        };
        let all = places
            .iter()
            .flat_map(|&place| (0..len).map(move |i| place + i * stride));
        all.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(channels: u32, height: u32, width: u32) -> Shape {
        Shape {
            channels,
            height,
            width,
        }
    }

    #[test]
    fn a_shuffle_is_an_order_of_channels() {
        let image = Layout::image(shape(6, 5, 7));
        let groups = image.reshaped(&[1, 2, 3, 5, 7]).expect("a layout");
        let shuffled = groups
            .transposed(&[0, 2, 1, 3, 4])
            .reshaped(&[1, 6, 5, 7])
            .expect("a layout");
        assert!(shuffled.is_image());
        assert_eq!(shuffled.order(), Some(vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(shuffled.ordered(), image);
        assert_eq!(image.order(), None);
    }

    #[test]
    fn shapes_and_layouts_go_together() {
        let image = Layout::image(shape(4, 3, 5));
        let flat = image.reshaped(&[1, 60]).expect("a layout");
        assert_eq!(flat.shape(), [1, 60]);
        assert_eq!(flat.reshaped(&[1, 4, 3, 5]), Ok(image.clone()));
        assert_eq!(
            flat.reshaped(&[1, 4, 15]).map(|layout| layout.rank()),
            Ok(3)
        );
        assert_eq!(flat.reshaped(&[1, 4, 5, 3]), Err(Misfit::Shape));
        assert_eq!(flat.reshaped(&[1, 8]), Err(Misfit::Shape));
        let last = Layout::channels_last(shape(4, 3, 5));
        assert_eq!(last.shape(), [1, 3, 5, 4]);
        assert_eq!(last.channel_axis(1), Some(3));
        assert!(!last.is_image());
        assert!(last.transposed(&[0, 3, 1, 2]).is_image());
    }

    #[test]
    fn cut_rows_are_channels_of_the_layer() {
        let image = Layout::image(shape(3, 4, 6));
        let wanted = [1, 3, 2, 2, 3, 2];
        assert_eq!(image.reshaped(&wanted), Err(Misfit::Blocks([2, 1])));
        let rows = image.in_blocks([2, 1], 3);
        assert_eq!(rows.shape(), [1, 3, 4, 6]);
        assert_eq!(rows.reshaped(&wanted), Err(Misfit::Blocks([1, 2])));
        let both = image.in_blocks([2, 2], 3);
        let apart = both.reshaped(&wanted).expect("a layout");
        // The blocks first, then what was a channel: the order of the layer.
        let deep = apart
            .transposed(&[0, 3, 5, 1, 2, 4])
            .reshaped(&[1, 12, 2, 3])
            .expect("a layout");
        assert_eq!(deep, Layout::image(shape(12, 2, 3)));
        let block = |stride| vec![Part::Channels { stride, len: 2 }];
        assert_eq!(both.blocks(), Some([block(6), block(3)]));
        assert_eq!(both.transposed(&[0, 2, 1, 3]).blocks(), None);
    }
}
