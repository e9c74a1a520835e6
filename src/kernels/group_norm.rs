//! Groups of channels of each image normalized over all positions.

use rayon::prelude::*;

use super::{ChannelAffine, ChannelSums, Tensor, View, flat};
use crate::device::{
    Bindings, Kernel, Kind, Real, Recording, Shader, Slot, Source, Tasks, ValueId, Work,
};

/// `wgsl/group_norm.wgsl`.
pub const SOURCE: Source = Source {
    name: "group_norm",
    text: include_str!("../../wgsl/group_norm.wgsl"),
    variants: &[
        &["MEAN"],
        &["SCALE"],
        &["SCALE", "WEIGHT"],
        &["SUMS"],
        &["GRADIENT"],
        &["GRADIENT", "WEIGHT"],
        &["APPLY"],
        &["APPLY", "ACCUMULATE"],
    ],
};

/// The tensor that is normalized, and its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// The tensor.
    pub x: View,
    /// Channels of a group; they follow one another, and their number divides that of all.
    pub size: u32,
}

/// The mean of every group, for each of its channels.
///
/// Bindings: `partials` of [`ChannelSums`]; `centre` (\[n, C⁺\], C⁺ = 4·quads).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMean {
    /// The groups.
    pub groups: Groups,
}

/// What a group's deviations from its mean are multiplied by, `s = 1/√(variance + epsilon)`, for each of its channels;
/// and the coefficients of [`ChannelAffine`]: s·weight and bias.
///
/// Bindings: `partials` of [`ChannelSums`] with squares; `weight` and `bias` (\[C⁺\]) where there are any; `deviation`
/// (\[n, C⁺\]); `coefficients` (\[n, 2, C⁺\]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupScale {
    /// The groups.
    pub groups: Groups,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Whether there are factors and summands; else they are 1 and 0.
    pub weighted: bool,
}

/// Σ dy and Σ dy·(x − centre) over a share of the positions, for every channel.
///
/// Bindings: `x`; `centre` (\[n, C⁺\]); `dy`; `partials` (\[n, splits, 2, C⁺\]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSums {
    /// The groups.
    pub groups: Groups,
    /// Gradient with respect to the output.
    pub dy: View,
}

/// The coefficients of [`GroupNormBackward`]: with A and B the group's sums of weight·dy and of weight·dy·(x − centre)
/// and N its numbers, `s·weight`, `−s³·B/N` and `−s·A/N`.
///
/// Bindings: `partials` of [`GroupSums`]; `deviation`; `weight` where there is one; `coefficients` (\[n, 3, C⁺\]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupGradient {
    /// The groups.
    pub groups: Groups,
    /// Whether there are factors.
    pub weighted: bool,
}

/// `dx (+)= a·dy + b·(x − centre) + d` with the coefficients a, b and d of every channel of each image.
///
/// Bindings: `x`; `centre`; `dy`; `coefficients`; `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupNormBackward {
    /// The input of the forward pass.
    pub x: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dy: View,
    dx: View,
    columns: u32,
    items: u32,
    pixels: u32,
    splits: u32,
    share: u32,
    size: u32,
    epsilon: f32,
    scale: f32,
}

impl Groups {
    fn sums(self) -> ChannelSums {
        ChannelSums {
            x: self.x,
            square: false,
        }
    }

    fn splits(self) -> usize {
        self.sums().splits() as usize
    }

    fn pixels(self) -> usize {
        (self.x.h * self.x.w) as usize
    }

    fn share(self) -> usize {
        self.pixels().div_ceil(self.splits())
    }

    /// Numbers of a group.
    fn count(self) -> f64 {
        f64::from(self.size) * self.pixels() as f64
    }

    /// Reals that each image and channel has one of, padding channels included.
    fn len(self) -> usize {
        self.x.n as usize * self.x.padded()
    }

    fn params(self) -> Params {
        Params {
            x: self.x,
            dy: self.x,
            dx: self.x,
            columns: 1,
            items: flat::items(self.x),
            pixels: self.pixels() as u32,
            splits: self.splits() as u32,
            share: self.share() as u32,
            size: self.size,
            epsilon: 0.0,
            scale: (1.0 / self.count()) as f32,
        }
    }

    /// One workgroup for each group of each image.
    fn grid(self) -> [u32; 3] {
        [self.x.c / self.size, 1, self.x.n]
    }

    /// What the kernels with that grid read and write.
    fn work(self) -> Work {
        let partials = (self.len() * self.splits()) as u64;
        Work {
            flop: 2 * partials,
            bytes: 8 * partials,
        }
    }

    /// Calls `visit(image, channels)` for each group of each image.
    fn each(self, mut visit: impl FnMut(usize, std::ops::Range<usize>)) {
        let size = self.size as usize;
        for n in 0..self.x.n as usize {
            for first in (0..self.x.c as usize).step_by(size) {
                visit(n, first..first + size);
            }
        }
    }

    /// The sum over a group of its `part` of partials of `parts` for each channel, each times its weight.
    fn sum<T: Real>(
        self,
        partials: &[T],
        [part, parts]: [usize; 2],
        n: usize,
        channels: std::ops::Range<usize>,
        weight: Option<&[T]>,
    ) -> f64 {
        let (splits, padded) = (self.splits(), self.x.padded());
        let of = |c: usize| -> f64 {
            let all = (0..splits).map(|split| ((n * splits + split) * parts + part) * padded + c);
            let sum: f64 = all.map(|at| partials[at].wide()).sum();
            weight.map_or(sum, |weight| weight[c].wide() * sum)
        };
        channels.map(of).sum()
    }
}

impl Kernel for GroupMean {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["MEAN"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        self.groups.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.groups.grid()
    }
    fn work(&self) -> Work {
        self.groups.work()
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (partials, centre) = (b.input(), b.output());
        let groups = self.groups;
        centre[..groups.len()].fill(T::ZERO);
        groups.each(|n, channels| {
            let sum = groups.sum(partials, [0, 1], n, channels.clone(), None);
            let first = n * groups.x.padded();
            centre[first + channels.start..first + channels.end].fill(T::of(sum / groups.count()));
        });
    }
}

impl Kernel for GroupScale {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.weighted {
            &["SCALE", "WEIGHT"]
        } else {
            &["SCALE"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; if self.weighted { 3 } else { 1 }];
        slots.extend([Slot::OUT, Slot::OUT]);
        slots
    }
    fn params(&self) -> Params {
        Params {
            epsilon: self.epsilon,
            ..self.groups.params()
        }
    }
    fn grid(&self) -> [u32; 3] {
        self.groups.grid()
    }
    fn work(&self) -> Work {
        self.groups.work()
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let partials = b.input();
        let weights = self.weighted.then(|| [b.input(), b.input()]);
        let (deviation, coefficients) = (b.output(), b.output());
        let groups = self.groups;
        let padded = groups.x.padded();
        deviation[..groups.len()].fill(T::ZERO);
        coefficients[..2 * groups.len()].fill(T::ZERO);
        groups.each(|n, channels| {
            let sum = groups.sum(partials, [0, 1], n, channels.clone(), None);
            let variance = sum / groups.count();
            let s = T::of(1.0 / (variance + f64::from(self.epsilon)).sqrt());
            for c in channels {
                let [weight, bias] =
                    weights.map_or([T::ONE, T::ZERO], |both| both.map(|numbers| numbers[c]));
                deviation[n * padded + c] = s;
                coefficients[n * 2 * padded + c] = s * weight;
                coefficients[(n * 2 + 1) * padded + c] = bias;
            }
        });
    }
}

impl GroupSums {
    /// Reals of `partials`.
    #[must_use]
    pub fn partials_len(&self) -> usize {
        2 * self.groups.len() * self.groups.splits()
    }
}

impl Kernel for GroupSums {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["SUMS"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            dy: self.dy,
            ..self.groups.params()
        }
    }
    fn grid(&self) -> [u32; 3] {
        let x = self.groups.x;
        [x.quads.div_ceil(16), self.groups.splits() as u32, x.n]
    }
    fn work(&self) -> Work {
        Work {
            flop: 4 * self.dy.elements() as u64,
            bytes: self.groups.x.bytes() + self.dy.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, centre, dy, partials) = (b.input(), b.input(), b.input(), b.output());
        let groups = self.groups;
        let (splits, pixels, share) = (groups.splits(), groups.pixels(), groups.share());
        let padded = groups.x.padded();
        partials[..self.partials_len()]
            .par_chunks_exact_mut(2 * padded)
            .enumerate()
            .run(|(i, partial)| {
                let (n, split) = (i / splits, i % splits);
                let centre = &centre[n * padded..][..padded];
                let mut sums = vec![0.0; 2 * padded];
                for pixel in (split * share).min(pixels)..((split + 1) * share).min(pixels) {
                    let at = n * pixels + pixel;
                    let x = &x[flat::place(groups.x, at, 0..1).start..][..padded];
                    let dy = &dy[flat::place(self.dy, at, 0..1).start..][..padded];
                    for c in 0..padded {
                        sums[c] += dy[c].wide();
                        sums[padded + c] += (dy[c] * (x[c] - centre[c])).wide();
                    }
                }
                for (partial, sum) in partial.iter_mut().zip(sums) {
                    *partial = T::of(sum);
                }
            });
    }
}

impl Kernel for GroupGradient {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.weighted {
            &["GRADIENT", "WEIGHT"]
        } else {
            &["GRADIENT"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; if self.weighted { 3 } else { 2 }];
        slots.push(Slot::OUT);
        slots
    }
    fn params(&self) -> Params {
        self.groups.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.groups.grid()
    }
    fn work(&self) -> Work {
        self.groups.work()
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (partials, deviation) = (b.input(), b.input());
        let weight = self.weighted.then(|| b.input());
        let coefficients = b.output();
        let groups = self.groups;
        let padded = groups.x.padded();
        coefficients[..3 * groups.len()].fill(T::ZERO);
        groups.each(|n, channels| {
            let [plain, product] = [0, 1].map(|part| {
                let sum = groups.sum(partials, [part, 2], n, channels.clone(), weight);
                T::of(sum / groups.count())
            });
            for c in channels {
                let s = deviation[n * padded + c];
                let weight = weight.map_or(T::ONE, |weight| weight[c]);
                let own = [s * weight, -s * s * s * product, -s * plain];
                for (part, own) in own.into_iter().enumerate() {
                    coefficients[(n * 3 + part) * padded + c] = own;
                }
            }
        });
    }
}

impl Kernel for GroupNormBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["APPLY", "ACCUMULATE"]
        } else {
            &["APPLY"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN; 4];
        slots.push(flat::result(self.accumulate));
        slots
    }
    fn params(&self) -> Params {
        let groups = Groups { x: self.x, size: 1 };
        Params {
            dy: self.dy,
            dx: self.dx,
            columns: self.grid()[0],
            ..groups.params()
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 5 * self.dx.elements() as u64,
            bytes: self.x.bytes() + self.dy.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, centre, dy) = (b.input(), b.input(), b.input());
        let (coefficients, dx) = (b.input(), b.output());
        let (padded, each) = (self.x.padded(), (self.x.h * self.x.w) as usize);
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let n = pixel / each;
            let x = &x[flat::place(self.x, pixel, 0..1).start..][..padded];
            let dy = &dy[flat::place(self.dy, pixel, 0..1).start..][..padded];
            let centre = &centre[n * padded..][..padded];
            let all = &coefficients[n * 3 * padded..][..3 * padded];
            for (c, dx) in dx.iter_mut().enumerate() {
                let value =
                    all[c] * dy[c] + all[padded + c] * (x[c] - centre[c]) + all[2 * padded + c];
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}

/// What the backward pass needs of the forward pass: the groups' means and s, \[n, C⁺\] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMoments {
    /// The means.
    pub centre: ValueId,
    /// What deviations from them are multiplied by.
    pub deviation: ValueId,
}

/// Records `y = s·(x − mean)·weight + bias` for groups of `size` channels (Wu and He 2018, equation 6), with weight and
/// bias (\[C⁺\]) where there are any.
pub fn record_group_norm(
    recording: &mut Recording,
    label: &str,
    [x, y]: [Tensor; 2],
    size: u32,
    epsilon: f32,
    weights: Option<[ValueId; 2]>,
) -> GroupMoments {
    let groups = Groups { x: x.view, size };
    let len = groups.len();
    let mut real =
        |what: &str, len| recording.transient(format!("{label} {what}"), Kind::Real, len);
    let partials = [(); 2].map(|()| real("in parts", groups.sums().partials_len()));
    let (centre, deviation) = (real("means", len), real("deviations", len));
    let coefficients = real("coefficients", 2 * len);
    let sums = groups.sums();
    recording.call(label, sums, &[x.value, partials[0]]);
    recording.call(label, GroupMean { groups }, &[partials[0], centre]);
    let squares = ChannelSums {
        square: true,
        ..sums
    };
    recording.call(label, squares, &[x.value, centre, partials[1]]);
    let scale = GroupScale {
        groups,
        epsilon,
        weighted: weights.is_some(),
    };
    let mut values = vec![partials[1]];
    values.extend(weights.into_iter().flatten());
    values.extend([deviation, coefficients]);
    recording.call(label, scale, &values);
    let affine = ChannelAffine {
        x: x.view,
        y: y.view,
        accumulate: false,
    };
    recording.call(label, affine, &[x.value, centre, coefficients, y.value]);
    GroupMoments { centre, deviation }
}

/// Records the gradient of [`record_group_norm`].
pub fn record_group_norm_backward(
    recording: &mut Recording,
    label: &str,
    [x, dy, dx]: [Tensor; 3],
    size: u32,
    moments: GroupMoments,
    weight: Option<ValueId>,
    accumulate: bool,
) {
    let groups = Groups { x: x.view, size };
    let sums = GroupSums {
        groups,
        dy: dy.view,
    };
    let mut real =
        |what: &str, len| recording.transient(format!("{label} {what}"), Kind::Real, len);
    let partials = real("in parts", sums.partials_len());
    let coefficients = real("coefficients", 3 * groups.len());
    let GroupMoments { centre, deviation } = moments;
    recording.call(label, sums, &[x.value, centre, dy.value, partials]);
    let gradient = GroupGradient {
        groups,
        weighted: weight.is_some(),
    };
    let mut values = vec![partials, deviation];
    values.extend(weight);
    values.push(coefficients);
    recording.call(label, gradient, &values);
    let backward = GroupNormBackward {
        x: x.view,
        dy: dy.view,
        dx: dx.view,
        accumulate,
    };
    let values = [x.value, centre, dy.value, coefficients, dx.value];
    recording.call(label, backward, &values);
}
