//! Networks that are downloaded, imported, found by their names and removed.

use std::time::{Duration, Instant};

use pixgrad::engine::net::sha256;

use super::server::{Answer, Server};
use super::*;

/// The file of a small network.
fn network() -> Vec<u8> {
    fs::read(samples().join("models/squeezenet1_1.safetensors")).expect("a network")
}

fn hash(bytes: &[u8]) -> String {
    sha256(bytes).expect("a hash")
}

/// A desk whose catalogue has the network `small` of these bytes at a URL.
fn desk(url: &str, bytes: &[u8]) -> Desk {
    let desk = Desk::new();
    fs::create_dir(desk.path("no models")).expect("a folder");
    catalogue(&desk, url, bytes, "");
    desk
}

fn catalogue(desk: &Desk, url: &str, bytes: &[u8], more: &str) {
    let digits = &hash(bytes)[..8];
    let text = format!(
        "[[network]]\nname = \"small\"\nurl = \"{url}/{}\"\nsha256 = \"{digits}\"\n{more}",
        file_name(bytes)
    );
    fs::write(desk.path("no models/catalogue.toml"), text).expect("written");
}

fn file_name(bytes: &[u8]) -> String {
    format!("small-{}.safetensors", &hash(bytes)[..8])
}

/// The files in the folder of the installed networks, but the catalogue.
fn installed(desk: &Desk) -> Vec<String> {
    let entries = fs::read_dir(desk.path("no models")).expect("a folder");
    let names = entries.map(|e| e.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "catalogue.toml");
    names.sort();
    names
}

fn assert_installed(desk: &Desk, bytes: &[u8]) {
    assert_eq!(installed(desk), ["small.safetensors"]);
    let path = desk.path("no models/small.safetensors");
    assert!(fs::read(path).expect("a file") == bytes);
}

#[test]
fn a_network_is_downloaded_and_found_by_its_name() {
    let bytes = network();
    let file = bytes.clone();
    let server = Server::new(move |request| Answer::file(&file, request));
    let desk = desk(&format!("{}/models", server.url()), &bytes);
    desk.refused(
        "classify content.png --model small",
        1,
        &["`small`", "pixgrad models get small"],
    );
    let report = desk.json("models get small --json");
    assert_installed(&desk, &bytes);
    let path = desk.path("no models/small.safetensors");
    assert_eq!(report["path"], path.display().to_string());
    assert_eq!(report["bytes"], bytes.len());
    assert_eq!(report["sha256"], hash(&bytes));
    assert_eq!(
        server.seen()[0].path,
        format!("/models/{}", file_name(&bytes))
    );
    assert_eq!(
        desk.done("models path small").trim_end(),
        path.display().to_string()
    );
    assert_eq!(
        desk.json("models path --json")["directory"],
        desk.path("no models").display().to_string()
    );
    desk.done("classify content.png --model small");

    // Once is enough.
    assert_eq!(desk.json("models get small --json")["from"], Value::Null);
    assert_eq!(server.seen().len(), 1);
    fs::write(&path, b"another").expect("written");
    desk.refused(
        "models get small",
        1,
        &["another file", "models remove small"],
    );
    desk.done("models remove small");
    assert_eq!(installed(&desk), [""; 0]);
    desk.refused("models remove small", 1, &["no network `small`"]);
    desk.refused("models path small", 1, &["no network `small`"]);
}

#[test]
fn a_download_goes_on_where_it_was_cut_off() {
    let bytes = network();
    let half = bytes.len() / 2;
    let file = bytes.clone();
    let server = Server::new(move |request| match request.start {
        None => Answer::file(&file, request).cut(half),
        Some(start) if start == half => Answer::file(&file, request).cut(half / 2),
        _ => Answer::file(&file, request),
    });
    let desk = desk(&server.url(), &bytes);
    for _ in 0..2 {
        desk.refused(
            "models get small",
            1,
            &["MiB of ", "cut", "the same command goes on"],
        );
        let left = installed(&desk);
        assert_eq!(left.len(), 1);
        assert!(left[0].starts_with(".small-"), "{left:?}");
        let listed = desk.json("models list --json");
        assert_eq!(listed["models"].as_array().map(Vec::len), Some(2));
    }
    desk.done("models get small");
    assert_installed(&desk, &bytes);
    let starts: Vec<_> = server.seen().iter().map(|r| r.start).collect();
    assert_eq!(starts, [None, Some(half), Some(half + half / 2)]);
}

/// The whole file came, but the program ended before it was checked.
#[test]
fn a_download_that_is_whole_already_is_installed() {
    let bytes = network();
    let file = bytes.clone();
    let server = Server::new(move |request| Answer::file(&file, request));
    let desk = desk(&server.url(), &bytes);
    let part = format!("no models/.small-{}.part.safetensors", &hash(&bytes)[..8]);
    fs::write(desk.path(&part), &bytes).expect("written");
    desk.done("models get small");
    assert_installed(&desk, &bytes);
    // More than the whole file is no part of it.
    desk.done("models remove small");
    fs::write(desk.path(&part), [&bytes[..], b"more"].concat()).expect("written");
    desk.done("models get small");
    assert_installed(&desk, &bytes);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let bytes = network();
    let file = bytes.clone();
    let server = Server::new(move |request| {
        let whole = Answer::new("200 OK", &file);
        match request.start {
            None => whole.cut(100_000),
            Some(_) => whole,
        }
    });
    let desk = desk(&server.url(), &bytes);
    desk.refused("models get small", 1, &["97.7 KiB of "]);
    let output = desk.run("models get small");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("starts again"));
    assert_installed(&desk, &bytes);
}

#[test]
fn a_file_that_is_not_the_right_one_is_not_installed() {
    let bytes = network();
    let mut wrong = bytes.clone();
    wrong[bytes.len() / 2] ^= 1;
    let server = Server::new(move |request| Answer::file(&wrong, request));
    let other = desk(&server.url(), &bytes);
    other.refused(
        "models get small",
        1,
        &[
            "SHA-256",
            &hash(&bytes)[..8],
            "was removed",
            "models import",
        ],
    );
    assert_eq!(installed(&other), [""; 0]);
    let size = format!("size = {}", bytes.len() + 1);
    catalogue(&other, &server.url(), &bytes, &size);
    other.refused("models get small", 1, &["bytes where the catalogue says"]);
    assert_eq!(installed(&other), [""; 0]);

    // The right bytes, which are no network.
    let text = b"PK\x03\x04 and no more of a zip archive";
    let server = Server::new(move |request| Answer::file(text, request));
    let other = desk(&server.url(), text);
    other.refused("models get small", 1, &["cannot open", "was removed"]);
    assert_eq!(installed(&other), [""; 0]);
}

#[test]
fn a_web_page_is_no_network() {
    let bytes = network();
    let page = b"<!DOCTYPE html><title>Please log in</title>";
    for kind in ["text/html; charset=utf-8", "application/octet-stream"] {
        let server = Server::new(move |_| Answer::new("200 OK", page).header("Content-Type", kind));
        let desk = desk(&server.url(), &bytes);
        desk.refused("models get small", 1, &["a web page", "--from"]);
        assert_eq!(installed(&desk), [""; 0]);
        // What came before stays.
        let part = format!("no models/.small-{}.part.safetensors", &hash(&bytes)[..8]);
        fs::write(desk.path(&part), &bytes[..5000]).expect("written");
        desk.refused("models get small", 1, &["a web page"]);
        let left = fs::read(desk.path(&part)).expect("a file");
        assert!(left == bytes[..5000]);
    }
}

#[test]
fn servers_that_refuse_and_servers_that_send_elsewhere() {
    let bytes = network();
    let file = bytes.clone();
    let server = Server::new(move |request| match request.path.split('/').nth(1) {
        Some("old") => Answer::new("302 Found", b"moved").header("Location", "/new/file"),
        Some("new") => Answer::file(&file, request),
        Some("round") => Answer::new("302 Found", b"").header("Location", &request.path),
        Some("busy") => Answer::new("503 Service Unavailable", b"later"),
        _ => Answer::new("404 Not Found", b"<html>no</html>"),
    });
    let desk = desk(&format!("{}/none", server.url()), &bytes);
    desk.refused(
        "models get small",
        1,
        &[
            "no file",
            "404",
            &file_name(&bytes),
            "--from",
            "models import",
        ],
    );
    for (place, words) in [("busy", &["503", "later"][..]), ("round", &["redirects"])] {
        let line = format!("models get small --from {}/{place}/", server.url());
        desk.refused(&line, 1, words);
        assert_eq!(installed(&desk), [""; 0]);
    }
    desk.done(&format!("models get small --from {}/old", server.url()));
    assert_installed(&desk, &bytes);
}

#[test]
fn a_folder_is_a_mirror_too() {
    let bytes = network();
    let desk = desk("https://127.0.0.1:1", &bytes);
    fs::create_dir(desk.path("usb")).expect("a folder");
    desk.refused(
        "models get small --from usb",
        1,
        &["usb", &file_name(&bytes)],
    );
    desk.refused("models get small --from ftp://usb", 1, &["--from", "https"]);
    assert_eq!(installed(&desk), [""; 0]);
    let path = format!("usb/{}", file_name(&bytes));
    fs::write(desk.path(&path), &bytes[1..]).expect("written");
    desk.refused("models get small --from usb", 1, &["SHA-256"]);
    assert_eq!(installed(&desk), [""; 0]);
    fs::write(desk.path(&path), &bytes).expect("written");
    desk.done("models get small --from usb");
    assert_installed(&desk, &bytes);
}

#[test]
fn without_a_network_the_message_says_where_the_file_belongs() {
    let bytes = network();
    // Nobody listens here any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let desk = desk(&url, &bytes);
    let file = file_name(&bytes);
    let import = format!("pixgrad models import {file} --name small");
    desk.refused(
        "models get small",
        1,
        &["cannot be reached", &import, "no models/small.safetensors"],
    );
    assert_eq!(installed(&desk), [""; 0]);
    fs::write(desk.path(&file), &bytes).expect("written");
    desk.done(&format!("models import {file} --name small"));
    assert_installed(&desk, &bytes);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_the_download_goes_on_later() {
    let bytes = network();
    let file = bytes.clone();
    let server = Server::new(move |request| Answer::file(&file, request));
    let desk = desk(&server.url(), &bytes);
    // Blocks of 512 or of 1024 bytes.
    let output = desk.limited("trap '' XFSZ; ulimit -f 1000", "models get small");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for word in ["the disk is full after", "same command goes on"] {
        assert!(stderr.contains(word), "{stderr}");
    }
    assert!(installed(&desk)[0].starts_with(".small-"));
    desk.done("models get small");
    assert_installed(&desk, &bytes);
    assert!(server.seen()[1].start.is_some_and(|start| start >= 512_000));

    desk.done("models remove small");
    fs::write(desk.path("file.safetensors"), &bytes).expect("written");
    let line = "models import file.safetensors --name small";
    let output = desk.limited("trap '' XFSZ; ulimit -f 1000", line);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot be written"), "{stderr}");
    assert_eq!(installed(&desk), [""; 0]);
}

#[test]
fn what_cannot_be_downloaded_is_refused_with_what_can() {
    let desk = Desk::new();
    desk.refused(
        "models get resnet51",
        1,
        &["`resnet51`", "resnet50", "vgg16"],
    );
    desk.refused(
        "models get vgg19",
        1,
        &["part of the program", "vgg19_torchvision"],
    );
    desk.refused(
        "classify content.png --model resnet50",
        1,
        &["pixgrad models get resnet50"],
    );
    fs::create_dir(desk.path("no models")).expect("a folder");
    fs::write(
        desk.path("no models/catalogue.toml"),
        "[[network]]\nname = 1",
    )
    .expect("written");
    desk.refused("models get resnet50", 1, &["catalogue.toml", "sha256"]);
}

#[test]
fn networks_are_imported_and_removed() {
    let desk = Desk::new();
    fs::write(desk.path("mine.safetensors"), network()).expect("written");
    fs::write(desk.path("broken.pth"), "no").expect("written");
    let report = desk.json("models import mine.safetensors --json");
    assert_eq!(report["name"], "mine");
    assert_eq!(installed(&desk), ["mine.safetensors"]);
    desk.refused(
        "models import mine.safetensors",
        1,
        &["`mine` is installed already", "--name", "--force"],
    );
    desk.done("models import mine.safetensors --force");
    desk.refused(
        "models import mine.safetensors --name vgg19",
        1,
        &["part of the program", "--name"],
    );
    desk.refused("models import broken.pth", 1, &["`broken`"]);
    desk.refused("models import none.pth", 1, &["none.pth"]);
    desk.refused(
        "models import mine.safetensors --name a/b",
        2,
        &["`a/b`", "--name"],
    );
    // A file of a name that nobody reads is installed as what it is.
    fs::write(desk.path("weights.dat"), network()).expect("written");
    desk.done("models import weights.dat --name other");
    assert_eq!(installed(&desk), ["mine.safetensors", "other.safetensors"]);
    desk.refused("models remove vgg19", 1, &["part of the program"]);
    desk.refused("models path vgg19", 1, &["no file"]);
    let removed = desk.json("models remove mine --json");
    let path = desk.path("no models/mine.safetensors");
    assert_eq!(removed["removed"][0], path.display().to_string());
    assert_eq!(installed(&desk), ["other.safetensors"]);
}

/// A protocol buffer's field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    assert!(length < 1 << 14);
    let length = [(length & 127) as u8 | 128, (length >> 7) as u8];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

/// A protocol buffer's field of a small number.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// An ONNX file of one convolution, 1x1 from 3 channels to 4, whose 48 bytes are in the file `w.bin`, and of a node that
/// is not supported.
fn onnx() -> Vec<u8> {
    let entry = |key: &str, value: &str| {
        field(
            13,
            &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat(),
        )
    };
    let node = [
        field(1, b"image"),
        field(1, b"w"),
        field(2, b"out"),
        field(3, b"conv"),
        field(4, b"Conv"),
    ];
    let boxes = [
        field(1, b"out"),
        field(2, b"boxes"),
        field(3, b"select"),
        field(4, b"NonMaxSuppression"),
    ];
    let dims = [4, 3, 1, 1].map(|dim| number(1, dim)).concat();
    let weight = [
        dims,
        number(2, 1),
        field(8, b"w"),
        entry("location", "w.bin"),
        number(14, 1),
    ];
    let value = |name: &[u8], channels: u8| {
        let dims = [1, channels, 32, 32].map(|dim| field(1, &number(1, dim)));
        let tensor = [number(1, 1), field(2, &dims.concat())].concat();
        [field(1, name), field(2, &field(1, &tensor))].concat()
    };
    let graph = [
        field(1, &node.concat()),
        field(1, &boxes.concat()),
        field(5, &weight.concat()),
        field(11, &value(b"image", 3)),
        field(12, &value(b"out", 4)),
    ];
    [
        number(1, 8),
        field(7, &graph.concat()),
        field(8, &number(2, 13)),
    ]
    .concat()
}

#[test]
fn an_onnx_file_is_imported_with_its_numbers() {
    let desk = Desk::new();
    fs::create_dir(desk.path("exported")).expect("a folder");
    fs::write(desk.path("exported/mine.onnx"), onnx()).expect("written");
    let numbers: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_le_bytes()).collect();
    fs::write(desk.path("exported/other.bin"), b"of others").expect("written");
    desk.refused("models import exported/mine.onnx", 1, &["w.bin"]);
    fs::write(desk.path("exported/w.bin"), &numbers).expect("written");
    for line in [
        "models import exported/mine.onnx --name own",
        "models import exported/mine.onnx --name own --force",
    ] {
        desk.done(line);
        assert_eq!(installed(&desk), ["own"]);
        let copy = fs::read(desk.path("no models/own/w.bin")).expect("numbers");
        assert!(copy == numbers);
        assert!(!desk.path("no models/own/other.bin").exists());
    }
    // A file of another's is not replaced with the network.
    let notes = desk.path("no models/own/notes.txt");
    fs::write(&notes, "mine").expect("written");
    let again = "models import exported/mine.onnx --name own --force";
    desk.refused(again, 1, &["there is a folder", "--name"]);
    assert!(notes.exists());
    fs::remove_file(&notes).expect("removed");
    fs::remove_dir_all(desk.path("exported")).expect("removed");
    let shown = desk.done("models show own");
    for part in ["conv", "stops at", "`select` (NonMaxSuppression)"] {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = desk.json("models show own --json");
    let stops_at = shown["stops_at"].as_array().expect("a list");
    let text = stops_at[0].as_str().expect("a text");
    assert!(stops_at.len() == 1 && text.contains("`select`"), "{shown}");
    let listed = desk.json("models list --json");
    let own = &listed["models"][2];
    assert_eq!(
        (&own["name"], &own["format"]),
        (&"own".into(), &"onnx".into())
    );
    assert_eq!(own["architecture"], Value::Null);
    // A file of another's stays.
    fs::write(desk.path("no models/own/notes.txt"), "mine").expect("written");
    desk.done("models remove own");
    assert!(desk.path("no models/own/notes.txt").exists());
    assert!(!desk.path("no models/own/w.bin").exists());
    desk.refused("models show own", 1, &["no network `own`"]);
}

#[test]
fn two_files_of_one_name_are_both_named() {
    let desk = Desk::new();
    fs::create_dir(desk.path("no models")).expect("a folder");
    fs::write(desk.path("no models/mine.safetensors"), network()).expect("written");
    fs::write(desk.path("no models/mine.onnx"), onnx()).expect("written");
    for line in [
        "classify content.png --model mine",
        "models remove mine",
        "models path mine",
    ] {
        desk.refused(line, 1, &["mine.safetensors", "mine.onnx"]);
    }
    let output = desk.run("models list");
    assert!(text(&output.stderr).contains("warning: two networks"));
    desk.done("models remove mine.onnx");
    assert_eq!(installed(&desk), ["mine.safetensors"]);
    desk.done("models show mine");
}

/// Whole files of 5 GB would neither fit the memory nor be read in this time.
#[cfg(unix)]
#[test]
fn a_list_reads_no_whole_files() {
    let desk = Desk::new();
    fs::create_dir(desk.path("no models")).expect("a folder");
    for (name, start) in [
        ("a.safetensors", network()),
        ("b.pth", b"PK\x03\x04".to_vec()),
        ("c.onnx", onnx()),
    ] {
        let path = desk.path(&format!("no models/{name}"));
        fs::write(&path, start).expect("written");
        let file = fs::File::options().write(true).open(path);
        let file = file.expect("a file");
        file.set_len(5_000_000_000).expect("a sparse file");
    }
    fs::write(desk.path("no models/d.safetensors"), network()).expect("written");
    let begun = Instant::now();
    let output = desk.limited("ulimit -v 4000000", "models list --json");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let models = listed["models"].as_array().expect("a list");
    let told: Vec<_> = models[2..]
        .iter()
        .map(|model| {
            let text = |key: &str| model[key].as_str().unwrap_or("-").to_owned();
            (text("name"), text("format"), text("architecture"))
        })
        .collect();
    let expected = [
        ("b", "pytorch", "-"),
        ("c", "onnx", "-"),
        ("d", "safetensors", "squeezenet1_1"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(told, expected);
    assert_eq!(models[2]["bytes"], 5_000_000_000_u64);
    assert_eq!(
        (&models[4]["classes"], &models[4]["last_layer"]),
        (&1000.into(), &"prob".into())
    );
    // A header that does not fit its file is told.
    assert!(stderr.contains("`a`"), "{stderr}");
}
