//! pyramid: down and up by hand, against plain loops, as a pair of transposes, and the shaders against the references.

use pixgrad::engine::kernels::{PyramidDown, PyramidUp, View, from_quads, to_quads};

use crate::common::oracle::{dot, run_f64, wide};
use crate::common::{Data, check, random, tensor};

/// Fine tensors and their coarse ones: odd, even and tiny sides, batches, slices of larger buffers.
fn shapes() -> Vec<(View, View)> {
    let own = |fine| (fine, PyramidDown::coarse(fine));
    let mut shapes: Vec<_> = [
        (1, 1, 1, 1),
        (3, 1, 2, 3),
        (3, 2, 2, 3),
        (3, 3, 2, 5),
        (1, 1, 9, 4),
        (3, 5, 7, 3),
        (3, 6, 5, 13),
        (2, 17, 30, 3),
        (3, 33, 64, 3),
    ]
    .into_iter()
    .map(|(n, h, w, c)| own(View::new(n, h, w, c)))
    .collect();
    shapes.push((
        View::new(3, 9, 10, 24).slice(8, 11),
        View::new(3, 5, 5, 16).slice(4, 11),
    ));
    shapes
}

/// All of them, and those of even sides as tiles, too.
fn tiles() -> Vec<(View, View, bool)> {
    let plain = shapes().into_iter().map(|(f, c)| (f, c, false));
    let even = |(f, _): &(View, View)| f.h % 2 == 0 && f.w % 2 == 0;
    let tiles = shapes().into_iter().filter(even);
    let small = [(2, 2, 2, 3), (1, 2, 6, 5), (3, 8, 30, 3)].map(|(n, h, w, c)| {
        let fine = View::new(n, h, w, c);
        (fine, PyramidDown::coarse(fine))
    });
    plain
        .chain(tiles.chain(small).map(|(f, c)| (f, c, true)))
        .collect()
}

const TAPS: [f64; 5] = [1.0, 4.0, 6.0, 4.0, 1.0];

/// TensorFlow's padding `SAME` for 5 taps of stride 2: of the zeros that the last window needs, the smaller half is put
/// before the image.
fn before(size: usize) -> usize {
    let windows = size.div_ceil(2);
    ((windows - 1) * 2 + 5).saturating_sub(size) / 2
}

/// Calls `visit(fine index, coarse index, weight)` for each of the 25 taps of one channel of h×w that lies inside; all
/// do in a tile.
fn for_each_tap(h: usize, w: usize, wrap: bool, mut visit: impl FnMut(usize, usize, f64)) {
    let columns = w.div_ceil(2);
    for row in 0..h.div_ceil(2) {
        for column in 0..columns {
            for (j, down) in TAPS.iter().enumerate() {
                for (i, across) in TAPS.iter().enumerate() {
                    let y = (2 * row + j) as isize - before(h) as isize;
                    let x = (2 * column + i) as isize - before(w) as isize;
                    let (y, x) = if wrap {
                        (y.rem_euclid(h as isize), x.rem_euclid(w as isize))
                    } else {
                        (y, x)
                    };
                    if y >= 0 && x >= 0 && y < h as isize && x < w as isize {
                        let fine = y as usize * w + x as usize;
                        visit(fine, row * columns + column, down * across / 256.0);
                    }
                }
            }
        }
    }
}

/// One level down of one channel.
pub fn plain_down(fine: &[f64], h: usize, w: usize) -> Vec<f64> {
    down(fine, h, w, false)
}

fn down(fine: &[f64], h: usize, w: usize, wrap: bool) -> Vec<f64> {
    let mut coarse = vec![0.0; h.div_ceil(2) * w.div_ceil(2)];
    for_each_tap(h, w, wrap, |i, o, weight| coarse[o] += weight * fine[i]);
    coarse
}

/// One level up of one channel, to h×w.
pub fn plain_up(coarse: &[f64], h: usize, w: usize) -> Vec<f64> {
    up(coarse, h, w, false)
}

fn up(coarse: &[f64], h: usize, w: usize, wrap: bool) -> Vec<f64> {
    let mut fine = vec![0.0; h * w];
    for_each_tap(h, w, wrap, |i, o, weight| {
        fine[i] += 4.0 * weight * coarse[o]
    });
    fine
}

#[test]
fn by_hand() {
    // A row of four: one zero before, two after. Windows 0 1 2 3 4 and 2 3 4 0 0; of the rows only the middle tap,
    // 6/16.
    let fine = View::new(1, 1, 4, 1);
    let coarse = PyramidDown::coarse(fine);
    assert_eq!((coarse.h, coarse.w), (1, 2));
    let down = PyramidDown {
        fine,
        coarse,
        wrap: false,
    };
    let data = [
        Data::Reals(to_quads(fine, &[1.0, 2.0, 3.0, 4.0])),
        Data::Poisoned(coarse),
    ];
    let got = from_quads(coarse, check(&down, &data)[0].reals());
    assert_eq!(got, [32.0 * 6.0 / 256.0, 38.0 * 6.0 / 256.0]);
    // A row of three: two zeros before. Windows 0 0 1 2 3 and 1 2 3 0 0.
    let fine = View::new(1, 1, 3, 1);
    let coarse = PyramidDown::coarse(fine);
    let down = PyramidDown {
        fine,
        coarse,
        wrap: false,
    };
    let data = [
        Data::Reals(to_quads(fine, &[1.0, 2.0, 3.0])),
        Data::Poisoned(coarse),
    ];
    let got = from_quads(coarse, check(&down, &data)[0].reals());
    assert_eq!(got, [17.0 * 6.0 / 256.0, 27.0 * 6.0 / 256.0]);
    // And up again: 6·c₀ + c₁, 4·c₀ + 4·c₁, c₀ + 6·c₁ by 4·6/256, half of which is added to 10.
    let up = PyramidUp {
        coarse,
        fine,
        alpha: 0.5,
        wrap: false,
    };
    let data = [
        Data::Reals(to_quads(coarse, &[1.0, 2.0])),
        Data::Reals(to_quads(fine, &[10.0; 3])),
    ];
    let got = from_quads(fine, check(&up, &data)[0].reals());
    let expected = [8.0, 12.0, 13.0].map(|v| 10.0 + 0.5 * v * 24.0 / 256.0);
    assert_eq!(got, expected);
}

/// A tile: the windows of a row of four are 3 0 1 2 3 and 1 2 3 0 1; the one row below each other stands for all five.
#[test]
fn a_tile_by_hand() {
    let fine = View::new(1, 2, 4, 1);
    let coarse = PyramidDown::coarse(fine);
    let kernel = PyramidDown {
        fine,
        coarse,
        wrap: true,
    };
    let row = [1.0, 2.0, 3.0, 4.0];
    let data = [
        Data::Reals(to_quads(fine, &[row, row].concat())),
        Data::Poisoned(coarse),
    ];
    let got = from_quads(coarse, check(&kernel, &data)[0].reals());
    // 4·1 + 1·4 + 2·6 + 3·4 + 4·1 and 2·1 + 3·4 + 4·6 + 1·4 + 2·1, ÷16.
    assert_eq!(got, [36.0 / 16.0, 44.0 / 16.0]);
}

#[test]
fn the_definition_everywhere() {
    for (seed, (fine, coarse, wrap)) in tiles().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let (f, c) = (tensor(&mut rng, fine), tensor(&mut rng, coarse));
        let (h, w) = (fine.h as usize, fine.w as usize);
        let (below, each) = (h.div_ceil(2) * w.div_ceil(2), h * w);
        let (f64s, c64s) = (from_quads(fine, &wide(&f)), from_quads(coarse, &wide(&c)));

        let kernel = PyramidDown { fine, coarse, wrap };
        let out = check(&kernel, &[Data::Reals(f.clone()), Data::Poisoned(coarse)]);
        let got = from_quads(coarse, out[0].reals());
        let expected: Vec<f64> = f64s
            .chunks(each)
            .flat_map(|f| down(f, h, w, wrap))
            .collect();
        assert_close(&kernel, &got, &expected);

        let kernel = PyramidUp {
            coarse,
            fine,
            alpha: -0.75,
            wrap,
        };
        let out = check(&kernel, &[Data::Reals(c), Data::Reals(f)]);
        let got = from_quads(fine, out[0].reals());
        let raised = c64s.chunks(below).flat_map(|c| up(c, h, w, wrap));
        let expected: Vec<f64> = f64s.iter().zip(raised).map(|(f, u)| f - 0.75 * u).collect();
        assert_close(&kernel, &got, &expected);
    }
}

/// The references in f64 against plain loops, whose sums run in another order.
fn assert_close(kernel: &impl std::fmt::Debug, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= 1e-14,
            "{kernel:?} element {i}: {got} should be {expected}"
        );
    }
}

/// ⟨up c, f⟩ = 4·⟨c, down f⟩
#[test]
fn up_is_four_times_the_transpose_of_down() {
    for (seed, (fine, coarse, wrap)) in tiles().into_iter().enumerate() {
        let mut rng = random(50 + seed as u64);
        let f = wide(&tensor(&mut rng, fine));
        let c = wide(&tensor(&mut rng, coarse));
        let kernel = PyramidDown { fine, coarse, wrap };
        let up = PyramidUp {
            coarse,
            fine,
            alpha: 1.0,
            wrap,
        };
        let below = run_f64(&kernel, &[&f, &vec![f64::NAN; coarse.len()]]).remove(1);
        let above = run_f64(&up, &[&c, &vec![0.0; fine.len()]]).remove(1);
        let left = dot(&from_quads(fine, &above), &from_quads(fine, &f));
        let right = 4.0 * dot(&from_quads(coarse, &c), &from_quads(coarse, &below));
        assert!(
            (left - right).abs() <= 1e-12 * right.abs().max(1.0),
            "{up:?}: {left} should be {right}"
        );
        assert!(right != 0.0, "{up:?}: a test of nothing");
    }
}
