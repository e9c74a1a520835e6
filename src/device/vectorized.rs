//! Loops for the widest vectors of the processor at hand.

/// Runs `op` compiled for the vector instructions that this processor has, not only for those that every one of its
/// architecture has. So is all that is inlined into it, and nothing else: `op` should only call what is
/// `#[inline(always)]`. The results are the same: nothing is fused or reordered.
pub fn vectorized<R>(op: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(op)
}
