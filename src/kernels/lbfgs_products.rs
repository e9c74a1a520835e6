//! The inner products of L-BFGS.

use rayon::prelude::*;

use super::bounds::Bounds;
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/lbfgs_products.wgsl`.
pub const SOURCE: Source = Source {
    name: "lbfgs_products",
    text: include_str!("../../wgsl/lbfgs_products.wgsl"),
    variants: &[&[]],
};

/// Products of one pair.
pub const PRODUCTS: u32 = 8;

/// All inner products of a step of vector-free L-BFGS (Chen, Wang and Zhou 2014, "Large-scale L-BFGS using MapReduce",
/// section 3.2), of each image of a batch: those of s = x − base, y = g − base_gradient and g with every stored pair
/// and with each other. [`super::Sum`] adds up the parts.
///
/// Bindings: `x`, `g`, `base`, `base_gradient`, all of the shape `x`; `stored`, `[pairs, 2]` tensors of that shape: s
/// and y of each pair; `partials`, `[n, history + 1, PRODUCTS, parts]`, of which the rows of these pairs are written,
/// and where `first` = 0 those of the new pair, the last ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LbfgsProducts {
    /// The shape of what is optimized; it fills its buffer.
    pub x: View,
    /// Pairs that are kept, in one or several buffers.
    pub history: u32,
    /// The first pair of this buffer.
    pub first: u32,
    /// Pairs of this buffer.
    pub pairs: u32,
    /// Elements of x lie in this range, and at its ends are held by it.
    pub range: [f32; 2],
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    n: u32,
    items: u32,
    parts: u32,
    history: u32,
    first: u32,
    pairs: u32,
    jobs: u32,
    low: f32,
    high: f32,
}

impl LbfgsProducts {
    /// Partial sums of every product.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }

    /// The pairs of this buffer, and the new one with the first of them.
    fn jobs(&self) -> u32 {
        self.pairs + u32::from(self.first == 0)
    }
}

impl Kernel for LbfgsProducts {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        // What it does not write of the partials is another buffer's.
        let mut slots = vec![Slot::IN; 5];
        slots.push(Slot::IN_OUT);
        slots
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            n: self.x.n,
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            history: self.history,
            first: self.first,
            pairs: self.pairs,
            jobs: self.jobs(),
            low: self.range[0],
            high: self.range[1],
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.x).saturating_mul(self.jobs()))
    }
    fn work(&self) -> Work {
        let len = self.x.len() as u64;
        Work {
            flop: 20 * len * u64::from(self.jobs()),
            bytes: 4 * len * (4 + 2 * u64::from(self.pairs)),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, g, base, base_gradient) = (b.input(), b.input(), b.input(), b.input());
        let (stored, partials) = (b.input(), b.output());
        let bounds = Bounds::<T>::new(self.range);
        let (len, parts) = (self.x.len(), self.parts() as usize);
        let (jobs, pairs) = (self.jobs() as usize, self.pairs as usize);
        let groups = flat::groups(self.x) as usize * jobs;
        let sums: Vec<[f64; PRODUCTS as usize]> = (0..groups)
            .into_par_iter()
            .map(|group| {
                let (part, job) = (group / jobs, group % jobs);
                let items = flat::share(self.x, part);
                let mut sums = [0.0; PRODUCTS as usize];
                for i in items.start * 4..items.end * 4 {
                    let s = x[i] - base[i];
                    let y = bounds.free_change(g[i] - base_gradient[i], x[i], base[i]);
                    let q = bounds.free_part(g[i], x[i], g[i]);
                    let (v, w) = if job < pairs {
                        (stored[2 * job * len + i], stored[(2 * job + 1) * len + i])
                    } else {
                        (s, y)
                    };
                    let terms = [
                        (s, v),
                        (s, w),
                        (y, v),
                        (y, w),
                        (q, v),
                        (q, w),
                        (q, q),
                        (base_gradient[i], s),
                    ];
                    for (sum, (a, b)) in sums.iter_mut().zip(terms) {
                        *sum += a.wide() * b.wide();
                    }
                }
                sums
            })
            .collect();
        let history = self.history as usize;
        for (group, sums) in sums.into_iter().enumerate() {
            let (part, job) = (group / jobs, group % jobs);
            let pair = if job < pairs {
                self.first as usize + job
            } else {
                history
            };
            let row = (part / parts * (history + 1) + pair) * sums.len();
            for (k, sum) in sums.into_iter().enumerate() {
                partials[(row + k) * parts + part % parts] = T::of(sum);
            }
        }
    }
}
