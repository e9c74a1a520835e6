//! `--precision f16` as a user meets it: less memory, nearly the same picture, and a recipe that keeps it.

use std::fs;

use pixgrad::engine::image::psnr;
use serde_json::{Value, json};

use crate::Desk;

const STYLE: &str = "style content.png style.png --size 64 --min-size 64 -i 12";

#[test]
fn it_takes_less_memory() {
    let desk = Desk::new();
    let bytes = |precision: &str| {
        let plan = desk.json(&format!(
            "style content.png style.png --size 512 --min-size 512 --dry-run --json --precision {precision}"
        ));
        plan["scales"][0]["buffer_bytes"].as_u64().expect("bytes")
    };
    let (whole, half) = (bytes("f32"), bytes("f16"));
    assert!(half * 4 < whole * 3, "{half} of {whole}");
    let plan = |precision: &str| {
        let plan = desk.json(&format!("plan -s 256 --json --precision {precision}"));
        plan["sizes"][0]["scales"]
            .as_array()
            .expect("scales")
            .clone()
    };
    let last = |scales: Vec<Value>| scales.last().expect("a scale")["buffer_bytes"].as_u64();
    assert!(last(plan("f16")) < last(plan("f32")));
}

#[test]
fn it_paints_the_same_picture_and_is_kept_in_the_recipe() {
    let desk = Desk::new();
    desk.done(&format!("{STYLE} -o whole.png"));
    desk.done(&format!(
        "{STYLE} -o half.png --precision f16 --save-recipe half.toml"
    ));
    let distance = psnr(&desk.load("whole.png"), &desk.load("half.png")).expect("one size");
    assert!(distance > 35.0 && distance.is_finite(), "{distance} dB");
    let recipe = fs::read_to_string(desk.path("half.toml")).expect("a recipe");
    assert!(recipe.contains("precision = \"f16\""), "{recipe}");
    desk.done("run half.toml -o again.png");
    let bytes = |name: &str| fs::read(desk.path(name)).expect("a picture");
    assert_eq!(bytes("again.png"), bytes("half.png"));
    // What is said on the command line counts more.
    desk.done("run half.toml -o exact.png --precision f32");
    assert_eq!(desk.load("exact.png").rgb, desk.load("whole.png").rgb);
    desk.done(&format!("{STYLE} -o f32.png --save-recipe f32.toml"));
    let recipe = fs::read_to_string(desk.path("f32.toml")).expect("a recipe");
    assert!(!recipe.contains("precision"), "{recipe}");
}

#[test]
fn a_report_says_how_layers_were_stored() {
    let desk = Desk::new();
    let report = |precision: &str| {
        let line = "bench --quick --model squeezenet1_1 --sizes 48 --json --precision";
        desk.json(&format!("{line} {precision}"))
    };
    let (whole, half) = (report("f32"), report("f16"));
    assert_eq!(
        (&whole["precision"], &half["precision"]),
        (&json!("f32"), &json!("f16"))
    );
    let planned = |report: &Value| report["iterations"][0]["planned_bytes"].as_u64();
    assert!(planned(&half) < planned(&whole));
    assert_eq!(half["iterations"][0]["right"], json!(true));
    let kernels = half["kernels"].as_array().expect("kernels");
    assert!(
        kernels.iter().all(|k| k["right"] == json!(true)),
        "{kernels:?}"
    );
    assert_eq!(half["ceilings"]["coop_gflops"], Value::Null);
}
