//! The recipe in the picture: written, shown, and run again.

use super::*;

const TINY: &str = "--size 48 --min-size 32 -i 3";

/// Makes a picture, and makes it again from what it carries: the same file.
fn repeated(desk: &Desk, line: &str) {
    desk.done(&format!("{line} -o first.png"));
    desk.done("run first.png -o second.png");
    let read = |name| fs::read(desk.path(name)).expect("a picture");
    assert!(read("first.png") == read("second.png"), "{line}");
}

#[test]
fn every_method_with_a_recipe_makes_its_picture_again() {
    let desk = Desk::new();
    for line in [
        "style content.png style.png --size 48 --min-size 32 -i 3",
        "style content.png style.png --size 48 --min-size 48 -i 3 --preserve-color luma --style-loss bn",
        "texture style.png --size 48 --min-size 32 -i 3 --seed 5",
        "dream content.png --size 96 -i 2 --octaves 2",
        "invert content.png -l fire2/concat -s 40 -i 3",
        "fool --class 3 --size 64 -i 4",
        // Stops before its iterations are done.
        "fool --class 3 --size 64 -i 500 --confidence 0.01",
        // A sheet, of enlarged contrast, and cut out.
        "visualize --class 1,2 --size 64 -i 3 --preset erhan",
        "visualize --unit fire2/concat:3:center --canvas receptive-field -i 3",
    ] {
        repeated(&desk, line);
    }
}

#[test]
fn every_format_carries_the_recipe_and_the_pixels_are_the_same_without() {
    let desk = Desk::new();
    for name in ["a.png", "a.jpg", "a.webp", "a.tif"] {
        let line = format!("style content.png style.png -o {name} {TINY}");
        desk.done(&line);
        let (first, picture) = (fs::read(desk.path(name)).expect("a file"), desk.load(name));
        desk.done(&line);
        assert!(
            fs::read(desk.path(name)).expect("a file") == first,
            "{name}: the same again"
        );
        desk.done(&format!("run {name} -o b-{name}"));
        assert!(
            fs::read(desk.path(&format!("b-{name}"))).expect("a file") == first,
            "{name}: from its recipe"
        );
        desk.done(&format!("{line} --no-metadata"));
        assert_eq!(desk.load(name), picture, "{name}");
        let plain = fs::read(desk.path(name)).expect("a file");
        assert!(!plain.windows(7).any(|word| word == b"pixgrad"), "{name}");
        desk.refused(&format!("show {name}"), 1, &[name, "holds no recipe"]);
        desk.refused(&format!("run {name}"), 1, &[name, "holds no recipe"]);
    }
}

#[test]
fn show_prints_a_recipe_file_and_what_it_was_run_with() {
    let desk = Desk::new();
    desk.done(&format!("style content.png style.png -o a.jpg {TINY}"));
    let shown = desk.done("show a.jpg");
    for word in [
        "# made by pixgrad",
        "cpu",
        "squeezenet1_1",
        "# picture: content.png, hash ",
        "iterations: 6",
    ] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    fs::write(desk.path("r.toml"), shown).expect("written");
    desk.done("run r.toml -o b.jpg");
    assert_eq!(desk.load("b.jpg"), desk.load("a.jpg"));

    let document = desk.json("show a.jpg --json");
    assert_eq!(document["recipe"]["image"]["size"], 48);
    let made = &document["made"];
    assert_eq!(
        (&made["device"], &made["model"]),
        (&"cpu".into(), &"squeezenet1_1".into())
    );
    assert_eq!(made["pictures"][1]["path"], "style.png");
    assert!(
        made["weights"]
            .as_str()
            .is_some_and(|hash| hash.len() == 32)
    );
    desk.refused("show nothing.png", 1, &["nothing.png", "no such file"]);
    fs::write(desk.path("text.png"), "text").expect("written");
    desk.refused("show text.png", 1, &["text.png", "holds no recipe"]);
}

#[test]
fn paths_are_those_that_the_user_gave() {
    let desk = Desk::new();
    let here = desk.path("");
    let here = here
        .to_str()
        .expect("UTF-8")
        .trim_end_matches('/')
        .to_string();
    let carried = |name: &str| desk.done(&format!("show {name}"));
    desk.done(&format!(
        "style content.png {here}/style.png -o a.png {TINY} --save-recipe r.toml --checkpoint c"
    ));
    assert!(carried("a.png").contains("\"content.png\""));
    assert!(carried("a.png").contains(&here), "as it was given");
    // A recipe file and a checkpoint have absolute paths that nobody typed.
    desk.done("run r.toml -o b.png");
    assert!(carried("b.png").contains("\"content.png\""));
    assert!(!carried("b.png").contains(&here), "{}", carried("b.png"));
    desk.done("style --resume c -o b.png");
    assert!(
        carried("b.png").contains("\"content.png\""),
        "{}",
        carried("b.png")
    );
    assert!(!carried("b.png").contains(&here), "{}", carried("b.png"));
    desk.done(&format!("run {here}/b.png -o c.png"));
    assert!(!carried("c.png").contains(&here), "{}", carried("c.png"));
}

#[test]
fn pictures_are_found_beside_the_result_and_changed_ones_are_told() {
    let desk = Desk::new();
    desk.done(&format!(
        "style content.png style.png --init content.png -o out.png {TINY}"
    ));
    let picture = desk.load("out.png");
    fs::create_dir(desk.path("moved")).expect("a folder");
    for name in ["content.png", "style.png", "out.png"] {
        fs::rename(desk.path(name), desk.path("moved").join(name)).expect("moved");
    }
    desk.done("run moved/out.png -o again.png");
    assert_eq!(desk.load("again.png"), picture);
    // Of two, that in the current folder is meant.
    desk.picture("content.png", &sample("chelsea.png", 64, 48).over([0.0; 3]));
    fs::copy(desk.path("moved/style.png"), desk.path("content.png")).expect("copied");
    let output = desk.run("run moved/out.png -o again.png");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(
        stderr
            .matches("warning: 'content.png' is not the picture")
            .count(),
        1,
        "{stderr}"
    );
    assert_eq!(stderr.matches("warning: ").count(), 1, "{stderr}");

    fs::remove_file(desk.path("moved/style.png")).expect("removed");
    desk.refused(
        "run moved/out.png -o gone.png",
        1,
        &["moved/out.png", "style.png", "neither there nor beside it"],
    );
}

#[test]
fn options_change_a_recipe_that_a_picture_carries() {
    let desk = Desk::new();
    desk.done("fool --class 3 --size 64 -i 500 --confidence 0.01 -o a.png");
    let iterations = |line: &str| desk.json(line)["iterations"].clone();
    let stopped = iterations("run a.png -o b.png --json")
        .as_u64()
        .expect("a number");
    assert!(stopped < 500, "{stopped}");
    assert_eq!(iterations("run a.png -o b.png -i 7 --json"), 7);
    desk.done(&format!("style content.png style.png -o s.png {TINY}"));
    desk.done("run s.png -o t.png --size 40");
    assert_eq!(desk.load("t.png").size(), (40, 30));
}

/// Each picture of a folder, as if it had been painted alone.
#[test]
fn pictures_of_a_folder_carry_their_own_recipes() {
    let desk = Desk::new();
    fs::create_dir(desk.path("in")).expect("a folder");
    fs::copy(desk.path("content.png"), desk.path("in/cat.png")).expect("copied");
    desk.done(&format!(
        "style --content-dir in style.png -o out {TINY} --format jpeg"
    ));
    assert!(desk.done("show out/cat.jpg").contains("\"in/cat.png\""));
    desk.done("run out/cat.jpg -o again.jpg");
    assert_eq!(
        fs::read(desk.path("again.jpg")).expect("a picture"),
        fs::read(desk.path("out/cat.jpg")).expect("a picture")
    );
}

/// Anybody can write into a picture's metadata.
#[test]
fn what_somebody_else_wrote_is_checked_as_a_recipe_file_is() {
    let desk = Desk::new();
    desk.done(&format!("style content.png style.png -o a.png {TINY}"));
    let recipe = image::text_of(&fs::read(desk.path("a.png")).expect("a file")).expect("a text");
    let write = |text: String| {
        let options = pixgrad::SaveOptions {
            text: Some(text),
            ..Default::default()
        };
        let _ = image::save(desk.path("b.png"), &desk.load("a.png"), options).expect("written");
    };
    write(recipe.replace("seed = ", "output = \"/tmp/x.png\"\nseed = "));
    desk.refused(
        "run b.png -o out.png",
        1,
        &["b.png", "unknown field `output`"],
    );
    write(recipe.replace("size = 48", "size = 0"));
    desk.refused("run b.png -o out.png", 1, &["size"]);
    write(recipe.replace("[made]", "[maid]"));
    desk.refused("run b.png -o out.png", 1, &["b.png", "cannot be read"]);
    write(recipe.replace("version = \"", "version = \"\\u001b[31m"));
    assert!(!desk.done("show b.png").contains('\u{1b}'));
    write(format!("{recipe}# {}", "x".repeat(image::MAX_TEXT)));
    desk.refused("run b.png -o out.png", 1, &["b.png", "holds no recipe"]);
}

/// What no recipe makes carries the command line.
#[test]
fn pictures_of_commands_carry_the_command() {
    let desk = Desk::new();
    fs::create_dir(desk.path("set")).expect("a folder");
    desk.picture("set/a.png", &sample("chelsea.png", 64, 48));
    for (line, made) in [
        (
            "attack content.png --method fgsm --epsilon 4/255 --size 64 -o adv.png",
            &["adv.png", "adv-noise.png", "adv-panel.png"][..],
        ),
        (
            "transfer set --models squeezenet1_1 --method fgsm --size 64 --keep kept -o map.png",
            &["kept/squeezenet1_1/a.png", "map.png"],
        ),
        (
            "search set --layer pool10 --unit 3 -o found.png",
            &["found.png"],
        ),
        (
            "fool --method evolve --size 32 --population 8 --generations 2 -o evolved.png",
            &["evolved.png"],
        ),
        (
            "texture style.png --sheet --size 32 --style-layers conv1,fire2/concat -i 2 -o sheet.png",
            &["sheet.png"],
        ),
        (
            "invert content.png --layer conv1 --layer pool1 --size 32 -i 2 -o inverted.png",
            &["inverted.png"],
        ),
        (
            "dream content.png --octaves 1 -i 1 --zoom 2 -o zoomed.png",
            &["zoomed-000001.png", "zoomed-000002.png"],
        ),
    ] {
        desk.done(line);
        let bare = format!("{line} --no-metadata");
        for name in made {
            let shown = desk.done(&format!("show {name}"));
            let last = shown.trim_end().lines().last().expect("a line");
            assert_eq!(last, format!("pixgrad {line}"), "{name}");
            assert!(shown.contains("# network: squeezenet1_1, hash "), "{shown}");
            let json = desk.json(&format!("show {name} --json"));
            assert_eq!(json["command"][0], line.split(' ').next().expect("a word"));
            desk.refused(&format!("run {name}"), 1, &["no recipe", line]);
        }
        let before: Vec<_> = made.iter().map(|name| desk.load(name)).collect();
        desk.done(&bare);
        for (name, before) in made.iter().zip(before) {
            assert_eq!(desk.load(name), before, "{name}");
            desk.refused(&format!("show {name}"), 1, &["holds no recipe"]);
        }
    }
    // Pictures are named with their hashes where the command was given them one by one.
    desk.done("attack content.png --method fgsm --size 64 -o adv.png");
    let shown = desk.done("show adv.png");
    assert!(shown.contains("# picture: content.png, hash "), "{shown}");
}
