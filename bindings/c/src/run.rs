//! Runs.

use std::ffi::c_void;
use std::ops::ControlFlow;
use std::sync::Arc;

use pixgrad::engine::compile::auto_model;
use pixgrad::engine::methods::options::Asked;
use pixgrad::{Device, Network, Outcome, Progress, Run};

use crate::device::{pixgrad_device, pixgrad_network};
use crate::picture::pixgrad_picture;
use crate::recipe::pixgrad_recipe;
use crate::status::{Failure, guard, pixgrad_status};
use crate::{free, give, handle};

/// A recipe that is ready to run.
pub struct pixgrad_run {
    run: Run,
    asked: Asked,
}

/// A completed iteration.
#[repr(C)]
pub struct pixgrad_progress {
    /// Number of the iteration over all scales, from 0.
    pub iteration: u64,
    /// Iterations of all scales together.
    pub iterations: u64,
    /// Width in pixels of the scale at work.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// The objective at the image before this iteration's step.
    pub loss: f64,
    /// Estimated seconds until the last iteration is done; negative before there is anything to tell it from.
    pub remaining: f64,
    /// The weighted value of every term of the recipe.
    pub terms: *const f32,
    /// How many.
    pub term_count: usize,
}

/// Sees an iteration; what it points to is valid during the call. It returns whether to go on.
pub type pixgrad_callback =
    Option<unsafe extern "C" fn(progress: *const pixgrad_progress, data: *mut c_void) -> bool>;

/// Makes a recipe ready on a device: reads its pictures, plans its memory. `network` is the one to run on, of this
/// device; NULL: the recipe's own is loaded.
///
/// # Safety
/// The handles are not freed; `run` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_run_new(
    recipe: *const pixgrad_recipe,
    device: *const pixgrad_device,
    network: *const pixgrad_network,
    run: *mut *mut pixgrad_run,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (recipe, device, network) = unsafe {
            (
                handle("recipe", recipe)?,
                handle("device", device)?,
                network.as_ref(),
            )
        };
        let mut asked = recipe.0.clone();
        let network = match network {
            Some(network) => network.0.clone(),
            None => own_network(&asked, &device.device)?,
        };
        asked.complete(&network)?;
        let made = asked.recipe.compile(&device.device, &network)?;
        // SAFETY: as promised by the caller.
        unsafe { give(run, pixgrad_run { run: made, asked }) }
    })
}

fn own_network(asked: &Asked, device: &Device) -> Result<Network, pixgrad::Error> {
    let model = match asked.recipe.model.as_str() {
        "auto" => auto_model(device),
        model => model,
    };
    Network::load_with(device, model, &asked.recipe.opening())
}

/// Runs at most `iterations`, or all that are left where it is 0. `callback`, which may be NULL, sees each iteration with
/// `data` and may end the run by returning false: a few iterations may be completed before it ends. `finished`, which
/// may be NULL, is set to whether no iteration is left.
///
/// # Safety
/// `run` is a run that is not freed and that no other thread uses; `callback` may be called with `data` from this
/// thread; `finished` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_run_advance(
    run: *mut pixgrad_run,
    iterations: u64,
    callback: pixgrad_callback,
    data: *mut c_void,
    finished: *mut bool,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let run = unsafe { run.as_mut() }.ok_or_else(|| Failure::null("run"))?;
        let most = match iterations {
            0 => u64::MAX,
            some => some,
        };
        let mut diverged = None;
        let outcome = run.run.run_for(most, |progress| {
            if !progress.loss.is_finite() {
                diverged.get_or_insert(progress.iteration);
                return ControlFlow::Break(());
            }
            let goes_on = callback.is_none_or(|callback| {
                // SAFETY: as promised by the caller; `told` lives during the call.
                unsafe { callback(&told(progress), data) }
            });
            if goes_on {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if let Some(iteration) = diverged {
            return Err(Failure::invalid(format!(
                "the loss of iteration {iteration} is not a finite number: a smaller step_size, or smaller weights, help"
            )));
        }
        // SAFETY: as promised by the caller.
        if let Some(finished) = unsafe { finished.as_mut() } {
            *finished = outcome == Outcome::Finished;
        }
        Ok(())
    })
}

/// An iteration as C sees it.
fn told(progress: &Progress) -> pixgrad_progress {
    pixgrad_progress {
        iteration: progress.iteration,
        iterations: progress.iterations,
        width: progress.scale.0,
        height: progress.scale.1,
        loss: f64::from(progress.loss),
        remaining: progress.remaining.map_or(-1.0, |time| time.as_secs_f64()),
        terms: progress.terms.as_ptr(),
        term_count: progress.terms.len(),
    }
}

/// Iterations that are done, and all there are; either place may be NULL.
///
/// # Safety
/// `run` is a run that is not freed; the places are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_run_iterations(
    run: *const pixgrad_run,
    done: *mut u64,
    all: *mut u64,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let run = unsafe { handle("run", run)? };
        for (place, value) in [(done, run.run.done()), (all, run.run.iterations())] {
            // SAFETY: as promised by the caller.
            if let Some(place) = unsafe { place.as_mut() } {
                *place = value;
            }
        }
        Ok(())
    })
}

/// The bytes that the largest scale of a run takes on the device.
///
/// # Safety
/// `run` is a run that is not freed; `bytes` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_run_bytes(
    run: *const pixgrad_run,
    bytes: *mut u64,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (run, bytes) = unsafe {
            let bytes = bytes.as_mut().ok_or_else(|| Failure::null("bytes"))?;
            (handle("run", run)?, bytes)
        };
        let scales = run.run.plan().iter();
        *bytes = scales.map(|s| s.peak_bytes).max().unwrap_or(0);
        Ok(())
    })
}

/// The picture of a run as it is now.
///
/// # Safety
/// `run` is a run that is not freed and that no other thread uses; `picture` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_run_picture(
    run: *const pixgrad_run,
    picture: *mut *mut pixgrad_picture,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let run = unsafe { handle("run", run)? };
        let image = run.asked.picture(&run.run)?;
        // SAFETY: as promised by the caller.
        unsafe { give(picture, pixgrad_picture(Arc::new(image))) }
    })
}

/// Frees a run.
///
/// # Safety
/// `run` is NULL or a run that is not freed and that no thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_run_free(run: *mut pixgrad_run) {
    // SAFETY: as promised by the caller.
    unsafe { free(run) }
}
