//! The best of an attack's iterates.

use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{DecideBest, KeepBest, SquaredDifference, Sum, Tensor, View};

/// What [`record_keep_best`] keeps.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// The best iterate of each image, in a buffer of its own; until one is a success, the one of iteration 0.
    pub image: Tensor,
    /// ‖x − x₀‖₂² of each, reals, \[n\]; [`DecideBest::FARTHEST`] until one is a success.
    pub distance: ValueId,
}

/// Records for each image i of a batch the choice between `image` and what was kept before: the iterate nearest to
/// `origin`, in Σ(x − x₀)² over its pixels and channels, among those at which the attack succeeds, where
/// `losses[i, slot] ≤ threshold`. As Carlini and Wagner 2017 ("Towards Evaluating the Robustness of Neural Networks",
/// section VI) keep it. An equal distance does not replace what is kept. A NaN in the loss or the image is a failure.
///
/// `losses` (reals, [n, `slots`]) holds the weighted values of the terms *at `image`*: so the call must be recorded
/// before the optimizer steps, or what is kept is not what was evaluated. `origin` has the shape of `image`, or is one
/// image for all. `step` is one word, the number of iterations completed: where it is 0, all kept before is forgotten.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a value of the plan of its own"
)]
pub fn record_keep_best(
    recording: &mut Recording,
    image: Tensor,
    origin: Tensor,
    losses: ValueId,
    slots: u32,
    slot: u32,
    threshold: f32,
    step: ValueId,
) -> Kept {
    let View { n, h, w, c, .. } = image.view;
    let best = Tensor::persistent(recording, "best image", View::new(n, h, w, c));
    let distance = recording.persistent("best distance", Kind::Real, n as usize);

    let difference = SquaredDifference {
        a: image.view,
        b: origin.view,
    };
    let parts = difference.parts();
    let partials = recording.transient("distance parts", Kind::Real, (n * parts) as usize);
    let values = [image.value, origin.value, partials];
    recording.call("distance parts", difference, &values);
    let sum = Sum {
        n,
        parts,
        scale: 1.0.into(),
        slots: 1,
        slot: 0,
    };
    let distances = recording.transient("distance", Kind::Real, n as usize);
    recording.call("distance", sum, &[partials, distances]);

    let decide = DecideBest {
        n,
        slots,
        slot,
        threshold,
    };
    let keep = recording.transient("keep", Kind::Word, n as usize);
    let values = [losses, distances, step, distance, keep];
    recording.call("decide best", decide, &values);
    let copy = KeepBest {
        x: image.view,
        y: best.view,
    };
    recording.call("keep best", copy, &[image.value, keep, best.value]);
    Kept {
        image: best,
        distance,
    }
}
