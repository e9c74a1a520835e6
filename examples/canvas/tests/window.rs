//! The window on a virtual display, with a software adapter: what it shows is looked into.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Ends the process with the test, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A virtual display, and its number.
fn display() -> (Running, String) {
    let mut command = Command::new("Xvfb");
    // It chooses a free number itself and writes it here.
    let file = std::env::temp_dir().join(format!("canvas-display-{}", std::process::id()));
    let numbers = std::fs::File::create(&file).expect("a file");
    command.args(["-displayfd", "1", "-screen", "0", "1000x700x24"]);
    command.stdout(numbers).stderr(std::process::Stdio::null());
    let xvfb = Running(command.spawn().expect("Xvfb is installed"));
    let start = Instant::now();
    loop {
        let number = std::fs::read_to_string(&file).expect("the file");
        if number.ends_with('\n') {
            let _ = std::fs::remove_file(&file);
            return (xvfb, format!(":{}", number.trim()));
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no display");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The mean of a part of a picture, and how much its pixels differ from it.
fn statistics(
    picture: &image::RgbaImage,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
) -> ([f64; 3], f64) {
    let part = image::imageops::crop_imm(picture, x, y, width, height).to_image();
    let count = f64::from(width * height);
    let mean = [0, 1, 2].map(|c| part.pixels().map(|p| f64::from(p[c])).sum::<f64>() / count);
    let spread: f64 = part
        .pixels()
        .map(|p| {
            (0..3)
                .map(|c| (f64::from(p[c]) - mean[c]).powi(2))
                .sum::<f64>()
        })
        .sum();
    (mean, (spread / count / 3.0).sqrt())
}

#[test]
fn the_window_shows_the_painting_and_frames_never_wait() {
    let (_xvfb, display) = display();
    let shot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("canvas.png");
    let _ = std::fs::remove_file(&shot);
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("canvas.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_canvas"));
    command
        .env("DISPLAY", display)
        .env_remove("WAYLAND_DISPLAY")
        .env("CANVAS_SCREENSHOT", &shot)
        .env("CANVAS_ITERATIONS", "8")
        .stdout(std::fs::File::create(&report).expect("a file"));
    let mut canvas = Running(command.spawn().expect("the window"));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = canvas.0.try_wait().expect("the window") {
            break status;
        }
        assert!(
            start.elapsed() < Duration::from_secs(240),
            "it does not end"
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{status}");

    // Frames went on while it painted, and none waited for the GPU.
    let report = std::fs::read_to_string(&report).expect("a report");
    let number = |name: &str| -> f64 {
        let after = report.split(&format!("\"{name}\": ")).nth(1).expect(name);
        let end = after.find([',', '}']).expect("a number");
        after[..end].parse().expect("a number")
    };
    assert_eq!(number("iterations"), 8.0, "{report}");
    assert!(number("frames") >= 8.0, "{report}");
    assert!(number("longest_ms") < 250.0, "{report}");

    // The painting fills the left part. After so few iterations it has the contrast and the colours of the photo.
    let picture = image::open(&shot).expect("a screenshot").into_rgba8();
    let (width, height) = picture.dimensions();
    assert!(width >= 800 && height >= 440, "{width}x{height}");
    let (mean, spread) = statistics(&picture, 12, 48, 556, 364);
    assert!(spread > 25.0, "the painting has contrast: {spread}");
    let photo = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../samples/images/chelsea.png"
    );
    let photo = image::open(photo).expect("a sample").into_rgba8();
    let (own, _) = statistics(&photo, 0, 0, photo.width(), photo.height());
    for (mean, own) in mean.iter().zip(own) {
        assert!(
            (mean - own).abs() < 20.0,
            "{mean:?} where the photo has {own:?}"
        );
    }
}
