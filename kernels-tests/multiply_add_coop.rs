//! multiply_add_coop: the twin by hand, and the shader against it where the adapter has cooperative matrices.

use pixgrad::device::Device;
use pixgrad::kernels::MultiplyAddCoop;

use crate::common::{Data, GPU, random, run_on, same, uniform};
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

#[test]
fn every_step_adds_the_same() {
    let kernel = kernel(8);
    let start = vec![0.5; kernel.len()];
    let end = run_on(&Device::oracle(), &kernel, &[Data::Reals(start)]);
    let end = end[0].reals();
    // 320 products of 1/32 and of 1, 2, 3 or 4: (0, 0), (0, 1), (1, 0) and (1, 1) of the second matrix.
    let at = |i: usize, j: usize| end[64 + i * 8 + j];
    assert_eq!(
        [at(0, 0), at(0, 1), at(1, 0), at(1, 1)],
        [10.5, 40.5, 20.5, 10.5]
    );
}

#[test]
fn shaders() {
    for tile in tiles() {
        let kernel = kernel(tile);
        let start = uniform(&mut random(3), kernel.len());
        let run = |device: &Device| run_on(device, &kernel, &[Data::Reals(start.clone())]);
        let (actual, expected) = (run(&GPU), run(&Device::oracle()));
        same(&actual[0], &expected[0], 1e-6).unwrap_or_else(|why| panic!("{kernel:?}: {why}"));
    }
}
