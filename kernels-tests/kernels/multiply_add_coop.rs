//! multiply_add_coop: the reference by hand, and the shader against it where the adapter has cooperative matrices.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::MultiplyAddCoop;

use crate::common::{Data, GPU, run_on, same};
use crate::conv3x3_coop::tiles;

fn kernel(tile: u32) -> MultiplyAddCoop {
    MultiplyAddCoop {
        groups: 3,
        tile,
        rounds: 5,
        a: 0.25,
        b: 0.125,
    }
}

fn poisoned(kernel: &MultiplyAddCoop) -> Data {
    Data::PoisonedReals(kernel.len())
}

#[test]
fn every_product_adds_the_same() {
    let kernel = kernel(8);
    let end = run_on(&Device::oracle(), &kernel, &[poisoned(&kernel)]);
    let end = end[0].reals();
    // 321.5 products of 1/32 and of 1, 2, 3 or 4: (0, 0), (0, 1), (1, 0) and (1, 1) of the second matrix.
    let at = |i: usize, j: usize| end[64 + i * 8 + j] * 32.0 / 321.5;
    assert_eq!(
        [at(0, 0), at(0, 1), at(1, 0), at(1, 1)],
        [1.0, 4.0, 2.0, 1.0]
    );
}

#[test]
fn shaders() {
    for tile in tiles() {
        let kernel = kernel(tile);
        let run = |device: &Device| run_on(device, &kernel, &[poisoned(&kernel)]);
        let (actual, expected) = (run(&GPU), run(&Device::oracle()));
        same(&actual[0], &expected[0], 1e-6).unwrap_or_else(|why| panic!("{kernel:?}: {why}"));
    }
}
