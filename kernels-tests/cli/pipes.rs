//! Pictures, recipes and checkpoints that come through pipes, and pictures that go into them.

#![cfg(unix)]

use std::io::Write;
use std::process::{Output, Stdio};

use super::*;

const TINY: &str = "--size 48 --min-size 48 -i 3";

impl Desk {
    /// Runs the tool with a file of the desk on its standard input.
    fn fed(&self, line: &str, file: &str) -> Output {
        let bytes = fs::read(self.path(file)).expect("a file");
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let feeder = std::thread::spawn(move || {
            // A tool that refuses its arguments reads nothing.
            let _ = stdin.write_all(&bytes);
        });
        let output = child.wait_with_output().expect("it ends");
        feeder.join().expect("the feeder ends");
        output
    }

    fn fed_and_done(&self, line: &str, file: &str) -> String {
        let output = self.fed(line, file);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{line}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// A named pipe, and a thread that writes a file into it once.
    fn pipe(&self, name: &str, file: &str) -> std::thread::JoinHandle<()> {
        let made = std::process::Command::new("mkfifo")
            .arg(self.path(name))
            .status();
        assert!(made.expect("mkfifo").success());
        let (pipe, file) = (self.path(name), self.path(file));
        std::thread::spawn(move || {
            fs::write(pipe, fs::read(file).expect("a file")).expect("somebody reads");
        })
    }
}

#[test]
fn a_picture_is_read_once_from_wherever_it_comes() {
    let desk = Desk::new();
    desk.done(&format!("style content.png style.png -o file.png {TINY}"));
    let expected = desk.load("file.png");
    for stdin in ["-", "/dev/stdin"] {
        desk.fed_and_done(
            &format!("style {stdin} style.png -o out.png {TINY}"),
            "content.png",
        );
        assert_eq!(desk.load("out.png"), expected, "the content from {stdin}");
    }
    desk.fed_and_done(
        &format!("style content.png - -o out.png {TINY}"),
        "style.png",
    );
    assert_eq!(desk.load("out.png"), expected, "the style");
    let feeder = desk.pipe("pipe", "content.png");
    desk.done(&format!("style pipe style.png -o out.png {TINY}"));
    feeder.join().expect("the pipe was read");
    assert_eq!(desk.load("out.png"), expected, "a named pipe");

    desk.fed_and_done("dream - --size 48 --octaves 1 -i 2", "content.png");
    assert_eq!(desk.load("stdin-pixgrad.png").size(), (48, 36));
    desk.fed_and_done(
        "invert - -l fire2/concat -s 40 -i 3 -o out.png",
        "content.png",
    );
    desk.fed_and_done("attack - --size 64 --steps 1", "content.png");
    assert_eq!(desk.load("stdin-adversarial.png").size(), (64, 64));
    let document = desk.fed_and_done("classify --json -", "content.png");
    assert!(document.contains("\"image\": \"-\""), "{document}");
}

#[test]
fn recipes_and_checkpoints_come_through_pipes_too() {
    let desk = Desk::new();
    desk.done(&format!(
        "style content.png style.png -o file.png {TINY} --save-recipe r.toml --checkpoint c"
    ));
    let expected = desk.load("file.png");
    let relative = fs::read_to_string(desk.path("r.toml")).expect("a recipe");
    let folder = desk.path("");
    let folder = folder.canonicalize().unwrap_or(folder);
    let relative = relative.replace(&format!("{}/", folder.display()), "");
    assert!(relative.contains("\"content.png\""), "{relative}");
    fs::write(desk.path("r.toml"), relative).expect("written");
    for stdin in ["-", "/dev/stdin"] {
        desk.fed_and_done(&format!("run {stdin} -o out.png"), "r.toml");
        assert_eq!(desk.load("out.png"), expected, "{stdin}");
        desk.fed_and_done(&format!("style --resume {stdin} -o out.png"), "c");
        assert_eq!(desk.load("out.png"), expected, "{stdin}");
    }
    desk.fed_and_done("run - -o out.png", "file.png");
    assert_eq!(desk.load("out.png"), expected, "a picture with its recipe");
}

#[test]
fn standard_input_is_given_once() {
    let desk = Desk::new();
    for line in [
        "style - - -o out.png",
        "style - /dev/stdin -o out.png",
        "style content.png - --init - -o out.png",
        "classify - -",
    ] {
        desk.refused(line, 2, &["standard input", "only once"]);
    }
}

#[test]
fn a_picture_goes_to_standard_output_and_nothing_else_does() {
    let desk = Desk::new();
    for (format, name) in [
        ("png", "a.png"),
        ("JPEG", "a.jpg"),
        ("webp", "a.webp"),
        ("tiff", "a.tif"),
    ] {
        let line = format!("style content.png style.png {TINY}");
        desk.done(&format!("{line} -o {name}"));
        let expected = fs::read(desk.path(name)).expect("a picture");
        for stdout in ["-", "/dev/stdout"] {
            let before = desk.files();
            let output = desk.run(&format!("{line} -o {stdout} --format {format}"));
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{stderr}");
            assert!(output.stdout == expected, "{format} to {stdout}");
            assert!(
                stderr.contains("48x36, 3 iterations"),
                "the report: {stderr}"
            );
            assert_eq!(desk.files(), before);
        }
    }
    let output = desk.run(
        "texture style.png --sheet --size 24 -i 1 --style-layers relu_conv1 -o - --format png",
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stdout.starts_with(b"\x89PNG"));

    let line = "style content.png style.png -o -";
    desk.refused(line, 2, &["--format"]);
    desk.refused(&format!("{line} --format bmp"), 2, &["png", "tiff"]);
    desk.refused(&format!("{line} --format png --json"), 2, &["--json"]);
    desk.refused(
        &format!("{line} --format png --save-every 2"),
        2,
        &["--save-every"],
    );
    desk.refused(
        "dream content.png -o - --format png --zoom 2",
        2,
        &["--zoom"],
    );
    desk.refused("attack content.png -o -", 2, &["folder"]);
    fs::create_dir(desk.path("in")).expect("a folder");
    desk.refused(
        "style --content-dir in style.png -o - --format png",
        2,
        &["folder"],
    );
}

#[test]
fn a_reader_of_the_picture_that_goes_away_is_a_failure() {
    let desk = Desk::new();
    let mut run = desk.start(&format!(
        "style content.png style.png -o - --format png {TINY}"
    ));
    run.close_stdout();
    let output = run.output();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: '-' cannot be written"), "{stderr}");
}
