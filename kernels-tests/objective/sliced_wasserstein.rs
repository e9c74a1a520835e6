//! The term `sliced_wasserstein`.

use std::ops::ControlFlow;

use pixgrad::Recipe;
use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{UnitVectors, View, from_quads};
use pixgrad::engine::methods::StyleLoss;
use pixgrad::engine::objective::{SlicedWasserstein, Term, VectorSet};
use pixgrad::engine::plan::Network;

use crate::common::oracle::{dot, wide};
use crate::common::{GPU, random, sample, tensor};
use crate::quantiles::distance;
use crate::term::Case;
use crate::unit_vectors::directions;

/// The feature vectors of a [C, positions] array.
fn vectors_of(planes: &[f64], c: usize) -> Vec<Vec<f64>> {
    let pixels = planes.len() / c;
    (0..pixels)
        .map(|i| (0..c).map(|channel| planes[channel * pixels + i]).collect())
        .collect()
}

/// A target of the tests.
struct Target {
    set: VectorSet,
    packed: Vec<f32>,
}

impl Target {
    fn new(seed: u64, c: u32, pictures: &[(u32, f64)]) -> Self {
        let set = VectorSet::new(c, pictures);
        let values = tensor(&mut random(seed), set.view);
        Self {
            packed: values.iter().map(|v| v.abs()).collect(),
            set,
        }
    }

    fn term(&self, device: &Device, seed: u64, weight: f64) -> Box<dyn Term> {
        let vectors = device
            .buffer_from("vectors", &self.packed)
            .expect("it fits");
        let term = SlicedWasserstein::new(device, &self.set, vectors, seed, weight);
        Box::new(term.expect("a term"))
    }

    /// The vectors that count, each alike.
    fn vectors(&self) -> Vec<Vec<f64>> {
        let view = self.set.view;
        let all = vectors_of(&from_quads(view, &wide(&self.packed)), view.c as usize);
        let weights = wide(&self.set.weights);
        let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let count = (weights.iter().sum::<f64>() / least).round() as usize;
        let up_to = |i: usize| weights[..=i].iter().sum::<f64>() / weights.iter().sum::<f64>();
        (0..count)
            .map(|j| {
                let share = (j as f64 + 0.5) / count as f64;
                let chosen = (0..all.len()).find(|i| up_to(*i) >= share);
                all[chosen.expect("the weights sum to 1")].clone()
            })
            .collect()
    }
}

/// Σ_k ∫ (p_k(u) − q_k(u))² du / K from the definition, at step 0 in slot 1, where the cases have it.
fn plain(drawn: &[Vec<f64>], own: &[Vec<f64>], target: &[Vec<f64>]) -> f64 {
    let of_direction = |v: &Vec<f64>| {
        let sorted = |vectors: &[Vec<f64>]| {
            let mut numbers: Vec<f64> = vectors.iter().map(|f| dot(f, v)).collect();
            numbers.sort_by(f64::total_cmp);
            numbers
        };
        distance(&sorted(own), &sorted(target))
    };
    drawn.iter().map(of_direction).sum::<f64>() / drawn.len() as f64
}

fn drawn_for(x: View, seed: u32) -> Vec<Vec<Vec<f64>>> {
    let y = View::new(x.n, 1, x.c.next_multiple_of(4), x.c);
    directions(UnitVectors { y, seed, slot: 1 }, 0)
}

#[test]
fn value_and_gradient() {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let cases = [
        (same(2, 3, 5, 6), vec![(9, 1.0)]),
        (same(1, 1, 1, 1), vec![(2, 1.0)]),
        (same(1, 2, 3, 3), vec![(6, 1.0)]),
        (same(1, 8, 9, 33), vec![(40, 0.7), (20, 0.3)]),
        (
            (
                View::new(2, 5, 6, 24).slice(8, 11),
                View::new(2, 5, 6, 16).slice(4, 11),
            ),
            vec![(77, 1.0)],
        ),
    ];
    for (seed, ((x, dx), pictures)) in cases.into_iter().enumerate() {
        let target = Target::new(seed as u64, x.c, &pictures);
        let input = tensor(&mut random(50 + seed as u64), x);
        let (drawn, goal) = (drawn_for(x, seed as u32), target.vectors());
        let plain = |i: usize, image: &[f64]| -> f64 {
            1.5 * plain(&drawn[i], &vectors_of(image, x.c as usize), &goal)
        };
        Case {
            name: "sliced_wasserstein",
            x,
            dx,
            input: &input,
            make: &|device| target.term(device, seed as u64, 1.5),
            plain: &plain,
            // Small, so that hardly any two numbers change places: there the slope jumps.
            step: 1e-7,
            error: 1e-6,
        }
        .check();
    }
}

/// What a relative term is divided by is found at one position: it is the same at any number.
#[test]
fn the_value_of_zeros_has_no_size() {
    let target = Target::new(3, 5, &[(9, 1.0)]);
    let values = [(1, 1), (3, 4)].map(|(h, w)| {
        let x = View::new(1, h, w, 5);
        let input = vec![0.0; x.len()];
        let case = Case {
            name: "sliced_wasserstein of zeros",
            x,
            dx: x,
            input: &input,
            make: &|device| target.term(device, 3, 1.0),
            plain: &|_, _| 0.0,
            step: 0.0,
            error: 0.0,
        };
        let zeros = vec![0.0; x.len()];
        case.evaluate(&Device::oracle(), &zeros, &zeros, false).0[0]
    });
    let drawn = &drawn_for(View::new(1, 1, 1, 5), 3)[0];
    let goal = target.vectors();
    let squares = drawn
        .iter()
        .flat_map(|v| goal.iter().map(|s| dot(s, v).powi(2)));
    let expected = squares.sum::<f64>() / (drawn.len() * goal.len()) as f64;
    for value in values {
        assert!(
            (value - expected).abs() < 1e-6 * expected,
            "{value} {expected}"
        );
    }
}

/// A tiny picture comes nearer to its style, through the shaders and on the processor; at first both agree.
#[test]
fn the_loss_falls_on_every_device() {
    let loss = "sliced-wasserstein".parse::<StyleLoss>().expect("a loss");
    let values = [&Device::cpu(), &*GPU].map(|device| {
        let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
        let styles = [
            sample("starry_night.jpg", 40, 32),
            sample("gravel.png", 24, 24),
        ];
        let mut recipe = Recipe::texture(styles, 40, 32)
            .style_losses(&[loss])
            .iterations(8);
        recipe.image.min_size = None;
        for style in recipe.terms.iter_mut().filter_map(|t| t.kind.style_mut()) {
            style.layers = vec!["relu_conv1".into(), "fire2/concat".into()];
        }
        let mut run = recipe.compile(device, &network).expect("a valid recipe");
        let mut losses = Vec::new();
        let _ = run
            .run(|p| {
                losses.push(p.terms[0]);
                ControlFlow::Continue(())
            })
            .expect("a run");
        (losses[0], losses[7])
    });
    for (first, last) in &values {
        assert!(*last < 0.8 * first, "{values:?}");
    }
    let [cpu, gpu] = values;
    assert!((cpu.0 - gpu.0).abs() < 1e-3 * cpu.0, "{values:?}");
}
