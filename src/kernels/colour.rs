//! Changes of colour: a matrix and a sigmoid on the three channels of each pixel.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/colour.wgsl`.
pub const SOURCE: Source = Source {
    name: "colour",
    text: include_str!("../../wgsl/colour.wgsl"),
    variants: &[&[], &["SIGMOID"], &["BACKWARD"], &["BACKWARD", "SIGMOID"]],
};

/// y = σ(M·x + b) of the three channels of every pixel; σ(t) = 1/(1 + e⁻ᵗ), or the identity.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    /// The input: three channels.
    pub x: View,
    /// The output, of the same shape.
    pub y: View,
    /// M, row by row.
    pub matrix: [[f32; 3]; 3],
    /// b.
    pub bias: [f32; 3],
    /// Whether σ is the sigmoid.
    pub sigmoid: bool,
}

/// The gradient of [`Colour`] with respect to x: dx = Mᵀ·(y·(1 − y)·dy), without the sigmoid Mᵀ·dy.
///
/// Bindings: `dy`; `y` if there is a sigmoid; `dx`, of the shape of x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourBackward {
    /// The forward pass; dx is laid out as its x.
    pub forward: Colour,
    /// The gradient with respect to y.
    pub dy: View,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    dy: View,
    columns: u32,
    items: u32,
    pad: [u32; 2],
    /// Columns, each a vec3 in the place of a vec4.
    matrix: [[f32; 4]; 3],
    bias: [f32; 4],
}

impl Colour {
    fn shader(&self, backward: bool) -> Shader {
        match (backward, self.sigmoid) {
            (false, false) => SOURCE.with(&[]),
            (false, true) => SOURCE.with(&["SIGMOID"]),
            (true, false) => SOURCE.with(&["BACKWARD"]),
            (true, true) => SOURCE.with(&["BACKWARD", "SIGMOID"]),
        }
    }

    fn params(&self, dy: View) -> Params {
        let m = self.matrix;
        let [b0, b1, b2] = self.bias;
        Params {
            x: self.x,
            y: self.y,
            dy,
            columns: self.grid()[0],
            items: self.x.pixels() as u32,
            pad: [0; 2],
            matrix: [0, 1, 2].map(|i| [m[0][i], m[1][i], m[2][i], 0.0]),
            bias: [b0, b1, b2, 0.0],
        }
    }

    fn work(&self) -> Work {
        Work {
            flop: 30 * self.x.pixels() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn matrix<T: Real>(&self) -> [[T; 3]; 3] {
        self.matrix.map(|row| row.map(T::from_f32))
    }
}

/// 1/(1 + e⁻ᵗ).
fn sigmoid<T: Real>(t: T) -> T {
    let e = (-t.abs()).exp();
    (if t < T::ZERO { e } else { T::ONE }) / (T::ONE + e)
}

impl Kernel for Colour {
    type Params = Params;

    fn shader(&self) -> Shader {
        Colour::shader(self, false)
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Colour::params(self, self.y)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.x.pixels() as u32)
    }
    fn work(&self) -> Work {
        Colour::work(self)
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (matrix, bias) = (self.matrix::<T>(), self.bias.map(T::from_f32));
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let x = &x[flat::place(self.x, pixel, 0..1)];
            for (i, row) in matrix.iter().enumerate() {
                let t = row[0] * x[0] + row[1] * x[1] + row[2] * x[2] + bias[i];
                y[i] = if self.sigmoid { sigmoid(t) } else { t };
            }
            y[3] = T::ZERO;
        });
    }
}

impl Kernel for ColourBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.forward.shader(true)
    }
    fn bindings(&self) -> Vec<Slot> {
        if self.forward.sigmoid {
            vec![Slot::IN, Slot::IN, Slot::OUT]
        } else {
            vec![Slot::IN, Slot::OUT]
        }
    }
    fn params(&self) -> Params {
        self.forward.params(self.dy)
    }
    fn grid(&self) -> [u32; 3] {
        self.forward.grid()
    }
    fn work(&self) -> Work {
        self.forward.work()
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let dy = b.input();
        let y = if self.forward.sigmoid { b.input() } else { dy };
        let dx = b.output();
        let matrix = self.forward.matrix::<T>();
        flat::for_each_pixel(self.forward.x, dx, |pixel, dx| {
            let dy = &dy[flat::place(self.dy, pixel, 0..1)];
            let mut g = [dy[0], dy[1], dy[2]];
            if self.forward.sigmoid {
                let y = &y[flat::place(self.forward.y, pixel, 0..1)];
                g.iter_mut()
                    .zip(y)
                    .for_each(|(g, &y)| *g *= y * (T::ONE - y));
            }
            for (i, dx) in dx[..3].iter_mut().enumerate() {
                *dx = matrix[0][i] * g[0] + matrix[1][i] * g[1] + matrix[2][i] * g[2];
            }
            dx[3] = T::ZERO;
        });
    }
}
