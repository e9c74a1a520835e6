//! `pixgrad search` as a user meets it.

use pixgrad::engine::image::{Filter, SaveOptions};

use xxhash_rust::xxh3::Xxh3;

use super::*;

const CACHE: &str = "album/.pixgrad-squeezenet1_1-fire8-concat.safetensors";
const SEARCH: &str = "search album --layer fire8/concat --json -o sheet.png";

/// A folder `album` of six small pictures, a broken one, and a folder, which is no part of it.
fn album() -> Desk {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("album/inner")).expect("a folder");
    for name in [
        "astronaut.jpg",
        "brick.png",
        "chelsea.png",
        "coffee.jpg",
        "rocket.jpg",
        "starry_night.jpg",
    ] {
        let stem = name.split('.').next().expect("a stem");
        desk.picture(&format!("album/{stem}.png"), &sample(name, 64, 56));
    }
    desk.picture("album/inner/other.png", &sample("grass.png", 32, 32));
    fs::write(desk.path("album/broken.png"), "not a picture").expect("written");
    desk
}

fn top(answer: &Value) -> Vec<(String, f64)> {
    let hits = answer["top"].as_array().expect("images");
    let hit = |hit: &Value| {
        let name = hit["image"].as_str().expect("a name").to_string();
        (name, hit["score"].as_f64().expect("a number"))
    };
    hits.iter().map(hit).collect()
}

#[test]
fn a_search_finds_what_features_say_and_keeps_it() {
    let desk = album();
    let line = format!("{SEARCH} --unit 37,300 --top 4");
    let output = desk.run(&line);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("broken.png") && stderr.contains("not an image"),
        "{stderr}"
    );
    let first: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&first["images"], &first["computed"]),
        (&6.into(), &6.into())
    );
    assert_eq!(first["layer"], "fire8/concat");
    assert_eq!(first["model"], "squeezenet1_1");
    assert_eq!(first["skipped"].as_array().map(Vec::len), Some(1));
    assert!(
        first["skipped"][0]["path"]
            .as_str()
            .is_some_and(|p| p.ends_with("broken.png"))
    );
    assert_eq!(desk.load("sheet.png").size(), (4 * 132 + 4, 2 * 132 + 4));

    // The same from pictures that are prepared here, through `features`; the class from `classify`.
    let mut expected: [Vec<(f32, String)>; 2] = Default::default();
    for stem in [
        "astronaut",
        "brick",
        "chelsea",
        "coffee",
        "rocket",
        "starry_night",
    ] {
        let name = format!("{stem}.png");
        let image = desk.load(&format!("album/{name}"));
        // 64x56: the short side becomes 256 pixels.
        let crop = image
            .resize(293, 256, Filter::Bilinear)
            .and_then(|image| image.center_crop(224, 224))
            .expect("a crop");
        // 16 bits: what rounding to 8 changes could be seen.
        let exact = SaveOptions {
            bit_depth: Some(image::BitDepth::Sixteen),
            ..SaveOptions::default()
        };
        image::save(desk.path("crop.png"), &crop, exact).expect("written");
        desk.done("features crop.png --layers fire8/concat -o f.safetensors");
        let (_, shape, values) = tensors(&desk.path("f.safetensors")).remove(0);
        let plane = shape[1] * shape[2];
        for (expected, channel) in expected.iter_mut().zip([37, 300]) {
            let values = &values[channel * plane..][..plane];
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            expected.push((most, name.clone()));
        }
    }
    for ((expected, answer), channel) in expected
        .iter_mut()
        .zip(first["queries"].as_array().expect("answers"))
        .zip([37, 300])
    {
        assert_eq!(
            (&answer["kind"], &answer["channel"]),
            (&"unit".into(), &channel.into())
        );
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert!(expected[0].0 > 0.0, "the unit answers: {expected:?}");
        let found = top(answer);
        assert_eq!(found.len(), 4);
        for ((name, score), (most, same)) in found.iter().zip(expected.iter()) {
            assert_eq!(name, same);
            assert!(
                (score - f64::from(*most)).abs() < 1e-3 * f64::from(*most),
                "{name}: {score}, {most}"
            );
        }
    }
    let best = &first["queries"][0]["top"][0];
    let class = desk.json(&format!(
        "classify --json --top 1 album/{}",
        best["image"].as_str().expect("a name")
    ));
    assert_eq!(best["class"], class[0]["top"][0]["class"]);
    assert_eq!(best["label"], class[0]["top"][0]["label"]);

    // The second search computes nothing and finds the same.
    let second = desk.json(&line);
    assert_eq!(second["computed"], 0);
    assert_eq!(second["queries"], first["queries"]);

    // A changed image, a new one, one that is gone.
    desk.picture("album/brick.png", &sample("gravel.png", 48, 48));
    desk.picture("album/new.png", &sample("grass.png", 48, 48));
    fs::remove_file(desk.path("album/rocket.png")).expect("removed");
    let third = desk.json(&line);
    assert_eq!(
        (&third["images"], &third["computed"]),
        (&6.into(), &2.into())
    );
    let all = desk.json(&format!("{SEARCH} --unit 37"));
    let names: Vec<String> = top(&all["queries"][0])
        .into_iter()
        .map(|hit| hit.0)
        .collect();
    assert!(names.contains(&"new.png".to_string()) && !names.contains(&"rocket.png".to_string()));

    // A damaged file of answers is told of and made anew; so is one of something else.
    let whole = fs::read(desk.path(CACHE)).expect("the answers");
    let other = fs::read(samples().join("models/squeezenet1_1.safetensors")).expect("a network");
    let mut nan = whole.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut bit = whole.clone();
    bit[end - 4] ^= 1;
    for (bytes, word) in [
        (&whole[..whole.len() - 9], "damaged"),
        (&nan, "damaged"),
        (&bit, "damaged"),
        (&with_class(&whole, 1000.into()), "damaged"),
        (&with_class(&whole, Value::Null), "damaged"),
        (&other, "not a file of"),
        (&[], "damaged"),
    ] {
        fs::write(desk.path(CACHE), bytes).expect("written");
        let output = desk.run(&line);
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("made anew") && stderr.contains(word),
            "{word}: {stderr}"
        );
        let again: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(again["computed"], 6, "{word}");
        assert_eq!(again["queries"], third["queries"], "{word}");
        assert_eq!(desk.json(&line)["computed"], 0, "{word}");
    }
}

/// A file of answers in which the first image is of another class, with a checksum that is right.
fn with_class(bytes: &[u8], class: Value) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).expect("a header");
    let text = header["__metadata__"]["pixgrad"].as_str().expect("a text");
    let mut told: Value = serde_json::from_str(text).expect("JSON");
    told["images"][0]["class"] = class;
    let text = told.to_string();
    let mut hash = Xxh3::new();
    hash.update(text.as_bytes());
    for name in ["mean", "max"] {
        let offsets = &header[name]["data_offsets"];
        let offset = |i: usize| offsets[i].as_u64().expect("an offset") as usize;
        hash.update(&data[offset(0)..offset(1)]);
    }
    header["__metadata__"]["pixgrad"] = text.into();
    header["__metadata__"]["checksum"] = format!("{:032x}", hash.digest128()).into();
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), data].concat()
}

#[test]
fn units_and_directions_stand_side_by_side() {
    let desk = album();
    let line = format!("{SEARCH} --units 2 --directions 3 --seed 7 --top 3");
    let report = desk.json(&line);
    let answers = report["queries"].as_array().expect("answers");
    let kinds: Vec<_> = answers.iter().map(|a| a["kind"].as_str()).collect();
    let (unit, direction) = (Some("unit"), Some("direction"));
    assert_eq!(kinds, [unit, unit, direction, direction, direction]);
    assert_ne!(answers[0]["channel"], answers[1]["channel"]);
    assert_eq!(desk.load("sheet.png").size(), (3 * 132 + 4, 5 * 132 + 4));
    for answer in answers {
        let scores: Vec<f64> = top(answer).into_iter().map(|hit| hit.1).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        let mut classes: Vec<_> = answer["top"]
            .as_array()
            .expect("images")
            .iter()
            .map(|hit| hit["class"].as_u64().expect("a class"))
            .collect();
        classes.sort_unstable();
        let most = classes.chunk_by(|a, b| a == b).map(<[u64]>::len).max();
        let alike = answer["alike"].as_f64().expect("a share");
        assert!((alike - most.expect("three") as f64 / 3.0).abs() < 1e-9);
    }
    let mean = |answers: &[Value]| {
        let shares = answers
            .iter()
            .map(|a| a["alike"].as_f64().expect("a share"));
        shares.sum::<f64>() / answers.len() as f64
    };
    for (kind, expected) in [
        ("units", mean(&answers[..2])),
        ("directions", mean(&answers[2..])),
    ] {
        let found = report["alike"][kind].as_f64().expect("a mean");
        assert!((found - expected).abs() < 1e-9, "{kind}");
    }
    // One direction by its seed is the same direction, and needs no further pass.
    let one = desk.json(&format!("{SEARCH} --direction 8 --top 3"));
    assert_eq!(one["computed"], 0);
    assert_eq!(one["queries"][0], answers[3]);
    // By the mean, a unit has another score than by the maximum.
    let unit = format!("{SEARCH} --unit 37 --top 1");
    let (max, mean) = (desk.json(&unit), desk.json(&format!("{unit} --pool mean")));
    assert!(top(&max["queries"][0])[0].1 > top(&mean["queries"][0])[0].1);

    let table = desk.done(&line.replace("--json ", ""));
    for words in [
        "unit ",
        "direction 9",
        "% alike",
        "units: on average",
        "directions: on",
    ] {
        assert!(table.contains(words), "no `{words}` in: {table}");
    }
    // A sheet in the folder is not searched.
    let inside = line.replace("sheet.png", "album/sheet.png");
    assert_eq!(desk.json(&inside)["images"], 6);
    assert_eq!(desk.json(&inside)["images"], 6);
}

#[test]
fn searches_that_cannot_be_are_refused() {
    let desk = album();
    fs::create_dir(desk.path("empty")).expect("a folder");
    for (line, words) in [
        (
            "search none --layer conv1 --unit 1",
            &["there is no folder 'none'"][..],
        ),
        (
            "search style.png --layer conv1 --unit 1",
            &["'style.png' is not a folder"],
        ),
        (
            "search empty --layer conv1 --unit 1",
            &["no image in 'empty'"],
        ),
        (
            "search album --layer nope --unit 1",
            &["nope", "fire8/concat"],
        ),
        (
            "search album --layer nope --units 1",
            &["nope", "fire8/concat"],
        ),
        (
            "search album --layer conv1 --unit 64",
            &["no unit 64", "64 channels"],
        ),
        (
            "search album --layer conv1 --units 65",
            &["65 units", "64 channels"],
        ),
        (
            "search album --layer conv1 --unit 1 -o none/s.png",
            &["there is no directory"],
        ),
    ] {
        desk.refused(line, 1, words);
    }
    desk.refused(
        "search album --layer conv1 --unit 1 --top 0",
        2,
        &["at least 1"],
    );
    desk.refused("search album --layer conv1", 2, &["--unit", "--directions"]);
    assert!(
        !desk
            .path("album/.pixgrad-squeezenet1_1-conv1.safetensors")
            .exists()
    );
}

#[test]
fn a_folder_that_takes_no_file_is_searched_all_the_same() {
    let desk = album();
    // Where the answers would be, a folder with something in it: nobody can write there, whoever runs the test.
    fs::create_dir_all(desk.path(CACHE).join("full")).expect("a folder");
    let output = desk.run(&format!("{SEARCH} --unit 37"));
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("warning") && stderr.contains("cannot be written"),
        "{stderr}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["computed"], 6);
}
