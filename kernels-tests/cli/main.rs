//! The command line tool as a user meets it: files, reports, messages, exit codes. On the `cpu` device, on small
//! pictures.

mod attack;
mod batch;
mod bench;
mod checkpoint;
mod control;
mod desk;
mod ends;
mod examples;
mod install;
mod losses;
mod made;
mod memory;
mod methods;
mod networks;
mod output;
mod pipes;
mod precision;
mod publish;
mod refusals;
mod search;
#[cfg(feature = "serve")]
mod serve;
mod server;

use std::fs;
use std::path::Path;

use pixgrad::Image;
use pixgrad::engine::image;
use safetensors::SafeTensors;
use serde_json::Value;

use desk::{Desk, sample, samples, text};
#[cfg(unix)]
use nix::sys::signal::Signal;

const SHORT: &str = "--size 64 --min-size 64 -i 5";

// What works.

#[test]
fn classify_sees_the_cat() {
    let desk = Desk::new();
    let cat = samples().join("images/chelsea.png");
    let document = desk.json(&format!("classify --json --top 3 {}", cat.display()));
    assert_eq!(document.as_array().map(Vec::len), Some(1));
    assert_eq!(document[0]["image"], cat.display().to_string());
    let expected = [
        (285, "Egyptian cat", 0.50),
        (281, "tabby", 0.26),
        (282, "tiger cat", 0.23),
    ];
    let top = document[0]["top"].as_array().expect("a list");
    assert_eq!(top.len(), expected.len());
    for (score, (class, label, probability)) in top.iter().zip(expected) {
        assert_eq!(
            (score["class"].as_u64(), score["label"].as_str()),
            (Some(class), Some(label))
        );
        let found = score["probability"].as_f64().expect("a number");
        assert!((found - probability).abs() < 0.02, "{label}: {found}");
        assert!(score["logit"].is_f64());
    }

    let stdout = desk.done(&format!(
        "classify --size native --top 2 {} style.png",
        cat.display()
    ));
    assert_eq!(
        stdout.lines().count(),
        6,
        "two pictures with two classes each: {stdout}"
    );
    assert!(stdout.contains("(285)"), "{stdout}");
}

#[test]
fn style_paints_and_reports() {
    let desk = Desk::new();
    let line = format!(
        "style content.png style.png -o out.png {SHORT} -i 20 --trace trace.json --save-recipe r.toml --json"
    );
    let report = desk.json(&line.replace("-i 5 ", ""));
    let out = desk.load("out.png");
    assert_eq!(out.size(), (64, 48));
    assert_ne!(out, desk.load("content.png"));
    assert_eq!(report["output"], "out.png");
    assert_eq!(
        (&report["width"], &report["height"]),
        (&64.into(), &48.into())
    );
    assert_eq!(report["model"], "squeezenet1_1", "auto on the processor");
    assert_eq!(report["device"]["backend"], "cpu");
    assert_eq!(report["iterations"], 20);
    assert_eq!(report["stopped"], false);
    assert!(report["seconds"].as_f64().is_some_and(|s| s > 0.0));
    let kinds: Vec<_> = report["terms"]
        .as_array()
        .expect("terms")
        .iter()
        .map(|t| &t["kind"])
        .collect();
    assert_eq!(kinds, ["content", "gram", "tv"]);

    let trace: Value =
        serde_json::from_slice(&fs::read(desk.path("trace.json")).expect("a trace")).expect("JSON");
    assert_eq!(trace["device"], report["device"]);
    assert_eq!(trace["recipe"]["model"], "squeezenet1_1");
    let iterations = trace["iterations"].as_array().expect("iterations");
    assert_eq!(iterations.len(), 20);
    for (i, iteration) in iterations.iter().enumerate() {
        assert_eq!(iteration["i"], i);
        assert_eq!(iteration["scale"], serde_json::json!([64, 48]));
        assert_eq!(iteration["terms"].as_array().map(Vec::len), Some(3));
        assert!(iteration["ms"].as_f64().is_some_and(|ms| ms > 0.0));
    }
    let loss = |i: usize| iterations[i]["loss"].as_f64().expect("a loss");
    assert!(loss(19) < 0.7 * loss(0), "{} to {}", loss(0), loss(19));
    assert_eq!(report["loss"], iterations[19]["loss"]);

    // The saved recipe, from another folder, gives the same picture.
    fs::create_dir(desk.path("sub")).expect("a folder");
    fs::rename(desk.path("r.toml"), desk.path("sub/r.toml")).expect("moved");
    desk.done("run sub/r.toml -o again.png");
    assert_eq!(desk.load("again.png"), out);
}

#[test]
fn the_default_output_is_named_after_the_content_and_said() {
    let desk = Desk::new();
    let output = desk.run(&format!("style content.png style.png {SHORT}"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(desk.load("content-pixgrad.png").size(), (64, 48));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    assert!(
        stdout.contains("content-pixgrad.png") && stdout.contains("on cpu"),
        "{stdout}"
    );
    let first = stderr.lines().next().expect("a line at the start");
    for word in ["squeezenet1_1 (auto)", "cpu", "64x48", "5 iterations"] {
        assert!(first.contains(word), "{first}");
    }
    let quiet = desk.run(&format!("style content.png style.png {SHORT} -q"));
    assert_eq!(text(&quiet.stderr), "");
}

#[test]
fn several_styles_are_blended() {
    let desk = Desk::new();
    desk.picture("gravel.png", &sample("gravel.png", 64, 64));
    let run = |weights: &str, out: &str| {
        desk.done(&format!(
            "style content.png style.png gravel.png --style-weights {weights} -o {out} {SHORT}"
        ));
        desk.load(out)
    };
    assert_ne!(run("1,0", "a.png"), run("0,1", "b.png"));
    // Weights are shares.
    assert_eq!(run("2,2", "c.png"), run("1,1", "d.png"));
}

#[test]
fn texture_has_the_size_asked_for_and_follows_the_seed() {
    let desk = Desk::new();
    let run = |seed: u32, out: &str| {
        let report = desk.json(&format!(
            "texture style.png -o {out} --size 72x40 --min-size 72 -i 5 --seed {seed} --json"
        ));
        assert_eq!(
            (&report["width"], &report["height"]),
            (&72.into(), &40.into())
        );
        desk.load(out)
    };
    let first = run(1, "a.png");
    assert_eq!(first.size(), (72, 40));
    assert_eq!(run(1, "b.png"), first, "the same seed");
    assert_ne!(run(2, "c.png"), first, "another seed");
}

#[test]
fn a_narrow_picture_starts_at_the_coarsest_scale_that_its_layers_can_take() {
    let desk = Desk::new();
    let plan = desk.json("texture style.png --size 256x32 --min-size 16 --dry-run --json");
    let scales = plan["scales"].as_array().expect("scales");
    assert!(
        (2..8).contains(&scales.len()),
        "of 9 scales down to 16x2: {plan}"
    );
    desk.done("texture style.png -o out.png --size 256x32 --min-size 16 -i 2");
    assert_eq!(desk.load("out.png").size(), (256, 32));
}

#[test]
fn run_takes_overrides() {
    let desk = Desk::new();
    let recipe = samples().join("recipes/style.toml");
    let line = format!(
        "run {} -o out.webp --size 48 -i 3 --seed 4 --json",
        recipe.display()
    );
    let report = desk.json(&line);
    assert_eq!(
        (&report["width"], &report["iterations"]),
        (&48.into(), &3.into())
    );
    assert_eq!(desk.load("out.webp").width, 48);
}

#[test]
fn images_are_saved_on_the_way() {
    let desk = Desk::new();
    desk.done(&format!(
        "style content.png style.png -o out.png {SHORT} --save-every 2"
    ));
    let expected = [
        "content.png",
        "out-000002.png",
        "out-000004.png",
        "out.png",
        "style.png",
    ];
    assert_eq!(desk.files(), expected);
    assert_ne!(desk.load("out-000002.png"), desk.load("out-000004.png"));
}

/// The tensors of a safetensors file, as f32.
fn tensors(path: &Path) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut all: Vec<_> = file
        .iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F32);
            let values = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (name.to_string(), view.shape().to_vec(), values.collect())
        })
        .collect();
    all.sort_by(|a: &(String, Vec<usize>, Vec<f32>), b| a.0.cmp(&b.0));
    all
}

#[test]
fn features_are_written_under_the_names_asked_for() {
    let desk = Desk::new();
    let report = desk.json(
        "features content.png --layers relu_conv1,fire2/concat,logits -o f.safetensors --json",
    );
    assert_eq!(
        report["layers"][0],
        serde_json::json!({ "layer": "relu_conv1", "shape": [64, 23, 31] })
    );
    let found = tensors(&desk.path("f.safetensors"));
    let shapes: Vec<_> = found
        .iter()
        .map(|(name, shape, _)| (name.as_str(), shape.as_slice()))
        .collect();
    // 64x48 pixels through a 3x3 convolution of stride 2, then a ceil-mode 3x3 pool of stride 2.
    assert_eq!(
        shapes,
        [
            ("fire2/concat", &[128, 11, 15][..]),
            ("logits", &[1000, 1, 1]),
            ("relu_conv1", &[64, 23, 31])
        ]
    );
    let relu = &found[2].2;
    assert!(relu.iter().all(|v| *v >= 0.0) && relu.iter().any(|v| *v > 0.0));

    desk.done("features content.png --layers features.0 -o g.safetensors --size 32");
    assert_eq!(tensors(&desk.path("g.safetensors"))[0].1, [64, 11, 15]);
}

#[test]
fn grad_writes_the_gradient_the_loss_and_the_terms() {
    let desk = Desk::new();
    let recipe = samples().join("recipes/gradient.toml");
    let report = desk.json(&format!(
        "grad {} -o g.safetensors --size 64 --json",
        recipe.display()
    ));
    let found = tensors(&desk.path("g.safetensors"));
    let names: Vec<_> = found.iter().map(|t| t.0.as_str()).collect();
    assert_eq!(names, ["gradient", "loss", "term.0", "term.1", "term.2"]);
    let (gradient, loss) = (&found[0], found[1].2[0]);
    assert_eq!(gradient.1[0], 3);
    assert_eq!(gradient.1.iter().max(), Some(&64));
    assert!(gradient.2.iter().all(|v| v.is_finite()) && gradient.2.iter().any(|v| *v != 0.0));
    let sum: f32 = found[2..].iter().map(|t| t.2[0]).sum();
    assert!(
        (loss - sum).abs() <= 1e-5 * loss.abs(),
        "{loss} is not {sum}"
    );
    assert_eq!(report["loss"].as_f64().map(|l| l as f32), Some(loss));
}

#[test]
fn devices_always_end_with_the_processor() {
    let desk = Desk::new();
    let document = desk.json("devices --json");
    let devices = document["devices"].as_array().expect("a list");
    let last = devices.last().expect("at least one");
    assert_eq!(
        (&last["name"], &last["backend"], &last["type"]),
        (&"cpu".into(), &"cpu".into(), &"cpu".into())
    );
    for (i, device) in devices.iter().enumerate() {
        assert_eq!(device["index"], i);
        assert!(device["features"].is_array() && device["max_buffer_bytes"].is_u64());
    }
    let table = desk.done("devices");
    assert_eq!(table.lines().count(), devices.len() + 1, "{table}");
}

#[test]
fn models_are_listed_and_shown() {
    let desk = Desk::new();
    let document = desk.json("models --json");
    let names: Vec<_> = document["models"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| &m["name"])
        .collect();
    assert_eq!(names, ["squeezenet1_1", "vgg19"]);
    assert_eq!(document["models"][0]["license"], "Apache-2.0");
    let vgg = desk.json("models show vgg19 --json");
    let layers: Vec<_> = vgg["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|l| &l["name"])
        .collect();
    assert_eq!(layers.last(), Some(&&Value::from("relu4_1")));
    assert_eq!(vgg["architecture"], "vgg19");

    // An installed network is found; a broken file beside it is told of and hides nothing.
    fs::create_dir(desk.path("no models")).expect("a folder");
    fs::copy(
        samples().join("models/squeezenet1_1.safetensors"),
        desk.path("no models/mine.safetensors"),
    )
    .expect("copy");
    fs::write(desk.path("no models/broken.safetensors"), "no").expect("written");
    let output = desk.run("models list");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("mine") && text(&output.stdout).contains("installed"));
    assert!(
        text(&output.stderr).contains("`broken`"),
        "{}",
        text(&output.stderr)
    );
    assert!(desk.done("models show mine").contains("fire9/concat"));
}

#[test]
fn alpha_is_carried_through() {
    let desk = Desk::new();
    let alpha: Vec<f32> = (0..64 * 48)
        .map(|i| (i % 64) as f32 / 63.0)
        .map(|a| (a * 255.0).round() / 255.0)
        .collect();
    let content = sample("chelsea.png", 64, 48)
        .with_alpha(alpha.clone())
        .expect("as many values");
    desk.picture("clear.png", &content);
    desk.done(&format!("style clear.png style.png -o out.png {SHORT}"));
    assert_eq!(desk.load("out.png").alpha, Some(alpha));

    let output = desk.run(&format!("style clear.png style.png -o out.jpg {SHORT}"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(desk.load("out.jpg").alpha, None);
    assert!(
        text(&output.stderr).contains("warning: JPEG holds no transparency"),
        "{}",
        text(&output.stderr)
    );
    // White behind what is transparent, or the colour that is asked for. The first column is.
    let ground = |desk: &Desk| desk.load("out.jpg").pixel(0, 20);
    assert!(
        ground(&desk).iter().all(|v| *v > 0.9),
        "{:?}",
        ground(&desk)
    );
    desk.done(&format!(
        "style clear.png style.png --background #000000 -o out.jpg {SHORT}"
    ));
    assert!(
        ground(&desk).iter().all(|v| *v < 0.1),
        "{:?}",
        ground(&desk)
    );
    desk.refused(
        "style clear.png style.png --background reddish -o out.jpg",
        2,
        &["--background", "#ff8000"],
    );
}

/// A content or a start image on a transparent ground: what is seen of the result does not depend on the colour there,
/// at the size of the file and smaller.
#[test]
fn what_is_transparent_in_a_content_shows_nowhere() {
    let desk = Desk::new();
    let content = sample("chelsea.png", 64, 48);
    let alpha: Vec<f32> = (0..64 * 48)
        .map(|i| if i % 64 < 20 { 0.0 } else { 1.0 })
        .collect();
    for (name, hidden) in [("red.png", [1.0, 0.0, 0.0]), ("black.png", [0.0; 3])] {
        let mut clear = content.clone();
        for (pixel, opacity) in clear.rgb.chunks_exact_mut(3).zip(&alpha) {
            if *opacity == 0.0 {
                pixel.copy_from_slice(&hidden);
            }
        }
        desk.picture(name, &clear.with_alpha(alpha.clone()).expect("alpha"));
    }
    for command in [
        "style CONTENT style.png --min-size 48",
        "dream CONTENT --octaves 1",
    ] {
        for size in [64, 48] {
            let seen = |content: &str| {
                let command = command.replace("CONTENT", content);
                desk.done(&format!("{command} --size {size} -i 3 -o out.png"));
                let image = desk.load("out.png");
                let alpha = image.alpha.clone().expect("alpha");
                let pixels = image.rgb.chunks_exact(3).zip(alpha);
                let seen = pixels.filter(|(_, alpha)| *alpha > 0.0);
                seen.flat_map(|(pixel, _)| pixel.to_vec())
                    .collect::<Vec<f32>>()
            };
            assert!(seen("red.png") == seen("black.png"), "{command} at {size}");
        }
    }
}

/// A round style on a transparent ground, in which a file may have any colour.
#[test]
fn what_is_transparent_in_a_style_counts_for_nothing() {
    let desk = Desk::new();
    let style = sample("starry_night.jpg", 64, 64);
    let opacity = |i: usize| {
        let (row, column) = ((i / 64) as f32 - 31.5, (i % 64) as f32 - 31.5);
        if row.hypot(column) < 24.0 { 1.0 } else { 0.0 }
    };
    let alpha: Vec<f32> = (0..64 * 64).map(opacity).collect();
    for (name, hidden) in [("red.png", [1.0, 0.0, 0.0]), ("black.png", [0.0; 3])] {
        let mut round = style.clone();
        for (i, pixel) in round.rgb.chunks_exact_mut(3).enumerate() {
            if alpha[i] == 0.0 {
                pixel.copy_from_slice(&hidden);
            }
        }
        desk.picture(name, &round.with_alpha(alpha.clone()).expect("alpha"));
    }
    desk.picture("opaque.png", &style);
    for loss in ["gram", "bn", "sliced-wasserstein"] {
        for start in ["content", "stats"] {
            let paint = |style: &str| {
                desk.done(&format!(
                    "style content.png {style} --style-loss {loss} --init {start} -o out.png \
                     --size 48 --min-size 48 -i 5"
                ));
                desk.load("out.png")
            };
            let picture = paint("red.png");
            assert_eq!(picture, paint("black.png"), "{loss} from {start}");
            assert_ne!(picture, paint("opaque.png"), "{loss} from {start}");
        }
    }
    let texture = |sample: &str| {
        desk.done(&format!(
            "texture {sample} -o out.png --size 48 --min-size 48 -i 5"
        ));
        desk.load("out.png")
    };
    assert_eq!(texture("red.png"), texture("black.png"));
    assert_ne!(texture("red.png"), texture("opaque.png"));
    let nothing = style.with_alpha(vec![0.0; 64 * 64]).expect("alpha");
    desk.picture("nothing.png", &nothing);
    desk.refused(
        "style content.png nothing.png -o out.png",
        1,
        &["nothing.png", "transparent everywhere"],
    );
}

#[test]
fn the_exif_orientation_is_honoured() {
    let desk = Desk::new();
    desk.picture("plain.jpg", &sample("chelsea.png", 64, 48));
    let jpeg = fs::read(desk.path("plain.jpg")).expect("a file");
    // After the start marker: an APP1 segment with a TIFF of one entry, orientation 6 (turn right).
    let mut exif =
        b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut segment = vec![0xFF, 0xE1];
    segment.extend(u16::try_from(exif.len() + 2).expect("short").to_be_bytes());
    segment.append(&mut exif);
    let turned = [&jpeg[..2], &segment, &jpeg[2..]].concat();
    fs::write(desk.path("turned.jpg"), turned).expect("written");
    let report = desk.json(&format!(
        "style turned.jpg style.png -o out.png {SHORT} --json"
    ));
    assert_eq!(
        (&report["width"], &report["height"]),
        (&48.into(), &64.into())
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_iteration_and_writes_the_image() {
    let desk = Desk::new();
    let line = "style content.png style.png -o out.png --size 64 --min-size 64 -i 1000000 --trace t.json --json";
    let mut run = desk.start(line);
    run.until_stderr_begins("iteration ");
    run.signal(Signal::SIGINT);
    let output = run.output();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(desk.load("out.png").size(), (64, 48));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["stopped"], true);
    let iterations = report["iterations"].as_u64().expect("a number");
    assert!((1..1_000_000).contains(&iterations));
    let trace: Value =
        serde_json::from_slice(&fs::read(desk.path("t.json")).expect("a trace")).expect("JSON");
    assert_eq!(
        trace["iterations"].as_array().map(|i| i.len() as u64),
        Some(iterations)
    );
}

#[test]
fn nobody_reading_stdout_is_no_failure() {
    let desk = Desk::new();
    let mut run = desk.start("models show vgg19");
    run.close_stdout();
    let output = run.output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}
