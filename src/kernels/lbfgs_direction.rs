//! The direction of L-BFGS.

use super::bounds::Bounds;
use super::lbfgs_recursion::{Action, coefficients_len};
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/lbfgs_direction.wgsl`.
pub const SOURCE: Source = Source {
    name: "lbfgs_direction",
    text: include_str!("../../wgsl/lbfgs_direction.wgsl"),
    variants: &[&[]],
};

/// The linear combination d = δ_q·q + Σ δ_j·s_j + Σ δ_(m+j)·y_j of every image, with the coefficients that
/// [`super::LbfgsRecursion`] has found, after the new pair has been put into its slot. Images whose trial was rejected
/// keep their direction.
///
/// Bindings: `x`, `g`, `base`, `base_gradient` and `stored` as in [`super::LbfgsProducts`], the last one read and
/// written; before it `coefficients`; then `direction`, of the shape `x`, read and written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LbfgsDirection {
    /// The shape of what is optimized; it fills its buffer.
    pub x: View,
    /// Pairs that are kept, in one or several buffers.
    pub history: u32,
    /// The first pair of this buffer; that of pair 0 comes first, the others add to its direction.
    pub first: u32,
    /// Pairs of this buffer.
    pub pairs: u32,
    /// As in [`super::LbfgsProducts`].
    pub range: [f32; 2],
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    len: u32,
    items: u32,
    history: u32,
    first: u32,
    pairs: u32,
    low: f32,
    high: f32,
}

impl Kernel for LbfgsDirection {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; 5];
        slots.extend([Slot::IN_OUT, Slot::IN_OUT]);
        slots
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            len: flat::items(self.x),
            items: flat::items_of_one(self.x),
            history: self.history,
            first: self.first,
            pairs: self.pairs,
            low: self.range[0],
            high: self.range[1],
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        let len = self.x.len() as u64;
        Work {
            flop: 4 * len * u64::from(self.pairs),
            bytes: 4 * len * (8 + 2 * u64::from(self.pairs)),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, g, base, base_gradient) = (b.input(), b.input(), b.input(), b.input());
        let (coefficients, stored, direction) = (b.input(), b.output(), b.output());
        let bounds = Bounds::<T>::new(self.range);
        let (history, first, pairs) = (
            self.history as usize,
            self.first as usize,
            self.pairs as usize,
        );
        let len = self.x.len();
        let each = len / self.x.n as usize;
        for (image, coefficients) in coefficients
            .chunks_exact(coefficients_len(self.history))
            .take(self.x.n as usize)
            .enumerate()
        {
            let own = image * each..(image + 1) * each;
            let (x, g) = (&x[own.clone()], &g[own.clone()]);
            let (base, base_gradient) = (&base[own.clone()], &base_gradient[own.clone()]);
            let action = Action::of(coefficients[2 * history + 2]);
            let (point, gradient) = match action {
                Action::Accept => (x, g),
                Action::Restart => (base, base_gradient),
                Action::Keep | Action::Wait => continue,
            };
            let slot = coefficients[2 * history + 3].wide() as usize;
            if action == Action::Accept && (first..first + pairs).contains(&slot) {
                let place = 2 * (slot - first) * len + own.start;
                flat::for_each_task(&mut stored[place..place + each], |range, s| {
                    for (s, i) in s.iter_mut().zip(range) {
                        *s = x[i] - base[i];
                    }
                });
                flat::for_each_task(&mut stored[place + len..place + len + each], |range, y| {
                    for (y, i) in y.iter_mut().zip(range) {
                        *y = bounds.free_change(g[i] - base_gradient[i], x[i], base[i]);
                    }
                });
            }
            let stored = &*stored;
            let start = own.start;
            flat::for_each_task(&mut direction[own], |range, d| {
                if first == 0 {
                    for (d, i) in d.iter_mut().zip(range.clone()) {
                        *d = coefficients[2 * history]
                            * bounds.free_part(gradient[i], point[i], gradient[i]);
                    }
                }
                for j in 0..pairs {
                    let of = [coefficients[first + j], coefficients[history + first + j]];
                    if of == [T::ZERO; 2] {
                        continue;
                    }
                    let s = &stored[2 * j * len + start..][range.clone()];
                    let y = &stored[(2 * j + 1) * len + start..][range.clone()];
                    for ((d, &s), &y) in d.iter_mut().zip(s).zip(y) {
                        *d += of[0] * s + of[1] * y;
                    }
                }
            });
        }
    }
}
