//! `bench`, `bench compare`, `plan` and `--dry-run`: what they report is complete, consistent and checked. No test
//! looks at how long anything took.

use std::fs;

use serde_json::{Value, json};

use crate::Desk;

fn report(desk: &Desk, file: &str) -> Value {
    let printed = desk.json(&format!(
        "bench --quick --model squeezenet1_1 --sizes 64 --json -o {file}"
    ));
    let written = fs::read_to_string(desk.path(file)).expect("written");
    assert_eq!(
        printed,
        serde_json::from_str::<Value>(&written).expect("JSON")
    );
    printed
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("a number: {value}"))
}

#[test]
fn a_report_is_complete_and_its_figures_agree() {
    let desk = Desk::new();
    let report = report(&desk, "cpu.json");
    assert_eq!(report["schema"], json!(1));
    assert_eq!(
        (&report["software"], &report["clock"]),
        (&json!(true), &json!("wall"))
    );
    assert_eq!(report["device"]["name"], json!("cpu"));
    let ceilings = &report["ceilings"];
    assert_eq!(ceilings["right"], json!(true));
    assert_eq!(ceilings["fp16_gflops"], Value::Null);
    for rate in ["fp32_gflops", "copy_gbps", "dispatch_us"] {
        assert!(number(&ceilings[rate]) > 0.0, "{rate}");
    }

    let iterations = report["iterations"].as_array().expect("a list");
    let [one] = iterations.as_slice() else {
        panic!("one network at one size: {iterations:?}")
    };
    assert_eq!(
        (&one["model"], &one["size"]),
        (&json!("squeezenet1_1"), &json!(64))
    );
    assert_eq!(one["right"], json!(true));
    let deviation = number(&one["deviation"]);
    assert!(
        deviation > 0.0 && deviation < 1e-4,
        "f32 against f64: {deviation}"
    );
    assert!(number(&one["min_ms"]) <= number(&one["median_ms"]));
    let (planned, allocated) = (
        number(&one["planned_bytes"]),
        number(&one["allocated_bytes"]),
    );
    assert!(
        (planned - allocated).abs() <= 0.01 * allocated,
        "{planned} {allocated}"
    );

    let kernels = report["kernels"].as_array().expect("a list");
    let sum = |name: &str| kernels.iter().map(|k| number(&k[name])).sum::<f64>();
    assert!((sum("share") - 100.0).abs() < 1e-6);
    // Every call of the iteration is among them, with its work.
    assert_eq!(sum("calls"), number(&one["dispatches"]));
    let gflop: f64 = kernels
        .iter()
        .map(|k| number(&k["calls"]) * number(&k["gflop"]))
        .sum();
    assert!((gflop - number(&one["gflop"])).abs() < 1e-9 * gflop);
    for kernel in kernels {
        assert_eq!(kernel["right"], json!(true), "{kernel}");
    }
    // A convolution in f32 is not bit for bit that in f64.
    let convolution = kernels.iter().find(|k| {
        k["kernel"]
            .as_str()
            .is_some_and(|k| k.starts_with("conv3x3"))
    });
    assert!(number(&convolution.expect("squeezenet has some")["deviation"]) > 0.0);
}

#[test]
fn reports_stand_side_by_side() {
    let desk = Desk::new();
    let one = report(&desk, "one.json");
    let mut other = one.clone();
    other["device"]["name"] = json!("another");
    other["ceilings"]["fp32_gflops"] = json!(1234.5);
    other["iterations"][0]["size"] = json!(96);
    fs::write(desk.path("other.json"), other.to_string()).expect("written");
    let text = desk.done("bench compare one.json other.json");
    let line = |start: &str| {
        let found = text.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start}: {text}"))
    };
    assert!(text.lines().next().expect("a header").ends_with("another"));
    assert!(line("fp32").ends_with("1234.50"));
    // What only one of them has measured is no number for the other.
    assert!(line("squeezenet1_1 64 px, ms").ends_with('-'));
    assert!(line("squeezenet1_1 96 px, ms").contains(" - "));
}

#[test]
fn what_is_no_report_is_refused() {
    let desk = Desk::new();
    for (content, expected) in [
        ("{}", "is no report of `pixgrad bench --output`"),
        ("nothing", "is no report"),
        (
            r#"{"schema": 99}"#,
            "is of format 99; this pixgrad reads format 1",
        ),
    ] {
        fs::write(desk.path("a.json"), content).expect("written");
        desk.refused("bench compare a.json", 1, &["a.json", expected]);
    }
    desk.refused("bench compare none.json", 1, &["none.json cannot be read"]);
    desk.refused("bench --sizes 0", 2, &["whole number of pixels"]);
    // Before anything is measured.
    desk.refused("bench -o no/such/folder/a.json", 1, &["no/such/folder"]);
    desk.refused("bench --quick --model nothing", 1, &["nothing"]);
}

#[test]
fn a_plan_tells_what_fits() {
    let desk = Desk::new();
    let line = "plan --model squeezenet1_1 --sizes 64,512,1024";
    let plan = desk.json(&format!("{line} --memory 65M --json"));
    assert_eq!(plan["memory_limit"], json!(65 << 20));
    assert_eq!(plan["measured_at"], json!([64, 64]));
    let sizes = plan["sizes"].as_array().expect("a list");
    assert_eq!(sizes.len(), 3);
    let last = |i: usize| {
        let scales = sizes[i]["scales"].as_array().expect("scales");
        scales.last().expect("one at least").clone()
    };
    for (i, size) in [64, 512].into_iter().enumerate() {
        assert_eq!(sizes[i]["fits"], json!(true), "{plan}");
        assert_eq!(last(i)["width"], json!(size));
        assert!(number(&last(i)["peak_bytes"]) <= f64::from(65 << 20));
    }
    // One pace for all: what differs is the work, 64-fold and that of the bands' halos.
    let ratio = number(&last(1)["iteration_ms"]) / number(&last(0)["iteration_ms"]);
    assert!(ratio > 16.0 && ratio < 256.0, "{ratio}");
    assert!(
        number(&last(1)["bands"]) > 1.0,
        "65 MiB hold no image of 512 px at once"
    );

    let small = desk.json(&format!("{line} --memory 40M --json"));
    assert_eq!(small["sizes"][2]["fits"], json!(false), "{small}");
    let table = desk.done(line);
    assert!(
        table.contains("1024x1024") && table.contains("yes"),
        "{table}"
    );
    desk.refused("plan --sizes 64,none", 2, &["whole number of pixels"]);
    desk.refused("plan none.toml", 1, &["none.toml"]);
}

/// The `cpu` device has nothing to tune; the options are taken all the same, but not both.
#[test]
fn tuning_is_asked_for_or_not() {
    let desk = Desk::new();
    desk.refused(
        "classify content.png --no-tune --retune",
        2,
        &["cannot be used with"],
    );
    let cache = desk.path("cache");
    let mut command =
        desk.command("style content.png style.png -s 32 --min-size 32 -i 1 --retune -o a.png");
    let output = command
        .env("PIXGRAD_CACHE", &cache)
        .output()
        .expect("it starts");
    assert!(output.status.success());
    assert!(!cache.exists(), "nothing was tuned");
}

/// The distance of covariances takes products of 1000×1000 matrices there, whatever the size of the picture.
#[test]
fn a_plan_tells_that_wasserstein_of_a_thousand_channels_takes_long() {
    let desk = Desk::new();
    let milliseconds = |loss: &str| {
        let plan = desk.json(&format!(
            "style content.png style.png --style-layers conv10 --style-loss {loss} --size 64 --dry-run --json"
        ));
        number(&plan["scales"][0]["iteration_ms"])
    };
    let (gram, wasserstein) = (milliseconds("gram"), milliseconds("wasserstein"));
    assert!(wasserstein > 10.0 * gram, "{wasserstein} and {gram} ms");
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let desk = Desk::new();
    let before = desk.files();
    let line = "style content.png style.png --size 64 --min-size 32 --dry-run";
    let plan = desk.json(&format!("{line} --json"));
    let scales = plan["scales"].as_array().expect("scales");
    assert_eq!(scales.len(), 3, "32, 45 and 64 pixels");
    assert_eq!(
        (&scales[2]["width"], &scales[2]["height"]),
        (&64.into(), &48.into())
    );
    for key in ["iterations", "total_bytes", "buffer_bytes", "dispatches"] {
        assert!(
            scales
                .iter()
                .all(|s| s[key].as_u64().is_some_and(|n| n > 0)),
            "{key}"
        );
    }
    let gflop = |i: usize| number(&scales[i]["gflop"]);
    let mut seconds = 0.0;
    for scale in scales {
        let iterations = number(&scale["iteration_ms"]) / 1e3 * number(&scale["iterations"]);
        assert!(
            iterations > 0.0 && number(&scale["seconds"]) >= iterations,
            "{scale}"
        );
        seconds += number(&scale["seconds"]);
    }
    assert!((number(&plan["seconds"]) - seconds).abs() < 1e-9);
    assert!(gflop(0) > 0.0 && gflop(2) > 2.0 * gflop(0));
    let table = desk.done(line);
    assert!(
        table.contains("64x48") && table.contains("MiB") && table.contains("GFLOP"),
        "{table}"
    );
    assert_eq!(desk.files(), before);
}

#[test]
fn a_report_is_prepared_for_the_table_and_doubts_are_told() {
    let desk = Desk::new();
    let mut one = report(&desk, "report.json");
    let row = desk.done("bench submit report.json");
    assert!(row.contains("| cpu | cpu, ") && row.contains("a software adapter"));
    let written = fs::read_to_string(desk.path("cpu-cpu-f32.json")).expect("under its own name");
    assert_eq!(
        serde_json::from_str::<Value>(&written).expect("JSON"),
        one,
        "nothing is lost"
    );
    // What tells the kernels and the weights apart, and nothing that tells who measured.
    for hash in [&one["kernels"][0]["text"], &one["iterations"][0]["weights"]] {
        assert_eq!(hash.as_str().expect("a text").len(), 32);
    }
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    assert!(host.trim().len() < 4 || !written.contains(host.trim()));
    assert!(!written.contains(desk.path("").to_str().expect("UTF-8")));

    // A folder's table; a report of what cannot be stays in it.
    fs::create_dir(desk.path("all")).expect("a folder");
    one["device"]["name"] = json!("Card | of <b>somebody</b>");
    one["device"]["type"] = json!("discrete-gpu");
    one["software"] = json!(false);
    one["iterations"][0]["gflops"] = json!(1e9);
    one["iterations"][0]["percent"] = json!(1e6);
    one["kernels"][0]["right"] = json!(false);
    fs::write(desk.path("other.json"), one.to_string()).expect("written");
    let row = desk.done("bench submit other.json --output all");
    for expected in [
        "Card   of  b somebody /b ",
        "WRONG RESULTS",
        "no clock of the GPU",
        "its rate is not that of its time",
        "faster than the ceiling",
    ] {
        assert!(row.contains(expected), "{expected}: {row}");
    }
    desk.done("bench submit report.json --output all");
    let table = desk.done("bench table all");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let columns = |line: &&str| line.matches('|').count();
    assert!(lines.iter().all(|line| columns(line) == 10), "{table}");

    fs::write(desk.path("all/card.json"), one.to_string()).expect("written");
    desk.refused("bench table all", 1, &["card.json must have the name"]);
    fs::write(desk.path("all/card.json"), "{}").expect("written");
    desk.refused("bench table all", 1, &["card.json is no report"]);
}

/// `cargo xtask results` has been run since a report came.
#[test]
fn the_projects_own_table_is_up_to_date() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");
    let desk = Desk::new();
    let table = desk.done(&format!("bench table {folder}"));
    let page = fs::read_to_string(format!("{folder}/README.md")).expect("the page");
    assert!(page.contains(table.trim_end()), "run `cargo xtask results`");
}
