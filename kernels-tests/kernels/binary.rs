//! binary: by hand, against plain formulas, gradients against finite differences, the shaders against the reference.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{
    Binary, BinaryBackward, BinarySums, ChannelSums, Derivative, Operation, View, from_quads,
    to_quads,
};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, random, run_on, tensor};

const OPERATIONS: [Operation; 6] = [
    Operation::Add,
    Operation::Sub,
    Operation::Mul,
    Operation::Div,
    Operation::Min,
    Operation::Max,
];

/// Views of a, b and y: both whole, either of one channel, of one position, of both, of one image; one element; slices.
fn shapes() -> Vec<[View; 3]> {
    let view = View::new;
    vec![
        [view(1, 1, 1, 1); 3],
        [view(2, 5, 7, 6); 3],
        [view(2, 5, 7, 11), view(2, 5, 7, 1), view(2, 5, 7, 11)],
        [view(2, 1, 1, 70), view(2, 9, 5, 70), view(2, 9, 5, 70)],
        [view(1, 40, 37, 7), view(1, 1, 1, 1), view(1, 40, 37, 7)],
        [view(3, 1, 1, 5), view(3, 4, 6, 1), view(3, 4, 6, 5)],
        [view(3, 4, 6, 5), view(1, 4, 6, 5), view(3, 4, 6, 5)],
        [view(2, 3, 5, 6), view(1, 1, 1, 6), view(2, 3, 5, 6)],
        [
            view(2, 2, 3, 24).slice(8, 10),
            view(2, 2, 3, 16).slice(4, 1),
            view(2, 2, 3, 20).slice(4, 10),
        ],
    ]
}

/// Random numbers of which none is near 0 or one of the other's.
fn operands(seed: u64, [a, b, _]: [View; 3]) -> [Vec<f32>; 2] {
    let steps = |rng: &mut _, view: View, shift: f32| {
        let values = from_quads(view, &tensor(rng, view));
        let values: Vec<f32> = values
            .iter()
            .map(|v| ((v * 6.0).round() * 0.25 + shift) + 1.5f32.copysign(*v))
            .collect();
        to_quads(view, &values)
    };
    let rng = &mut random(seed);
    [steps(rng, a, 0.0), steps(rng, b, 0.1)]
}

#[test]
fn by_hand() {
    let view = View::new(1, 1, 1, 3);
    let reals = |numbers: [f32; 3]| Data::Reals(to_quads(view, &numbers));
    let (a, b) = ([3.0, -1.0, 2.0], [2.0, 4.0, 2.0]);
    for (operation, y, da, db) in [
        (Operation::Add, [5.0, 3.0, 4.0], [1.0; 3], [1.0; 3]),
        (Operation::Sub, [1.0, -5.0, 0.0], [1.0; 3], [-1.0; 3]),
        (
            Operation::Mul,
            [6.0, -4.0, 4.0],
            [2.0, 4.0, 2.0],
            [3.0, -1.0, 2.0],
        ),
        (
            Operation::Div,
            [1.5, -0.25, 1.0],
            [0.5, 0.25, 0.5],
            [-0.75, 0.0625, -0.5],
        ),
        (
            Operation::Min,
            [2.0, -1.0, 2.0],
            [0.0, 1.0, 0.5],
            [1.0, 0.0, 0.5],
        ),
        (
            Operation::Max,
            [3.0, 4.0, 2.0],
            [1.0, 0.0, 0.5],
            [0.0, 1.0, 0.5],
        ),
    ] {
        let kernel = Binary {
            operation,
            a: view,
            b: view,
            y: view,
        };
        let data = [reals(a), reals(b), Data::Poisoned(view)];
        let found = check(&kernel, &data).remove(0);
        assert_eq!(from_quads(view, found.reals()), y, "{operation:?}");
        for (second, expected) in [(false, da), (true, db)] {
            let of = Derivative { operation, second };
            let backward = BinaryBackward {
                of,
                mine: view,
                other: view,
                dy: view,
                dx: view,
                accumulate: false,
            };
            let mut data = Vec::new();
            if of.reads() {
                let (mine, other) = if second { (b, a) } else { (a, b) };
                data.extend([reals(mine), reals(other)]);
            }
            data.extend([reals([1.0; 3]), Data::Poisoned(view)]);
            let found = check(&backward, &data).remove(0);
            assert_eq!(from_quads(view, found.reals()), expected, "{of:?}");
        }
    }
}

#[test]
fn a_small_tensor_stands_for_a_large_one() {
    for (seed, [a, b, y]) in shapes().into_iter().enumerate() {
        let both = operands(seed as u64, [a, b, y]);
        let at = |view: View, values: &[f32], [n, row, col, c]: [usize; 4]| {
            let (row, col) = if view.h * view.w == 1 {
                (0, 0)
            } else {
                (row, col)
            };
            let c = if view.c == 1 { 0 } else { c };
            let n = if view.n == 1 { 0 } else { n };
            f64::from(values[view.at(n, row, col) + c])
        };
        for operation in OPERATIONS {
            let kernel = Binary { operation, a, b, y };
            let [first, second] = &both;
            let data = [
                Data::Reals(first.clone()),
                Data::Reals(second.clone()),
                Data::Poisoned(y),
            ];
            let found = check(&kernel, &data).remove(0);
            let (h, w, c) = (y.h as usize, y.w as usize, y.c as usize);
            for (i, found) in from_quads(y, found.reals()).into_iter().enumerate() {
                let place = [i / (w * h * c), i / w % h, i % w, i / (w * h) % c];
                let (p, q) = (at(a, first, place), at(b, second, place));
                let expected = match operation {
                    Operation::Add => p + q,
                    Operation::Sub => p - q,
                    Operation::Mul => p * q,
                    Operation::Div => p / q,
                    Operation::Min => p.min(q),
                    Operation::Max => p.max(q),
                };
                assert_eq!(found, expected, "{kernel:?} at {place:?}");
            }
        }
    }
}

/// Every gradient on every device; where it is a sum over positions, of its parts, added up here.
#[test]
fn gradients() {
    for (seed, [a, b, y]) in shapes().into_iter().enumerate() {
        let both = operands(seed as u64, [a, b, y]);
        let gradient = tensor(&mut random(50 + seed as u64), y);
        for (operation, second) in OPERATIONS
            .into_iter()
            .flat_map(|operation| [(operation, false), (operation, true)])
        {
            let of = Derivative { operation, second };
            let index = usize::from(second);
            let (mine, other) = ([a, b][index], [a, b][1 - index]);
            if mine.n != y.n {
                // A constant.
                continue;
            }
            let inputs = || {
                let mut data = Vec::new();
                if of.reads() {
                    data.push(Data::Reals(both[index].clone()));
                    data.push(Data::Reals(both[1 - index].clone()));
                }
                data.push(Data::Reals(gradient.clone()));
                data
            };
            let what = format!("{of:?} of {mine:?} with {other:?}");
            let dx = if (mine.h, mine.w) == (y.h, y.w) {
                let backward = BinaryBackward {
                    of,
                    mine,
                    other,
                    dy: y,
                    dx: mine,
                    accumulate: true,
                };
                let mut data = inputs();
                data.push(Data::Reals(tensor(&mut random(7), mine)));
                check(&backward, &data);
                let backward = BinaryBackward {
                    accumulate: false,
                    ..backward
                };
                let mut data = inputs();
                data.push(Data::Poisoned(mine));
                check(&backward, &data).remove(0).reals().to_vec()
            } else {
                let sums = ChannelSums {
                    x: y,
                    square: false,
                };
                let kernel = BinarySums {
                    of,
                    mine,
                    other,
                    dy: y,
                };
                let mut data = inputs();
                data.push(Data::PoisonedReals(sums.partials_len()));
                let parts = check(&kernel, &data).remove(0);
                let (padded, splits) = (y.padded(), sums.splits() as usize);
                let mut dx = vec![0.0; mine.len()];
                for (i, part) in parts.reals().iter().enumerate() {
                    let (n, c) = (i / padded / splits, i % padded);
                    let c = if mine.c == 1 { 0 } else { c };
                    dx[mine.at(n, 0, 0) + c] += part;
                }
                dx
            };
            assert_derivative(&what, (mine, &both[index]), (y, &gradient), &dx, |moved| {
                let mut operands = both.clone();
                operands[index] = moved.to_vec();
                let [first, second] = operands;
                let data = [Data::Reals(first), Data::Reals(second), Data::Poisoned(y)];
                let kernel = Binary { operation, a, b, y };
                run_on(&Device::oracle(), &kernel, &data)[0]
                    .reals()
                    .to_vec()
            });
        }
    }
}
