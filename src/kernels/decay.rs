//! Exponential decay and its bias, as `wgsl/shared/power.wgsl` has them.

/// ln b, the parameter of `one_minus_power`. A decay of 0 becomes one too small to see.
pub(super) fn ln_decay(decay: f32) -> f64 {
    f64::from(decay.max(f32::MIN_POSITIVE)).ln()
}

/// 1 − b, of the b that f32 holds, rounded once.
pub(super) fn gain(decay: f32) -> f32 {
    (1.0 - f64::from(decay)) as f32
}

/// 1 − bᵗ without cancellation.
pub(super) fn one_minus_power(decay: f32, t: u32) -> f64 {
    -(f64::from(t) * ln_decay(decay)).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(one_minus_power(0.0, 1), 1.0);
        assert!((one_minus_power(0.5, 3) - 0.875).abs() < 1e-15);
        let small = one_minus_power(0.999, 1);
        assert!((small / (1.0 - f64::from(0.999f32)) - 1.0).abs() < 1e-12);
        assert_eq!(gain(0.75), 0.25);
    }
}
