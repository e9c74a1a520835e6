//! A window that slides over a layer.

use super::{LayerError, SizeError};

/// Kernel, stride, padding and dilation of a convolution or a pool, each `[h, w]`.
///
/// Windows follow torch and Caffe: an output size is `(size + before + after - extent) / stride + 1` with the extent
/// `(kernel - 1)*dilation + 1`, rounded down, or up where `ceil` is set, but a last window that would start beyond the
/// input and what is before it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Positions that it holds.
    pub kernel: [u32; 2],
    /// Positions from one window to the next.
    pub stride: [u32; 2],
    /// Padding at the top and the left.
    pub before: [u32; 2],
    /// Padding at the bottom and the right.
    pub after: [u32; 2],
    /// Positions from one that it holds to the next.
    pub dilation: [u32; 2],
    /// Whether a last window that is not whole counts.
    pub ceil: bool,
}

impl Window {
    /// A square window, padded alike on all sides.
    #[must_use]
    pub const fn square(kernel: u32, stride: u32, pad: u32) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            before: [pad; 2],
            after: [pad; 2],
            dilation: [1; 2],
            ceil: false,
        }
    }

    /// The same window, a last one that is not whole counted.
    #[must_use]
    pub const fn ceil(self) -> Self {
        Self { ceil: true, ..self }
    }

    /// Whether there is any padding.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.before != [0; 2] || self.after != [0; 2]
    }

    /// Positions that it holds.
    #[must_use]
    pub fn taps(&self) -> u32 {
        self.kernel.iter().product()
    }

    /// Positions from the first that it holds to the last, both included.
    #[must_use]
    pub fn extent(&self) -> [u32; 2] {
        [0, 1].map(|axis| {
            let steps = self.kernel[axis].saturating_sub(1);
            steps.saturating_mul(self.dilation[axis]).saturating_add(1)
        })
    }

    /// How many windows fit into `[h, w]` positions.
    ///
    /// # Errors
    /// Where not even one does.
    pub fn size(&self, input: [u32; 2]) -> Result<[u32; 2], SizeError> {
        let along = |axis: usize| self.length(axis, input[axis]);
        let sizes = along(0).zip(along(1)).map(|(h, w)| [h, w]);
        sizes.ok_or(SizeError::TooSmall { input })
    }

    fn length(&self, axis: usize, size: u32) -> Option<u32> {
        let of = |sides: [u32; 2]| i64::from(sides[axis]);
        let (size, stride, before) = (i64::from(size), of(self.stride), of(self.before));
        let room = size + before + of(self.after) - of(self.extent());
        let room = room + if self.ceil { stride - 1 } else { 0 };
        let mut length = room.div_euclid(stride) + 1;
        if self.ceil && (length - 1) * stride >= size + before {
            length -= 1;
        }
        u32::try_from(length).ok().filter(|&length| length > 0)
    }

    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// What does not, to follow a layer's name.
    pub fn check(&self) -> Result<(), LayerError> {
        let [height, width] = self.kernel;
        if height == 0 || width == 0 {
            return Err(LayerError::EmptyWindow { width, height });
        }
        if self.stride.contains(&0) {
            return Err(LayerError::NoStride);
        }
        if self.dilation.contains(&0) {
            return Err(LayerError::NoDilation);
        }
        for axis in [0, 1] {
            let (padding, extent) = (self.before[axis].max(self.after[axis]), self.extent()[axis]);
            if padding >= extent {
                return Err(LayerError::WidePadding { padding, extent });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_counts_are_those_of_torch() {
        let length = |size, (k, s, p), ceil| {
            let window = Window::square(k, s, p);
            Window { ceil, ..window }.length(0, size)
        };
        assert_eq!(length(224, (11, 4, 2), false), Some(55));
        assert_eq!(length(113, (3, 2, 0), false), Some(56));
        assert_eq!(length(112, (3, 2, 0), false), Some(55));
        assert_eq!(length(112, (3, 2, 0), true), Some(56));
        // Rounded up, a window may stick out as long as it starts inside.
        assert_eq!(length(2, (3, 2, 0), true), Some(1));
        assert_eq!(length(1, (3, 2, 0), true), None);
        assert_eq!(length(2, (3, 2, 0), false), None);
        // Of 5 positions and a padding of 1, the fourth window of 2 would start at 5, behind the last position.
        assert_eq!(length(5, (2, 2, 1), true), Some(3));
        assert_eq!(length(4, (1, 3, 1), true), Some(2));
        assert_eq!(length(7, (3, 1, 1), true), Some(7));
    }

    #[test]
    fn sides_are_padded_on_their_own() {
        let window = Window {
            kernel: [3, 1],
            stride: [2, 1],
            before: [0, 0],
            after: [1, 0],
            ..Window::square(1, 1, 0)
        };
        assert_eq!(window.size([8, 5]), Ok([4, 5]));
        assert_eq!(
            window.size([1, 5]),
            Err(SizeError::TooSmall { input: [1, 5] })
        );
        assert_eq!(window.check(), Ok(()));
        let outside = Window {
            after: [1, 1],
            ..window
        };
        assert!(outside.check().is_err());
    }

    #[test]
    fn a_dilated_window_reaches_further() {
        let window = Window {
            dilation: [2, 3],
            before: [4, 6],
            after: [4, 6],
            ..Window::square(3, 1, 0)
        };
        assert_eq!(window.extent(), [5, 7]);
        assert_eq!(window.check(), Ok(()));
        assert_eq!(window.size([1, 1]), Ok([5, 7]));
        let wide = Window {
            before: [5, 0],
            ..window
        };
        assert!(wide.check().is_err());
        let still = Window {
            dilation: [1, 0],
            before: [0; 2],
            after: [0; 2],
            ..window
        };
        assert_eq!(still.check(), Err(LayerError::NoDilation));
    }
}
