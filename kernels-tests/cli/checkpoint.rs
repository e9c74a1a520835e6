//! Checkpoints: a run that was ended anywhere goes on as if nothing had happened; what cannot be gone on from is
//! refused.

#[cfg(unix)]
use std::process::Output;

use xxhash_rust::xxh3::xxh3_128;

use super::*;

/// Three scales of 32, 45 and 64 pixels, 4 iterations each.
const SCALES: &str = "--size 64 --min-size 32 -i 4";

/// The loss of every iteration of a trace, with the iteration's number and scale.
fn losses(desk: &Desk, name: &str) -> Vec<(u64, Value, f64)> {
    let trace = fs::read(desk.path(name)).expect("a trace");
    let trace: Value = serde_json::from_slice(&trace).expect("JSON");
    let iterations = trace["iterations"].as_array().expect("iterations");
    let each = iterations.iter().map(|i| {
        let number = i["i"].as_u64().expect("a number");
        (
            number,
            i["scale"].clone(),
            i["loss"].as_f64().expect("a loss"),
        )
    });
    each.collect()
}

/// Ends a run of `line` at its first iterations by `signal`, once its checkpoint is there.
#[cfg(unix)]
fn end(desk: &Desk, line: &str, checkpoint: &str, signal: Signal) -> Output {
    let mut run = desk.start(line);
    let begun = std::time::Instant::now();
    while !desk.path(checkpoint).exists() {
        assert!(
            !run.has_ended() && begun.elapsed().as_secs() < 60,
            "{line}: no checkpoint"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    run.signal(signal);
    run.output()
}

/// What a checkpoint's metadata say under a key, as JSON.
fn metadata(desk: &Desk, name: &str, key: &str) -> Value {
    let bytes = fs::read(desk.path(name)).expect("a checkpoint");
    SafeTensors::deserialize(&bytes).expect("safetensors");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
    let text = header.metadata().as_ref().expect("metadata")[key].clone();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Killed by a signal that no program can catch, again and again, until it is done.
#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    for options in ["", "--optimizer lbfgs", "--init noise --average 0"] {
        let desk = Desk::new();
        let style = format!("style content.png style.png {SCALES} {options}");
        desk.done(&format!("{style} -o whole.png --trace whole.json"));
        let whole = losses(&desk, "whole.json");
        assert_eq!(whole.len(), 12);

        // A checkpoint after every iteration.
        let keep = "--checkpoint c.pixgrad --checkpoint-every 1e-9";
        let killed = end(
            &desk,
            &format!("{style} -o out.png {keep}"),
            "c.pixgrad",
            Signal::SIGKILL,
        );
        assert_eq!(
            killed.status.code(),
            None,
            "killed: {}",
            text(&killed.stderr)
        );
        let progress = metadata(&desk, "c.pixgrad", "progress");
        let done = progress["iteration"].as_u64().expect("a number")
            + progress["earlier"].as_u64().expect("a number");
        assert!((1..=12).contains(&done), "{progress}");

        let report = desk.json("style --resume c.pixgrad -o out.png --trace rest.json --json");
        assert_eq!(report["iterations"], 12, "{options}");
        assert_eq!(
            fs::read(desk.path("out.png")).expect("a picture"),
            fs::read(desk.path("whole.png")).expect("a picture"),
            "{options}: from iteration {done}"
        );
        assert_eq!(
            losses(&desk, "rest.json"),
            whole[done as usize..],
            "{options}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint() {
    let desk = Desk::new();
    let style = "style content.png style.png --size 64 --min-size 64 -i 30";
    desk.done(&format!("{style} -o whole.png"));
    let line = format!("{style} -o out.png --checkpoint c.pixgrad --checkpoint-every 0.01 --json");
    let stopped = end(&desk, &line, "c.pixgrad", Signal::SIGINT);
    let report: Value = serde_json::from_slice(&stopped.stdout).expect("JSON");
    let done = metadata(&desk, "c.pixgrad", "progress")["iteration"].clone();
    assert_eq!(
        report["iterations"], done,
        "the last checkpoint is the image that was written"
    );
    let code = if done == 30 { 0 } else { 130 };
    assert_eq!(stopped.status.code(), Some(code));
    desk.done("run --resume c.pixgrad -o out.png");
    assert_eq!(desk.load("out.png"), desk.load("whole.png"));
}

/// From every iteration of a run, scales included, and with images saved on the way.
#[test]
fn a_run_goes_on_from_anywhere() {
    let desk = Desk::new();
    desk.done(
        "texture style.png --size 48x40 --min-size 34 -i 3 -o whole.png --save-every 1 --checkpoint end.pixgrad",
    );
    // A finished run goes on to its own result.
    desk.done("texture --resume end.pixgrad -o again.png");
    assert_eq!(desk.load("again.png"), desk.load("whole.png"));
    let report = desk.json("texture --resume end.pixgrad -o again.png --json");
    assert_eq!(report["iterations"], 6);
    assert_eq!(report["output"], "again.png");
    // The recipe comes out of it.
    desk.done("run --resume end.pixgrad --save-recipe r.toml --dry-run");
    desk.done("run r.toml -o third.png");
    assert_eq!(desk.load("third.png"), desk.load("whole.png"));
    assert_eq!(metadata(&desk, "end.pixgrad", "checkpoint"), 1);
    assert_eq!(metadata(&desk, "end.pixgrad", "model"), "squeezenet1_1");
    assert_eq!(metadata(&desk, "end.pixgrad", "device"), "cpu");
    let pictures = metadata(&desk, "end.pixgrad", "pictures");
    let path = pictures[0]["path"].as_str().expect("a path");
    assert!(
        Path::new(path).is_absolute() && path.ends_with("style.png"),
        "{path}"
    );
}

/// A dream, and the checkpoint of one command in the hands of another.
#[test]
fn every_command_goes_on_from_every_checkpoint() {
    let desk = Desk::new();
    desk.done("dream content.png -s 64 --octaves 2 -i 2 -o whole.png --checkpoint c.pixgrad");
    for command in ["dream", "style", "texture", "run"] {
        desk.done(&format!("{command} --resume c.pixgrad -o again.png"));
        assert_eq!(desk.load("again.png"), desk.load("whole.png"), "{command}");
    }
    desk.done("dream --resume c.pixgrad");
    assert!(desk.path("c-pixgrad.png").exists(), "{:?}", desk.files());
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let desk = Desk::new();
    desk.done(&format!(
        "style content.png style.png {SHORT} -o out.png --checkpoint c.pixgrad"
    ));
    let whole = fs::read(desk.path("c.pixgrad")).expect("a checkpoint");
    let changed = |from: &str, to: &str| {
        let (length, rest) = whole.split_first_chunk::<8>().expect("a header");
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let header = text(header);
        assert!(header.contains(from), "{header}");
        let header = header.replace(from, to).into_bytes();
        let data = &data[..data.len() - 16];
        let mut bytes = [&(header.len() as u64).to_le_bytes(), &header[..], data].concat();
        // With a checksum that is right: what was changed is to be found by other means.
        bytes.extend(xxh3_128(&bytes).to_le_bytes());
        bytes
    };
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    let another = fs::read(samples().join("models/squeezenet1_1.safetensors")).expect("weights");
    fs::create_dir(desk.path("folder.pixgrad")).expect("a folder");
    for (name, bytes, words) in [
        ("empty", vec![], "not a checkpoint"),
        (
            "text",
            b"not a checkpoint, but longer than nine bytes".to_vec(),
            "not a checkpoint",
        ),
        ("weights", another, "not a checkpoint"),
        ("header", whole[..100].to_vec(), "truncated"),
        ("data", whole[..whole.len() - 1].to_vec(), "truncated"),
        ("long", [&whole[..], &[0]].concat(), "damaged"),
        ("flipped", flipped, "checksum"),
        (
            "version",
            changed(r#""checkpoint":"1""#, r#""checkpoint":"2""#),
            "version 2",
        ),
        (
            "progress",
            changed(r#"\"scale\":0"#, r#"\"scale\":\"x\""#),
            "damaged",
        ),
        (
            "scale",
            changed(r#"\"scale\":0"#, r#"\"scale\":7"#),
            "its sizes are not those",
        ),
        (
            "state",
            changed("adam first moment", "adam third moment"),
            "adam first moment",
        ),
        (
            "shape",
            changed(r#""U32","shape":[1]"#, r#""U32","shape":[2]"#),
            "damaged",
        ),
        (
            "recipe",
            changed("seed = 0", "sead = 0"),
            "recipe cannot be read",
        ),
    ] {
        let file = format!("{name}.pixgrad");
        fs::write(desk.path(&file), bytes).expect("written");
        desk.refused(
            &format!("style --resume {file} -o new.png"),
            1,
            &[&format!("checkpoint '{file}'"), words],
        );
    }
    desk.refused(
        "run --resume none.pixgrad -o new.png",
        1,
        &["'none.pixgrad'", "no such file"],
    );
    desk.refused(
        "run --resume folder.pixgrad -o new.png",
        1,
        &["is a directory"],
    );
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let desk = Desk::new();
    let mine = samples().join("models/squeezenet1_1.safetensors");
    fs::copy(&mine, desk.path("mine.safetensors")).expect("copied");
    let line = format!("style content.png style.png {SHORT} -o out.png");
    desk.done(&format!(
        "{line} --model mine.safetensors --checkpoint c.pixgrad"
    ));
    desk.done("style --resume c.pixgrad -o new.png");

    // Another picture under the old name, and none at all.
    let style = fs::read(desk.path("style.png")).expect("a picture");
    desk.picture("style.png", &sample("gravel.png", 64, 64));
    desk.refused(
        "style --resume c.pixgrad -o new.png",
        1,
        &["style.png' has changed"],
    );
    fs::remove_file(desk.path("style.png")).expect("removed");
    desk.refused(
        "style --resume c.pixgrad -o new.png",
        1,
        &["style.png", "no such file"],
    );
    fs::write(desk.path("style.png"), style).expect("written");

    // Other weights under the old name.
    let mut weights = fs::read(&mine).expect("weights");
    let last = weights.len() - 2;
    weights[last] ^= 1;
    fs::write(desk.path("mine.safetensors"), weights).expect("written");
    desk.refused(
        "style --resume c.pixgrad -o new.png",
        1,
        &["network `mine`", "other weights under that name"],
    );
}

#[test]
fn options_that_the_checkpoint_answers_are_refused() {
    let desk = Desk::new();
    desk.done(&format!(
        "style content.png style.png {SHORT} -o out.png --checkpoint c.pixgrad"
    ));
    for (options, word) in [
        ("content.png style.png", "CONTENT"),
        ("--size 64", "--size"),
        ("-i 7", "--iterations"),
        ("--seed 1", "--seed"),
        ("--model vgg19", "--model"),
        ("--style-weight 2", "--style-weight"),
        ("--content-weight 1", "--content-weight"),
        ("--optimizer adam", "--optimizer"),
        ("--init noise", "--init"),
    ] {
        desk.refused(
            &format!("style --resume c.pixgrad -o new.png {options}"),
            2,
            &[word, "--resume", "--help"],
        );
    }
    desk.refused("texture style.png --resume c.pixgrad", 2, &["STYLE"]);
    desk.refused("run r.toml --resume c.pixgrad", 2, &["RECIPE.toml"]);
    desk.refused(
        &format!("style content.png style.png {SHORT} --checkpoint-every 5"),
        2,
        &["--checkpoint"],
    );
    let style = "style content.png style.png -i 1000000 --checkpoint c.pixgrad -o new.png";
    desk.refused(
        &format!("{style} --checkpoint-every 0"),
        2,
        &["greater than 0"],
    );
    let nowhere = style.replace("c.pixgrad", "none/c.pixgrad");
    desk.refused(&nowhere, 1, &["there is no directory 'none'"]);
}
