//! The image as its spectrum (Olah et al. 2017, "Feature Visualization", Distill, "Preconditioning and
//! Parameterization"; Lucid's `fft_image`): steps of equal size in all frequencies, each scaled as natural images are,
//! in place of steps in the pixels, where the gradient is mostly high frequencies.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Map, Mapped};
use crate::device::{Recording, ValueId};
use crate::kernels::fourier::spectrum_of;
use crate::kernels::{
    FourierColumns, FourierRows, Spectrum, SpectrumScale, Tensor, Twiddles, View,
};

/// y = ¼ · irfft2(x · max(f, 1/max(w, h))^−decay), irfft2 the orthonormal inverse of the real two-dimensional discrete
/// Fourier transform, f the frequency in cycles per pixel.
///
/// The parameters are complex numbers, laid out as [`Spectrum`] says. Odd sizes are as NumPy's `irfft2(…, s = [h, w])`
/// has them, and the PyTorch ports of Lucid; Lucid itself makes one more column and crops it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fourier {
    /// Columns of the image, which its spectrum does not tell.
    pub width: u32,
    /// Power of the frequency; Lucid has 1.
    pub decay: f32,
}

impl Fourier {
    /// Standard deviation of the start, as Lucid has it.
    pub const START: f32 = 0.01;

    /// Parameters to begin with: every real and imaginary part normal with standard deviation [`Fourier::START`]; for
    /// images of shape `image`, in the engine's layout.
    #[must_use]
    pub fn start(&self, image: View, seed: u64) -> Vec<f32> {
        let view = self.input(image);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut start = vec![0.0; view.len()];
        for pixel in start.chunks_exact_mut(view.padded()) {
            for value in &mut pixel[..view.c as usize] {
                let normal: f32 = StandardNormal.sample(&mut rng);
                *value = Self::START * normal;
            }
        }
        start
    }

    fn scale(&self, spectrum: Spectrum) -> SpectrumScale {
        let pixels = f64::from(spectrum.h) * f64::from(spectrum.w);
        SpectrumScale {
            spectrum,
            gain: (0.25 / pixels.sqrt()) as f32,
            decay: self.decay,
        }
    }

    /// The spectra of which images of shape `image` are made.
    fn spectrum(&self, image: View) -> Spectrum {
        Spectrum {
            w: self.width,
            ..Spectrum::of(image)
        }
    }
}

/// Records the table for one direction.
fn twiddles(recording: &mut Recording, size: u32) -> Tensor {
    let twiddles = Twiddles { size };
    let table = Tensor::transient(recording, "twiddles", twiddles.view());
    recording.call("twiddles", twiddles, &[table.value]);
    table
}

impl Map for Fourier {
    fn input(&self, y: View) -> View {
        self.spectrum(y).view()
    }

    fn output(&self, x: View) -> View {
        self.spectrum(x).image()
    }

    fn forward(&self, recording: &mut Recording, x: Tensor, _: ValueId) -> Mapped {
        let spectrum = self.spectrum(x.view);
        let across = twiddles(recording, spectrum.w);
        let down = if spectrum.h == spectrum.w {
            across
        } else {
            twiddles(recording, spectrum.h)
        };
        let scaled = Tensor::transient(recording, "scaled spectrum", spectrum.view());
        let rows = Tensor::transient(recording, "spectra of rows", spectrum.view());
        let y = Tensor::transient(recording, "image", spectrum.image());
        let adjoint = false;
        recording.call("spectrum", self.scale(spectrum), &[x.value, scaled.value]);
        let columns = FourierColumns { spectrum, adjoint };
        recording.call(
            "fourier, columns",
            columns,
            &[down.value, scaled.value, rows.value],
        );
        let sums = FourierRows { spectrum, adjoint };
        recording.call("fourier, rows", sums, &[across.value, rows.value, y.value]);
        Mapped {
            x,
            y,
            saved: vec![across, down],
        }
    }

    fn backward(
        &self,
        recording: &mut Recording,
        mapped: &Mapped,
        dy: Tensor,
        _: ValueId,
    ) -> Tensor {
        let spectrum = self.spectrum(mapped.x.view);
        let (across, down) = (mapped.saved[0], mapped.saved[1]);
        let [rows, scaled, dx] = ["rows", "scaled spectrum", "spectrum"]
            .map(|what| Tensor::transient(recording, format!("backward {what}"), spectrum.view()));
        let adjoint = true;
        let sums = FourierRows { spectrum, adjoint };
        let values = [across.value, dy.value, rows.value];
        recording.call("backward fourier, rows", sums, &values);
        let columns = FourierColumns { spectrum, adjoint };
        let values = [down.value, rows.value, scaled.value];
        recording.call("backward fourier, columns", columns, &values);
        let values = [scaled.value, dx.value];
        recording.call("backward spectrum", self.scale(spectrum), &values);
        dx
    }

    fn preimage(&self, view: View, y: &[f32]) -> Vec<f32> {
        spectrum_of(y, self.scale(self.spectrum(view)))
    }
}
