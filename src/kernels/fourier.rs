//! Real images from spectra and the transpose: the passes of a two-dimensional discrete Fourier transform.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Gemm, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/fourier.wgsl`.
pub const SOURCE: Source = Source {
    name: "fourier",
    text: include_str!("../../wgsl/fourier.wgsl"),
    variants: &[
        &["TWIDDLES"],
        &["SCALE"],
        &["COLUMNS"],
        &["COLUMNS", "ADJOINT"],
        &["ROWS"],
        &["ROWS", "ADJOINT"],
    ],
};

/// Rows that one task of a reference takes.
const ROWS: usize = 16;

/// A batch of images and the shape of their spectra.
///
/// A real h×w image has a spectrum of h rows, frequencies 0, 1, …, −1, and w/2 + 1 columns, frequencies 0, 1, …, w/2;
/// the other half is the conjugate of this one. It is stored as a tensor of h rows and 2·(w/2 + 1) columns: the real
/// part of frequency k is column 2k, its imaginary part column 2k + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spectrum {
    /// Images.
    pub n: u32,
    /// Rows of the images and of the spectra.
    pub h: u32,
    /// Columns of the images.
    pub w: u32,
    /// Channels.
    pub c: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    h: u32,
    w: u32,
    half: u32,
    quads: u32,
    columns: u32,
    items: u32,
    gain: f32,
    decay: f32,
}

impl Spectrum {
    /// The spectra of images of this shape.
    #[must_use]
    pub fn of(image: View) -> Self {
        let View { n, h, w, c, .. } = image;
        Self { n, h, w, c }
    }

    /// Shape of the images.
    #[must_use]
    pub fn image(&self) -> View {
        View::new(self.n, self.h, self.w, self.c)
    }

    /// Shape of the spectra.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(self.n, self.h, 2 * self.half(), self.c)
    }

    /// Columns of complex numbers.
    fn half(&self) -> u32 {
        self.w / 2 + 1
    }

    /// How often frequency k of a row stands in the whole spectrum.
    fn times(&self, k: usize) -> f64 {
        if k == 0 || 2 * k == self.w as usize {
            1.0
        } else {
            2.0
        }
    }

    /// vec4s of all spectra.
    fn items(&self) -> u32 {
        flat::items(self.view())
    }

    fn params(&self, items: u32) -> Params {
        Params {
            h: self.h,
            w: self.w,
            half: self.half(),
            quads: self.c.div_ceil(4),
            columns: flat::item_grid(items)[0],
            items,
            gain: 1.0,
            decay: 0.0,
        }
    }
}

/// cos and sin of 2πk/n, exact in multiples of a quarter turn.
fn twiddle(k: u64, n: u64) -> [f64; 2] {
    let (octant, rest) = (8 * k / n, 8 * k % n);
    let part = if octant % 2 == 1 { n - rest } else { rest };
    let (s, c) = (std::f64::consts::FRAC_PI_4 * part as f64 / n as f64).sin_cos();
    let [x, y] = if matches!(octant, 1 | 2 | 5 | 6) {
        [s, c]
    } else {
        [c, s]
    };
    [
        if (2..6).contains(&octant) { -x } else { x },
        if octant > 3 { -y } else { y },
    ]
}

/// The table of cos 2πk/n and sin 2πk/n for k < n.
///
/// Bindings: `y`, of shape [`Twiddles::view`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twiddles {
    /// n.
    pub size: u32,
}

impl Twiddles {
    /// 1×n pixels of two channels.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(1, 1, self.size, 2)
    }
}

impl Kernel for Twiddles {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["TWIDDLES"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::OUT]
    }
    fn params(&self) -> Params {
        Spectrum::of(self.view()).params(self.size)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.size)
    }
    fn work(&self) -> Work {
        Work {
            flop: 30 * u64::from(self.size),
            bytes: self.view().bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let size = u64::from(self.size);
        for (y, k) in b.output().chunks_exact_mut(4).zip(0..size) {
            let [c, s] = twiddle(k, size).map(T::of);
            y[..4].copy_from_slice(&[c, s, T::ZERO, T::ZERO]);
        }
    }
}

/// Scales every frequency: y = `gain` · max(f, 1/max(w, h))^−`decay` · x, f the frequency in cycles per pixel.
///
/// Bindings: `x`, `y`, both spectra.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumScale {
    /// Shape.
    pub spectrum: Spectrum,
    /// Factor on all frequencies.
    pub gain: f32,
    /// Power of the frequency.
    pub decay: f32,
}

impl SpectrumScale {
    /// The factor on frequency (j, k).
    fn factor(&self, j: u32, k: u32) -> f64 {
        let Spectrum { h, w, .. } = self.spectrum;
        let part = |k: u32, n: u32| f64::from(k) / f64::from(n);
        let f = part(k, w).hypot(part(j.min(h - j), h));
        f64::from(self.gain) * f.max(part(1, w.max(h))).powf(-f64::from(self.decay))
    }
}

impl Kernel for SpectrumScale {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["SCALE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            gain: self.gain,
            decay: self.decay,
            ..self.spectrum.params(self.spectrum.items())
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.spectrum.items())
    }
    fn work(&self) -> Work {
        let view = self.spectrum.view();
        Work {
            flop: 4 * view.elements() as u64,
            bytes: 2 * view.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let view = self.spectrum.view();
        flat::for_each_pixel(view, y, |pixel, y| {
            let (line, column) = (pixel as u32 / view.w, pixel as u32 % view.w);
            let factor = T::of(self.factor(line % view.h, column / 2));
            for (y, &x) in y.iter_mut().zip(&x[pixel * view.padded()..]) {
                *y = factor * x;
            }
        });
    }
}

/// The sum over the rows of a spectrum: Y\[row, k\] = Σ_j X\[j, k\]·e^(2πi·j·row/h), or its transpose, with
/// e^(−2πi·j·row/h).
///
/// Bindings: `table`, the twiddles of h; `x`, `y`, both spectra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourierColumns {
    /// Shape.
    pub spectrum: Spectrum,
    /// The transpose.
    pub adjoint: bool,
}

impl FourierColumns {
    /// The reference: two products of real matrices.
    fn transform<T: Real>(&self, table: &[T], x: &[T], y: &mut [T]) {
        let view = self.spectrum.view();
        let (h, pair) = (view.h as usize, 2 * view.padded());
        let row = view.w as usize * view.padded();
        let turn = |part: usize| -> Vec<T> {
            (0..h * h)
                .map(|i| table[i / h * (i % h) % h * 4 + part])
                .collect()
        };
        let (cos, mut sin) = (turn(0), turn(1));
        if self.adjoint {
            sin.iter_mut().for_each(|s| *s = -*s);
        }
        for (x, y) in x.chunks_exact(h * row).zip(y.chunks_exact_mut(h * row)) {
            y.par_chunks_mut(ROWS * row).enumerate().run(|(task, y)| {
                let mut across = vec![T::ZERO; y.len()];
                let product = |matrix: &[T], dst: &mut [T]| {
                    T::gemm(Gemm {
                        m: dst.len() / row,
                        k: h,
                        n: row,
                        dst,
                        dst_stride: row,
                        lhs: &matrix[task * ROWS * h..],
                        lhs_stride: h,
                        lhs_step: 1,
                        rhs: x,
                        rhs_stride: row,
                        accumulate: false,
                    });
                };
                product(&cos, y);
                product(&sin, &mut across);
                for (y, across) in y.chunks_exact_mut(pair).zip(across.chunks_exact(pair)) {
                    let (re, im) = y.split_at_mut(pair / 2);
                    let (by_re, by_im) = across.split_at(pair / 2);
                    re.iter_mut().zip(by_im).for_each(|(y, &s)| *y -= s);
                    im.iter_mut().zip(by_re).for_each(|(y, &s)| *y += s);
                }
            });
        }
    }
}

impl Kernel for FourierColumns {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.adjoint {
            SOURCE.with(&["COLUMNS", "ADJOINT"])
        } else {
            SOURCE.with(&["COLUMNS"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        self.spectrum.params(self.spectrum.items() / 2)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.spectrum.items() / 2)
    }
    fn work(&self) -> Work {
        let view = self.spectrum.view();
        Work {
            flop: 4 * u64::from(view.h) * view.elements() as u64,
            bytes: 2 * view.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (table, x, y) = (b.input(), b.input(), b.output());
        let len = self.spectrum.view().len();
        self.transform(table, &x[..len], &mut y[..len]);
    }
}

/// The sum over the columns of a spectrum, of which an image comes: y\[row, col\] = Σ_k m(k)·Re(X\[row,
/// k\]·e^(2πi·k·col/w)), m = 1 for k = 0 and k = w/2, else 2; or its transpose.
///
/// Bindings: `table`, the twiddles of w; `x`, a spectrum; `y`, an image; for the transpose `x`, an image; `y`, a
/// spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourierRows {
    /// Shape.
    pub spectrum: Spectrum,
    /// The transpose.
    pub adjoint: bool,
}

impl FourierRows {
    /// vec4s of an image, or complex ones of a spectrum.
    fn items(&self) -> u32 {
        if self.adjoint {
            self.spectrum.items() / 2
        } else {
            flat::items(self.spectrum.image())
        }
    }

    /// The reference: one product of real matrices per row.
    fn transform<T: Real>(&self, table: &[T], x: &[T], y: &mut [T]) {
        let (image, view) = (self.spectrum.image(), self.spectrum.view());
        let (w, columns, padded) = (image.w as usize, view.w as usize, view.padded());
        // [w, columns]: what each column of the spectrum adds to each of the image.
        let matrix: Vec<T> = (0..w * columns)
            .map(|i| {
                let (col, k, part) = (i / columns, i % columns / 2, i % columns % 2);
                let value = T::of(self.spectrum.times(k)) * table[k * col % w * 4 + part];
                if part == 0 { value } else { -value }
            })
            .collect();
        let (from, to) = if self.adjoint {
            (w, columns)
        } else {
            (columns, w)
        };
        y.par_chunks_exact_mut(to * padded)
            .zip(x.par_chunks_exact(from * padded))
            .run(|(y, x)| {
                T::gemm(Gemm {
                    m: to,
                    k: from,
                    n: padded,
                    dst: y,
                    dst_stride: padded,
                    lhs: &matrix,
                    lhs_stride: if self.adjoint { 1 } else { columns },
                    lhs_step: if self.adjoint { columns } else { 1 },
                    rhs: x,
                    rhs_stride: padded,
                    accumulate: false,
                });
            });
    }
}

impl Kernel for FourierRows {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.adjoint {
            SOURCE.with(&["ROWS", "ADJOINT"])
        } else {
            SOURCE.with(&["ROWS"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        self.spectrum.params(self.items())
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.items())
    }
    fn work(&self) -> Work {
        let (image, view) = (self.spectrum.image(), self.spectrum.view());
        Work {
            flop: 2 * u64::from(view.w) * image.elements() as u64,
            bytes: image.bytes() + view.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (table, x, y) = (b.input(), b.input(), b.output());
        let (image, view) = (self.spectrum.image().len(), self.spectrum.view().len());
        let (from, to) = if self.adjoint {
            (image, view)
        } else {
            (view, image)
        };
        self.transform(table, &x[..from], &mut y[..to]);
    }
}

/// The spectra, scaled by `scale`, whose images are `image` (in the engine's layout): in f64, on the processor.
///
/// The imaginary parts that an image does not depend on are 0.
#[must_use]
pub fn spectrum_of(image: &[f32], scale: SpectrumScale) -> Vec<f32> {
    let spectrum = scale.spectrum;
    let view = spectrum.view();
    let table = |size: u32| -> Vec<f64> {
        let size = u64::from(size);
        (0..size)
            .flat_map(|k| {
                let [c, s] = twiddle(k, size);
                [c, s, 0.0, 0.0]
            })
            .collect()
    };
    let image: Vec<f64> = image[..spectrum.image().len()]
        .iter()
        .map(|&v| f64::from(v))
        .collect();
    let (mut rows, mut both) = (vec![0.0; view.len()], vec![0.0; view.len()]);
    let adjoint = true;
    FourierRows { spectrum, adjoint }.transform(&table(spectrum.w), &image, &mut rows);
    FourierColumns { spectrum, adjoint }.transform(&table(spectrum.h), &rows, &mut both);
    // The transposed transform is the forward one but for m(k); the inverse of the other direction lacks 1/(h·w).
    let pixels = f64::from(spectrum.h) * f64::from(spectrum.w);
    both.iter()
        .enumerate()
        .map(|(i, value)| {
            let pixel = (i / view.padded()) as u32;
            let (j, k) = (pixel / view.w % view.h, pixel % view.w / 2);
            let whole = value / spectrum.times(k as usize);
            (whole / pixels / scale.factor(j, k)) as f32
        })
        .collect()
}
