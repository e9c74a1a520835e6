//! Reals in 16 bits on the host: the mirror of `wgsl/shared/packed.wgsl`.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{Kind, Real};

/// Four reals as they stand in memory.
pub(super) type Words = [u32; 2];

/// Four numbers that share an exponent, see `wgsl/shared/packed.wgsl`.
#[inline(always)]
#[must_use]
pub fn pack(values: [f32; 4]) -> [u32; 2] {
    joined(values, 13, -8191.0, 8191.0)
}

/// The same of numbers that are never negative: one bit more.
#[inline(always)]
#[must_use]
pub fn pack_rectified(values: [f32; 4]) -> [u32; 2] {
    joined(values, 14, 0.0, 16383.0)
}

/// The words, where the largest number has `bits` bits (a sign, if any, is one more) and all are in [`least`, `most`].
#[inline(always)]
fn joined(values: [f32; 4], bits: u32, least: f32, most: f32) -> Words {
    let largest = values
        .iter()
        .fold(0, |most, v| most.max(v.to_bits() & 0x7fff_ffff));
    if largest >= f32::INFINITY.to_bits() {
        return [15, 15];
    }
    let e = ((largest >> 23).max(bits) + 1 - bits).min(255 - bits);
    let scale = f32::from_bits((254 - e) << 23);
    // As in WGSL: a sum with 1.5·2²³ is rounded to a whole number, which stands in its low bits.
    let [a, b, c, d] =
        values.map(|v| ((v * scale).clamp(least, most) + 12_582_912.0).to_bits() & 0x3fff);
    [a << 18 | b << 4 | (e & 15), c << 18 | d << 4 | e >> 4]
}

/// What the numbers are multiples of.
#[inline(always)]
fn exponent([first, second]: Words) -> f32 {
    f32::from_bits(((first & 15) | (second & 15) << 4) << 23)
}

/// Each number's bits, from the highest on.
#[inline(always)]
fn mantissas([first, second]: Words) -> [u32; 4] {
    [first, first << 14, second, second << 14]
}

/// The numbers of [`pack`].
#[inline(always)]
#[must_use]
pub fn unpack(words: [u32; 2]) -> [f32; 4] {
    let scale = exponent(words);
    mantissas(words).map(|high| (high as i32 >> 18) as f32 * scale)
}

/// The numbers of [`pack_rectified`].
#[inline(always)]
#[must_use]
pub fn unpack_rectified(words: [u32; 2]) -> [f32; 4] {
    let scale = exponent(words);
    mantissas(words).map(|high| (high >> 18) as f32 * scale)
}

/// IEEE 754's binary16.
fn to_half(values: [f32; 4]) -> Words {
    let [a, b, c, d] = values.map(|v| u32::from(f16::from_f32(v).to_bits()));
    [a | b << 16, c | d << 16]
}

fn from_half([first, second]: Words) -> [f32; 4] {
    [first & 0xffff, first >> 16, second & 0xffff, second >> 16]
        .map(|bits| f16::from_bits(bits as u16).to_f32())
}

/// The reals of all these quads, four for each.
#[inline(always)]
pub(super) fn decode_all<T: Real>(kind: Kind, quads: &[Words], reals: &mut [T]) {
    match kind {
        Kind::Half => {
            // A slice at a time: the processor converts eight at once.
            let mut some = [0.0f32; 256];
            for (to, from) in reals.chunks_mut(256).zip(quads.chunks(64)) {
                let some = &mut some[..to.len()];
                bytemuck::cast_slice::<_, f16>(from).convert_to_f32_slice(some);
                for (to, from) in to.iter_mut().zip(some) {
                    *to = T::from_f32(*from);
                }
            }
        }
        Kind::Rectified => unpack_all(quads, reals, unpack_rectified),
        _ => unpack_all(quads, reals, unpack),
    }
}

#[inline(always)]
fn unpack_all<T: Real>(quads: &[Words], reals: &mut [T], one: impl Fn(Words) -> [f32; 4]) {
    for (to, from) in reals.chunks_exact_mut(4).zip(quads) {
        to.copy_from_slice(&one(*from).map(T::from_f32));
    }
}

/// How four reals of a kind are stored.
#[inline(always)]
pub(super) fn encode<T: Real>(kind: Kind, values: &[T]) -> Words {
    let mut quad = [0.0; 4];
    for (to, from) in quad.iter_mut().zip(values) {
        *to = from.to_f32();
    }
    match kind {
        Kind::Half => to_half(quad),
        Kind::Rectified => pack_rectified(quad),
        _ => pack(quad),
    }
}

/// All of these reals, four for each quad.
#[inline(always)]
pub(super) fn encode_all<T: Real>(kind: Kind, reals: &[T], quads: &mut [Words]) {
    for (to, from) in quads.iter_mut().zip(reals.chunks_exact(4)) {
        *to = encode(kind, from);
    }
}

/// The four reals.
pub(super) fn decode<T: Real>(kind: Kind, words: Words) -> [T; 4] {
    let quad = match kind {
        Kind::Half => from_half(words),
        Kind::Rectified => unpack_rectified(words),
        _ => unpack(words),
    };
    quad.map(|v| T::from_f32(v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_keep_thirteen_bits_of_the_largest() {
        for scale in [1e-30f32, 1e-7, 1.0, 3.7e4, 1e30] {
            let values = [1.0, -0.333_333_34, 0.001, -0.999_9].map(|v| v * scale);
            for (a, b) in unpack(pack(values)).iter().zip(values) {
                assert!((a - b).abs() <= scale / 8192.0 * 1.01, "{a} for {b}");
            }
            let values = values.map(f32::abs);
            for (a, b) in unpack_rectified(pack_rectified(values)).iter().zip(values) {
                assert!((a - b).abs() <= scale / 16384.0 * 1.01, "{a} for {b}");
            }
        }
    }

    #[test]
    fn what_has_been_packed_packs_to_the_same() {
        for i in 0..10_000u32 {
            let values = [1, 7, 13, 29].map(|k| ((i * k) as f32).sin() * (i as f32 - 5e3));
            let words = pack(values);
            assert_eq!(pack(unpack(words)), words, "{values:?}");
            let words = pack_rectified(values.map(|v| v.max(0.0)));
            assert_eq!(pack_rectified(unpack_rectified(words)), words, "{values:?}");
        }
    }

    #[test]
    fn zeros_and_extremes() {
        type Codec = (fn([f32; 4]) -> Words, fn(Words) -> [f32; 4]);
        let codecs: [Codec; 2] = [(pack, unpack), (pack_rectified, unpack_rectified)];
        for (pack, unpack) in codecs {
            assert_eq!(unpack(pack([0.0; 4])), [0.0; 4]);
            let [a, b, ..] = unpack(pack([f32::MAX, f32::MIN_POSITIVE, 0.0, 0.0]));
            assert!(a.is_finite() && a > 0.999 * f32::MAX && b == 0.0, "{a} {b}");
            let [small, ..] = unpack(pack([f32::MIN_POSITIVE, 0.0, 0.0, 0.0]));
            assert_eq!(small, f32::MIN_POSITIVE);
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let values = unpack(pack([1.0, bad, 2.0, 3.0]));
                assert!(values.iter().all(|v| !v.is_finite()), "{values:?}");
            }
        }
        assert_eq!(
            unpack_rectified(pack_rectified([-1.0, 1.0, -0.0, 0.0])),
            [0.0, 1.0, 0.0, 0.0]
        );
    }

    #[test]
    fn halves_are_those_of_ieee() {
        assert_eq!(
            to_half([1.0, -2.0, 65504.0, 0.0]),
            [0xc000_3c00, 0x0000_7bff]
        );
        assert_eq!(
            from_half([0xc000_3c00, 0x0000_7bff]),
            [1.0, -2.0, 65504.0, 0.0]
        );
    }
}
