//! Pictures to measure with.

use crate::Image;

/// A picture with structure at every scale: no kernel's time or result depends on a sample file being there.
pub fn picture(size: u32, seed: u32) -> Image {
    let value = |x: u32, y: u32, c: u32| {
        let wave = |k: f32| {
            ((x as f32 * k + (y * seed) as f32 * k * 0.7).sin() + (y as f32 * k).cos()) * 0.1
        };
        let noise = (x ^ y.rotate_left(7))
            .wrapping_mul(2_654_435_761)
            .wrapping_add(c * seed * 977)
            >> 24;
        (0.5 + wave(0.05) + wave(0.2) + noise as f32 / 2550.0).clamp(0.0, 1.0)
    };
    let rgb = (0..size * size * 3)
        .map(|i| value(i / 3 % size, i / 3 / size, i % 3))
        .collect();
    Image::new(size, size, rgb).unwrap_or_else(|e| unreachable!("a square picture: {e}"))
}
