//! record: the row of the step, no other, and one step more.

use pixgrad::engine::kernels::Record;

use crate::common::{Data, check, random, uniform};

#[test]
fn writes_the_row_of_its_step() {
    let record = Record { slots: 3, rows: 2 };
    for (step, expected) in [
        (0, [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]),
        (1, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]),
        (6, [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]),
    ] {
        let data = [
            Data::Reals(vec![1.0, 2.0, 3.0]),
            Data::Reals(vec![0.0; 6]),
            Data::Words(vec![step]),
        ];
        let out = check(&record, &data);
        assert_eq!(out[0].reals(), expected, "step {step}");
        assert_eq!(out[1].words(), [step + 1]);
    }
}

#[test]
fn more_slots_than_invocations() {
    for slots in [1, 256, 257, 700] {
        let mut rng = random(u64::from(slots));
        let mut reals = |len| Data::Reals(uniform(&mut rng, len));
        let data = [
            reals(slots as usize),
            reals(5 * slots as usize),
            Data::Words(vec![13]),
        ];
        check(&Record { slots, rows: 5 }, &data);
    }
}
