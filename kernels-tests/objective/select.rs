//! select: the mean of what is selected and its gradient; the terms `activation` and `energy`.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Select, SelectBackward, View, from_quads, to_quads};
use pixgrad::engine::objective::{Activation, Energy, Selection, Term};

use crate::common::oracle::{assert_derivative, derivative, dot, run_f64_with_words, wide};
use crate::common::{Data, check, check_within, random, tensor};
use crate::term::Case;

/// x, dx and a selection for each image or for all: single units, channels across a quad's border, the last channel
/// before the padding, whole layers, boxes over several shares, slices.
fn cases() -> Vec<(View, View, Vec<Selection>)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let box_of = |channels, rows, columns| Selection {
        channels,
        rows,
        columns,
    };
    let with = |(x, dx), selections| (x, dx, selections);
    let logits = View::new(3, 1, 1, 1000);
    vec![
        with(same(1, 1, 1, 1), vec![Selection::unit(0, 0, 0)]),
        with(
            same(2, 5, 7, 10),
            vec![Selection::unit(9, 4, 6), box_of(2..7, 1..4, 0..7)],
        ),
        (
            logits,
            logits,
            [999, 0, 281]
                .map(|class| Selection::channel(logits, class))
                .to_vec(),
        ),
        with(
            same(3, 40, 41, 13),
            vec![
                Selection::whole(View::new(1, 40, 41, 13)),
                box_of(0..1, 0..40, 0..41),
                box_of(5..12, 39..40, 3..40),
            ],
        ),
        with(same(3, 6, 5, 6), vec![box_of(1..5, 2..6, 1..4)]),
        (
            View::new(2, 5, 10, 24).slice(8, 11),
            View::new(2, 5, 10, 16).slice(4, 11),
            vec![box_of(3..11, 0..5, 2..9), Selection::unit(10, 2, 5)],
        ),
    ]
}

fn words(selections: &[Selection]) -> Vec<u32> {
    selections
        .iter()
        .flat_map(|s| {
            [&s.channels, &s.rows, &s.columns]
                .map(|range| [range.start, range.end])
                .concat()
        })
        .collect()
}

/// Mean of linear·a + quadratic·a² over a selection of a [C,H,W] array.
fn plain(view: View, s: &Selection, x: &[f64], linear: f64, quadratic: f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for c in s.channels.clone() {
        for y in s.rows.clone() {
            for column in s.columns.clone() {
                let a = x[((c * view.h + y) * view.w + column) as usize];
                sum += linear * a + quadratic * a * a;
                count += 1.0;
            }
        }
    }
    sum / count
}

fn of(selections: &[Selection], image: usize) -> &Selection {
    &selections[image % selections.len()]
}

#[test]
fn by_hand() {
    // Two images of one row of two pixels of two channels; the second channel of the first, the last pixel of the
    // other.
    let x = View::new(2, 1, 2, 2);
    let values = to_quads(x, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let chosen = [1, 2, 0, 1, 0, 2, 0, 2, 0, 1, 1, 2].to_vec();
    let kernel = Select {
        x,
        first: 0,
        selections: 2,
        linear: 1.0,
        quadratic: 2.0,
    };
    let data = [
        Data::Reals(values.clone()),
        Data::Words(chosen.clone()),
        Data::PoisonedReals(2),
    ];
    // (3 + 18 + 4 + 32)/2 and (6 + 72 + 8 + 128)/2.
    assert_eq!(check(&kernel, &data)[0].reals(), [28.5, 107.0]);
    let backward = SelectBackward {
        forward: kernel,
        dx: x,
        alpha: 2.0,
        accumulate: false,
    };
    let data = [Data::Reals(values), Data::Words(chosen), Data::Poisoned(x)];
    let dx = from_quads(x, check(&backward, &data)[0].reals());
    assert_eq!(dx, [0.0, 0.0, 13.0, 17.0, 0.0, 25.0, 0.0, 33.0]);
}

#[test]
fn the_value_is_the_definition_everywhere() {
    for (seed, (x, _, selections)) in cases().into_iter().enumerate() {
        for (linear, quadratic) in [(1.0, 0.0), (0.0, 1.0), (-0.5, 2.0)] {
            let kernel = Select {
                x,
                first: 0,
                selections: selections.len() as u32,
                linear,
                quadratic,
            };
            // Away from zero, so that a mean is no small difference of large sums.
            let values: Vec<f32> = tensor(&mut random(seed as u64), x)
                .iter()
                .map(|v| if *v == 0.0 { 0.0 } else { v + 1.5 })
                .collect();
            let data = [
                Data::Reals(values.clone()),
                Data::Words(words(&selections)),
                Data::PoisonedReals((x.n * kernel.parts()) as usize),
            ];
            let out = check_within(&kernel, &data, 1e-6);
            let planes = from_quads(x, &wide(&values));
            let each = planes.len() / x.n as usize;
            for (i, parts) in out[0].reals().chunks(kernel.parts() as usize).enumerate() {
                let expected = plain(
                    x,
                    of(&selections, i),
                    &planes[i * each..][..each],
                    f64::from(linear),
                    f64::from(quadratic),
                );
                let value: f64 = parts.iter().sum();
                assert!(
                    (value - expected).abs() <= 1e-12 * expected.abs(),
                    "{kernel:?}: image {i} has {value}, should be {expected}"
                );
            }
        }
    }
}

#[test]
fn the_gradient_is_the_derivative_of_the_value() {
    for (seed, (x, dx, selections)) in cases().into_iter().enumerate() {
        let mut rng = random(50 + seed as u64);
        let kernel = Select {
            x,
            first: 0,
            selections: selections.len() as u32,
            linear: 0.5,
            quadratic: -1.25,
        };
        let chosen = words(&selections);
        let values = wide(&tensor(&mut rng, x));
        let direction = wide(&tensor(&mut rng, x));
        let partials = vec![f64::NAN; (x.n * kernel.parts()) as usize];
        let numeric = derivative(&values, &direction, |x| {
            let out = run_f64_with_words(&kernel, &[x, &partials], &[&chosen]);
            1.75 * out[1].iter().sum::<f64>()
        });
        let backward = SelectBackward {
            forward: kernel,
            dx,
            alpha: 1.75,
            accumulate: false,
        };
        let poison = vec![f64::NAN; dx.len()];
        let gradient = run_f64_with_words(&backward, &[&values, &poison], &[&chosen]).remove(1);
        let analytic = dot(&from_quads(dx, &gradient), &from_quads(x, &direction));
        assert_derivative(&backward, numeric, analytic);
    }
}

#[test]
fn shaders_of_the_gradient() {
    for (seed, (x, dx, selections)) in cases().into_iter().enumerate() {
        for accumulate in [false, true] {
            let mut rng = random(90 + seed as u64);
            let kernel = SelectBackward {
                forward: Select {
                    x,
                    first: 0,
                    selections: selections.len() as u32,
                    linear: 1.0,
                    quadratic: 0.5,
                },
                dx,
                alpha: -2.5,
                accumulate,
            };
            let values = tensor(&mut rng, x);
            let before = tensor(&mut rng, dx);
            let target = if accumulate {
                Data::Reals(before.clone())
            } else {
                Data::Poisoned(dx)
            };
            let data = [Data::Reals(values), Data::Words(words(&selections)), target];
            let out = from_quads(dx, check(&kernel, &data)[0].reals());
            // What is not selected has no gradient.
            let base = from_quads(dx, &wide(&before));
            let each = out.len() / x.n as usize;
            for (at, got) in out.iter().enumerate() {
                let (i, at_c) = (at / each, (at % each) as u32);
                let (c, row, column) = (at_c / (x.h * x.w), at_c / x.w % x.h, at_c % x.w);
                let s = of(&selections, i);
                let selected =
                    s.channels.contains(&c) && s.rows.contains(&row) && s.columns.contains(&column);
                if !selected {
                    let expected = if accumulate { base[at] } else { 0.0 };
                    assert_eq!(*got, expected, "{kernel:?}: element {at}");
                }
            }
        }
    }
}

/// What the rows above and below a cut add is the value of all, and their gradients are its rows.
#[test]
fn rows_of_a_layer() {
    for (seed, (x, _, selections)) in cases().into_iter().enumerate() {
        let x = View::new(x.n, x.h, x.w, x.c);
        let values = tensor(&mut random(seed as u64), x);
        let run = |first: u32, rows: u32| {
            let view = View::new(x.n, rows, x.w, x.c);
            let each = x.w as usize * x.padded();
            let cut: Vec<f32> = values
                .chunks(x.h as usize * each)
                .flat_map(|image| &image[first as usize * each..][..(rows as usize) * each])
                .copied()
                .collect();
            let kernel = Select {
                x: view,
                first,
                selections: selections.len() as u32,
                linear: 0.5,
                quadratic: 1.5,
            };
            let data = [
                Data::Reals(cut.clone()),
                Data::Words(words(&selections)),
                Data::PoisonedReals((x.n * kernel.parts()) as usize),
            ];
            let out = check_within(&kernel, &data, 1e-5);
            let sums = out[0].reals().chunks(kernel.parts() as usize);
            let sums: Vec<f64> = sums.map(|parts| parts.iter().sum()).collect();
            let backward = SelectBackward {
                forward: kernel,
                dx: view,
                alpha: 2.0,
                accumulate: false,
            };
            let data = [
                Data::Reals(cut),
                Data::Words(words(&selections)),
                Data::Poisoned(view),
            ];
            let gradient = check(&backward, &data).remove(0).reals().to_vec();
            (sums, gradient)
        };
        let (sums, gradient) = run(0, x.h);
        for cut in 1..x.h.min(6) {
            let ((above, upper), (below, lower)) = (run(0, cut), run(cut, x.h - cut));
            for (i, sum) in sums.iter().enumerate() {
                let parts = above[i] + below[i];
                assert!(
                    (parts - sum).abs() <= 1e-12 * (1.0 + sum.abs()),
                    "{x:?} cut at {cut}"
                );
            }
            let (of_upper, of_lower) = (upper.len() / x.n as usize, lower.len() / x.n as usize);
            let joined: Vec<f64> = upper
                .chunks(of_upper)
                .zip(lower.chunks(of_lower))
                .flat_map(|(upper, lower)| upper.iter().chain(lower))
                .copied()
                .collect();
            assert_eq!(joined, gradient, "{x:?} cut at {cut}");
        }
    }
}

#[test]
fn the_term_activation() {
    for (seed, (x, dx, selections)) in cases().into_iter().enumerate() {
        if x.elements() > 20_000 {
            continue;
        }
        for square in [false, true] {
            let input: Vec<f32> = tensor(&mut random(seed as u64), x);
            let (linear, quadratic) = if square { (0.0, 1.0) } else { (1.0, 0.0) };
            Case {
                name: &format!("activation {seed}, square {square}"),
                x,
                dx,
                input: &input,
                make: &|device: &Device| -> Box<dyn Term> {
                    let words = Selection::upload(device, x, &selections).expect("selections");
                    Box::new(Activation::new(words, square, -1.75))
                },
                plain: &|i, planes| -1.75 * plain(x, of(&selections, i), planes, linear, quadratic),
                step: 0.25,
                error: 1e-9,
            }
            .check();
        }
    }
}

#[test]
fn the_term_energy() {
    for (n, h, w, c) in [(2, 1, 1, 1), (2, 9, 8, 37)] {
        let x = View::new(n, h, w, c);
        let input = tensor(&mut random(7), x);
        let case = Case {
            name: "energy",
            x,
            dx: x,
            input: &input,
            make: &|device: &Device| Box::new(Energy::new(device, x, 3.0).expect("energy")),
            plain: &|_, planes| 1.5 * dot(planes, planes),
            step: 0.25,
            error: 1e-9,
        };
        case.check();
        // Its gradient is the layer itself.
        let poison = vec![f64::NAN; x.len()];
        let (_, gradient) = case.evaluate(&Device::oracle(), &wide(&input), &poison, false);
        for (g, a) in gradient.iter().zip(&input) {
            assert!((g - 3.0 * f64::from(*a)).abs() <= 1e-6);
        }
    }
}

#[test]
fn a_selection_outside_the_layer_is_refused() {
    let layer = View::new(2, 13, 14, 64);
    assert_eq!(Selection::center(layer), (6, 7));
    assert_eq!(Selection::center(View::new(1, 1, 1, 8)), (0, 0));
    assert_eq!(Selection::whole(layer).elements(), 13 * 14 * 64);
    assert!(Selection::whole(layer).validate(layer).is_ok());
    let wrong = |s: Selection| {
        let error = s.validate(layer).expect_err("it is outside");
        error.to_string()
    };
    assert_eq!(
        wrong(Selection::channel(layer, 64)),
        "channel 64 is beyond the layer, whose channels are 0 to 63"
    );
    assert_eq!(
        wrong(Selection::unit(0, 13, 0)),
        "row 13 is beyond the layer, whose rows are 0 to 12"
    );
    assert_eq!(
        wrong(Selection::unit(0, 0, u32::MAX)),
        "columns 4294967295..4294967295 are none: the end must be greater than the start"
    );
    assert_eq!(
        wrong(Selection {
            rows: 4..4,
            ..Selection::whole(layer)
        }),
        "rows 4..4 are none: the end must be greater than the start"
    );
    let three = vec![Selection::whole(layer); 3];
    let why = Selection::upload(&Device::oracle(), layer, &three).expect_err("two images");
    assert_eq!(
        why.to_string(),
        "3 selections for 2 images: give one for all, or one for each"
    );
}
