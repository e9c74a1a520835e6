//! The value of the `gram` term for two given sets of columns, as the engine computes it.

use pixgrad::device::{Device, Kind, Recording};
use pixgrad::kernels::{Tensor, View, pack};
use pixgrad::objective::{Gram, Loss, Term, record_gram};
use pixgrad::plan::{Iteration, RING_ROWS};
use pixgrad::schedule::Executor;

/// `f` and `s` are columns (pixels) of equal length (channels).
pub fn value(device: &Device, f: &[Vec<f64>], s: &[Vec<f64>]) -> f64 {
    let (view, pixels) = planes(f);
    let target = statistic(device, s);
    let mut recording = Recording::new();
    let x = Tensor::persistent(&mut recording, "f", view);
    let losses = recording.persistent("losses", Kind::Real, 1);
    let step = recording.persistent("step", Kind::Word, 1);
    let term = Gram::new(target, view.c, 1.0);
    let _ = term.forward(
        &mut recording,
        x,
        Loss {
            losses,
            slots: 1,
            slot: 0,
            step,
        },
    );
    let executor = run(device, recording, x, &pixels);
    device
        .download_f64(executor.buffer(losses))
        .expect("a loss")[0]
}

fn statistic(device: &Device, s: &[Vec<f64>]) -> pixgrad::device::Buffer {
    let (view, pixels) = planes(s);
    let mut recording = Recording::new();
    let x = Tensor::persistent(&mut recording, "s", view);
    let gram = record_gram(&mut recording, x, x.view.h * x.view.w, true);
    run(device, recording, x, &pixels)
        .buffer(gram.value)
        .clone()
}

fn planes(columns: &[Vec<f64>]) -> (View, Vec<f64>) {
    let view = View::new(1, 1, columns.len() as u32, columns[0].len() as u32);
    let planes: Vec<f64> = (0..columns[0].len())
        .flat_map(|c| columns.iter().map(move |column| column[c]))
        .collect();
    (view, pack(view, &planes))
}

fn run(device: &Device, mut recording: Recording, x: Tensor, pixels: &[f64]) -> Executor {
    let ring = recording.persistent("ring", Kind::Real, RING_ROWS as usize);
    let step = recording.persistent("step", Kind::Word, 1);
    let mut executor =
        Executor::new(device, Plan::finished(recording, x, step, ring)).expect("an executor");
    device
        .upload_f64(executor.buffer(x.value), pixels)
        .expect("the columns fit");
    let _ = executor
        .run(1, &mut |_| std::ops::ControlFlow::Continue(()))
        .expect("a run");
    executor
}
