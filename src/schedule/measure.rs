//! Measures an iteration: as a whole, call by call, and whether each call computes what it should.

use std::time::Duration;

use web_time::Instant;

use super::Executor;
use crate::Error;
use crate::device::{Buffer, Device, Kind};

/// How far a kernel call is from the same call on another device.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Deviation {
    /// ‖a − b‖/‖b‖ over all reals that the call writes; infinite where a number is not finite.
    pub reals: f64,
    /// The share of different bits among all words that the call writes.
    pub bits: f64,
}

impl Executor {
    /// Runs one iteration and tells how long the device worked on it. On a GPU that is the time between its
    /// submissions' first and last instruction by its own clock, where it has one.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub async fn time_iteration_async(&mut self) -> Result<Duration, Error> {
        self.loaded.expect_ready()?;
        let time = match (&self.loaded.gpu, self.loaded.device.gpu()) {
            (Some(program), Some(gpu)) => program.time_iteration(gpu).await?,
            _ => {
                let start = Instant::now();
                self.loaded.run_calls(|_, _| Ok(()))?;
                start.elapsed()
            }
        };
        self.done += 1;
        Ok(time)
    }

    /// Runs one iteration call by call and tells how long each took, in the order of the recording.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub async fn time_calls_async(&mut self) -> Result<Vec<Duration>, Error> {
        self.loaded.expect_ready()?;
        let mut times = vec![Duration::ZERO; self.loaded.program.recording.calls().len()];
        match (&self.loaded.gpu, self.loaded.device.gpu()) {
            (Some(program), Some(gpu)) => program.time_calls(gpu, &mut times).await?,
            _ => {
                let mut last = Instant::now();
                self.loaded.run_calls(|i, _| {
                    times[i] = last.elapsed();
                    last = Instant::now();
                    Ok(())
                })?;
            }
        }
        self.done += 1;
        Ok(times)
    }

    /// Runs one iteration call by call, each also on `reference` with the same inputs, and tells how far apart the
    /// results are, in the order of the recording; `None` for calls that `wanted` leaves out.
    ///
    /// # Errors
    /// As [`Executor::run`]; [`Error::Device`] where `reference` has no room for a call's buffers.
    pub async fn check_calls_async(
        &mut self,
        reference: &Device,
        mut wanted: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Option<Deviation>>, Error> {
        self.loaded.expect_ready()?;
        let mut deviations = Vec::with_capacity(self.loaded.program.recording.calls().len());
        for (i, call) in self.loaded.program.recording.calls().iter().enumerate() {
            let operation = &*call.operation;
            let bound = self.loaded.bound(&call.values);
            if !wanted(i) {
                self.loaded.device.run(operation, &bound)?;
                deviations.push(None);
                continue;
            }
            let slots = operation.bindings();
            let written: Vec<usize> = (0..slots.len()).filter(|i| slots[*i].writes()).collect();
            for i in &written {
                make_numbers(&self.loaded.device, bound[*i]).await?;
            }
            let (mut copies, mut before) = (Vec::new(), Vec::new());
            for buffer in &bound {
                copies.push(copied(&self.loaded.device, buffer, reference).await?);
            }
            for i in &written {
                before.push(contents(&self.loaded.device, bound[*i]).await?);
            }
            self.loaded.device.run(operation, &bound)?;
            reference.run(operation, &copies.iter().collect::<Vec<_>>())?;
            let mut deviation = Deviation::default();
            for (i, before) in written.into_iter().zip(before) {
                let (ours, theirs) = (
                    &contents(&self.loaded.device, bound[i]).await?,
                    &contents(reference, &copies[i]).await?,
                );
                match slots[i].kind {
                    Kind::Word => {
                        deviation.bits = deviation.bits.max(different(&before, ours, theirs))
                    }
                    _ => deviation.reals = deviation.reals.max(distance(&before, ours, theirs)),
                }
            }
            deviations.push(Some(deviation));
        }
        self.done += 1;
        Ok(deviations)
    }
}

/// A buffer of `to` with the contents of one of `from`.
async fn copied(from: &Device, buffer: &Buffer, to: &Device) -> Result<Buffer, Error> {
    let copy = to.buffer("reference", buffer.kind(), buffer.len())?;
    match buffer.kind() {
        Kind::Word => to.upload_words(&copy, &from.download_words_async(buffer).await?)?,
        _ => to.upload(&copy, &from.download_async(buffer).await?)?,
    }
    Ok(copy)
}

/// Puts zeros where others have left in 16 bits what is no number: where a call writes only a part of a value, such
/// quads would have other bits after a device has read and stored them again.
async fn make_numbers(device: &Device, buffer: &Buffer) -> Result<(), Error> {
    if buffer.kind().in_quads() {
        let mut reals = device.download_async(buffer).await?;
        if reals.iter().any(|v| !v.is_finite()) {
            let others = reals.iter_mut().filter(|v| !v.is_finite());
            others.for_each(|v| *v = 0.0);
            device.upload(buffer, &reals)?;
        }
    }
    Ok(())
}

/// The bits of a buffer's elements.
async fn contents(device: &Device, buffer: &Buffer) -> Result<Vec<u32>, Error> {
    Ok(match buffer.kind() {
        Kind::Word => device.download_words_async(buffer).await?,
        _ => bytemuck::cast_vec(device.download_async(buffer).await?),
    })
}

/// The elements that a call has written in either place. A slot may be larger than what a call writes, and what others
/// have left behind it would drown any difference.
fn written<'a>(
    before: &'a [u32],
    ours: &'a [u32],
    theirs: &'a [u32],
) -> impl Iterator<Item = (u32, u32)> {
    let all = before.iter().zip(ours).zip(theirs);
    all.filter(|((before, a), b)| before != a || before != b)
        .map(|((_, a), b)| (*a, *b))
}

/// ‖a − b‖/‖b‖ of what has been written.
fn distance(before: &[u32], ours: &[u32], theirs: &[u32]) -> f64 {
    let (mut error, mut norm) = (0.0, 0.0);
    for (a, b) in written(before, ours, theirs).filter(|(a, b)| a != b) {
        error += (f64::from(f32::from_bits(a)) - f64::from(f32::from_bits(b))).powi(2);
    }
    for (_, b) in written(before, ours, theirs) {
        norm += f64::from(f32::from_bits(b)).powi(2);
    }
    match (error.is_finite(), error > 0.0) {
        (false, _) => f64::INFINITY,
        (true, false) => 0.0,
        (true, true) => (error / norm).sqrt(),
    }
}

/// The share of different bits in what has been written.
fn different(before: &[u32], ours: &[u32], theirs: &[u32]) -> f64 {
    let (mut bits, mut words) = (0, 0u32);
    for (a, b) in written(before, ours, theirs) {
        bits += (a ^ b).count_ones();
        words += 1;
    }
    f64::from(bits) / (32.0 * f64::from(words.max(1)))
}

#[cfg(test)]
mod tests {
    use super::{different, distance};

    #[test]
    fn what_a_call_has_not_written_counts_for_nothing() {
        let bits = |values: [f32; 4]| values.map(f32::to_bits);
        // The last is another call's, huge; the third is written by ours alone.
        let before = bits([0.0, 0.0, 0.0, 1e30]);
        let theirs = bits([3.0, 4.0, 0.0, 1e30]);
        assert_eq!(distance(&before, &theirs, &theirs), 0.0);
        assert_eq!(
            distance(&before, &bits([3.0, 4.5, 0.0, 1e30]), &theirs),
            0.1
        );
        assert_eq!(
            distance(&before, &bits([3.0, 4.0, 5.0, 1e30]), &theirs),
            1.0
        );
        let nowhere = distance(&before, &bits([f32::NAN, 4.0, 0.0, 1e30]), &theirs);
        assert_eq!(nowhere, f64::INFINITY);
        assert_eq!(different(&[0, 0, 9], &[1, 6, 9], &[1, 7, 9]), 1.0 / 64.0);
    }
}
