//! What L-BFGS decides: acceptance of the trial point, the two-loop recursion, step lengths.

use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

use super::lbfgs_products::PRODUCTS;

/// `wgsl/lbfgs_recursion.wgsl`.
pub const SOURCE: Source = Source {
    name: "lbfgs_recursion",
    text: include_str!("../../wgsl/lbfgs_recursion.wgsl"),
    variants: &[&[]],
};

/// Most pairs that may be kept: one workgroup has an invocation for each vector.
pub const MAX_HISTORY: u32 = 127;

/// Words of the state of one image: status (0 no finite point yet, 1 running, 2 stopped), next slot of the ring, pairs
/// in it, trials rejected in a row, evaluations, accepted steps, resets of the history, accepted steps without a pair.
pub const WORDS: u32 = 8;

/// What the words of one image are below: status, slot and number of pairs index others, the rest count.
#[must_use]
pub fn word_limits(history: u32) -> [u32; WORDS as usize] {
    const ANY: u32 = u32::MAX;
    [3, history, history + 1, ANY, ANY, ANY, ANY, ANY]
}

/// Reals of the state of one image: least value accepted, step length, squared length of the gradient at the base
/// (without elements that a bound holds), root mean square of a step of steepest descent.
pub const SCALARS: u32 = 4;

/// Reals of one image that tell what to do: 2·history + 1 coefficients, step length, action, slot of the new pair.
#[must_use]
pub fn coefficients_len(history: u32) -> usize {
    2 * history as usize + 4
}

/// Accepts or rejects the trial point of every image, and finds the next direction, as coefficients, and step length.
///
/// Armijo's condition with c = 10⁻⁴, and for decreases below rounding the approximate one of Hager and Zhang 2005 ("A
/// new conjugate gradient method with guaranteed descent", eq. 4.1) along quasi-Newton directions; backtracking to the
/// parabola's minimum within \[0.1, 0.5\] of the step; the two-loop recursion (Nocedal 1980, "Updating quasi-Newton
/// matrices with limited storage") on inner products alone (Chen, Wang and Zhou 2014, algorithm 3), begun with
/// ⟨s,y⟩/⟨y,y⟩ of the newest pair.
///
/// Bindings: `losses`, `[n, slots]`; `products`, `[n, history + 1, PRODUCTS]`; `gram`, `[n, 2·history, 2·history]`,
/// `scalars`, `[n, SCALARS]`, and `words`, `[n, WORDS]`, read and written, zero before the first iteration;
/// `coefficients`, `[n, 2·history + 4]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LbfgsRecursion {
    /// Images.
    pub n: u32,
    /// Pairs that are kept, 1 to [`MAX_HISTORY`].
    pub history: u32,
    /// Losses of one image.
    pub slots: u32,
    /// Elements of one image that mean something.
    pub elements: u32,
    /// Root mean square of the first step, in units of x.
    pub step_size: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    history: u32,
    slots: u32,
    elements: f32,
    step_size: f32,
}

/// What becomes of the direction and the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The trial was rejected: the same direction from the same base.
    Keep,
    /// The trial is the base.
    Accept,
    /// Steepest descent from the same base.
    Restart,
    /// No trial was finite yet.
    Wait,
}

impl Action {
    pub fn of<T: Real>(value: T) -> Self {
        match value.wide() as u32 {
            1 => Self::Accept,
            2 => Self::Restart,
            3 => Self::Wait,
            _ => Self::Keep,
        }
    }
}

/// Constants as WGSL has them.
const DECREASE: f32 = 1e-4;
const ROUNDING: f32 = 1e-6;
const CURVATURE: f32 = 1e-6;
const LIMIT: u32 = 20;
const LONGEST: f32 = 1e37;
const FASTEST: f32 = 1e10;

/// The words and scalars of one image.
#[derive(Debug, Clone, Copy)]
struct State<T> {
    status: u32,
    head: usize,
    count: usize,
    rejected: u32,
    evaluations: u32,
    accepted: u32,
    resets: u32,
    skipped: u32,
    value: T,
    length: T,
    square: T,
    radius: T,
}

const WAITING: u32 = 0;
const RUNNING: u32 = 1;
const STOPPED: u32 = 2;

/// One image's rows of the bindings.
struct Image<'a, T> {
    losses: &'a [T],
    products: &'a [T],
    gram: &'a mut [T],
    coefficients: &'a mut [T],
}

fn finite<T: Real>(value: T) -> bool {
    value.wide().is_finite()
}

impl<T: Real> State<T> {
    fn load(words: &[u32], scalars: &[T]) -> Self {
        Self {
            status: words[0],
            head: words[1] as usize,
            count: words[2] as usize,
            rejected: words[3],
            evaluations: words[4],
            accepted: words[5],
            resets: words[6],
            skipped: words[7],
            value: scalars[0],
            length: scalars[1],
            square: scalars[2],
            radius: scalars[3],
        }
    }

    fn store(&self, words: &mut [u32], scalars: &mut [T]) {
        words.copy_from_slice(&[
            self.status,
            self.head as u32,
            self.count as u32,
            self.rejected,
            self.evaluations,
            self.accepted,
            self.resets,
            self.skipped,
        ]);
        scalars.copy_from_slice(&[self.value, self.length, self.square, self.radius]);
    }
}

impl LbfgsRecursion {
    /// One image, one iteration.
    fn decide<T: Real>(&self, state: &mut State<T>, image: Image<'_, T>) {
        let m = self.history as usize;
        let width = 2 * m;
        let Image {
            losses,
            products,
            gram,
            coefficients,
        } = image;
        let (decrease, zero) = (T::from_f32(DECREASE), T::ZERO);
        let value: T = losses.iter().copied().sum();
        let own = &products[m * PRODUCTS as usize..];
        let [ss, sy, yy, qs, qq, descent] = [own[0], own[1], own[3], own[4], own[6], own[7]];
        let sane = finite(value) && finite(qq);
        let begins = state.status == WAITING;
        let moved = ss > zero;
        let two = T::of(2.0);
        let improves = state.status == RUNNING
            && moved
            && (value <= state.value + decrease * descent.min(zero)
                || (state.count > 0
                    && value <= state.value + T::from_f32(ROUNDING) * state.value.abs()
                    && qs <= (two * decrease - T::ONE) * descent));
        let accepted = sane && (begins || improves);
        let stored = accepted && !begins && sy > T::from_f32(CURVATURE) * ss.sqrt() * yy.sqrt();
        let slot = state.head;

        // Inner products of s, y and q with the basis as it is after the pair has been stored.
        let fresh = |k: usize, which: usize| {
            let pair = if stored && k % m == slot { m } else { k % m };
            products[pair * PRODUCTS as usize + which + k / m]
        };
        if stored {
            for k in 0..width {
                for (row, which) in [(slot, 0), (m + slot, 2)] {
                    gram[row * width + k] = fresh(k, which);
                    gram[k * width + row] = fresh(k, which);
                }
            }
            state.head = (slot + 1) % m;
            state.count = (state.count + 1).min(m);
        }
        let with_q = |k: usize| if k == width { qq } else { fresh(k, 4) };

        let length = state.length;
        state.evaluations += 1;
        state.length = zero;
        let mut action = Action::Keep;
        let mut direction = None;
        if accepted {
            action = Action::Accept;
            state.rejected = 0;
            state.status = RUNNING;
            state.value = if begins {
                value
            } else {
                value.min(state.value)
            };
            state.length = T::ONE;
            state.square = qq;
            state.accepted += u32::from(!begins);
            state.skipped += u32::from(!begins && !stored);
            if begins {
                state.radius = T::from_f32(self.step_size);
            } else if state.count == 0 {
                state.radius = (two * state.radius).min(T::from_f32(FASTEST));
            }
            if state.count > 0 {
                direction = recursion(state, gram, &with_q, m);
                if direction.is_none() {
                    state.count = 0;
                    state.resets += 1;
                    state.radius = T::from_f32(self.step_size);
                }
            }
            if qq == zero {
                state.status = STOPPED;
                state.length = zero;
            }
        } else if begins {
            action = Action::Wait;
        } else if state.status == RUNNING {
            state.rejected += 1;
            if state.rejected < LIMIT && moved {
                let rise = value - state.value - descent;
                let (least, most) = (T::of(f64::from(0.1f32)), T::of(0.5));
                let factor = if !sane {
                    least
                } else if descent < zero {
                    (-most * descent / rise).max(least).min(most)
                } else {
                    most
                };
                state.length = factor * length;
            } else if state.count > 0 {
                action = Action::Restart;
                state.rejected = 0;
                state.count = 0;
                state.resets += 1;
                state.length = T::ONE;
                state.radius = T::from_f32(self.step_size);
            } else {
                state.status = STOPPED;
            }
        }

        let steepest = matches!(action, Action::Accept | Action::Restart) && state.square > zero;
        let direction = direction.unwrap_or_else(|| {
            let mut direction = vec![zero; width + 1];
            if steepest {
                direction[width] =
                    -state.radius * T::of(f64::from(self.elements)).sqrt() / state.square.sqrt();
            }
            direction
        });
        coefficients[..=width].copy_from_slice(&direction);
        coefficients[width + 1] = state.length;
        coefficients[width + 2] = T::from_usize(action as usize);
        coefficients[width + 3] = T::from_usize(if stored { slot } else { m });
    }
}

/// The two-loop recursion on coefficients of s_0 … s_(m−1), y_0 … y_(m−1), q; `None` where it does not descend.
fn recursion<T: Real>(
    state: &State<T>,
    gram: &[T],
    with_q: &impl Fn(usize) -> T,
    m: usize,
) -> Option<Vec<T>> {
    let width = 2 * m;
    let product = |a: usize, b: usize| {
        if b == width {
            with_q(a)
        } else {
            gram[a * width + b]
        }
    };
    let with = |delta: &[T], a: usize| -> T {
        let terms = delta.iter().enumerate().filter(|(_, d)| **d != T::ZERO);
        terms.map(|(k, &d)| d * product(a, k)).sum()
    };
    // Slots, newest first.
    let slots: Vec<usize> = (0..state.count)
        .map(|age| (state.head + m - 1 - age) % m)
        .collect();
    let newest = *slots.first()?;
    let mut delta = vec![T::ZERO; width + 1];
    delta[width] = -T::ONE;
    let mut alphas = Vec::with_capacity(slots.len());
    for &j in &slots {
        let alpha = with(&delta, j) / product(j, m + j);
        delta[m + j] -= alpha;
        alphas.push(alpha);
    }
    let scale = product(newest, m + newest) / product(m + newest, m + newest);
    for delta in &mut delta {
        *delta *= scale;
    }
    for (&j, alpha) in slots.iter().zip(alphas).rev() {
        let beta = with(&delta, m + j) / product(j, m + j);
        delta[j] += alpha - beta;
    }
    let used = || delta.iter().enumerate().filter(|(_, d)| **d != T::ZERO);
    let slope: T = used().map(|(k, &d)| d * with_q(k)).sum();
    let length: T = used()
        .map(|(k, d)| d.abs() * if k == width { with_q(k) } else { product(k, k) }.sqrt())
        .sum();
    let usable =
        slope < T::ZERO && finite(slope) && finite(length) && length < T::from_f32(LONGEST);
    usable.then_some(delta)
}

impl Kernel for LbfgsRecursion {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![
            Slot::IN,
            Slot::IN,
            Slot::IN_OUT,
            Slot::IN_OUT,
            Slot::WORDS_IN_OUT,
            Slot::OUT,
        ]
    }
    fn params(&self) -> Params {
        Params {
            history: self.history,
            slots: self.slots,
            elements: self.elements as f32,
            step_size: self.step_size,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.n, 1, 1]
    }
    fn work(&self) -> Work {
        let (n, m) = (u64::from(self.n), u64::from(self.history));
        Work {
            flop: n * 8 * m * m,
            bytes: n * 16 * m * m,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (losses, products) = (b.input(), b.input());
        let (gram, scalars, words, coefficients) =
            (b.output(), b.output(), b.words_mut(), b.output());
        let m = self.history as usize;
        let (slots, rows) = (self.slots as usize, (m + 1) * PRODUCTS as usize);
        for image in 0..self.n as usize {
            let own = |len: usize| image * len..(image + 1) * len;
            let words = &mut words[own(WORDS as usize)];
            let scalars = &mut scalars[own(SCALARS as usize)];
            let mut state = State::load(words, scalars);
            let rows = Image {
                losses: &losses[own(slots)],
                products: &products[own(rows)],
                gram: &mut gram[own(4 * m * m)],
                coefficients: &mut coefficients[own(coefficients_len(self.history))],
            };
            self.decide(&mut state, rows);
            state.store(words, scalars);
        }
    }
}
