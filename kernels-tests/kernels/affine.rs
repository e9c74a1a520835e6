//! affine: the reference by hand, the shader against the reference.

use pixgrad::engine::kernels::{Affine, View, from_quads, to_quads};

use crate::common::{Data, check, random, tensor};

const SCALE: [f32; 4] = [2.0, -3.0, 0.5, 7.0];
const BIAS: [f32; 4] = [1.0, 0.25, -1.0, 9.0];

#[test]
fn a_case_by_hand() {
    let view = View::new(1, 1, 2, 3);
    let affine = |accumulate| Affine {
        x: view,
        y: view,
        scale: SCALE,
        bias: BIAS,
        accumulate,
    };
    let x = Data::Reals(to_quads(view, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let mut data = [x, Data::Poisoned(view)];
    // `check` sees to the fourth channel being zero.
    let y = check(&affine(false), &data).remove(0);
    let expected = [3.0, 5.0, -8.75, -11.75, 1.5, 2.0];
    assert_eq!(from_quads(view, y.reals()), expected);
    data[1] = Data::Reals(to_quads(view, &[100.0; 6]));
    let y = check(&affine(true), &data).remove(0);
    assert_eq!(from_quads(view, y.reals()), expected.map(|v| v + 100.0));
}

#[test]
fn shaders() {
    let plain = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let sliced = (
        View::new(2, 3, 9, 12).slice(8, 3),
        View::new(2, 3, 9, 8).slice(4, 3),
    );
    let shapes = [
        plain(1, 1, 1, 1),
        plain(2, 5, 67, 3),
        plain(1, 3, 64, 4),
        plain(3, 2, 7, 2),
        sliced,
    ];
    for (i, (x, y)) in shapes.into_iter().enumerate() {
        for accumulate in [false, true] {
            let mut rng = random(i as u64);
            let data = [
                Data::Reals(tensor(&mut rng, x)),
                if accumulate {
                    Data::Reals(tensor(&mut rng, y))
                } else {
                    Data::Poisoned(y)
                },
            ];
            check(
                &Affine {
                    x,
                    y,
                    scale: SCALE,
                    bias: BIAS,
                    accumulate,
                },
                &data,
            );
        }
    }
}
