//! Paints one picture in the style of another, and says how it goes.
//!
//!     cargo run --release --example paint -- CONTENT STYLE OUTPUT [SIZE] [ITERATIONS]

use std::error::Error;
use std::ops::ControlFlow;

use pixgrad::{Device, DeviceOptions, Recipe};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [content, style, output, numbers @ ..] = &arguments[..] else {
        return Err("usage: paint CONTENT STYLE OUTPUT [SIZE] [ITERATIONS]".into());
    };
    let number = |place: usize, default: u32| match numbers.get(place) {
        Some(text) => text.parse(),
        None => Ok(default),
    };

    let device = Device::new(&DeviceOptions::default())?;
    let recipe = Recipe::style(content.as_str(), [style.as_str()])
        .size(number(0, 512)?)
        .iterations(number(1, 60)?.into());
    let network = recipe.network(&device)?;
    let mut run = recipe.compile(&device, &network)?;
    println!("{} iterations on {}", run.iterations(), device.info().name);

    run.run(|progress| {
        if progress.iteration.is_multiple_of(20) {
            println!("{:>5}: loss {:.4}", progress.iteration, progress.loss);
        }
        ControlFlow::Continue(())
    })?;
    run.image()?.save(output)?;
    println!("{output}");
    Ok(())
}
