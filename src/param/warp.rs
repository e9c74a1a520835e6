//! Transformation robustness (Olah et al. 2017, "Feature Visualization", Distill; Lucid's `transforms.standard`): the
//! network sees the image shifted, scaled and rotated at random, anew in every iteration, as one resampling.
//!
//! Lucid pads by 12 pixels of grey, crops 8 pixels off at random, scales, rotates, and crops another 4 off at random,
//! each of them a pass of its own. A crop to size − j at an offset a in 0..=j moves the middle of what is left by a −
//! j/2 from the middle of what there was. So the chain is: shift by a₁ − j₁/2, scale and rotate about the centre, shift
//! by a₂ − j₂/2. The grey border is what lies outside. Lucid's network sees an image some pixels larger or smaller in
//! every iteration; here it is the middle of that, of the image's own size, or larger by `pad` pixels on each side.

use super::{Map, Mapped};
use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{self, Tensor, View, WarpBackward, WarpDraw, WarpError};

/// What a [`Warp`] draws from. The default is Lucid's standard chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Pixels that the crops before scaling and after rotating take off; each at most [`WarpDraw::MAX_JITTER`].
    pub jitter: [u32; 2],
    /// Scales, each in [`WarpDraw::SCALES`], drawn with equal probability.
    pub scales: Vec<f32>,
    /// Angles in degrees, anticlockwise, likewise.
    pub degrees: Vec<f32>,
    /// Pixels by which the result is larger than the image on each side.
    pub pad: u32,
    /// What lies outside the image.
    pub fill: f32,
    /// The same draw for all images of a batch.
    pub shared: bool,
}

impl Default for Chain {
    fn default() -> Self {
        let mut degrees: Vec<f32> = (-10..=10i8).map(f32::from).collect();
        degrees.extend([0.0; 5]);
        Self {
            jitter: [8, 4],
            scales: (0..=10u8).map(|i| 0.9 + 0.02 * f32::from(i)).collect(),
            degrees,
            pad: 0,
            fill: 0.5,
            shared: false,
        }
    }
}

/// Resamples each image by an affine map drawn from a [`Chain`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    draw: WarpDraw,
    pad: u32,
    fill: f32,
}

impl Warp {
    /// Draws from a chain with a seed.
    ///
    /// # Errors
    /// [`WarpError`] says what is wrong with the chain.
    pub fn new(seed: u32, chain: &Chain) -> Result<Self, WarpError> {
        let Chain {
            jitter,
            scales,
            degrees,
            pad,
            fill,
            shared,
        } = chain;
        let draw = WarpDraw::new(1, seed, *jitter, scales, degrees, *shared)?;
        if *pad > WarpDraw::MAX_JITTER {
            return Err(WarpError::Border { pixels: *pad });
        }
        if !fill.is_finite() {
            return Err(WarpError::BorderValue { value: *fill });
        }
        Ok(Self {
            draw,
            pad: *pad,
            fill: *fill,
        })
    }

    /// The draws of one iteration. Both passes make them, which costs less than it would to keep them.
    fn placements(&self, recording: &mut Recording, n: u32, step: ValueId) -> ValueId {
        let words = n as usize * WarpDraw::WORDS;
        let placements = recording.transient("placements", Kind::Word, words);
        recording.call("warp draw", self.draw.images(n), &[step, placements]);
        placements
    }
}

impl Map for Warp {
    fn input(&self, y: View) -> View {
        let inner = |side: u32| side.saturating_sub(2 * self.pad).max(1);
        View::new(y.n, inner(y.h), inner(y.w), y.c)
    }

    fn output(&self, x: View) -> View {
        View::new(x.n, x.h + 2 * self.pad, x.w + 2 * self.pad, x.c)
    }

    fn forward(&self, recording: &mut Recording, x: Tensor, step: ValueId) -> Mapped {
        let y = Tensor::transient(recording, "warped", self.output(x.view));
        let placements = self.placements(recording, x.view.n, step);
        let warp = kernels::Warp {
            x: x.view,
            y: y.view,
            fill: self.fill,
        };
        recording.call("warp", warp, &[placements, x.value, y.value]);
        Mapped {
            x,
            y,
            saved: Vec::new(),
        }
    }

    fn backward(
        &self,
        recording: &mut Recording,
        mapped: &Mapped,
        dy: Tensor,
        step: ValueId,
    ) -> Tensor {
        let View { n, h, w, c, .. } = mapped.x.view;
        let dx = Tensor::transient(recording, "backward warp", View::new(n, h, w, c));
        let placements = self.placements(recording, n, step);
        let warp = WarpBackward {
            x: dx.view,
            y: dy.view,
        };
        recording.call("backward warp", warp, &[placements, dy.value, dx.value]);
        dx
    }
}
