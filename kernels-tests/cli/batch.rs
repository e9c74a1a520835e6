//! A folder painted in the same styles: as each picture by itself, going on where it was stopped, shared among
//! machines.

use super::*;

/// A desk with a folder `in` of three pictures, one of them clear, of two sizes, and what is no picture.
fn folder() -> Desk {
    let desk = Desk::new();
    fs::create_dir(desk.path("in")).expect("a folder");
    desk.picture("in/a.png", &sample("chelsea.png", 64, 48));
    desk.picture("in/b.jpg", &sample("rocket.jpg", 64, 48));
    let alpha = (0..40 * 64).map(|i| (i % 2) as f32).collect();
    let clear = sample("coffee.jpg", 40, 64).with_alpha(alpha);
    desk.picture("in/c.png", &clear.expect("as many values"));
    desk
}

const FOLDER: &str = "style --content-dir in style.png -o out --size 64 --min-size 45 -i 3";

fn outputs(desk: &Desk) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(desk.path("out"))
        .expect("a folder")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn statuses(report: &Value) -> Vec<&str> {
    let pictures = report["pictures"].as_array().expect("a list");
    pictures
        .iter()
        .map(|p| p["status"].as_str().expect("a word"))
        .collect()
}

#[test]
fn a_folder_is_painted_as_each_picture_by_itself() {
    for options in ["", "--optimizer lbfgs"] {
        let desk = folder();
        let report = desk.json(&format!("{FOLDER} {options} --json"));
        assert_eq!(statuses(&report), ["painted"; 3]);
        assert_eq!(outputs(&desk), ["a.png", "b.png", "c.png"]);
        for (i, name) in ["a.png", "b.jpg", "c.png"].iter().enumerate() {
            let alone = format!(
                "style in/{name} style.png -o alone.png --size 64 --min-size 45 -i 3 {options}"
            );
            let single = desk.json(&format!("{alone} --json"));
            let picture = &report["pictures"][i];
            let output = picture["output"].as_str().expect("a path");
            assert_eq!(
                desk.load(output),
                desk.load("alone.png"),
                "{name} {options}"
            );
            for key in ["width", "height", "iterations", "loss", "terms"] {
                assert_eq!(picture[key], single[key], "{name}: {key}");
            }
        }
        assert_eq!(desk.load("out/c.png").size(), (40, 64));
        assert!(desk.load("out/c.png").alpha.is_some());
        assert_eq!(report["stopped"], false);
    }
}

#[test]
fn a_batch_goes_on_where_it_was_stopped_and_names_what_it_cannot_read() {
    let desk = folder();
    fs::write(desk.path("in/notes.txt"), "not a picture").expect("written");
    let jpeg = fs::read(desk.path("in/b.jpg")).expect("a picture");
    fs::write(desk.path("in/cut.jpg"), &jpeg[..jpeg.len() / 2]).expect("written");
    fs::create_dir(desk.path("out")).expect("a folder");
    fs::write(desk.path("out/b.png"), "mine").expect("written");
    let output = desk.run(&format!("{FOLDER} --json"));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        statuses(&report),
        ["painted", "skipped", "painted", "failed", "failed"]
    );
    let reason = |i: usize| report["pictures"][i]["reason"].as_str().expect("a reason");
    assert!(
        reason(3).contains("truncated") && reason(4).contains("not an image"),
        "{report}"
    );
    for word in [
        "skipped 'in/b.jpg': 'out/b.png' is there",
        "failed 'in/cut.jpg'",
        "failed 'in/notes.txt'",
    ] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    assert_eq!(fs::read(desk.path("out/b.png")).expect("a file"), b"mine");
    assert_eq!(outputs(&desk), ["a.png", "b.png", "c.png"]);

    fs::remove_file(desk.path("in/notes.txt")).expect("removed");
    fs::remove_file(desk.path("in/cut.jpg")).expect("removed");
    let report = desk.json(&format!("{FOLDER} --json"));
    assert_eq!(statuses(&report), ["skipped"; 3]);
    assert!(desk.done(FOLDER).contains("0 painted, 3 skipped, 0 failed"));
}

#[test]
fn shares_of_a_folder_are_its_whole() {
    let desk = folder();
    let names = |report: &Value| -> Vec<String> {
        let pictures = report["pictures"].as_array().expect("a list");
        pictures
            .iter()
            .map(|p| p["image"].as_str().expect("a path").to_string())
            .collect()
    };
    let share = |i| desk.json(&format!("{FOLDER} --shard {i}/2 --json"));
    assert_eq!(names(&share(1)), ["in/a.png", "in/c.png"]);
    assert_eq!(outputs(&desk), ["a.png", "c.png"]);
    assert_eq!(names(&share(2)), ["in/b.jpg"]);
    assert_eq!(outputs(&desk), ["a.png", "b.png", "c.png"]);
    for wrong in ["0/2", "3/2", "1", "a/b"] {
        desk.refused(&format!("{FOLDER} --shard {wrong}"), 2, &["--shard", "I/N"]);
    }
    desk.refused(
        "style content.png style.png --shard 1/2",
        2,
        &["--content-dir"],
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_whole_pictures_only() {
    let desk = folder();
    let mut run = desk.start(&FOLDER.replace("-i 3", "-i 1000000 --json"));
    run.until_stderr_begins("iteration ");
    run.signal(Signal::SIGINT);
    let output = run.output();
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(statuses(&report), ["stopped"; 3]);
    assert_eq!(report["stopped"], true);
    assert_eq!(outputs(&desk), [""; 0]);
}

#[test]
fn folders_that_are_wrong_are_refused() {
    let desk = folder();
    fs::create_dir(desk.path("empty")).expect("a folder");
    for (line, code, words) in [
        (FOLDER.replace(" in ", " none "), 1, "no folder 'none'"),
        (
            FOLDER.replace(" in ", " content.png "),
            1,
            "no folder 'content.png'",
        ),
        (FOLDER.replace(" in ", " empty "), 1, "holds no pictures"),
        (
            FOLDER.replace("-o out", "-o in"),
            1,
            "folder of the contents",
        ),
        (FOLDER.replace("-o out", "-o style.png"), 1, "is a file"),
        (FOLDER.replace(" style.png ", " "), 2, "at least one STYLE"),
        (FOLDER.replace("-o out", ""), 2, "--output"),
        (
            FOLDER.replace(" style.png ", " nowhere.png "),
            1,
            "nowhere.png",
        ),
        (format!("{FOLDER} --style-layers relu9_9"), 1, "relu9_9"),
        (format!("{FOLDER} --style-weights 1,2"), 2, "2 weights"),
        (
            format!("{FOLDER} --checkpoint c.pixgrad"),
            2,
            "--content-dir",
        ),
        (format!("{FOLDER} --trace t.json"), 2, "--content-dir"),
        (format!("{FOLDER} --dry-run"), 2, "--content-dir"),
    ] {
        desk.refused(&line, code, &[words]);
    }
}
