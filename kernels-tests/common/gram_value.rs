//! The value of the `gram` term for two given sets of feature vectors, as the engine computes it.

use pixgrad::engine::device::{Buffer, Device, Kind, Recording};
use pixgrad::engine::kernels::{Tensor, View, to_quads};
use pixgrad::engine::objective::{Gram, Loss, record_gram, record_value};
use pixgrad::engine::plan::Program;
use pixgrad::engine::schedule::Loaded;

/// `f` and `s` are vectors (positions) of equal length (channels).
pub fn value(device: &Device, f: &[Vec<f64>], s: &[Vec<f64>]) -> f64 {
    let (view, pixels) = planes(f);
    let target = statistic(device, s);
    let mut recording = Recording::new();
    let x = Tensor::persistent(&mut recording, "f", view);
    let losses = recording.persistent("losses", Kind::Real, 1);
    let loss = Loss {
        losses,
        slots: 1,
        slot: 0,
        step: recording.persistent("step", Kind::Word, 1),
    };
    let _ = record_value(&mut recording, &Gram::new(target, view.c, 1.0), x, loss);
    let loaded = run(device, Program::new(recording, []), x, &pixels);
    device.download_f64(loaded.buffer(losses)).expect("a loss")[0]
}

fn statistic(device: &Device, s: &[Vec<f64>]) -> Buffer {
    let (view, pixels) = planes(s);
    let mut recording = Recording::new();
    let x = Tensor::persistent(&mut recording, "s", view);
    let gram = record_gram(&mut recording, x, x.view.h * x.view.w);
    let program = Program::new(recording, [("gram".to_string(), gram)]);
    let loaded = run(device, program, x, &pixels);
    loaded.buffer(loaded.program().output("gram").value).clone()
}

fn planes(vectors: &[Vec<f64>]) -> (View, Vec<f64>) {
    let view = View::new(1, 1, vectors.len() as u32, vectors[0].len() as u32);
    let planes: Vec<f64> = (0..vectors[0].len())
        .flat_map(|c| vectors.iter().map(move |vector| vector[c]))
        .collect();
    (view, to_quads(view, &planes))
}

fn run(device: &Device, program: Program, x: Tensor, pixels: &[f64]) -> Loaded {
    let mut loaded = Loaded::new(device, program).expect("a program in memory");
    device
        .upload_f64(loaded.buffer(x.value), pixels)
        .expect("the vectors fit");
    loaded.run_once().expect("a run");
    loaded
}
