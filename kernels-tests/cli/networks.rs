//! Networks of the user's own: what they were trained to see, and what their classes are called.

use super::*;

/// The embedded SqueezeNet as a file that does not say what it was trained to see.
fn silent(desk: &Desk, name: &str) {
    let bytes = fs::read(samples().join("models/squeezenet1_1.safetensors")).expect("a network");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).expect("JSON");
    let metadata = header["__metadata__"].as_object_mut().expect("metadata");
    metadata.remove("preprocessing").expect("a preprocessing");
    let header = serde_json::to_vec(&header).expect("JSON");
    let bytes = [&(header.len() as u64).to_le_bytes(), &header[..], data].concat();
    fs::write(desk.path(name), bytes).expect("written");
}

/// The classes of a picture and their probabilities.
fn classes(desk: &Desk, line: &str) -> Vec<(u64, f64)> {
    let document = desk.json(&format!("classify --json -q {line}"));
    let top = document[0]["top"].as_array().expect("a list");
    top.iter()
        .map(|score| {
            let class = score["class"].as_u64().expect("a number");
            (class, score["probability"].as_f64().expect("a number"))
        })
        .collect()
}

#[test]
fn what_a_file_does_not_say_is_told_and_can_be_said() {
    let desk = Desk::new();
    silent(&desk, "mine.safetensors");
    let told = |line: &str| {
        let output = desk.run(line);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let stderr = text(&output.stderr);
        stderr.matches("--preprocessing").count()
    };
    let line = "classify content.png --model mine.safetensors";
    assert_eq!(told(line), 1);
    assert_eq!(told(&format!("{line} -q")), 0);
    assert_eq!(told(&format!("{line} --preprocessing torchvision")), 0);
    assert_eq!(told("classify content.png --model squeezenet1_1"), 0);
    assert_eq!(
        told("plan --sizes 64 --model mine.safetensors"),
        1,
        "one line"
    );

    let usual = classes(&desk, "content.png");
    assert_eq!(
        classes(&desk, "content.png --model mine.safetensors"),
        usual
    );
    let numbers = "mean=0.485/0.456/0.406,std=0.229/0.224/0.225";
    for same in ["torchvision", numbers] {
        let line = format!("content.png --model mine.safetensors --preprocessing {same}");
        assert_eq!(classes(&desk, &line), usual, "{same}");
    }
    // The option beats what a file says.
    let other = classes(&desk, "content.png --preprocessing zero-one");
    assert_ne!(other, usual);
}

/// A network that reads BGR sees in a picture what one that reads RGB sees in the same with red and blue exchanged.
#[test]
fn the_order_of_the_channels_is_the_networks() {
    let desk = Desk::new();
    let mut picture = desk.load("content.png");
    picture
        .rgb
        .chunks_exact_mut(3)
        .for_each(|pixel| pixel.swap(0, 2));
    desk.picture("turned.png", &picture);
    let bgr = "mean=0.485/0.456/0.406,std=0.229/0.224/0.225,order=bgr";
    let turned = classes(&desk, &format!("turned.png --preprocessing {bgr}"));
    for ((class, expected), (other, found)) in classes(&desk, "content.png").into_iter().zip(turned)
    {
        assert_eq!(class, other);
        assert!((expected - found).abs() < 1e-5, "{class}: {found}");
    }
}

#[test]
fn classes_have_the_names_of_a_file() {
    let desk = Desk::new();
    let (best, _) = classes(&desk, "content.png --top 1")[0];
    let name = |class: usize| format!("thing number {class}");
    let lines: Vec<String> = (0..1000).map(name).collect();
    let object: serde_json::Map<String, Value> = (0..1000)
        .map(|class| {
            let names = serde_json::json!([format!("n{class}"), name(class)]);
            (class.to_string(), names)
        })
        .collect();
    fs::write(desk.path("lines.txt"), lines.join("\n")).expect("written");
    fs::write(
        desk.path("object.json"),
        serde_json::to_vec(&object).expect("JSON"),
    )
    .expect("written");
    for labels in ["lines.txt", "object.json"] {
        let stdout = desk.done(&format!("classify content.png --top 1 --labels {labels}"));
        assert!(
            stdout.contains(&format!("thing number {best} ({best})")),
            "{stdout}"
        );
    }
    let line = "fool --class thing_number_7 --labels lines.txt --size 64 -i 1 -o fool.png";
    assert!(desk.done(line).contains("class asked for (7)"));

    fs::write(desk.path("few.txt"), "cat\ndog\n").expect("written");
    fs::write(desk.path("gap.txt"), "cat\n\ndog\n").expect("written");
    for (options, words) in [
        (
            "--labels few.txt",
            &["few.txt", "2 names", "1000 classes"][..],
        ),
        ("--labels gap.txt", &["gap.txt", "line 2"]),
        ("--labels none.txt", &["none.txt", "cannot be read"]),
    ] {
        desk.refused(&format!("classify content.png {options}"), 1, words);
    }
    desk.refused(
        "features content.png --layers relu1_1 -o f.safetensors --model vgg19 --labels lines.txt",
        1,
        &["lines.txt", "no classifier"],
    );
    desk.refused(
        "classify content.png --preprocessing mean=1/2",
        2,
        &["2 numbers", "torchvision, caffe, zero-one, minus-one-one"],
    );
}

/// What was asked for goes into the recipe, the checkpoint and the picture.
#[test]
fn recipes_checkpoints_and_pictures_know_the_preprocessing() {
    let desk = Desk::new();
    silent(&desk, "mine.safetensors");
    let names: Vec<String> = (0..1000).map(|class| format!("c{class}x")).collect();
    fs::write(desk.path("names.txt"), names.join("\n")).expect("written");
    let own = "--model mine.safetensors --preprocessing caffe --labels names.txt";
    desk.done(&format!(
        "style content.png style.png {SHORT} {own} -o out.png --checkpoint c.pixgrad --save-recipe r.toml"
    ));
    let recipe = fs::read_to_string(desk.path("r.toml")).expect("a recipe");
    assert!(recipe.contains("preprocessing = \"caffe\""), "{recipe}");
    assert!(recipe.contains("names.txt"), "{recipe}");
    let first = fs::read(desk.path("out.png")).expect("a picture");
    for line in ["run r.toml", "run out.png", "style --resume c.pixgrad"] {
        desk.done(&format!("{line} -o again.png"));
        assert_eq!(desk.load("again.png"), desk.load("out.png"), "{line}");
    }
    desk.done("run out.png -o again.png");
    assert!(fs::read(desk.path("again.png")).expect("a picture") == first);
    desk.done("run r.toml --preprocessing torchvision -o other.png");
    assert_ne!(desk.load("other.png"), desk.load("out.png"));
    desk.refused(
        "style --resume c.pixgrad --preprocessing caffe -o new.png",
        2,
        &["--preprocessing"],
    );
    // A recipe of another preprocessing is not that of the picture.
    let output = desk.run("run out.png -o again.png --preprocessing zero-one");
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("is not the one that the result was made with"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_answers_of_a_search_are_of_one_preprocessing() {
    let desk = Desk::new();
    fs::create_dir(desk.path("album")).expect("a folder");
    for name in ["content.png", "style.png"] {
        fs::copy(desk.path(name), desk.path(&format!("album/{name}"))).expect("copied");
    }
    let line = "search album --layer fire2/concat --unit 3 --json";
    assert_eq!(desk.json(line)["computed"], 2);
    assert_eq!(desk.json(line)["computed"], 0);
    assert_eq!(
        desk.json(&format!("{line} --preprocessing caffe"))["computed"],
        2
    );
}
