//! A term of one's own, with a kernel of one's own, in a recipe: a picture that is painted and made warmer.
//!
//!     cargo run --release --example own_term -- CONTENT STYLE OUTPUT [SIZE] [ITERATIONS]

use std::error::Error;
use std::ops::ControlFlow;

use pixgrad::term::{
    Band, Bindings, Gathered, Kernel, Kind, Loss, Real, Recording, Saved, Shader, Slot, Source,
    Tensor, Term, View, Work,
};
use pixgrad::terms::Own;
use pixgrad::{Device, DeviceOptions, Recipe, TermSpec};

const SOURCE: Source = Source {
    name: "own_term",
    text: include_str!("own_term.wgsl"),
    variants: &[&[], &["BACKWARD"]],
};

/// The parameters as WGSL has them, after `origin`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    x: View,
    alpha: f32,
    accumulate: u32,
}

/// `partials[n] = Σ (red − blue)` of every image.
#[derive(Debug)]
struct Warmth {
    x: View,
}

impl Kernel for Warmth {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            alpha: 0.0,
            accumulate: 0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.x.n.div_ceil(64), 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * self.x.pixels() as u64,
            bytes: self.x.bytes(),
        }
    }
    /// The same on the processor: the `cpu` device runs it.
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (x, partials) = (bindings.input(), bindings.output());
        let pixels = (self.x.h * self.x.w) as usize * 4;
        for (image, sum) in x.chunks(pixels).zip(partials) {
            let warmth = |pixel: &[T]| (pixel[0] - pixel[2]).wide();
            *sum = T::of(image.chunks(4).map(warmth).sum());
        }
    }
}

/// `dx (+)= alpha·(1, 0, −1)` at every pixel.
#[derive(Debug)]
struct WarmthBackward {
    dx: View,
    alpha: f32,
    accumulate: bool,
}

impl Kernel for WarmthBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["BACKWARD"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.dx,
            alpha: self.alpha,
            accumulate: self.accumulate.into(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        [(self.dx.pixels() as u32).div_ceil(64), 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * self.dx.pixels() as u64,
            bytes: 2 * self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let alpha = T::from_f32(self.alpha);
        for pixel in bindings.output().chunks_mut(4) {
            if !self.accumulate {
                pixel.fill(T::ZERO);
            }
            pixel[0] += alpha;
            pixel[2] -= alpha;
        }
    }
}

/// −weight · mean (red − blue): the warmer the picture, the lower.
#[derive(Debug)]
struct Warm {
    weight: f64,
}

impl Warm {
    fn scale(&self, layer: View) -> f64 {
        -self.weight / f64::from(layer.h * layer.w)
    }
}

impl Term for Warm {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let partials = recording.transient("warmth", Kind::Real, x.view.n as usize);
        recording.call("warmth", Warmth { x: x.view }, &[x.value, partials]);
        gathered.add_sum(partials, self.scale(band.layer));
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "warmth", layer.n, loss);
        Saved::default()
    }

    fn backward(
        &self,
        recording: &mut Recording,
        _: Tensor,
        band: Band,
        _: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = WarmthBackward {
            dx: dx.view,
            alpha: self.scale(band.layer) as f32,
            accumulate,
        };
        recording.call("warmth gradient", gradient, &[dx.value]);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [content, style, output, numbers @ ..] = &arguments[..] else {
        return Err("usage: own_term CONTENT STYLE OUTPUT [SIZE] [ITERATIONS]".into());
    };
    let number = |place: usize, default: u32| match numbers.get(place) {
        Some(text) => text.parse(),
        None => Ok(default),
    };

    let device = Device::new(&DeviceOptions::default())?;
    let mut recipe = Recipe::style(content.as_str(), [style.as_str()])
        .size(number(0, 256)?)
        .iterations(number(1, 60)?.into());
    let warm = Own::new("warmth", |site| {
        Ok(Box::new(Warm {
            weight: site.weight,
        }))
    });
    recipe.terms.push(TermSpec::new(warm).weight(3.0));
    let network = recipe.network(&device)?;
    let mut run = recipe.compile(&device, &network)?;
    let mut warmth = Vec::new();
    run.run(|progress| {
        warmth.extend(progress.terms.last().map(|value| -value / 3.0));
        ControlFlow::Continue(())
    })?;
    println!(
        "red minus blue: {:.3} at the start, {:.3} at the end",
        warmth[0],
        warmth[warmth.len() - 1]
    );
    run.image()?.save(output)?;
    println!("{output}");
    Ok(())
}
