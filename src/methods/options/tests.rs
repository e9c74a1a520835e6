use serde_json::json;

use super::*;

fn asked(method: &str, options: serde_json::Value) -> Result<Asked, String> {
    let serde_json::Value::Object(options) = options else {
        panic!("options are a table");
    };
    let image = Image::filled(64, 48, [0.5; 3]).expect("an image");
    let pictures = Pictures::from([("photo".to_string(), Arc::new(image))]);
    Asked::read(method, options, &pictures).map_err(|e| e.to_string())
}

#[test]
fn a_table_of_options_makes_the_recipe() {
    let options = json!({
        "content": "photo", "styles": ["photo", "b.jpg"], "size": "native", "content-weight": 2,
        "style_weights": [1, 0.5], "style_layers": "relu1_1:0.5,relu2_1", "iterations": 7, "tileable": true,
        "init": "photo", "seed": null,
    });
    let recipe = asked("style", options).expect("a recipe").recipe;
    assert_eq!(recipe.image.size, None);
    assert_eq!(recipe.terms[0].weight, 2.0);
    assert_eq!(recipe.optimizer.iterations, 7);
    assert!(recipe.is_tile());
    assert!(matches!(
        &recipe.image.init,
        crate::spec::Init::Picture(Picture::Memory(_))
    ));
    let (style, _) = recipe.terms[1].kind.style().expect("a style");
    assert!(
        matches!(&style.target[..], [Picture::Memory(_), Picture::File(path)] if path.ends_with("b.jpg"))
    );
    assert_eq!(style.target_weights, [1.0, 0.5]);
    assert_eq!(style.layers.len(), 2);
}

#[test]
fn the_picture_in_memory_gives_the_size() {
    let recipe = asked("style", json!({"content": "photo", "styles": "photo"})).expect("a recipe");
    assert_eq!(recipe.recipe.image.size, Some(64));
}

#[test]
fn what_is_wrong_is_told_with_the_options_name() {
    for (method, options, expected) in [
        ("paint", json!({}), "there is no method `paint`"),
        (
            "style",
            json!({"styles": ["a"]}),
            "style needs the option `content`",
        ),
        ("style", json!({"content": "photo"}), "styles: at least one"),
        (
            "style",
            json!({"contents": "photo"}),
            "style has no option `contents`; it has",
        ),
        (
            "style",
            json!({"content": "photo", "styles": "photo", "size": 0}),
            "size: it must be a whole number of pixels",
        ),
        (
            "style",
            json!({"content": "photo", "styles": "photo", "tileable": 1}),
            "tileable: it must be true or false",
        ),
        (
            "texture",
            json!({"styles": "photo", "init": "content"}),
            "init: a texture has no content",
        ),
        (
            "dream",
            json!({"image": "photo", "octave_scale": 1}),
            "octave_scale: it must be greater than 1",
        ),
        (
            "dream",
            json!({"image": "photo", "preset": "x"}),
            "preset: it must be google",
        ),
        (
            "invert",
            json!({"image": "photo"}),
            "invert needs the option `layer`",
        ),
        (
            "visualize",
            json!({}),
            "name either a class, a unit or a direction",
        ),
        (
            "visualize",
            json!({"class": 1, "unit": "conv1:2"}),
            "name either",
        ),
        (
            "visualize",
            json!({"class": 1, "canvas": "receptive-field"}),
            "canvas: receptive-field is for a unit",
        ),
        ("fool", json!({}), "fool needs the option `class`"),
        (
            "fool",
            json!({"class": 3, "confidence": 1}),
            "confidence: it must be a number from 0 to less than 1",
        ),
    ] {
        let error = asked(method, options.clone()).expect_err("wrong");
        assert!(error.contains(expected), "{method} {options}: {error}");
    }
}

#[test]
fn an_attack_takes_its_own_options_only() {
    let none = Pictures::new();
    let attack = |options: serde_json::Value| {
        let serde_json::Value::Object(options) = options else {
            panic!("options are a table");
        };
        let mut given = Given::new("attack", options, &none);
        let options = AttackOptions::take(&mut given)?;
        given.finish()?;
        options.attack()
    };
    let pgd = attack(json!({"method": "pgd", "norm": "l2", "steps": 3})).expect("an attack");
    assert_eq!((pgd.epsilon, pgd.steps), (1.0, Some(3)));
    let error = attack(json!({"method": "cw", "epsilon": "8/255"})).expect_err("no ball");
    assert_eq!(error.to_string(), "epsilon: cw does not have it");
}

#[test]
fn the_network_completes_what_needs_it() {
    let network = Network::load(&crate::Device::cpu(), CLASSIFIER).expect("embedded");
    let mut dream = asked("dream", json!({"image": "photo"})).expect("a dream");
    dream.complete(&network).expect("layers");
    assert!(
        dream.recipe.terms[0]
            .kind
            .layers_mut()
            .is_some_and(|l| !l.is_empty())
    );

    let options = json!({"unit": "fire3/concat:5:center", "canvas": "receptive-field"});
    let mut unit = asked("visualize", options).expect("a unit");
    unit.complete(&network).expect("a canvas");
    assert!(unit.finish().is_some_and(|finish| finish.crop.is_some()));

    let mut invert =
        asked("invert", json!({"image": "photo", "layer": "conv10"})).expect("a layer");
    let before = invert.recipe.terms[2].weight;
    invert.complete(&network).expect("a weight");
    assert!(
        invert.recipe.terms[2].weight > before,
        "a deep layer needs more"
    );

    let fool = asked("fool", json!({"class": "no such class"})).expect("a class by name");
    assert!({ fool }.complete(&network).is_err());
}
