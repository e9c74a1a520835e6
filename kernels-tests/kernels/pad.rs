//! pad: by hand, against plain indexing, and the backward pass as the adjoint.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Edge, Pad, PadBackward, View, from_quads, to_quads};

use crate::common::oracle::{dot, wide};
use crate::common::{Data, check, check_within, random, run_on, tensor};

/// Moving numbers rounds nothing.
const EXACT: f64 = 0.0;

#[test]
fn by_hand() {
    let (x, y) = (View::new(1, 2, 3, 1), View::new(1, 4, 5, 1));
    let values = to_quads(x, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    #[rustfmt::skip]
    let cases = [
        (Edge::Wrap, [
            6.0, 4.0, 5.0, 6.0, 4.0,
            3.0, 1.0, 2.0, 3.0, 1.0,
            6.0, 4.0, 5.0, 6.0, 4.0,
            3.0, 1.0, 2.0, 3.0, 1.0,
        ], [4.0, 2.0, 4.0, 4.0, 2.0, 4.0]),
        (Edge::Replicate, [
            1.0, 1.0, 2.0, 3.0, 3.0,
            1.0, 1.0, 2.0, 3.0, 3.0,
            4.0, 4.0, 5.0, 6.0, 6.0,
            4.0, 4.0, 5.0, 6.0, 6.0,
        ], [4.0, 2.0, 4.0, 4.0, 2.0, 4.0]),
        (Edge::Reflect, [
            5.0, 4.0, 5.0, 6.0, 5.0,
            2.0, 1.0, 2.0, 3.0, 2.0,
            5.0, 4.0, 5.0, 6.0, 5.0,
            2.0, 1.0, 2.0, 3.0, 2.0,
        ], [2.0, 6.0, 2.0, 2.0, 6.0, 2.0]),
        (Edge::Constant { value: 7.0 }, [
            7.0, 7.0, 7.0, 7.0, 7.0,
            7.0, 1.0, 2.0, 3.0, 7.0,
            7.0, 4.0, 5.0, 6.0, 7.0,
            7.0, 7.0, 7.0, 7.0, 7.0,
        ], [1.0; 6]),
    ];
    for (edge, expected, shown) in cases {
        let pad = Pad {
            x,
            y,
            before: [1; 2],
            edge,
        };
        let data = [Data::Reals(values.clone()), Data::Poisoned(y)];
        let out = check_within(&pad, &data, EXACT).remove(0);
        assert_eq!(from_quads(y, out.reals()), expected, "{pad:?}");
        // A gradient of ones counts how often each pixel is shown.
        let backward = PadBackward {
            dy: y,
            dx: x,
            before: [1; 2],
            edge,
            accumulate: false,
        };
        let ones = Data::Reals(to_quads(y, &[1.0; 20]));
        let out = check(&backward, &[ones, Data::Poisoned(x)]).remove(0);
        assert_eq!(from_quads(x, out.reals()), shown, "{backward:?}");
    }
}

/// x, y and what stands before: nothing, one side, both, wider than the image; slices; what is cut off.
fn shapes() -> Vec<(View, View, [i32; 2])> {
    let of = |n, h: u32, w: u32, c, before: i32, after: i32| {
        let padded = |size: u32| size.strict_add_signed(before + after);
        (
            View::new(n, h, w, c),
            View::new(n, padded(h), padded(w), c),
            [before; 2],
        )
    };
    vec![
        of(1, 1, 1, 3, 0, 0),
        of(1, 1, 1, 3, 2, 3),
        of(2, 5, 7, 3, 1, 1),
        of(1, 4, 6, 9, 0, 1),
        of(1, 17, 33, 6, 2, 5),
        of(3, 2, 3, 5, 7, 4),
        (
            View::new(2, 9, 4, 24).slice(8, 11),
            View::new(2, 12, 7, 16).slice(4, 11),
            [2; 2],
        ),
        (View::new(1, 5, 6, 7), View::new(1, 8, 7, 7), [2, 0]),
        (View::new(2, 3, 9, 4), View::new(2, 3, 15, 4), [0, 5]),
        of(2, 9, 7, 5, -2, -3),
        of(1, 6, 8, 3, -2, 4),
        of(1, 6, 8, 3, 3, -4),
        (
            View::new(2, 12, 7, 16).slice(4, 11),
            View::new(2, 9, 4, 24).slice(8, 11),
            [-3, 0],
        ),
    ]
}

/// The edges that there can be: a mirrored one is narrower than the image, and only with one number is anything cut
/// off.
fn edges(x: View, y: View, before: [i32; 2]) -> Vec<Edge> {
    let [h, w] = [x.h, x.w].map(u32::cast_signed);
    let [below, right] = [y.h, y.w].map(u32::cast_signed);
    let after = [below - h - before[0], right - w - before[1]];
    if before.iter().chain(&after).any(|&side| side < 0) {
        return vec![Edge::Constant { value: 0.0 }];
    }
    let mut edges = vec![Edge::Replicate, Edge::Wrap, Edge::Constant { value: 0.0 }];
    if before[0].max(after[0]) < h && before[1].max(after[1]) < w {
        edges.push(Edge::Reflect);
    }
    edges
}

#[test]
fn every_place_shows_what_it_should() {
    for (seed, (x, y, before)) in shapes().into_iter().enumerate() {
        for edge in edges(x, y, before) {
            let pad = Pad { x, y, before, edge };
            let values = tensor(&mut random(seed as u64), x);
            let data = [Data::Reals(values.clone()), Data::Poisoned(y)];
            let out = check_within(&pad, &data, EXACT).remove(0);
            let (from, to) = (from_quads(x, &values), from_quads(y, out.reals()));
            let source = |axis: usize, o: usize, size: u32| {
                // Step by step instead of by a formula.
                let (mut i, size) = (o as i64 - i64::from(before[axis]), i64::from(size));
                while !(0..size).contains(&i) {
                    i = match (i < 0, edge) {
                        (true, Edge::Wrap) => i + size,
                        (true, Edge::Reflect) => -i,
                        (true, _) => i + 1,
                        (false, Edge::Wrap) => i - size,
                        (false, Edge::Reflect) => size - 1 - (i - (size - 1)),
                        (false, _) => i - 1,
                    };
                }
                i as usize
            };
            let (h, w) = (y.h as usize, y.w as usize);
            for (at, got) in to.iter().enumerate() {
                let (plane, row, col) = (at / (h * w), at / w % h, at % w);
                let is_inside = |axis: usize, o: usize, size: u32| {
                    let first = before[axis];
                    (first..first + size.cast_signed()).contains(&(o as i32))
                };
                let inside = is_inside(0, row, x.h) && is_inside(1, col, x.w);
                let row = plane * x.h as usize + source(0, row, x.h);
                let expected = match edge {
                    Edge::Constant { value } if !inside => value,
                    _ => from[row * x.w as usize + source(1, col, x.w)],
                };
                assert_eq!(*got, f64::from(expected), "{pad:?}");
            }
        }
    }
}

#[test]
fn the_backward_pass_is_the_adjoint() {
    for (seed, (x, y, before)) in shapes().into_iter().enumerate() {
        for edge in edges(x, y, before) {
            let mut rng = random(40 + seed as u64);
            let (a, g) = (tensor(&mut rng, x), tensor(&mut rng, y));
            let pad = Pad { x, y, before, edge };
            let forward = [Data::Reals(a.clone()), Data::Poisoned(y)];
            let padded = run_on(&Device::oracle(), &pad, &forward).remove(0);
            let left = dot(&from_quads(y, padded.reals()), &from_quads(y, &wide(&g)));
            for accumulate in [false, true] {
                let backward = PadBackward {
                    dy: y,
                    dx: x,
                    before,
                    edge,
                    accumulate,
                };
                let start = tensor(&mut rng, x);
                let dx = if accumulate {
                    Data::Reals(start.clone())
                } else {
                    Data::Poisoned(x)
                };
                let out = check(&backward, &[Data::Reals(g.clone()), dx]).remove(0);
                let (dx, a) = (from_quads(x, out.reals()), from_quads(x, &wide(&a)));
                let mut right = dot(&dx, &a);
                if accumulate {
                    right -= dot(&from_quads(x, &wide(&start)), &a);
                }
                assert!(
                    (left - right).abs() <= 1e-12 * (1.0 + left.abs()),
                    "{backward:?}"
                );
            }
        }
    }
}
