//! From one scale to the next: the result of a scale, resampled on the device, and the optimizer's memory.

use std::ops::ControlFlow;

use crate::Error;
use crate::device::{Buffer, Device, Kind, Recording, ValueId};
use crate::kernels::{Clamp, ResizeFilter, Tensor, View, record_resize};
use crate::plan::{Plan, RING_ROWS};
use crate::schedule::Executor;

/// The image that is the result of a scale: the average where there is one, else the last iterate.
pub(super) fn result(executor: &Executor) -> Result<(Buffer, View), Error> {
    let plan = executor.plan();
    let view = plan.image.view;
    let Some((average, tensor)) = plan.average.filter(|_| executor.done() > 0) else {
        return Ok((executor.buffer(plan.image.value).clone(), view));
    };
    let out = executor.device().buffer("result", Kind::Real, view.len())?;
    let mut recording = Recording::new();
    let given = given(
        &mut recording,
        "average",
        executor.buffer(tensor.value),
        view,
    );
    let step = recording.given("step", executor.buffer(plan.step).clone());
    let to = self::given(&mut recording, "result", &out, view);
    average.record_read(&mut recording, given, step, to);
    run_once(executor.device(), recording)?;
    Ok((out, view))
}

/// The values of a scale that the next one, and whoever asks for the image meanwhile, still need.
pub(super) fn survivors(executor: &Executor) -> Vec<ValueId> {
    let plan = executor.plan();
    [plan.image.value, plan.step]
        .into_iter()
        .chain(plan.average.map(|(_, tensor)| tensor.value))
        .chain(
            [plan.state.first, plan.state.second]
                .into_iter()
                .flatten()
                .map(|tensor| tensor.value),
        )
        .collect()
}

/// Starts `to` where `from` has come to: its result becomes the image, its optimizer's moments the moments.
pub(super) fn hand_over(from: &Executor, to: &Executor) -> Result<(), Error> {
    let device = from.device();
    let (image, view) = result(from)?;
    let mut recording = Recording::new();
    let mut resample =
        |label: &str, source: (&Buffer, View), target: Tensor, filter, range: Option<[f32; 2]>| {
            let source = given(&mut recording, label, source.0, source.1);
            let target = given(&mut recording, label, to.buffer(target.value), target.view);
            record_resize(&mut recording, label, source, target, filter);
            if let Some([low, high]) = range {
                let clamp = Clamp {
                    len: target.view.len() as u32,
                    low,
                    high,
                };
                recording.call(label, clamp, &[target.value]);
            }
        };
    let bicubic = ResizeFilter::Bicubic;
    resample(
        "image",
        (&image, view),
        to.plan().image,
        bicubic,
        Some([0.0, 1.0]),
    );
    let (old, new) = (from.plan().state, to.plan().state);
    if let (Some(old), Some(new)) = (old.first, new.first) {
        resample(
            "first moment",
            (from.buffer(old.value), old.view),
            new,
            bicubic,
            None,
        );
    }
    // Bilinear weights are never negative, and so the second moment stays what a root can be drawn from.
    if let (Some(old), Some(new)) = (old.second, new.second) {
        resample(
            "second moment",
            (from.buffer(old.value), old.view),
            new,
            ResizeFilter::Bilinear,
            None,
        );
    }
    run_once(device, recording)
}

fn given(recording: &mut Recording, label: &str, buffer: &Buffer, view: View) -> Tensor {
    Tensor {
        value: recording.given(label, buffer.clone()),
        view,
    }
}

/// Runs a recording once.
fn run_once(device: &Device, mut recording: Recording) -> Result<(), Error> {
    let ring = recording.persistent("loss ring", Kind::Real, RING_ROWS as usize);
    let step = recording.persistent("step", Kind::Word, 1);
    let image = Tensor {
        value: ValueId(0),
        view: View::new(1, 1, 1, 1),
    };
    let mut executor = Executor::new(device, Plan::finished(recording, image, step, ring))?;
    let _ = executor.run(1, &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}
