//! One iteration of Gatys' neural style transfer by VGG-19 up to relu4_1, in burn.
//!
//! `pixgrad-peer-burn FOLDER SIZE WARM_UP RUNS DEVICE` reads `content.f32`, `style.f32`, `start.f32` ([3,SIZE,SIZE],
//! RGB in [0,1]), `mean.f32` and `std.f32`, `features.N.weight.f32` and `features.N.bias.f32`, writes
//! `burn-gradient.f32` of the first iteration, and prints one line of JSON: the losses of the first two iterations and
//! the milliseconds of those after the warm-up. DEVICE is `flex`, or the type of an adapter and which one of that type:
//! `discrete 0`, `cpu 0`.

use std::path::Path;
use std::time::Instant;

use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};

/// Index of each convolution, its input and output channels, whether a pool stands before it and a term reads it.
const LAYERS: [(usize, usize, usize, bool, bool); 9] = [
    (0, 3, 64, false, true),
    (2, 64, 64, false, false),
    (5, 64, 128, true, true),
    (7, 128, 128, false, false),
    (10, 128, 256, true, true),
    (12, 256, 256, false, false),
    (14, 256, 256, false, false),
    (16, 256, 256, false, false),
    (19, 256, 512, true, true),
];
const STYLE_WEIGHT: f64 = 1000.0;
const STEP: f64 = 0.02;

/// The file's numbers, little-endian f32.
fn read(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let words = bytes.chunks_exact(4);
    words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// VGG-19 up to relu4_1.
struct Vgg {
    convolutions: Vec<(Tensor<4>, Tensor<1>)>,
    mean: Tensor<4>,
    std: Tensor<4>,
}

impl Vgg {
    fn new(folder: &Path, device: &Device) -> Self {
        let convolution = |&(i, input, output, ..): &(usize, usize, usize, bool, bool)| {
            let weight = read(&folder.join(format!("features.{i}.weight.f32")));
            let bias = read(&folder.join(format!("features.{i}.bias.f32")));
            (tensor(weight, [output, input, 3, 3], device), tensor(bias, [output], device))
        };
        Self {
            convolutions: LAYERS.iter().map(convolution).collect(),
            mean: tensor(read(&folder.join("mean.f32")), [1, 3, 1, 1], device),
            std: tensor(read(&folder.join("std.f32")), [1, 3, 1, 1], device),
        }
    }

    /// The activations that terms read.
    fn answers(&self, image: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = (image - self.mean.clone()) / self.std.clone();
        let mut read = Vec::new();
        for (&(.., pooled, wanted), (weight, bias)) in LAYERS.iter().zip(&self.convolutions) {
            if pooled {
                x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            x = relu(conv2d(x, weight.clone(), Some(bias.clone()), options));
            if wanted {
                read.push(x.clone());
            }
        }
        read
    }
}

/// FFᵀ/N.
fn gram(x: Tensor<4>) -> Tensor<2> {
    let [_, c, h, w] = x.dims();
    let f = x.reshape([c, h * w]);
    f.clone().matmul(f.transpose()) / (h * w) as f64
}

/// The style and the content term, weighted, of the image.
fn terms(vgg: &Vgg, image: Tensor<4>, grams: &[Tensor<2>], content: &Tensor<4>) -> [Tensor<1>; 2] {
    let answers = vgg.answers(image);
    let last = answers.last().expect("layers that are read").clone();
    let style = answers.into_iter().zip(grams).map(|(x, target)| {
        let c = x.dims()[1] as f64;
        (gram(x) - target.clone()).square().sum() / (4.0 * c * c)
    });
    let style = style.reduce(|sum, term| sum + term).expect("layers that are read");
    [style * STYLE_WEIGHT, (last - content.clone()).square().mean()]
}

/// The device asked for, and what it calls itself.
fn device(kind: &str, index: usize) -> (Device, String) {
    let _ = index;
    match kind {
        #[cfg(feature = "flex")]
        "flex" => {
            let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
            (Device::flex(), format!("cpu, {threads} threads"))
        }
        #[cfg(feature = "wgpu")]
        "discrete" | "integrated" | "virtual" | "cpu" => {
            use burn::tensor::DeviceKind;
            let kind = match kind {
                "discrete" => DeviceKind::DiscreteGpu(index),
                "integrated" => DeviceKind::IntegratedGpu(index),
                "virtual" => DeviceKind::VirtualGpu(index),
                _ => DeviceKind::Cpu,
            };
            #[cfg(feature = "vulkan")]
            let device = Device::vulkan(kind);
            #[cfg(not(feature = "vulkan"))]
            let device = Device::wgpu(kind);
            let name = device.identity().map_or_else(|| "unnamed".to_owned(), |known| known.name);
            (device, name)
        }
        _ => panic!("`{kind}` is no device of this build"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, size, warm_up, runs, kind, index @ ..] = arguments.as_slice() else {
        panic!("FOLDER SIZE WARM_UP RUNS DEVICE");
    };
    let folder = Path::new(folder);
    let number = |text: &String| -> usize { text.parse().expect("a number") };
    let (size, warm_up, runs) = (number(size), number(warm_up), number(runs));
    let (plain, name) = device(kind, index.first().map_or(0, number));
    // Everything is a constant to automatic differentiation but the image, which asks for a gradient.
    let device = plain.autodiff();
    let picture = |name: &str| {
        tensor(read(&folder.join(format!("{name}.f32"))), [1, 3, size, size], &device)
    };
    let vgg = Vgg::new(folder, &device);
    let grams: Vec<_> = vgg.answers(picture("style")).into_iter().map(gram).collect();
    let content = vgg.answers(picture("content")).pop().expect("layers that are read");

    let mut image = picture("start").inner();
    let (mut first, mut second) = (image.zeros_like(), image.zeros_like());
    let (mut losses, mut times) = (Vec::new(), Vec::new());
    device.sync().expect("the device answers");
    for i in 0..warm_up + runs {
        let start = Instant::now();
        let x = Tensor::from_inner(image.clone()).require_grad();
        let [style_term, content_term] = terms(&vgg, x.clone(), &grams, &content);
        let gradients = (style_term.clone() + content_term.clone()).backward();
        let gradient = x.grad(&gradients).expect("the image's gradient");
        // Adam with its usual constants.
        first = first * 0.9 + gradient.clone() * 0.1;
        second = second * 0.999 + gradient.clone().square() * 0.001;
        let step = i32::try_from(i + 1).expect("few iterations");
        let mean = first.clone() / (1.0 - 0.9f64.powi(step));
        let spread = (second.clone() / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8;
        image = (image - mean / spread * STEP).clamp(0.0, 1.0);
        device.sync().expect("the device answers");
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if i < 2 {
            losses.push([style_term, content_term].map(|term| term.into_scalar::<f64>()));
        }
        if i == 0 {
            let values = gradient.into_data().try_into_vec::<f32>().expect("f32");
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(folder.join("burn-gradient.f32"), bytes).expect("the gradient is written");
        }
    }
    let told = serde_json::json!({ "device": name, "losses": losses, "ms": &times[warm_up..] });
    println!("{told}");
}
