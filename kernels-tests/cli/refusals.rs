//! What the command line tool refuses: each bad input gets its message, and leaves no file.

use super::*;

#[test]
fn pictures_that_cannot_be_read_are_refused() {
    let desk = Desk::new();
    fs::write(desk.path("text.png"), "not a picture").expect("written");
    fs::write(desk.path("empty.png"), "").expect("written");
    fs::create_dir(desk.path("folder.png")).expect("a folder");
    desk.picture("whole.jpg", &sample("chelsea.png", 64, 48));
    let jpeg = fs::read(desk.path("whole.jpg")).expect("a file");
    fs::write(desk.path("cut.jpg"), &jpeg[..jpeg.len() / 2]).expect("written");
    for (name, words) in [
        ("missing.png", "no such file"),
        ("text.png", "not an image"),
        ("empty.png", "0 bytes"),
        ("folder.png", "is a directory"),
        ("cut.jpg", "is truncated"),
    ] {
        desk.refused(
            &format!("style {name} style.png -o out.png {SHORT}"),
            1,
            &[name, words],
        );
        desk.refused(
            &format!("style content.png {name} -o out.png {SHORT}"),
            1,
            &[name, words],
        );
        desk.refused(
            &format!("texture {name} -o out.png --size 64 -i 5"),
            1,
            &[name, words],
        );
        desk.refused(&format!("classify {name}"), 1, &[name, words]);
        desk.refused(
            &format!("features {name} --layers conv1 -o f.safetensors"),
            1,
            &[name, words],
        );
    }
}

#[test]
fn a_picture_of_one_pixel_is_refused() {
    let desk = Desk::new();
    desk.picture(
        "dot.png",
        &Image::filled(1, 1, [0.5; 3]).expect("a picture"),
    );
    let words = ["1x1", "too small", "at least"];
    desk.refused("style dot.png style.png -o out.png", 1, &words);
    desk.refused(
        &format!("style content.png dot.png -o out.png {SHORT}"),
        1,
        &words,
    );
    desk.refused("texture dot.png -o out.png --size 64 -i 5", 1, &words);
    desk.refused(
        "features dot.png --layers fire2/concat -o f.safetensors",
        1,
        &words,
    );
    desk.refused("classify dot.png --size native", 1, &words);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let desk = Desk::new();
    let style = format!("style content.png style.png -o out.png {SHORT}");
    desk.refused(
        &format!("{style} --style-layers relu9_9"),
        1,
        &["relu9_9", "fire2/concat", "conv10"],
    );
    desk.refused(
        &format!("{style} --content-layers relu9_9"),
        1,
        &["relu9_9", "fire2/concat"],
    );
    desk.refused(
        &format!("{style} --model vgg19 --style-layers relu5_1"),
        1,
        &["relu5_1", "relu4_1"],
    );
    desk.refused(
        "features content.png --layers nope -o f.safetensors",
        1,
        &["nope", "fire2/concat"],
    );
    desk.refused(
        &format!("{style} --model resnet50"),
        1,
        &["resnet50", "squeezenet1_1, vgg19"],
    );
    desk.refused(
        "classify content.png --model resnet50",
        1,
        &["resnet50", "squeezenet1_1, vgg19"],
    );
    desk.refused(
        "classify content.png --model vgg19",
        1,
        &["no classifier", "relu4_1"],
    );
    desk.refused(
        "models show resnet50",
        1,
        &["resnet50", "squeezenet1_1, vgg19"],
    );
    desk.refused(
        &format!("{style} --device no-such-gpu"),
        1,
        &["no-such-gpu", "cpu", "install"],
    );
    desk.refused(&format!("{style} --device 99"), 1, &["`99`", "cpu"]);
    desk.refused("paint content.png", 2, &["unrecognized subcommand 'paint'"]);
}

/// A weights file: the embedded SqueezeNet's with its header and its data changed.
fn weights(change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Vec<u8> {
    let bytes =
        fs::read(samples().join("models/squeezenet1_1.safetensors")).expect("the embedded network");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let (mut header, mut data) = (serde_json::from_slice(header).expect("JSON"), data.to_vec());
    change(&mut header, &mut data);
    let header = serde_json::to_vec(&header).expect("JSON");
    [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat()
}

#[test]
fn weights_files_that_are_wrong_are_refused() {
    let desk = Desk::new();
    const BIAS: &str = "features.0.bias";
    let same = weights(|_, _| ());
    let nan = weights(|header, data| {
        let at = header[BIAS]["data_offsets"][0].as_u64().expect("an offset") as usize;
        data[at..at + 2].copy_from_slice(&0x7E00u16.to_le_bytes());
    });
    let shape = weights(|header, _| header[BIAS]["shape"] = serde_json::json!([32, 2]));
    let architecture = weights(|header, _| header["__metadata__"]["architecture"] = "vgg16".into());
    let unknown = weights(|header, _| header["__metadata__"]["architecture"] = "resnet50".into());
    for (name, bytes, words) in [
        ("cut", &same[..same.len() / 2], ["truncated", "bytes"]),
        ("nan", &nan, ["not finite", BIAS]),
        ("shape", &shape, ["shape", BIAS]),
        ("architecture", &architecture, ["vgg16", "squeezenet1_1"]),
        ("unknown", &unknown, ["resnet50", "squeezenet1_1"]),
        ("empty", &[], ["is empty", "empty"]),
        (
            "text",
            b"not a network, and longer than eight bytes",
            ["not a safetensors file", "text"],
        ),
    ] {
        let file = format!("{name}.safetensors");
        fs::write(desk.path(&file), bytes).expect("written");
        desk.refused(
            &format!("style content.png style.png -o out.png {SHORT} --model {file}"),
            1,
            &words,
        );
        desk.refused(&format!("classify content.png --model {file}"), 1, &words);
    }
    // What the changes were made to is right itself.
    fs::write(desk.path("same.safetensors"), same).expect("written");
    desk.done("classify content.png --model same.safetensors");
    desk.refused(
        "classify content.png --model none.safetensors",
        1,
        &["none.safetensors", "no weights file"],
    );
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let desk = Desk::new();
    for (options, words) in [
        ("--size 0", "whole number of pixels"),
        ("--size -64", "whole number of pixels"),
        ("-i 0", "at least 1"),
        ("-i -5", "at least 1"),
        ("--content-weight -1", "from 0 to 1e12"),
        ("--style-weight -1", "from 0 to 1e12"),
        ("--tv-weight nan", "from 0 to 1e12"),
        ("--style-weights -1", "from 0 to 1e12"),
        ("--style-weights 1,2", "2 weights"),
        ("--style-weights 0", "all 0"),
        ("--step-size 0", "greater than 0"),
        ("--average 1", "less than 1"),
        ("--save-every 0", "at least 1"),
        ("--precision f8", "f32 or f16"),
        ("--style-loss mmd", "gram"),
        ("--optimizer sgd", "adam"),
        ("--init grey", "content, noise, gray, stats"),
    ] {
        desk.refused(
            &format!("style content.png style.png -o out.png {options}"),
            2,
            &[words, "--help"],
        );
    }
    desk.refused(
        "texture style.png --init content -o out.png",
        2,
        &["no content"],
    );
    desk.refused(
        "features content.png --layers conv1,conv1 -o f.safetensors",
        2,
        &["`conv1` twice"],
    );
}

#[test]
fn a_size_beyond_memory_is_refused_with_the_largest_that_fits() {
    let desk = Desk::new();
    for size in ["30000", "65535"] {
        let words = ["the largest size that fits is", "GiB"];
        desk.refused(
            &format!("style content.png style.png -o out.png --size {size}"),
            1,
            &words,
        );
        desk.refused(
            &format!("style content.png style.png --size {size} --dry-run"),
            1,
            &words,
        );
    }
    desk.refused(
        "texture style.png -o out.png --size 65535",
        1,
        &["the largest size that fits is"],
    );
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_the_run() {
    let desk = Desk::new();
    let style = format!("style content.png style.png {SHORT}");
    fs::create_dir(desk.path("folder.png")).expect("a folder");
    let endless = format!("{style} -i 1000000").replace("-i 5 ", "");
    for (options, words) in [
        ("-o none/out.png", "there is no directory 'none'"),
        ("-o folder.png", "is a directory"),
        ("-o out.bmp", "extension '.bmp'"),
        ("-o out", "without an extension"),
        (
            "-o out.png --trace none/t.json",
            "there is no directory 'none'",
        ),
        ("-o out.png --trace folder.png", "is a directory"),
        (
            "-o out.png --save-recipe none/r.toml",
            "there is no directory 'none'",
        ),
    ] {
        desk.refused(&format!("{endless} {options}"), 1, &[words]);
    }
    desk.refused(
        "texture style.png -o out.webp --size 16384x17 -i 1000000",
        1,
        &["16384x17", "WebP", "16383", ".png"],
    );
    desk.refused(
        "features content.png --layers conv1 -o none/f.safetensors",
        1,
        &["there is no directory 'none'"],
    );
    let recipe = samples().join("recipes/gradient.toml");
    desk.refused(
        &format!("grad {} -o none/g.safetensors", recipe.display()),
        1,
        &["there is no directory 'none'"],
    );
}

#[cfg(unix)]
#[test]
fn a_read_only_target_is_refused_and_kept() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.picture("kept.png", &sample("gravel.png", 8, 8));
    let before = fs::read(desk.path("kept.png")).expect("a file");
    fs::set_permissions(desk.path("kept.png"), fs::Permissions::from_mode(0o444))
        .expect("read-only");
    desk.refused(
        &format!("style content.png style.png -o kept.png {SHORT}"),
        1,
        &["kept.png", "read-only"],
    );
    assert_eq!(fs::read(desk.path("kept.png")).expect("a file"), before);
}

#[test]
fn recipes_that_are_wrong_are_refused() {
    let desk = Desk::new();
    for (recipe, words) in [
        ("model = ", &["bad.toml", "line 1"][..]),
        ("sead = 1", &["bad.toml", "sead", "seed"]),
        ("model = \"squeezenet1_1\"", &["no [[term]]"]),
        ("[[term]]\nkind = \"gramm\"", &["gramm", "gram"]),
        ("[[term]]\nkind = \"gram\"", &["needs a `target` picture"]),
        (
            "[[term]]\nkind = \"gram\"\ntarget = \"nowhere.png\"",
            &["nowhere.png", "no such file"],
        ),
        (
            "[image]\nsize = 0\n[[term]]\nkind = \"gram\"\ntarget = \"style.png\"",
            &["`size` is 0"],
        ),
        (
            "[image]\nsize = 4294967295\n[[term]]\nkind = \"tv\"",
            &["`size` is 4294967295", "65535"],
        ),
        (
            "[optimizer]\niterations = 9223372036854775807\n[[term]]\nkind = \"tv\"",
            &["9223372036854775807 iterations", "100000000"],
        ),
        (
            "[image]\nsize = 9\n[[term]]\nkind = \"tv\"\nweight = 1e300",
            &["1e300", "from -1e12 to 1e12"],
        ),
        (
            "[image]\nsize = 9\n[[term]]\nkind = \"tv\"\nweight = 0",
            &["every term has weight 0"],
        ),
        (
            "[image]\nsize = 32\n[[term]]\nkind = \"energy\"\nlayers = [\"conv1:0\"]",
            &["every term has weight 0", "layers of weight 0"],
        ),
        (
            "[[term]]\nkind = \"content\"\ntarget = \"style.png\"\ntarget_scale = 2.0",
            &["`content`", "target_scale"],
        ),
    ] {
        fs::write(desk.path("bad.toml"), recipe).expect("written");
        desk.refused("run bad.toml -o out.png", 1, words);
        desk.refused("grad bad.toml -o g.safetensors", 1, words);
    }
    desk.refused("run missing.toml -o out.png", 1, &["missing.toml"]);
}

#[test]
fn no_file_is_written_over_another_that_is_needed() {
    let desk = Desk::new();
    let style = format!("style content.png style.png {SHORT}");
    fs::write(
        desk.path("r.toml"),
        "[image]\nsize = 32\n[[term]]\nkind = \"content\"\ntarget = \"content.png\"",
    )
    .expect("written");
    fs::copy(
        samples().join("models/squeezenet1_1.safetensors"),
        desk.path("n.safetensors"),
    )
    .expect("copied");
    desk.picture("out-000002.png", &sample("chelsea.png", 32, 32));
    let is_input = |file: &'static str, option: &'static str| vec![file, "is an input", option];
    for (line, words) in [
        (
            format!("{style} -o out.png --trace out.png"),
            vec!["--output and --trace", "out.png"],
        ),
        (
            format!("{style} -o o.png --trace t --save-recipe ./t"),
            vec!["--trace and --save-recipe"],
        ),
        (
            format!("{style} -o o.png --trace t --checkpoint t"),
            vec!["--trace", "--checkpoint"],
        ),
        (
            format!("{style} -o o.png --checkpoint content.png"),
            is_input("content.png", "--checkpoint"),
        ),
        (
            format!("{style} -o o.png --trace style.png"),
            is_input("style.png", "--trace"),
        ),
        (
            format!("{style} -o style.png"),
            is_input("style.png", "--output"),
        ),
        (
            format!("style out-000002.png style.png {SHORT} -o out.png --save-every 2"),
            vec!["--save-every", "out-000002.png"],
        ),
        (
            "run r.toml --save-recipe r.toml -o o.png".into(),
            is_input("r.toml", "--save-recipe"),
        ),
        (
            "run r.toml --trace r.toml -o o.png".into(),
            is_input("r.toml", "--trace"),
        ),
        (
            "run r.toml --model n.safetensors -o o.png --trace n.safetensors".into(),
            is_input("n.safetensors", "--trace"),
        ),
        (
            "grad r.toml -o r.toml".into(),
            is_input("r.toml", "--output"),
        ),
        (
            "grad r.toml -o content.png".into(),
            is_input("content.png", "--output"),
        ),
        (
            "features content.png --layers conv1 -o content.png".into(),
            is_input("content.png", "--output"),
        ),
        (
            "features content.png --layers conv1 --model n.safetensors -o ./n.safetensors".into(),
            is_input("n.safetensors", "--output"),
        ),
        (
            "attack content.png -o content.png".into(),
            is_input("content.png", "--output"),
        ),
        (
            "invert content.png --layer conv1 --trace content.png".into(),
            is_input("content.png", "--trace"),
        ),
    ] {
        let words: Vec<&str> = words;
        let needed = [
            "content.png",
            "style.png",
            "r.toml",
            "n.safetensors",
            "out-000002.png",
        ];
        let bytes = || needed.map(|name| fs::read(desk.path(name)).expect("a file"));
        let before = bytes();
        desk.refused(&line, 2, &words);
        assert!(bytes() == before, "{line}");
    }
    // A picture may take the place of the content that it is made of.
    let before = desk.load("content.png");
    desk.done(&format!("{style} -o content.png"));
    assert_ne!(desk.load("content.png"), before);
}

#[test]
fn answers_that_are_no_numbers_are_refused() {
    let desk = Desk::new();
    fs::create_dir(desk.path("set")).expect("a folder");
    desk.picture("set/a.png", &sample("chelsea.png", 64, 48));
    // Sums of its last layer are beyond what single precision holds.
    desk.huge_network(&[("features.0", 1e25), ("classifier.1", 1e20)]);
    for line in [
        "classify content.png --model huge.safetensors",
        "features content.png --model huge.safetensors --size 256 --layers pool10 -o f.safetensors",
        "attack content.png --model huge.safetensors -o o.png",
        "transfer set --models huge.safetensors",
        "search set --model huge.safetensors --layer pool10 --units 1",
    ] {
        desk.refused(line, 1, &["not finite numbers", "single precision"]);
    }
    // Those of a layer in its middle: the next has infinity less infinity before its ReLU, and so have all behind it.
    desk.huge_network(&[("features.0", 1e25), ("features.3.squeeze", 1e20)]);
    for device in ["cpu", "0"] {
        desk.refused(
            &format!("classify content.png --model huge.safetensors --device {device}"),
            1,
            &["not finite numbers", "single precision"],
        );
    }
    // Nor may a weight be one with which no layer can compute.
    desk.huge_network(&[("features.0", 1e37)]);
    desk.refused(
        "classify content.png --model huge.safetensors",
        1,
        &["features.0.", "at most 1e30"],
    );
    // What a preprocessing makes too large is refused before anything is computed.
    desk.refused(
        "classify content.png --preprocessing mean=0.5/0.5/0.5,std=1e-37/1e-37/1e-37",
        2,
        &["more than 1e6"],
    );
}
