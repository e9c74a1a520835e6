//! One iteration of Gatys' neural style transfer by VGG-19 up to relu4_1, in burn.
//!
//! `pixgrad-peer-burn FOLDER SIZE WARM_UP RUNS` reads `content.f32`, `style.f32`, `start.f32` ([3,SIZE,SIZE], RGB in [0,1])
//! and `features.N.weight.f32`, `features.N.bias.f32`, writes `burn-gradient.f32` of the first iteration, and prints one line
//! of JSON: the losses of the first iteration and the milliseconds of those after the warm-up.

use std::path::Path;
use std::time::Instant;

use burn::backend::Autodiff;
use burn::tensor::activation::relu;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{ElementConversion, Tensor, TensorData};

#[cfg(feature = "wgpu")]
type Inner = burn::backend::Wgpu<f32, i32>;
#[cfg(all(feature = "ndarray", not(feature = "wgpu")))]
type Inner = burn::backend::NdArray<f32>;
type Backend = Autodiff<Inner>;

const BACKEND: &str = if cfg!(feature = "wgpu") { "wgpu" } else { "ndarray" };

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
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
const STYLE_WEIGHT: f32 = 1000.0;
const STEP: f64 = 0.02;

type Device<B> = <B as burn::tensor::backend::BackendTypes>::Device;

struct Vgg<B: AutodiffBackend> {
    convolutions: Vec<(Tensor<B, 4>, Tensor<B, 1>)>,
    mean: Tensor<B, 4>,
    std: Tensor<B, 4>,
}

fn read(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let words = bytes.chunks_exact(4);
    words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn tensor<B: AutodiffBackend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device<B>,
) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl<B: AutodiffBackend> Vgg<B> {
    fn new(folder: &Path, device: &Device<B>) -> Self {
        let convolution = |&(i, input, output, ..): &(usize, usize, usize, bool, bool)| {
            let weight = read(&folder.join(format!("features.{i}.weight.f32")));
            let bias = read(&folder.join(format!("features.{i}.bias.f32")));
            (
                tensor(weight, [output, input, 3, 3], device),
                tensor(bias, [output], device),
            )
        };
        Self {
            convolutions: LAYERS.iter().map(convolution).collect(),
            mean: tensor(MEAN.to_vec(), [1, 3, 1, 1], device),
            std: tensor(STD.to_vec(), [1, 3, 1, 1], device),
        }
    }

    /// The activations that terms read.
    fn answers(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut x = (image - self.mean.clone()) / self.std.clone();
        let mut read = Vec::new();
        for (&(.., pooled, wanted), (weight, bias)) in LAYERS.iter().zip(&self.convolutions) {
            if pooled {
                x = max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
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
fn gram<B: AutodiffBackend>(x: Tensor<B, 4>) -> Tensor<B, 2> {
    let [_, c, h, w] = x.dims();
    let f = x.reshape([c, h * w]);
    f.clone().matmul(f.transpose()) / (h * w) as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, size, warm_up, runs] = arguments.as_slice() else {
        panic!("FOLDER SIZE WARM_UP RUNS");
    };
    let folder = Path::new(folder);
    let number = |text: &String| -> usize { text.parse().expect("a number") };
    let (size, warm_up, runs) = (number(size), number(warm_up), number(runs));
    let device = Device::<Backend>::default();
    let picture = |name: &str| -> Tensor<Backend, 4> {
        tensor(read(&folder.join(format!("{name}.f32"))), [1, 3, size, size], &device)
    };
    let vgg = Vgg::<Backend>::new(folder, &device);
    let grams: Vec<_> = vgg.answers(picture("style")).into_iter().map(gram).collect();
    let content = vgg.answers(picture("content")).pop().expect("a layer");

    let mut image = picture("start");
    let (mut first, mut second) = (image.clone().zeros_like(), image.clone().zeros_like());
    let (mut losses, mut times) = (Vec::new(), Vec::new());
    for i in 0..warm_up + runs {
        let start = Instant::now();
        let x = image.clone().detach().require_grad();
        let mut answers = vgg.answers(x.clone());
        let apart = answers.last().expect("a layer").clone() - content.clone();
        let content_term = apart.powi_scalar(2).mean();
        let style_term = answers
            .drain(..)
            .zip(&grams)
            .map(|(x, a)| {
                let channels = x.dims()[1] as f64;
                (gram(x) - a.clone()).powi_scalar(2).sum() / (4.0 * channels * channels)
            })
            .reduce(|a, b| a + b)
            .expect("four layers")
            * STYLE_WEIGHT;
        let gradients = (style_term.clone() + content_term.clone()).backward();
        let gradient = Tensor::<Backend, 4>::from_inner(x.grad(&gradients).expect("a gradient"));
        // Adam with its usual constants.
        first = first * 0.9 + gradient.clone() * 0.1;
        second = second * 0.999 + gradient.clone().powi_scalar(2) * 0.001;
        let step = (i + 1) as i32;
        let mean = first.clone() / (1.0 - 0.9f64.powi(step));
        let spread = (second.clone() / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8;
        image = (image - mean / spread * STEP).clamp(0.0, 1.0);
        // Reading a number waits for the device.
        let values = [style_term, content_term].map(|t| t.into_scalar().elem::<f64>());
        let _ = image.clone().mean().into_scalar();
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if i == 0 {
            losses.extend(values);
            let values: Vec<f32> = gradient.into_data().to_vec().expect("f32");
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(folder.join("burn-gradient.f32"), bytes).expect("the gradient is written");
        }
    }
    let told = serde_json::json!({
        "who": format!("burn 0.21.0 {BACKEND}"),
        "device": format!("{device:?}"),
        "precision": "f32",
        "losses": losses,
        "ms": &times[warm_up..],
    });
    println!("{told}");
}
