//! Images resampled by affine maps drawn at random, and the way back.

use super::random::{random, uniform_below};
use super::{View, WarpError, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/warp_draw.wgsl`.
pub const DRAW: Source = Source {
    name: "warp_draw",
    text: include_str!("../../wgsl/warp_draw.wgsl"),
    variants: &[&[]],
};

/// `wgsl/warp.wgsl`.
pub const SOURCE: Source = Source {
    name: "warp",
    text: include_str!("../../wgsl/warp.wgsl"),
    variants: &[&[], &["BACKWARD"]],
};

/// Units of a pixel.
const ONE: i64 = 1 << 14;

/// For each image of a batch an affine map from the pixels of a warped image to those of the image it is made of, drawn
/// anew in every step: a shift, a scale, a rotation and another shift, about the centre.
///
/// Bindings: `step`, one word; `placements`, n·[`WarpDraw::WORDS`] words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarpDraw {
    n: u32,
    seed: u32,
    shared: bool,
    scales: u32,
    angles: u32,
    jitter: [u32; 2],
    lists: [u32; WarpDraw::ENTRIES],
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct DrawParams {
    n: u32,
    seed: u32,
    own: u32,
    scales: u32,
    angles: u32,
    jitter_before: u32,
    jitter_after: u32,
    pad: u32,
    lists: [u32; WarpDraw::ENTRIES],
}

impl WarpDraw {
    /// Words of one image in `placements`.
    pub const WORDS: usize = 8;
    /// Most scales and angles together.
    pub const ENTRIES: usize = 48;
    /// Largest jitter in pixels.
    pub const MAX_JITTER: u32 = 1024;
    /// Least and greatest scale.
    pub const SCALES: [f32; 2] = [0.5, 2.0];

    /// Draws for `n` images: the shift before scaling within `jitter[0]` pixels in all (from −½ to ½ of it), the scale
    /// one of `scales`, the angle one of `degrees` (anticlockwise), the shift after rotating within `jitter[1]` pixels.
    /// `shared`: one draw for all images.
    ///
    /// # Errors
    /// What is wrong with the values: an empty list, more than [`WarpDraw::ENTRIES`] scales and angles, a scale outside
    /// [`WarpDraw::SCALES`], an angle that is no number, a jitter beyond [`WarpDraw::MAX_JITTER`].
    pub fn new(
        n: u32,
        seed: u32,
        jitter: [u32; 2],
        scales: &[f32],
        degrees: &[f32],
        shared: bool,
    ) -> Result<Self, WarpError> {
        if scales.is_empty() || degrees.is_empty() {
            return Err(WarpError::NoChoice);
        }
        if scales.len() + degrees.len() > Self::ENTRIES {
            return Err(WarpError::TooManyChoices {
                scales: scales.len(),
                angles: degrees.len(),
            });
        }
        let [least, greatest] = Self::SCALES;
        if let Some(&scale) = scales.iter().find(|s| !(least..=greatest).contains(*s)) {
            return Err(WarpError::Scale { scale });
        }
        if let Some(&angle) = degrees.iter().find(|a| !a.is_finite()) {
            return Err(WarpError::Angle { angle });
        }
        if let Some(&pixels) = jitter.iter().find(|j| **j > Self::MAX_JITTER) {
            return Err(WarpError::Jitter { pixels });
        }
        let fixed = |v: f64| (v * ONE as f64).round() as i32;
        let inverses = scales.iter().map(|&s| fixed(1.0 / f64::from(s)) as u32);
        let angles = degrees.iter().map(|&degrees| {
            let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
            (fixed(cos) as u32 & 0xffff) | (fixed(sin) as u32) << 16
        });
        let mut lists = [0; Self::ENTRIES];
        for (to, entry) in lists.iter_mut().zip(inverses.chain(angles)) {
            *to = entry;
        }
        Ok(Self {
            n,
            seed,
            shared,
            scales: scales.len() as u32,
            angles: degrees.len() as u32,
            jitter,
            lists,
        })
    }

    /// The same draws for another number of images.
    #[must_use]
    pub fn images(self, n: u32) -> Self {
        Self { n, ..self }
    }

    /// The words of one image at one step.
    fn draw(&self, step: u32, image: u32) -> [i32; Self::WORDS] {
        let image = if self.shared { 0 } else { image };
        let first = random(self.seed, step, image, 1);
        let second = random(self.seed, step, image, 2);
        let offset = |word, jitter| 2 * uniform_below(word, jitter + 1) as i32 - jitter as i32;
        let e = [0, 1].map(|axis| offset(first[axis], self.jitter[0]));
        let d = [0, 1].map(|axis| offset(second[axis], self.jitter[1]));
        let inverse = self.lists[uniform_below(first[2], self.scales) as usize] as i32;
        let angle =
            self.lists[(self.scales + uniform_below(first[3], self.angles)) as usize] as i32;
        let times = |v: i32| (v * inverse + (1 << 14)) >> 15;
        let (c, s) = (times((angle << 16) >> 16), times(angle >> 16));
        [
            c,
            -s,
            s,
            c,
            c * d[0] - s * d[1] + (e[0] << 13),
            s * d[0] + c * d[1] + (e[1] << 13),
            0,
            0,
        ]
    }
}

impl Kernel for WarpDraw {
    type Params = DrawParams;

    fn shader(&self) -> Shader {
        DRAW.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::WORDS_OUT]
    }
    fn params(&self) -> DrawParams {
        DrawParams {
            n: self.n,
            seed: self.seed,
            own: u32::from(!self.shared),
            scales: self.scales,
            angles: self.angles,
            jitter_before: self.jitter[0],
            jitter_after: self.jitter[1],
            pad: 0,
            lists: self.lists,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.n.div_ceil(64).max(1), 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: u64::from(self.n) * Self::WORDS as u64 * 4,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (step, placements) = (b.words(), b.words_mut());
        for (words, n) in placements.chunks_exact_mut(Self::WORDS).zip(0..self.n) {
            words.copy_from_slice(&self.draw(step[0], n).map(i32::cast_unsigned));
        }
    }
}

/// Each image resampled by its affine map, bilinear, `fill` outside. x and y may differ in size; their centres meet.
///
/// Bindings: `placements`, what [`WarpDraw`] writes; `x`; `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    /// The input.
    pub x: View,
    /// The output, with as many images and channels.
    pub y: View,
    /// What lies outside x, in every channel.
    pub fill: f32,
}

/// The transpose of [`Warp`]'s linear part: every element of dx is the sum over those of dy that x had a part in.
///
/// Bindings: `placements`, `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarpBackward {
    /// Shape of x and dx.
    pub x: View,
    /// Shape of y and dy.
    pub y: View,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
    fill: f32,
}

/// The affine map of one image: `wgsl/warp.wgsl`.
struct Placement {
    a: [[i64; 2]; 2],
    shift: [i64; 2],
    size: [i64; 2],
}

impl Placement {
    fn new(words: &[u32], n: usize, x: View, y: View) -> Self {
        let word = |i: usize| i64::from(words[n * WarpDraw::WORDS + i].cast_signed());
        let centre = |side: u32| (i64::from(side) - 1) * ONE / 2;
        Self {
            a: [[word(0), word(1)], [word(2), word(3)]],
            shift: [word(4) + centre(x.w), word(5) + centre(x.h)],
            size: [i64::from(y.w), i64::from(y.h)],
        }
    }

    /// Where pixel (col, row) of y comes from.
    fn source(&self, col: i64, row: i64) -> [i64; 2] {
        let o = [2 * col + 1 - self.size[0], 2 * row + 1 - self.size[1]];
        [0, 1].map(|i| self.a[i][0] * o[0] + self.a[i][1] * o[1] + self.shift[i])
    }

    /// First and last column, first and last row of the pixels of y among which those lie that came from (col, row) of
    /// x or its neighbours.
    fn candidates(&self, col: i64, row: i64) -> [[i64; 2]; 2] {
        let aim = [
            (col * ONE - self.shift[0]) as f64,
            (row * ONE - self.shift[1]) as f64,
        ];
        let [[a, b], [c, d]] = self.a.map(|row| row.map(|v| v as f64));
        let scale = 1.0 / (a * d - b * c);
        let o = [
            scale * (d * aim[0] - b * aim[1]),
            scale * (a * aim[1] - c * aim[0]),
        ];
        let reach = [d.abs() + b.abs(), a.abs() + c.abs()];
        [0, 1].map(|i| {
            let reach = scale.abs() * ONE as f64 * reach[i] + 0.25;
            let middle = o[i] + self.size[i] as f64 - 1.0;
            [
                ((0.5 * (middle - reach)).ceil() as i64).max(0),
                ((0.5 * (middle + reach)).floor() as i64).min(self.size[i] - 1),
            ]
        })
    }
}

/// The affine maps of all images.
fn placements(words: &[u32], x: View, y: View) -> Vec<Placement> {
    (0..y.n as usize)
        .map(|n| Placement::new(words, n, x, y))
        .collect()
}

impl Kernel for Warp {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.y),
            fill: self.fill,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: 9 * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (words, x, y) = (b.words(), b.input(), b.output());
        let placements = placements(words, self.x, self.y);
        let (h, w, c) = (self.y.h as usize, self.y.w as usize, self.y.c as usize);
        let inside = |v: i64, size: u32| (0..i64::from(size)).contains(&v);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, row, col) = (pixel / (h * w), pixel / w % h, pixel % w);
            let [u, v] = placements[n].source(col as i64, row as i64);
            y.fill(T::ZERO);
            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (at_x, at_y) = (u.div_euclid(ONE) + j, v.div_euclid(ONE) + i);
                let part = |at: i64, place: i64| {
                    T::of((ONE - (at * ONE - place).abs()) as f64 / ONE as f64)
                };
                let weight = part(at_x, u) * part(at_y, v);
                if inside(at_x, self.x.w) && inside(at_y, self.x.h) {
                    let at = self.x.at(n, at_y as usize, at_x as usize);
                    for (y, &x) in y.iter_mut().zip(&x[at..]).take(c) {
                        *y += weight * x;
                    }
                } else {
                    let fill = weight * T::from_f32(self.fill);
                    y[..c].iter_mut().for_each(|y| *y += fill);
                }
            }
        });
    }
}

impl Kernel for WarpBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["BACKWARD"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.x),
            fill: 0.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        // About nine candidates each.
        Work {
            flop: 9 * 4 * self.x.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (words, dy, dx) = (b.words(), b.input(), b.output());
        let placements = placements(words, self.x, self.y);
        let (h, w, c) = (self.x.h as usize, self.x.w as usize, self.x.c as usize);
        flat::for_each_pixel(self.x, dx, |pixel, dx| {
            let (n, row, col) = (pixel / (h * w), (pixel / w % h) as i64, (pixel % w) as i64);
            let placement = &placements[n];
            let [cols, rows] = placement.candidates(col, row);
            dx.fill(T::ZERO);
            for r in rows[0]..=rows[1] {
                for q in cols[0]..=cols[1] {
                    let [u, v] = placement.source(q, r);
                    let part = |at: i64, place: i64| (ONE - (at * ONE - place).abs()).max(0);
                    let (kx, ky) = (part(col, u), part(row, v));
                    if kx == 0 || ky == 0 {
                        continue;
                    }
                    let weight = T::of(kx as f64 / ONE as f64) * T::of(ky as f64 / ONE as f64);
                    let at = self.y.at(n, r as usize, q as usize);
                    for (dx, &dy) in dx.iter_mut().zip(&dy[at..]).take(c) {
                        *dx += weight * dy;
                    }
                }
            }
        });
    }
}
