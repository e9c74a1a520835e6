//! The gradient of an objective with respect to the pixels, for an optimizer of one's own: here the plainest there is.
//!
//!     cargo run --release --example gradient -- PICTURE OUTPUT [STEPS]

use std::error::Error;

use pixgrad::terms::Energy;
use pixgrad::{Device, DeviceOptions, Image, Init, Network, Picture, Recipe, TermSpec};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [picture, output, rest @ ..] = &arguments[..] else {
        return Err("usage: gradient PICTURE OUTPUT [STEPS]".into());
    };
    let steps: u32 = rest.first().map_or(Ok(5), |text| text.parse())?;

    let device = Device::new(&DeviceOptions::default())?;
    let network = Network::load(&device, "squeezenet1_1")?;
    let mut image = Image::open(picture)?;
    for step in 0..steps {
        // DeepDream: more of whatever the layer sees. A negative weight maximises.
        let mut recipe = Recipe::new();
        recipe.image.init = Init::Picture(Picture::from(image.clone()));
        recipe.terms = vec![TermSpec::new(Energy::at("fire5/concat")).weight(-1.0)];
        let report = recipe.gradient(&network)?;

        let mean =
            report.gradient.iter().map(|g| g.abs()).sum::<f32>() / report.gradient.len() as f32;
        println!(
            "step {step}: loss {:.4e}, mean |gradient| {mean:.2e}",
            report.loss
        );
        // The gradient is [3, H, W], the image [H, W, 3].
        let pixels = image.rgb.len() / 3;
        for (i, value) in image.rgb.iter_mut().enumerate() {
            let gradient = report.gradient[i % 3 * pixels + i / 3];
            *value = (*value - 0.01 * gradient / mean).clamp(0.0, 1.0);
        }
    }
    image.save(output)?;
    println!("{output}");
    Ok(())
}
