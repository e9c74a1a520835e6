//! Every method of optimizing the picture, end to end on small pictures with the embedded network.

use pixgrad::engine::image::psnr;
use pixgrad::engine::methods::classify::{Size, classify};
use pixgrad::{Device, Network};

use super::*;

/// The part of the first loss that is left at the end, by a trace.
fn losses(desk: &Desk, trace: &str) -> Vec<f64> {
    let text = fs::read_to_string(desk.path(trace)).expect("a trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let iterations = trace["iterations"].as_array().expect("iterations");
    iterations
        .iter()
        .map(|i| i["loss"].as_f64().expect("a loss"))
        .collect()
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn invert_reconstructs_low_layers_almost_exactly_and_deep_ones_less() {
    let desk = Desk::new();
    let report = desk.json(
        "invert content.png --model vgg19 --layers relu1_1,relu2_1,relu4_1 -i 80 -o sheet.png --json",
    );
    let layers = report["layers"].as_array().expect("layers");
    let errors: Vec<f64> = layers.iter().map(|l| number(&l["error"])).collect();
    let psnrs: Vec<f64> = layers.iter().map(|l| number(&l["psnr"])).collect();
    assert!(errors[0] < 0.02 && errors[1] < 0.02, "{errors:?}");
    assert!(psnrs[0] > psnrs[1] && psnrs[1] > psnrs[2], "{psnrs:?}");
    assert!(psnrs[2] < 25.0 && psnrs[2] > 12.0, "{psnrs:?}");
    // Four pictures of 64×48 with gaps of 8.
    assert_eq!(desk.load("sheet.png").size(), (4 * 64 + 5 * 8, 48 + 2 * 8));
}

#[test]
fn invert_of_one_layer_writes_the_picture_and_falls() {
    let desk = Desk::new();
    desk.done("invert content.png --layer fire2/concat -i 60 -o out.png --trace t.json --save-recipe r.toml");
    let losses = losses(&desk, "t.json");
    assert!(
        losses[59] < losses[0] / 10.0,
        "{} to {}",
        losses[0],
        losses[59]
    );
    let original = desk.load("content.png");
    assert!(psnr(&desk.load("out.png"), &original).expect("one size") > 18.0);
    // The recipe does the same.
    desk.done("run r.toml -o again.png");
    assert_eq!(desk.load("again.png"), desk.load("out.png"));
}

#[test]
fn dreams_answer_more_in_every_preset_and_keep_the_picture() {
    for preset in ["google", "tf1-lapnorm", "tf2", "plain"] {
        let desk = Desk::new();
        desk.done(&format!(
            "dream content.png --preset {preset} --octaves 2 --jitter 4 -i 8 -o out.png --trace t.json"
        ));
        let losses = losses(&desk, "t.json");
        assert_eq!(losses.len(), 16, "{preset}");
        // Each octave begins at its own size; the objective is maximised.
        assert!(losses[15] < losses[8] * 1.05, "{preset}: {losses:?}");
        let likeness = psnr(&desk.load("out.png"), &desk.load("content.png")).expect("one size");
        assert!((8.0..35.0).contains(&likeness), "{preset}: {likeness} dB");
    }
}

#[test]
fn a_dream_is_of_a_channel_or_guided() {
    let desk = Desk::new();
    for (name, options) in [
        ("channel.png", "--layer fire5/concat --channel 3"),
        ("guided.png", "--layer fire3/concat --guide style.png"),
    ] {
        desk.done(&format!(
            "dream content.png {options} --octaves 1 --jitter 0 -i 10 -o {name} --trace t.json"
        ));
        let losses = losses(&desk, "t.json");
        assert!(
            losses[9] < losses[0] - 0.02 * losses[0].abs(),
            "{name}: {losses:?}"
        );
        assert_ne!(desk.load(name), desk.load("content.png"));
    }
}

#[test]
fn a_zoom_writes_its_frames_and_an_animation() {
    let desk = Desk::new();
    let report = desk.json("dream content.png --octaves 1 -i 2 --zoom 2 -o d.png --json");
    assert_eq!(report["frames"], 3);
    assert_eq!(desk.load("d-000002.png").size(), (64, 48));
    let gif = fs::read(desk.path("d.gif")).expect("an animation");
    assert_eq!(&gif[..6], b"GIF89a");
}

#[test]
fn every_preset_of_visualize_raises_its_class() {
    for (preset, rise) in [
        ("lucid", 20.0),
        ("erhan", 100.0),
        ("yosinski1", 4.0),
        ("yosinski2", 20.0),
        ("yosinski3", 20.0),
        ("yosinski4", 2.0),
    ] {
        let desk = Desk::new();
        let report = desk.json(&format!(
            "visualize --class flamingo --preset {preset} -s 80 -i 60 -o v.png --json --trace t.json"
        ));
        let class = &report["classes"][0];
        assert_eq!(class["class"], 130);
        let losses = losses(&desk, "t.json");
        assert!(losses[59] < losses[0] - rise, "{preset}: {losses:?}");
        if preset == "lucid" {
            assert!(number(&class["probability"]) >= 0.9, "{class}");
            let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("embedded");
            let top = classify(&network, &desk.load("v.png"), Size::Native, 1).expect("scores");
            assert_eq!(top[0].class, 130);
            // What is reported is measured on the file.
            let answer = number(&report["answers"][0]);
            assert!(
                (answer - f64::from(top[0].logit)).abs() < 1e-3,
                "{answer}, {top:?}"
            );
        }
    }
}

#[test]
fn units_directions_and_restarts_make_sheets() {
    let desk = Desk::new();
    let report = desk.json(
        "visualize --unit fire3/concat:5:center --canvas receptive-field --restarts 4 -i 20 -o u.png --json",
    );
    let answers = report["answers"].as_array().expect("answers");
    assert_eq!(answers.len(), 4);
    // The receptive field is 23 pixels; two by two with gaps of 4.
    assert_eq!(desk.load("u.png").size(), (2 * 23 + 12, 2 * 23 + 12));

    let report = desk.json(
        "visualize --direction 1,2 --layer fire5/concat -s 64 -i 30 -o v.png --json --trace t.json",
    );
    assert_eq!(report["answers"].as_array().map(Vec::len), Some(2));
    let losses = losses(&desk, "t.json");
    assert!(losses[29] < losses[0], "{losses:?}");
    // The same seed gives the same pictures.
    desk.done("visualize --direction 1,2 --layer fire5/concat -s 64 -i 30 -o w.png");
    assert_eq!(desk.load("v.png"), desk.load("w.png"));
}

#[test]
fn a_fooling_image_is_sure_and_tells_when() {
    let desk = Desk::new();
    let report = desk.json("fool --class 954 -s 96 -o f.png --json");
    assert!(number(&report["probability"]) >= 0.99, "{report}");
    assert_eq!(report["class"], 954);
    let reached = &report["reached"];
    let (half, sure) = (number(&reached["majority"]), number(&reached["0.99"]));
    assert!(half <= sure && sure < 300.0, "{reached}");
    // What the file holds fools as well.
    let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("embedded");
    let top = classify(&network, &desk.load("f.png"), Size::Native, 1).expect("scores");
    assert_eq!(top[0].class, 954);
    assert!(top[0].probability > 0.9, "{top:?}");
}

#[test]
fn a_fooling_image_is_as_sure_as_asked_for() {
    let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("embedded");
    for (seed, confidence) in [(0, 0.5f32), (1, 0.9), (2, 0.9), (3, 0.99)] {
        let desk = Desk::new();
        let report = desk.json(&format!(
            "fool --class 954 -s 64 --seed {seed} --confidence {confidence} -o f.png --json"
        ));
        let top = classify(&network, &desk.load("f.png"), Size::Native, 1).expect("scores");
        assert_eq!(top[0].class, 954);
        assert!(top[0].probability >= confidence, "{confidence}: {top:?}");
        let told = number(&report["probability"]);
        assert!(
            (told - f64::from(top[0].probability)).abs() < 1e-6,
            "{report}"
        );
        // The file is the image after so many iterations, and none before was as sure.
        let reached = number(&report["reached"]["majority"]);
        assert!(reached <= number(&report["iterations"]), "{report}");
    }
}

#[test]
fn evolution_fools_without_a_gradient() {
    let desk = Desk::new();
    let run = |rest: &str| -> Value {
        let line = "fool --method evolve -s 32 --population 24 --seed 3 -q --json";
        serde_json::from_str(&desk.done(&format!("{line} {rest}"))).expect("JSON")
    };
    let found = run("--generations 25 -o sheet.png");
    // A sheet of 4x4 pictures.
    assert_eq!(desk.load("sheet.png").size(), (4 * 36 + 4, 4 * 36 + 4));
    assert_eq!(found["generations"], 25);
    let probabilities = |found: &Value| -> Vec<f64> {
        let top = found["top"].as_array().expect("a list");
        top.iter().map(|t| number(&t["probability"])).collect()
    };
    let top = probabilities(&found);
    assert_eq!(top.len(), 16);
    assert!(top.windows(2).all(|pair| pair[0] >= pair[1]), "{top:?}");

    // What was bred is far better than the noise that it began with.
    let first = run("--generations 1 -o first.png");
    assert!(number(&first["median"]) * 100.0 < number(&found["median"]));
    assert!(probabilities(&first)[8] * 3.0 < top[8], "{first} {found}");

    // The same evolution again, and one class of it: the file holds what was judged.
    let class = found["top"][8]["class"].as_u64().expect("a class");
    let one = run(&format!("--generations 25 --class {class} -o one.png"));
    assert_eq!(one["probability"], found["top"][8]["probability"]);
    assert_eq!(one["median"], found["median"]);
    assert_eq!(one["reached"]["majority"].is_u64(), top[8] >= 0.5, "{one}");
    let seen = desk.done("classify one.png --size native --top 1000 --json");
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    let scores = seen[0]["top"].as_array().expect("a list");
    let own = scores.iter().find(|s| s["class"] == class);
    let file = number(&own.expect("the class")["probability"]);
    assert!((file - top[8]).abs() < 1e-4, "{file} {top:?}");

    let stopped = run(&format!(
        "--generations 25 --class {class} --confidence 0 -o first.png"
    ));
    assert_eq!(stopped["generations"], 1);
    assert_eq!(stopped["stopped"], false);
    let plan = desk.done("fool --method evolve -s 64 --dry-run -o no.png");
    assert!(plan.contains("64x64") && plan.contains("1000"), "{plan}");
    assert!(!desk.files().contains(&"no.png".to_string()));
}

#[test]
fn style_by_lbfgs_takes_fewer_evaluations() {
    let desk = Desk::new();
    desk.done(
        &format!("style content.png style.png -o a.png {SHORT} -i 60 --trace adam.json")
            .replace("-i 5 ", ""),
    );
    desk.done(&format!(
        "style content.png style.png -o l.png {SHORT} -i 30 --optimizer lbfgs --trace lbfgs.json"
    ).replace("-i 5 ", ""));
    let least = |losses: Vec<f64>| losses.into_iter().fold(f64::INFINITY, f64::min);
    let (adam, lbfgs) = (losses(&desk, "adam.json"), losses(&desk, "lbfgs.json"));
    let last = adam[adam.len() - 1];
    assert!(least(lbfgs) <= last, "Adam comes to {last}");
}

#[test]
fn every_sample_recipe_can_be_run() {
    let desk = Desk::new();
    let mut count = 0;
    for entry in fs::read_dir(samples().join("recipes")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let plan = desk.done(&format!("run {} --dry-run -o o.png", path.display()));
        assert!(plan.contains("GFLOP"), "{}: {plan}", path.display());
        count += 1;
    }
    assert!(count >= 8, "{count}");
    assert!(!desk.files().contains(&"o.png".to_string()));
}

#[test]
fn methods_refuse_what_cannot_be() {
    let desk = Desk::new();
    for (line, code, words) in [
        ("visualize --class 1000 -o o.png", 1, &["no class 1000"][..]),
        (
            "visualize --class cat -o o.png",
            1,
            &["tiger cat", "Egyptian cat"],
        ),
        ("visualize --class zzz -o o.png", 1, &["zzz"]),
        (
            "visualize --unit fire8/concat:9999 -o o.png -s 64",
            1,
            &["channel 9999", "511"],
        ),
        (
            "visualize --unit fire8/concat:3:99,0 -o o.png -s 64",
            1,
            &["row 99"],
        ),
        (
            "visualize --unit nosuch:3 -o o.png -s 64",
            1,
            &["nosuch", "fire8/concat"],
        ),
        (
            "visualize --unit fire8/concat:x -o o.png",
            2,
            &["LAYER:CHANNEL"],
        ),
        ("visualize -o o.png", 2, &["--class"]),
        (
            "visualize --class 1 --model vgg19 -o o.png -s 64",
            1,
            &["no classifier", "these have one: squeezenet1_1"],
        ),
        (
            "visualize --class 1 --restarts 2 --class 2 -o o.png",
            2,
            &["--restarts"],
        ),
        ("fool --class 5000 -o o.png", 1, &["no class 5000"]),
        ("fool -o o.png", 2, &["--class"]),
        (
            "fool --class 3 --generations 9 -o o.png",
            2,
            &["--generations", "--method evolve"],
        ),
        (
            "fool --method evolve -i 9 -o o.png",
            2,
            &["no --iterations", "--generations"],
        ),
        (
            "fool --method evolve --init noise -o o.png",
            2,
            &["no --init"],
        ),
        (
            "fool --method evolve --population 0 -o o.png",
            2,
            &["--population"],
        ),
        (
            "fool --method evolve --class cat -o o.png -s 32",
            1,
            &["tiger cat"],
        ),
        (
            "fool --method evolve -s 8 -o o.png",
            1,
            &["8x8", "too small"],
        ),
        (
            "fool --method evolve --model vgg19 -o o.png -s 32",
            1,
            &["no classifier", "these have one: squeezenet1_1"],
        ),
        (
            "fool --method evolve -s 30000 -o o.png",
            1,
            &["the largest size that fits is"],
        ),
        ("dream missing.png -o o.png", 1, &["no such file"]),
        (
            "dream content.png --preset nosuch -o o.png",
            2,
            &["tf1-lapnorm"],
        ),
        (
            "dream content.png --octave-scale 0.5 -o o.png",
            2,
            &["greater than 1"],
        ),
        (
            "dream content.png --layer fire2/concat --channel 4000 -o o.png",
            1,
            &["channel 4000"],
        ),
        ("invert content.png -o o.png", 2, &["--layer"]),
        (
            "invert content.png --layer nosuch -o o.png",
            1,
            &["nosuch", "fire2/concat"],
        ),
    ] {
        desk.refused(line, code, words);
    }
}
