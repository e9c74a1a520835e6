//! Runs that end before they are done, or beside which something fails: the picture is there all the same.

use std::fs;

use super::{Desk, SHORT, text};

#[cfg(unix)]
use nix::sys::signal::Signal;

const LONG: &str = "style content.png style.png -o out.png --size 64 --min-size 64 -i 1000000";

#[cfg(unix)]
#[test]
fn other_signals_do_what_ctrl_c_does() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let desk = Desk::new();
        let mut run = desk.start(&format!("{LONG} --checkpoint c.pixgrad"));
        run.until_stderr_begins("iteration ");
        // At the end of a session a signal may come twice.
        run.signal(signal);
        run.signal(signal);
        let output = run.output();
        assert_eq!(output.status.code(), Some(130), "{signal}");
        assert_eq!(desk.load("out.png").size(), (64, 48), "{signal}");
        assert!(desk.path("c.pixgrad").exists(), "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn a_zoom_that_ctrl_c_ends_says_so() {
    let desk = Desk::new();
    let line = "dream content.png -s 64 -i 1 --zoom 100000 -o d.png --json";
    let mut run = desk.start(line);
    while !desk.path("d-000001.png").exists() {
        assert!(!run.has_ended(), "the zoom goes on");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    run.signal(Signal::SIGINT);
    let output = run.output();
    assert_eq!(output.status.code(), Some(130));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["stopped"], true);
    assert!(desk.path("d.gif").exists());
}

/// Files beside the result whose folder is removed while the run goes on.
#[test]
fn a_file_beside_the_result_that_fails_ends_no_run() {
    for option in [
        "--checkpoint gone/c.pixgrad --checkpoint-every 1e-9",
        "--trace gone/t.json",
    ] {
        let desk = Desk::new();
        fs::create_dir(desk.path("gone")).expect("a folder");
        let line = "style content.png style.png -o out.png --size 64 --min-size 64 -i 60";
        let mut run = desk.start(&format!("{line} {option}"));
        run.until_stderr_begins("iteration ");
        fs::remove_dir_all(desk.path("gone")).expect("removed");
        let output = run.output();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{option}: {said}");
        assert!(said.contains("error: "), "{said}");
        assert!(
            text(&output.stdout).contains("out.png"),
            "the report is there"
        );
        let whole = desk.json(&format!("{} --json", line.replace("out.png", "whole.png")));
        assert_eq!(whole["iterations"], 60);
        assert_eq!(desk.load("out.png"), desk.load("whole.png"), "{option}");
    }
}

#[test]
fn a_run_that_diverges_keeps_its_last_finite_image() {
    let desk = Desk::new();
    // A dream of a network whose activations are so large that after some iterations f32 does not hold their energy.
    let run = |factor: f64, iterations: u64, options: &str| {
        let recipe = format!(
            "image = {{ init = \"content.png\" }}\n\
             optimizer = {{ kind = \"gradient\", step_size = 0.01, iterations = {iterations} }}\n\
             [[filter]]\nkind = \"normalize\"\nby = \"sign\"\nepsilon = 0\n\
             [[term]]\nkind = \"energy\"\nlayers = [\"fire6/concat\"]\nweight = -1\n"
        );
        fs::write(desk.path("r.toml"), recipe).expect("written");
        desk.huge_network(&[("features.0", factor as f32)]);
        desk.run(&format!("run r.toml --model huge.safetensors {options}"))
    };
    run(1e10, 30, "-o plain.png --trace t.json");
    let trace = fs::read(desk.path("t.json")).expect("a trace");
    let trace: serde_json::Value = serde_json::from_slice(&trace).expect("JSON");
    let loss = trace["iterations"][20]["loss"].as_f64().expect("a number");
    // The energy grows with the square of the factor.
    let factor = 1e10 / (loss.abs() / f64::from(f32::MAX)).sqrt();

    let output = run(factor, 30, "-o out.png");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is not a finite number"), "{said}");
    let (_, told) = said
        .split_once("out.png holds the image after ")
        .expect("where the image is");
    let done = told.split(' ').next().and_then(|n| n.parse().ok());
    let done: u64 = done.expect("a number of iterations");
    assert!((1..=20).contains(&done), "{said}");
    run(factor, done, "-o again.png");
    assert_eq!(desk.load("out.png"), desk.load("again.png"));
}

#[test]
fn nobody_reading_stdout_ends_no_batch() {
    let desk = Desk::new();
    fs::create_dir(desk.path("in")).expect("a folder");
    for name in ["a.png", "b.png", "c.png"] {
        fs::copy(desk.path("content.png"), desk.path(&format!("in/{name}"))).expect("copied");
    }
    let mut run = desk.start(&format!("style --content-dir in style.png -o out {SHORT}"));
    run.close_stdout();
    let output = run.output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for name in ["a.png", "b.png", "c.png"] {
        assert_eq!(desk.load(&format!("out/{name}")).size(), (64, 48));
    }
}

#[test]
fn a_resumed_run_takes_the_options_of_every_command() {
    let desk = Desk::new();
    desk.done(&format!(
        "style content.png style.png -o a.png {SHORT} --checkpoint c.pixgrad"
    ));
    desk.done("style --resume c.pixgrad -o b.png --memory 1G --no-tune");
    assert_eq!(desk.load("a.png"), desk.load("b.png"));
    desk.done("run --resume c.pixgrad -o b.png --retune");
}

#[cfg(unix)]
#[test]
fn a_program_that_opens_no_window_asks_no_window_system() {
    let desk = Desk::new();
    let mut command = desk.command("devices");
    command.env_remove("XDG_RUNTIME_DIR").env_remove("DISPLAY");
    let output = command.output().expect("it runs");
    assert_eq!(text(&output.stderr), "");
}

/// In JSON a name is text; the file has the name that was asked for.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_lossy_in_json() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let desk = Desk::new();
    let (picture, output) = (
        OsStr::from_bytes(b"a\xff.png"),
        OsStr::from_bytes(b"o\xfe.png"),
    );
    std::fs::copy(desk.path("content.png"), desk.path("").join(picture)).expect("a copy");
    let run = |line: &str| {
        let output = desk.command(line).arg(picture).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    assert_eq!(run("classify --json")[0]["image"], "a\u{fffd}.png");
    let mut command = desk.command("dream --json -s 64 --iterations 1");
    let made = command
        .arg(picture)
        .arg("-o")
        .arg(output)
        .output()
        .expect("it runs");
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!(made["output"], "o\u{fffd}.png");
    assert!(desk.path("").join(output).is_file());
}

/// Not an abort, which a shell tells as a crash.
#[cfg(target_os = "linux")]
#[test]
fn an_allocation_that_fails_is_an_error() {
    let desk = Desk::new();
    // Its pixels are 3.2 GB, which the option says may be there.
    fs::write(desk.path("huge.png"), super::memory::bilevel(16_384, &[])).expect("written");
    let line = "dream huge.png --iterations 1 -o big.png --decode-memory 8G --device cpu";
    let limited = desk.limited("ulimit -v 900000", line);
    let message = text(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{message}");
    assert!(message.contains("if memory was short"), "{message}");
    assert!(!desk.path("big.png").exists());
}
