//! The next trial point of L-BFGS.

use rayon::prelude::*;

use super::bounds::Bounds;
use super::lbfgs_recursion::{Action, coefficients_len};
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/lbfgs_step.wgsl`.
pub const SOURCE: Source = Source {
    name: "lbfgs_step",
    text: include_str!("../../wgsl/lbfgs_step.wgsl"),
    variants: &[&[]],
};

/// `x = clamp(base + t·d)` of every image, after an accepted trial has become the base. Elements that a bound holds do
/// not move.
///
/// Bindings: `g`, the gradient at x; `direction`; `coefficients` as [`super::LbfgsRecursion`] writes them; `x`, `base`
/// and `base_gradient`, read and written. All but the coefficients are of the shape `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LbfgsStep {
    /// The shape of what is optimized; it fills its buffer.
    pub x: View,
    /// Pairs that are kept.
    pub history: u32,
    /// Elements of x are kept in this range. Padding channels stay zero if it contains 0.
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
    low: f32,
    high: f32,
}

impl Kernel for LbfgsStep {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; 3];
        slots.extend([Slot::IN_OUT; 3]);
        slots
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            len: flat::items(self.x),
            items: flat::items_of_one(self.x),
            history: self.history,
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
            flop: 4 * len,
            bytes: 8 * 4 * len,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (g, direction, coefficients) = (b.input(), b.input(), b.input());
        let (x, base, base_gradient) = (b.output(), b.output(), b.output());
        let bounds = Bounds::<T>::new(self.range);
        let history = self.history as usize;
        let each = self.x.len() / self.x.n as usize;
        for (image, coefficients) in coefficients
            .chunks_exact(coefficients_len(self.history))
            .take(self.x.n as usize)
            .enumerate()
        {
            let own = image * each..(image + 1) * each;
            let length = coefficients[2 * history + 1];
            let action = Action::of(coefficients[2 * history + 2]);
            (
                x[own.clone()].par_iter_mut(),
                &mut base[own.clone()],
                &mut base_gradient[own.clone()],
                &g[own.clone()],
                &direction[own],
            )
                .into_par_iter()
                .with_min_len(flat::TASK)
                .run(|(x, base, base_gradient, &g, &d)| {
                    if matches!(action, Action::Accept | Action::Wait) {
                        *base = *x;
                    }
                    if action == Action::Wait {
                        return;
                    }
                    if action == Action::Accept {
                        *base_gradient = g;
                    }
                    let d = bounds.free_part(d, *base, *base_gradient);
                    *x = bounds.clamp(*base + length * d);
                });
        }
    }
}
