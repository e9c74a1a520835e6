//! Maps side by side in a recipe: each pair makes finite pixels, or is refused with a message.

use std::ops::ControlFlow;

use pixgrad::{Device, Network, Recipe};

const MAPS: [&str; 6] = [
    "{ kind = \"fourier\" }",
    "{ kind = \"colour\" }",
    "{ kind = \"tanh\" }",
    "{ kind = \"round\" }",
    "{ kind = \"jitter\", pixels = 3 }",
    "{ kind = \"warp\" }",
];

fn recipe(own: &[&str], seen: &[&str]) -> Recipe {
    let text = format!(
        "model = \"squeezenet1_1\"\n\
         [image]\nwidth = 64\nheight = 64\n\
         parameterisation = [{}]\ntransformation = [{}]\n\
         [[term]]\nkind = \"logit\"\nclass = 7\n\
         [optimizer]\nkind = \"gradient\"\niterations = 2\n",
        own.join(", "),
        seen.join(", ")
    );
    toml::from_str(&text).expect("a recipe")
}

#[test]
fn every_pair_of_maps_makes_pixels_or_is_refused() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let fourier = MAPS[0];
    let pairs = MAPS.iter().flat_map(|a| MAPS.iter().map(move |b| (*a, *b)));
    for (a, b) in pairs {
        let both = [a, b];
        for (own, seen) in [(&both[..], &[][..]), (&[], &both), (&both[..1], &both[1..])] {
            let what = format!("parameterisation {own:?}, transformation {seen:?}");
            let later = own.iter().skip(1).chain(seen).any(|map| *map == fourier);
            let compiled = recipe(own, seen).compile(&device, &network);
            assert_eq!(compiled.is_err(), later, "{what}: {:?}", compiled.err());
            let Ok(mut run) = compiled else { continue };
            run.run(|_| ControlFlow::Continue(())).expect(&what);
            let image = run.image().expect(&what);
            assert!(image.rgb.iter().all(|value| value.is_finite()), "{what}");
        }
    }
}

/// Before anything is made that has an element for each of them.
#[test]
fn a_batch_of_two_billion_images_is_refused() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let mut recipe = recipe(&[], &[]);
    for batch in [65_536, 1 << 31, u32::MAX] {
        recipe.image.batch = Some(batch);
        let error = recipe.compile(&device, &network).expect_err("too many");
        let expected = format!("a batch of {batch} images is too large: at most 65535 fit");
        assert_eq!(error.to_string(), expected);
    }
}
