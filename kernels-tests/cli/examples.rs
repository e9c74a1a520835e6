//! Every program of `examples/` runs and writes a picture.

use std::process::Command;

use super::{Desk, text};

/// Runs an example in a desk's folder; its stdout. `cargo test` has built it already, so cargo only starts it.
fn run(desk: &Desk, name: &str, arguments: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let build = [
        "build",
        "--release",
        "--quiet",
        "--manifest-path",
        manifest,
        "--example",
        name,
    ];
    let built = Command::new(cargo)
        .args(build)
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "{}", text(&built.stderr));
    let tool = std::path::Path::new(env!("CARGO_BIN_EXE_pixgrad"));
    let program = tool.with_file_name("examples").join(name);
    let mut command = Command::new(program.with_extension(std::env::consts::EXE_EXTENSION));
    command
        .current_dir(desk.path(""))
        .args(arguments.split_whitespace())
        .env("PIXGRAD_ADAPTER", "software");
    let output = command.output().expect("the example starts");
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The mean of a picture's colour values, for red, green and blue.
fn means(desk: &Desk, name: &str) -> [f32; 3] {
    let image = desk.load(name);
    assert_eq!(image.size(), (64, 48), "{name}");
    let pixels = image.rgb.len() as f32 / 3.0;
    [0, 1, 2].map(|c| image.rgb.iter().skip(c).step_by(3).sum::<f32>() / pixels)
}

#[test]
fn paint() {
    let desk = Desk::new();
    let said = run(&desk, "paint", "content.png style.png out.png 64 8");
    assert!(
        said.contains("iterations on") && said.contains("out.png"),
        "{said}"
    );
    let _ = means(&desk, "out.png");
}

#[test]
fn a_term_of_ones_own_makes_the_picture_warmer() {
    let desk = Desk::new();
    let said = run(&desk, "own_term", "content.png style.png warm.png 64 12");
    assert!(said.contains("red minus blue"), "{said}");
    let _ = run(&desk, "paint", "content.png style.png plain.png 64 12");
    let warmth = |[red, _, blue]: [f32; 3]| red - blue;
    let (warm, plain) = (means(&desk, "warm.png"), means(&desk, "plain.png"));
    assert!(warmth(warm) > warmth(plain) + 0.02, "{warm:?} {plain:?}");
}

#[test]
fn gradient() {
    let desk = Desk::new();
    let said = run(&desk, "gradient", "content.png out.png 4");
    let losses: Vec<f64> = said
        .lines()
        .filter_map(|line| line.split("loss ").nth(1)?.split(',').next()?.parse().ok())
        .collect();
    assert_eq!(losses.len(), 4, "{said}");
    assert!(losses[3] < losses[0], "the objective falls: {said}");
    let _ = means(&desk, "out.png");
}

/// On the software adapter, in a command encoder and a texture of the host's.
#[test]
fn host_texture() {
    let desk = Desk::new();
    let _ = run(&desk, "host_texture", "content.png style.png out.png 64 4");
    let _ = means(&desk, "out.png");
    let (before, after) = (desk.load("content.png"), desk.load("out.png"));
    assert!(before.rgb != after.rgb, "nothing was painted");
}
