//! Chains of products of cooperative matrices: what an adapter computes at most with them.

use crate::device::{Bindings, COOP, Kernel, Real, Shader, Slot, Source, T8, Work};

/// `wgsl/multiply_add_coop.wgsl`.
pub const SOURCE: Source = Source {
    name: "multiply_add_coop",
    text: include_str!("../../wgsl/multiply_add_coop.wgsl"),
    variants: &[&[COOP], &[COOP, T8]],
};

/// Matrices of a workgroup.
const SUBGROUPS: u32 = 4;
/// Products of each matrix in one round: four chains of 16.
const PRODUCTS: u32 = 64;
/// What of a product the chains begin with: 0, 1, 2 and 3 quarters.
const FIRST: f32 = 1.5;

/// Element (i, j) of each of 4·`groups` matrices becomes (64·`rounds` + 1.5)·`a`·`b`·(1 + (i + 3·j) % 4), as so many
/// products of matrices with factors in f16. `a` and `b` should be powers of two, so that it is exact.
///
/// Bindings: `y`, 4·`groups` matrices of `tile`×`tile` reals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MultiplyAddCoop {
    /// Workgroups, at most 65535.
    pub groups: u32,
    /// Side of the matrices: 16 or 8.
    pub tile: u32,
    /// 64 products each.
    pub rounds: u32,
    /// Factor.
    pub a: f32,
    /// Factor.
    pub b: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    rounds: u32,
    a: f32,
    b: f32,
    unused: u32,
}

impl MultiplyAddCoop {
    /// Elements of y.
    #[must_use]
    pub fn len(&self) -> usize {
        (SUBGROUPS * self.groups * self.tile * self.tile) as usize
    }

    /// Whether there is no matrix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Kernel for MultiplyAddCoop {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.tile == 8 { &[COOP, T8] } else { &[COOP] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            rounds: self.rounds,
            a: self.a,
            b: self.b,
            unused: 0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.groups, 1, 1]
    }
    fn work(&self) -> Work {
        let products = u64::from(self.rounds * PRODUCTS);
        Work {
            flop: 2 * u64::from(self.tile) * self.len() as u64 * products,
            bytes: 4 * self.len() as u64,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let tile = self.tile as usize;
        let factor = T::from_f32(self.a) * T::from_f32(self.b);
        let each = factor * (T::from_usize((self.rounds * PRODUCTS) as usize) + T::from_f32(FIRST));
        for (at, y) in b.output()[..self.len()].iter_mut().enumerate() {
            let (i, j) = (at / tile % tile, at % tile);
            *y = each * T::from_usize(1 + (i + 3 * j) % 4);
        }
    }
}
