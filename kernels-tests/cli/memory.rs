//! Memory that pictures take while they are read.

use std::io::Write;

use pixgrad::engine::image::psnr;

use super::*;

/// A PNG of one bit per pixel with some white in the middle, and further chunks before its pixels.
pub fn bilevel(side: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().expect("a header");
    for (kind, data) in chunks {
        let kind = png::chunk::ChunkType(**kind);
        writer.write_chunk(kind, data).expect("a chunk");
    }
    let row_bytes = side.div_ceil(8) as usize;
    let mut row = vec![0; row_bytes];
    row[row_bytes / 3..row_bytes / 2].fill(0xF0);
    let mut stream = writer.stream_writer().expect("a stream");
    for y in 0..side {
        let filled = y > side / 4 && y < side / 2;
        let black = vec![0; row_bytes];
        stream
            .write_all(if filled { &row } else { &black })
            .expect("a row");
    }
    stream.finish().expect("pixels");
    drop(writer);
    file
}

/// The largest picture that is read has 268 million pixels. As floating-point numbers they would take 3.2 GB.
#[cfg(target_os = "linux")]
#[test]
fn the_largest_picture_is_classified_in_little_memory() {
    let desk = Desk::new();
    fs::create_dir(desk.path("set")).expect("a folder");
    let file = bilevel(16_384, &[]);
    for name in ["a", "b", "c"] {
        fs::write(desk.path(&format!("set/{name}.png")), &file).expect("written");
    }
    // KiB of address space, of which the C library reserves some for every thread.
    let limit = "export MALLOC_ARENA_MAX=1; ulimit -v 1500000";
    for line in [
        "classify set/a.png --device cpu",
        "search set --layer conv10 --unit 1 --decode-memory 500M --device cpu",
    ] {
        let output = desk.limited(limit, line);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {stderr}");
        assert!(!stderr.contains("skipped"), "{line}: {stderr}");
    }
}

/// A plan beyond what `ulimit` allows would end in an abort.
#[cfg(target_os = "linux")]
#[test]
fn limits_of_the_process_are_the_memory_there_is() {
    let desk = Desk::new();
    let line = "plan --model squeezenet1_1 --sizes 64 --json --device cpu";
    for limit in ["-v", "-d"] {
        let output = desk.limited(&format!("ulimit {limit} 2000000"), line);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let memory = told["memory_limit"].as_u64().expect("a number of bytes");
        assert!((1..2_048_000_000).contains(&memory), "{limit}: {memory}");
    }
}

#[test]
fn decoding_keeps_to_its_budget() {
    let desk = Desk::new();
    desk.picture("photo.png", &sample("chelsea.png", 400, 300));
    let words = [
        "photo.png",
        "to decode",
        "are allowed",
        "--decode-memory 3M",
    ];
    let small = "--decode-memory 1M";
    desk.refused(&format!("classify photo.png {small}"), 1, &words);
    desk.refused(
        &format!("style photo.png style.png -o out.png {SHORT} {small}"),
        1,
        &words,
    );
    desk.refused(
        &format!("style photo.png style.png -o out.png {SHORT} --memory 1M"),
        1,
        &words,
    );
    desk.done("classify photo.png --decode-memory 3M");
}

#[test]
fn a_profile_that_unpacks_without_end_is_left_out() {
    let desk = Desk::new();
    let zeros = vec![0; 1 << 20];
    let mut packed =
        flate2::write::ZlibEncoder::new(b"p\0\0".to_vec(), flate2::Compression::fast());
    for _ in 0..200 {
        packed.write_all(&zeros).expect("packed");
    }
    let profile = packed.finish().expect("packed");
    fs::write(desk.path("bomb.png"), bilevel(64, &[(b"iCCP", &profile)])).expect("written");
    let output = desk.run("classify bomb.png");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("has an ICC profile that cannot be unpacked"),
        "{stderr}"
    );
}

/// A network of somebody else, where it is there: an image that does not fit in one piece comes out the same in bands.
#[test]
fn an_imported_network_runs_in_bands() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/nets/mobilenet_v2.onnx");
    if !model.exists() {
        eprintln!("{} is not there", model.display());
        return;
    }
    let desk = Desk::new();
    fs::copy(model, desk.path("own.onnx")).expect("a copy");
    desk.picture("photo.png", &sample("chelsea.png", 512, 340));
    let dream = |memory: &str, device: &str, more: &str| {
        let layer = "--model own.onnx --layers clip5 -s 512 --octaves 1 -i 4 --no-tune";
        format!("dream photo.png {layer} --memory {memory} --device {device} {more}")
    };
    for (memory, bands) in [("2G", 1), ("60M", 2), ("30M", 6)] {
        let told = desk.json(&dream(memory, "cpu", "--dry-run --json"));
        assert_eq!(told["scales"][0]["bands"], bands, "{memory}");
    }
    // A deep layer sees so much of the image that bands do not help.
    let deep = dream("30M", "cpu", "--dry-run").replace("clip5", "clip30");
    let output = desk.run(&deep);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("layer `clip30` sees") && stderr.contains("of the image's 340"),
        "{stderr}"
    );
    desk.done(&dream("2G", "cpu", "-o whole.png"));
    let whole = desk.load("whole.png");
    for device in ["cpu", "0"] {
        desk.done(&dream("30M", device, "-o bands.png"));
        let alike = psnr(&whole, &desk.load("bands.png")).expect("one size");
        assert!(alike >= 50.0, "{device}: {alike} dB");
    }
}
