//! `pixgrad bench`: what a device can do, and what this program makes of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use pixgrad::Precision;
use pixgrad::engine::bench::{self, Options, Report};
use pixgrad::engine::image::{check_file, write_atomically};
use pixgrad::engine::methods::options::parse;
use serde_json::json;

use super::output::write_json;
use super::{Global, terminal};

/// Benchmark a device: its peak rates, whole iterations of style transfer, and single kernels. Every result is checked
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,

    /// Use smaller sizes: half a minute at most instead of three minutes
    #[arg(long)]
    quick: bool,

    /// A network: a name from `pixgrad models` or a .safetensors, .onnx or .pth file. May be repeated [default: the
    /// embedded networks]
    #[arg(long, value_name = "NAME|FILE")]
    model: Vec<String>,

    /// Long sides in pixels, measured however long they take [default: 256, 512 and 1024, where there is time]
    #[arg(long, value_name = "PIXELS,…", value_delimiter = ',', value_parser = parse::side)]
    sizes: Vec<u32>,

    /// Number format of the values that the backward pass reads: f32 or f16
    #[arg(long, value_name = "FORMAT", default_value = "f32", value_parser = parse::precision)]
    precision: Precision,

    /// Also write the report as JSON, for `bench compare`
    #[arg(short, long, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print reports side by side
    Compare {
        /// Reports written by `bench --output`
        #[arg(required = true, value_name = "FILE.json")]
        reports: Vec<PathBuf>,
    },
    /// Prepare a report for the project's table: benches/results/README.md says how to send it
    Submit {
        /// A report written by `bench --output`
        #[arg(value_name = "FILE.json")]
        report: PathBuf,

        /// The folder to write it to, under a name made of the adapter's
        #[arg(short, long, value_name = "DIR", default_value = ".")]
        output: PathBuf,
    },
    /// Check the reports of a folder and print their table in Markdown
    Table {
        /// The folder, for example benches/results
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

pub fn run(args: &BenchArgs, global: &Global) -> anyhow::Result<ExitCode> {
    match &args.what {
        Some(What::Compare { reports }) => return compare(reports, global),
        Some(What::Submit { report, output }) => return submit(report, output, global),
        Some(What::Table { folder }) => return table(folder),
        None => {}
    }
    args.output.as_ref().map(check_file).transpose()?;
    let device = global.open()?;
    let options = Options {
        quick: args.quick,
        sizes: args.sizes.clone(),
        precision: args.precision,
        check_size: None,
    };
    global.note(device.info());
    let report = bench::run(&device, &args.model, &options, |stage| {
        global.note(format_args!("  {stage}"));
    })?;
    if let Some(path) = &args.output {
        write_json(path, &report)?;
    }
    if global.json {
        terminal::print_json(&report)?;
    } else {
        terminal::print(described(&report))?;
    }
    Ok(if report.is_right() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Kernels with less of an iteration's time than this, in percent, share a line.
const LITTLE: f64 = 1.0;

fn described(report: &Report) -> String {
    let c = &report.ceilings;
    let mut text = format!(
        "{}\npixgrad {}, {}; layers in {}; times by the {}'s clock; {:.0} s in all\n",
        report.device,
        report.version,
        report.host,
        report.precision,
        if report.clock == "gpu" {
            "device"
        } else {
            "wall"
        },
        report.seconds
    );
    if report.software {
        text += "This is a software adapter or the processor: no time here is a GPU's.\n";
    }
    let told =
        |rate: Option<f64>| rate.map_or("none".to_string(), |rate| format!("{rate:.1} GFLOP/s"));
    let (half, coop) = (told(c.fp16_gflops), told(c.coop_gflops));
    text += &format!(
        "\nceilings: f32 {:.1} GFLOP/s, f16 {half}, cooperative matrices {coop}, \
         copy {:.1} GB/s, dispatch {:.1} µs{}\n",
        c.fp32_gflops,
        c.copy_gbps,
        c.dispatch_us,
        if c.right { "" } else { "  WRONG RESULT" }
    );
    text += &format!("\n{}\n", terminal::table(&iterations(report)));
    text += &format!("\n{}\n", terminal::table(&kernels(report)));
    for note in &report.notes {
        text += &format!("\n{note}");
    }
    text += if report.is_right() {
        "\nEvery result was checked and right."
    } else {
        "\nWRONG RESULTS: those marked differ from the reference by more than rounding explains."
    };
    text
}

fn check(right: bool, deviation: f64) -> String {
    format!("{deviation:.0e}{}", if right { "" } else { " WRONG" })
}

fn iterations(report: &Report) -> Vec<Vec<String>> {
    let header = [
        "iteration",
        "size",
        "min ms",
        "median",
        "wall",
        "GFLOP",
        "GFLOP/s",
        "of f32",
        "planned",
        "allocated",
        "dispatches",
        "submissions",
        "long",
        "host µs",
        "deviation",
    ];
    let row = |i: &bench::IterationReport| {
        vec![
            i.model.clone(),
            i.size.to_string(),
            format!("{:.2}", i.min_ms),
            format!("{:.2}", i.median_ms),
            format!("{:.2}", i.wall_ms),
            format!("{:.2}", i.gflop),
            format!("{:.1}", i.gflops),
            format!("{:.0}%", i.percent),
            terminal::bytes(i.planned_bytes),
            terminal::bytes(i.allocated_bytes),
            i.dispatches.to_string(),
            format!("{:.2}", i.submissions),
            i.long_submissions.to_string(),
            format!("{:.0}", i.host_us),
            check(i.right, i.deviation),
        ]
    };
    std::iter::once(header.map(String::from).to_vec())
        .chain(report.iterations.iter().map(row))
        .collect()
}

fn kernels(report: &Report) -> Vec<Vec<String>> {
    let header = [
        "kernel",
        "of",
        "calls",
        "share",
        "min ms",
        "median",
        "GFLOP",
        "GFLOP/s",
        "of f32",
        "GB/s",
        "deviation",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut models: Vec<&str> = report.kernels.iter().map(|k| k.model.as_str()).collect();
    models.dedup();
    for model in models {
        let own = || report.kernels.iter().filter(|k| k.model == model);
        for k in own().filter(|k| k.share >= LITTLE || !k.right) {
            rows.push(vec![
                k.kernel.clone(),
                format!("{model} {}: {}", k.size, k.call),
                k.calls.to_string(),
                format!("{:.1}%", k.share),
                format!("{:.3}", k.min_ms),
                format!("{:.3}", k.median_ms),
                format!("{:.2}", k.gflop),
                format!("{:.1}", k.gflops),
                format!("{:.0}%", k.percent),
                format!("{:.1}", k.gbps),
                check(k.right, k.deviation),
            ]);
        }
        let little: Vec<_> = own().filter(|k| k.share < LITTLE && k.right).collect();
        rows.push(vec![
            format!("{} others", little.len()),
            model.to_string(),
            little.iter().map(|k| k.calls).sum::<usize>().to_string(),
            format!("{:.1}%", little.iter().map(|k| k.share).sum::<f64>()),
        ]);
    }
    rows
}

/// Reads a report from a file, and the text that it was read of.
fn read(path: &Path) -> anyhow::Result<(Report, String)> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let report = bench::read(&text).map_err(|what| anyhow!("{} {what}", path.display()))?;
    Ok((report, text))
}

/// Writes a report under its own name, and prints its row of the table.
fn submit(report: &Path, folder: &Path, global: &Global) -> anyhow::Result<ExitCode> {
    let (report, text) = read(report)?;
    let path = folder.join(report.file_name());
    // To the last digit as it is: to print a number that was read may change that.
    write_atomically(&path, |file| file.write_all(text.as_bytes()))
        .with_context(|| format!("'{}' cannot be written", path.display()))?;
    if global.json {
        let row = report.row();
        terminal::print_json(&json!({ "output": path, "row": row, "doubts": report.doubts() }))?;
    } else {
        terminal::print(report.row())?;
        global.note(format_args!(
            "{}: to be sent as a pull request, see benches/results/README.md",
            path.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The table of all reports of a folder. A file that is none is an error; a doubt is told in the row.
fn table(folder: &Path) -> anyhow::Result<ExitCode> {
    let cannot = || format!("{} cannot be read", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|e| e == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let reports = paths.iter().map(|path| {
        let (report, _) = read(path)?;
        let name = report.file_name();
        anyhow::ensure!(
            path.ends_with(&name),
            "{} must have the name {name}: `pixgrad bench submit` gives it",
            path.display()
        );
        Ok(report)
    });
    let reports = reports.collect::<anyhow::Result<Vec<_>>>()?;
    terminal::print(bench::table(&reports))?;
    Ok(ExitCode::SUCCESS)
}

fn compare(paths: &[PathBuf], global: &Global) -> anyhow::Result<ExitCode> {
    let reports = paths.iter().map(|path| Ok(read(path)?.0));
    let reports = reports.collect::<anyhow::Result<Vec<_>>>()?;
    let figures = bench::compare(&reports);
    if global.json {
        let names: Vec<_> = reports.iter().map(|r| &r.device).collect();
        let rows: Vec<_> = figures
            .iter()
            .map(|f| json!({ "name": f.name, "values": f.values }))
            .collect();
        terminal::print_json(&json!({ "devices": names, "figures": rows }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut header = vec![String::new()];
    header.extend(reports.iter().map(|r| r.device.name.clone()));
    let mut rows = vec![header];
    // Two devices of one name are told apart by their drivers.
    let mut drivers = vec!["driver".to_string()];
    drivers.extend(reports.iter().map(|r| r.device.driver.clone()));
    rows.push(drivers);
    let mut precisions = vec!["layers in".to_string()];
    precisions.extend(reports.iter().map(|r| r.precision.to_string()));
    rows.push(precisions);
    for figure in figures {
        let mut row = vec![figure.name];
        let cell = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.2}"));
        row.extend(figure.values.into_iter().map(cell));
        rows.push(row);
    }
    terminal::print(terminal::table(&rows))?;
    Ok(ExitCode::SUCCESS)
}
