//! From one scale to the next: the result of a scale, resampled on the device, and the optimizer's memory.

use crate::Error;
use crate::compile::activations::run_once;
use crate::device::{Buffer, Kind, Recording};
use crate::kernels::{Clamp, Combine, ResizeFilter, Tensor, View, record_resize};
use crate::schedule::Executor;

/// The images that are the result of a scale: those kept on the way where the recipe says so, else made of the average
/// where there is one, else of the optimizer's own result or the last iterate.
pub(crate) async fn result(executor: &Executor) -> Result<(Buffer, View), Error> {
    let handles = executor.handles();
    let device = executor.device();
    let mut recording = Recording::new();
    let step = recording.given("step", executor.buffer(handles.step).clone());
    let begun = executor.done() > 0;
    if let Some(kept) = handles.kept.filter(|_| begun) {
        return Ok((executor.buffer(kept.value).clone(), kept.view));
    }
    let mut buffer = executor.buffer(handles.parameter.value).clone();
    if let Some(best) = handles.state.result.filter(|_| begun) {
        buffer = executor.buffer(best.value).clone();
    }
    if let Some((average, tensor)) = handles.average.filter(|_| begun) {
        let view = tensor.view;
        buffer = match executor.scratch(view.len()) {
            Some(scratch) => scratch,
            None => device.buffer("result", Kind::Real, view.len())?,
        };
        let from = executor.buffer(tensor.value);
        let from = given(&mut recording, "average", from, view);
        let to = given(&mut recording, "result", &buffer, view);
        average.record_read(&mut recording, from, step, to);
    }
    if !handles.parameterisation.is_empty() {
        let mut x = given(&mut recording, "parameter", &buffer, handles.parameter.view);
        for map in &handles.parameterisation {
            x = map.forward(&mut recording, x, step).y;
        }
        let copy = Combine {
            len: x.view.len() as u32,
            alpha: 1.0,
            beta: 0.0,
        };
        buffer = device.buffer_from("result", &vec![0.0; x.view.len()])?;
        let to = given(&mut recording, "result", &buffer, x.view);
        recording.call("result", copy, &[x.value, to.value]);
    }
    if !recording.calls().is_empty() {
        run_once(device, recording).await?;
    }
    Ok((buffer, handles.image.view))
}

/// Starts `to` where `from` has come to: its result becomes the image, its optimizer's moments the moments. With
/// `detail`, the start pictures at either size: what the result differs from the first is added to the second. `wrap`:
/// the image is a tile.
pub(crate) async fn hand_over(
    from: &Executor,
    to: &Executor,
    detail: Option<(Vec<f32>, Vec<f32>)>,
    wrap: bool,
) -> Result<(), Error> {
    let device = from.device();
    let (image, view) = result(from).await?;
    let mut recording = Recording::new();
    let target = to.handles().image;
    if let Some((before, after)) = detail {
        let base = device.buffer_from("start before", &before)?;
        let next = device.buffer_from("start after", &after)?;
        let change = given(&mut recording, "change", &image, view);
        let base = given(&mut recording, "start before", &base, view);
        let combine = |len: usize, alpha, beta| Combine {
            len: len as u32,
            alpha,
            beta,
        };
        recording.call(
            "detail",
            combine(view.len(), -1.0, 1.0),
            &[base.value, change.value],
        );
        let image = given(
            &mut recording,
            "image",
            to.buffer(target.value),
            target.view,
        );
        record_resize(
            &mut recording,
            "detail",
            change,
            image,
            ResizeFilter::Bilinear,
            wrap,
        );
        let next = given(&mut recording, "start after", &next, target.view);
        recording.call(
            "detail",
            combine(target.view.len(), 1.0, 1.0),
            &[next.value, image.value],
        );
        let clamp = Clamp {
            len: target.view.len() as u32,
            low: 0.0,
            high: 1.0,
        };
        recording.call("detail", clamp, &[image.value]);
        run_once(device, recording).await?;
        return Ok(());
    }
    let mut resample =
        |label: &str, source: (&Buffer, View), target: Tensor, filter, range: Option<[f32; 2]>| {
            let source = given(&mut recording, label, source.0, source.1);
            let target = given(&mut recording, label, to.buffer(target.value), target.view);
            record_resize(&mut recording, label, source, target, filter, wrap);
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
    resample("image", (&image, view), target, bicubic, Some([0.0, 1.0]));
    let (old, new) = (from.handles().state, to.handles().state);
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
    run_once(device, recording).await?;
    Ok(())
}

fn given(recording: &mut Recording, label: &str, buffer: &Buffer, view: View) -> Tensor {
    Tensor {
        value: recording.given(label, buffer.clone()),
        view,
    }
}
