//! multiply_add: chains whose end is known, and the variant in f16 where the adapter has it.

use pixgrad::engine::kernels::MultiplyAdd;

use crate::common::{Data, GPU, check, random, run_on, uniform};

/// a = −1 turns x into b − x and back: after an even number of steps every chain is where it began.
#[test]
fn an_even_number_of_mirrorings_changes_nothing() {
    let kernel = MultiplyAdd {
        len: 300,
        rounds: 3,
        a: -1.0,
        b: 0.5,
        half: false,
    };
    let start = uniform(&mut random(1), 1200);
    let end = check(&kernel, &[Data::Reals(start.clone())]);
    for (start, end) in start.iter().zip(end[0].reals()) {
        assert!((f64::from(*start) - end).abs() < 1e-6, "{start} {end}");
    }
}

#[test]
fn steps_shrink_as_a_geometric_series() {
    let kernel = MultiplyAdd {
        len: 1,
        rounds: 1,
        a: 0.5,
        b: 1.0,
        half: false,
    };
    // x ← x/2 + 1 goes to 2; what is left of the distance after 16 steps is 2⁻¹⁶.
    let end = check(&kernel, &[Data::Reals(vec![2.0, 4.0, 0.0, -2.0])]);
    for (x, end) in [2.0, 4.0, 0.0, -2.0].into_iter().zip(end[0].reals()) {
        let left: f64 = [0.5, 0.25, 0.1875, 0.0625]
            .map(|part| x * part - 2.0)
            .iter()
            .sum();
        let expected = 8.0 + left / 65536.0;
        assert!((end - expected).abs() < 1e-6, "{x}: {end}, not {expected}");
    }
}

/// f16 has 11 bits: 32 steps that each round, of values below 1, end within 32·2⁻¹² of the exact ones.
#[test]
fn f16_where_there_is_f16() {
    let there = GPU.info().features.iter().any(|f| f == "shader-f16");
    // The software adapter that the tests run on where there is no GPU has it.
    assert!(there || !GPU.info().is_software(), "{:?}", GPU.info());
    if !there {
        eprintln!("{} has no f16: nothing to test", GPU.info());
        return;
    }
    let kernel = MultiplyAdd {
        len: 64,
        rounds: 2,
        a: -1023.0 / 1024.0,
        b: 0.25,
        half: true,
    };
    let start = uniform(&mut random(2), 256);
    let data = || [Data::Reals(start.clone())];
    let exact = run_on(&pixgrad::Device::oracle(), &kernel, &data());
    let half = run_on(&GPU, &kernel, &data());
    for (exact, half) in exact[0].reals().iter().zip(half[0].reals()) {
        // Four chains, and their sum.
        assert!(
            (exact - half).abs() <= 4.0 * 32.0 / 4096.0 + 1e-3,
            "{exact} {half}"
        );
    }
    let single = MultiplyAdd {
        half: false,
        ..kernel
    };
    let single = run_on(&GPU, &single, &data());
    assert_ne!(single, half, "the variant computes in f32");
}
