//! The sums that the norms of each image of a tensor are made of.

use rayon::prelude::*;

use super::{Tensor, View, flat};
use crate::device::{
    Bindings, Kernel, Kind, Real, Recording, Shader, Slot, Source, Tasks, ValueId, Work,
};

/// `wgsl/moments.wgsl`.
pub const SOURCE: Source = Source {
    name: "moments",
    text: include_str!("../../wgsl/moments.wgsl"),
    variants: &[&[], &["DIFFERENCE"], &["REDUCE"]],
};

/// (Σ|v|, Σv, Σv², max|v|) of every image of `a` in [`Moments::parts`] parts, which [`MomentsReduce`] joins; v = a −
/// `centre`.
///
/// Bindings: `a`, `partials` ([n, parts, 4]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The tensor.
    pub a: View,
    /// What is subtracted from each channel: zeros, unless `a` has at most four; zero for padding channels.
    pub centre: [f32; 4],
}

/// As [`Moments`], with v = a − b.
///
/// Bindings: `a`, `b`, `partials` ([n, parts, 4]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentsDifference {
    /// One tensor.
    pub a: View,
    /// The other, of the same shape; or one image, or one pixel, with which each of `a` is compared.
    pub b: View,
}

/// The moments of every image from those of its parts.
///
/// Bindings: `partials` ([n, parts, 4]), `moments` ([n, 4]: Σ|v|, Σv, Σv², max|v|).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentsReduce {
    /// Images.
    pub n: u32,
    /// Partials of each image.
    pub parts: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    a: View,
    b: View,
    centre: [f32; 4],
    columns: u32,
    items: u32,
    parts: u32,
    wrap: u32,
}

impl Params {
    fn new(a: View, b: View, centre: [f32; 4]) -> Self {
        Self {
            a,
            b,
            centre,
            columns: flat::grid(flat::groups(a))[0],
            items: flat::items_of_one(a),
            parts: flat::parts(a),
            wrap: b.pixels() as u32,
        }
    }
}

/// Moments of two sets together.
fn join(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    // Not `f64::max`, which drops a NaN.
    let largest = if b[3] <= a[3] { a[3] } else { b[3] };
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], largest]
}

/// The reference's partials over `a`, from the differences of its items; `v(pixel, channel, a)` is one difference.
fn parts_of<T: Real>(
    view: View,
    a: &[T],
    partials: &mut [T],
    v: impl Fn(usize, usize, T) -> T + Sync,
) {
    partials[..flat::groups(view) as usize * 4]
        .par_chunks_exact_mut(4)
        .enumerate()
        .run(|(group, partial)| {
            let mut total = [0.0; 4];
            for (pixel, quads) in flat::pixels(view, flat::share(view, group)) {
                let own = &a[flat::place(view, pixel, quads.clone())];
                for (channel, &a) in (quads.start * 4..).zip(own) {
                    let v = v(pixel, channel, a).wide();
                    total = join(total, [v.abs(), v, v * v, v.abs()]);
                }
            }
            partial.copy_from_slice(&total.map(T::of));
        });
}

impl Moments {
    /// Partials of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.a)
    }
}

impl MomentsDifference {
    /// Partials of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.a)
    }
}

impl Kernel for Moments {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.a, self.a, self.centre)
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.a))
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.a.elements() as u64,
            bytes: self.a.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, partials) = (bindings.input(), bindings.output());
        let centre = self.centre.map(T::from_f32);
        parts_of(self.a, a, partials, |_, channel, a| a - centre[channel % 4]);
    }
}

impl Kernel for MomentsDifference {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["DIFFERENCE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.a, self.b, [0.0; 4])
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.a))
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.a.elements() as u64,
            bytes: self.a.bytes() + self.b.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, b, partials) = (bindings.input(), bindings.input(), bindings.output());
        let wrap = self.b.pixels();
        let all = 0..self.b.quads as usize;
        parts_of(self.a, a, partials, |pixel, channel, a| {
            a - b[flat::place(self.b, pixel % wrap, all.clone())][channel]
        });
    }
}

/// The parameters of the second stage as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct ReduceParams {
    parts: u32,
}

impl Kernel for MomentsReduce {
    type Params = ReduceParams;

    fn shader(&self) -> Shader {
        SOURCE.with(&["REDUCE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> ReduceParams {
        ReduceParams { parts: self.parts }
    }
    fn grid(&self) -> [u32; 3] {
        [self.n, 1, 1]
    }
    fn work(&self) -> Work {
        let partials = u64::from(self.n) * u64::from(self.parts);
        Work {
            flop: 4 * partials,
            bytes: 16 * partials,
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (partials, moments) = (bindings.input(), bindings.output());
        let own = partials.chunks_exact(self.parts as usize * 4);
        for (moments, own) in moments.chunks_exact_mut(4).zip(own).take(self.n as usize) {
            let total = own
                .chunks_exact(4)
                .map(|p| [p[0].wide(), p[1].wide(), p[2].wide(), p[3].wide()])
                .fold([0.0; 4], join);
            moments.copy_from_slice(&total.map(T::of));
        }
    }
}

/// Records the moments of every image of `a` about `centre` (see [`Moments::centre`]) and returns them: reals, [n, 4].
pub fn record_moments(
    recording: &mut Recording,
    label: &str,
    a: Tensor,
    centre: [f32; 4],
) -> ValueId {
    let moments = Moments { a: a.view, centre };
    record(recording, label, moments, &[a.value], a.view)
}

/// Records the moments of a − b for every image of `a` and returns them: reals, [n, 4].
pub fn record_moments_difference(
    recording: &mut Recording,
    label: &str,
    a: Tensor,
    b: Tensor,
) -> ValueId {
    let moments = MomentsDifference {
        a: a.view,
        b: b.view,
    };
    record(recording, label, moments, &[a.value, b.value], a.view)
}

/// Records both stages; `inputs` are what the first one reads.
fn record(
    recording: &mut Recording,
    label: &str,
    first: impl Kernel,
    inputs: &[ValueId],
    view: View,
) -> ValueId {
    let (n, parts) = (view.n, flat::parts(view));
    let len = flat::groups(view) as usize * 4;
    let partials = recording.transient(format!("{label} partial moments"), Kind::Real, len);
    let moments = recording.transient(format!("{label} moments"), Kind::Real, n as usize * 4);
    let values: Vec<ValueId> = inputs.iter().copied().chain([partials]).collect();
    recording.call(format!("{label} partial moments"), first, &values);
    let reduce = MomentsReduce { n, parts };
    recording.call(format!("{label} moments"), reduce, &[partials, moments]);
    moments
}
