//! Which pixels a unit of a layer sees.

/// Along one axis: unit i sees `size` pixels centred on `start + i*stride`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceptiveField {
    /// Pixels, padding included.
    pub size: u32,
    /// Pixels from one unit to the next.
    pub stride: u32,
    /// Centre of unit 0 in pixel indices; a half where the field's size is even.
    pub start: f64,
}

impl ReceptiveField {
    /// That of the image itself: one pixel.
    pub const PIXEL: Self = Self {
        size: 1,
        stride: 1,
        start: 0.0,
    };

    /// What the units of a window over this layer see, which reaches over `extent` positions; the first window begins
    /// `before` positions outside.
    #[must_use]
    pub fn under(self, extent: u32, stride: u32, before: u32) -> Self {
        let centre = f64::from(extent - 1) / 2.0 - f64::from(before);
        Self {
            size: self.size + (extent - 1) * self.stride,
            stride: self.stride * stride,
            start: self.start + centre * f64::from(self.stride),
        }
    }

    /// What a unit sees that reads the same unit of two layers: all from the first pixel that either sees to the last.
    /// `None` where the strides differ, since then it is not the same at every unit.
    #[must_use]
    pub fn union(self, other: Self) -> Option<Self> {
        let ends = |field: Self| {
            let reach = f64::from(field.size - 1) / 2.0;
            (field.start - reach, field.start + reach)
        };
        let ((a, b), (c, d)) = (ends(self), ends(other));
        let (first, last) = (a.min(c), b.max(d));
        (self.stride == other.stride).then(|| Self {
            // The ends of fields are whole pixels, or halves of both alike.
            size: (last - first) as u32 + 1,
            stride: self.stride,
            start: (first + last) / 2.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_reaches_from_the_first_pixel_to_the_last() {
        let field = |size, stride, start| ReceptiveField {
            size,
            stride,
            start,
        };
        // Pixels 0..=2 and 1..=5, centred on 1 and 3: together 0..=5.
        let both = field(3, 2, 1.0).union(field(5, 2, 3.0));
        assert_eq!(both, Some(field(6, 2, 2.5)));
        // The wider holds the other.
        let wide = field(7, 1, 0.0);
        assert_eq!(wide.union(ReceptiveField::PIXEL), Some(wide));
        assert_eq!(wide.union(field(7, 2, 0.0)), None);
    }
}
