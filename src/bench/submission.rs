//! Reports that people send in: the name of the file, the table of all, and what in a report cannot be.

use super::{Report, SCHEMA};

/// The columns of the table.
const COLUMNS: [&str; 9] = [
    "adapter",
    "backend, driver",
    "host",
    "pixgrad",
    "layers in",
    "f32, f16, matrices in GFLOP/s",
    "copy in GB/s",
    "iterations in ms: size, least (median)",
    "checks",
];

/// Convolutions count as direct ones; computed by Winograd's F(2×2, 3×3) they take 2.25 times fewer operations. More
/// percent of the f32 ceiling than these cannot be.
const MOST_PERCENT: f64 = 240.0;

impl Report {
    /// The name of the report's file among those of others: adapter, backend, and what layers are stored in.
    #[must_use]
    pub fn file_name(&self) -> String {
        let all = format!(
            "{} {} {}",
            self.device.name, self.device.backend, self.precision
        );
        let plain: String = all
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' })
            .collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        format!("{}.json", words.join("-"))
    }

    /// What in it cannot be, or says less than it seems to; in words for a table.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let mut doubt = |is_doubtful: bool, text: String| {
            if is_doubtful && !doubts.contains(&text) {
                doubts.push(text);
            }
        };
        doubt(!self.is_right(), "WRONG RESULTS".into());
        doubt(self.iterations.is_empty(), "no iteration".into());
        doubt(
            !self.software && self.clock != "gpu",
            "no clock of the GPU".into(),
        );
        let c = &self.ceilings;
        let rates = [Some(c.fp32_gflops), c.fp16_gflops, c.coop_gflops];
        for rate in rates.into_iter().flatten().chain([c.copy_gbps]) {
            doubt(!is_positive(rate), "a ceiling is no positive number".into());
        }
        let times = self.iterations.iter().map(|i| {
            let what = format!("{} at {} px", i.model, i.size);
            (what, i.min_ms, i.median_ms, i.gflop, i.gflops, i.percent)
        });
        let kernels = self.kernels.iter().map(|k| {
            let what = format!("{} of {}", k.call, k.model);
            (what, k.min_ms, k.median_ms, k.gflop, k.gflops, k.percent)
        });
        for (what, min, median, gflop, gflops, percent) in times.chain(kernels) {
            // A GPU's clock ticks too slowly for the shortest kernels.
            if gflop <= 0.0 && min == 0.0 {
                continue;
            }
            let rate = gflop / (min / 1e3);
            doubt(!is_positive(min), format!("{what}: no time"));
            doubt(
                median < min,
                format!("{what}: the median is below the least"),
            );
            doubt(
                (rate - gflops).abs() > 0.01 * gflops.abs(),
                format!("{what}: its rate is not that of its time"),
            );
            doubt(
                percent > MOST_PERCENT,
                format!("{what}: faster than the ceiling"),
            );
        }
        doubts
    }

    /// Its row of the table, in Markdown.
    #[must_use]
    pub fn row(&self) -> String {
        let c = &self.ceilings;
        let rate = |rate: Option<f64>| rate.map_or("none".to_string(), |rate| format!("{rate:.0}"));
        let mut checks = if self.software {
            vec!["a software adapter".to_string()]
        } else {
            Vec::new()
        };
        checks.extend(self.doubts());
        if checks.is_empty() {
            checks.push("right".to_string());
        }
        let commit = self.commit.as_deref().map(|commit| format!(" {commit}"));
        let cells = [
            self.device.name.clone(),
            format!("{}, {}", self.device.backend, self.device.driver),
            self.host.clone(),
            format!("{}{}", self.version, commit.unwrap_or_default()),
            self.precision.to_string(),
            format!(
                "{}, {}, {}",
                rate(Some(c.fp32_gflops)),
                rate(c.fp16_gflops),
                rate(c.coop_gflops)
            ),
            format!("{:.1}", c.copy_gbps),
            self.times().join("; "),
            checks.join("; "),
        ];
        row(cells.iter().map(String::as_str))
    }

    /// The iterations, those of a network together.
    fn times(&self) -> Vec<String> {
        let mut models: Vec<&str> = self.iterations.iter().map(|i| i.model.as_str()).collect();
        models.dedup();
        let of = |model: &str| {
            let own = self.iterations.iter().filter(|i| i.model == model);
            let times = own.map(|i| format!("{}: {:.1} ({:.1})", i.size, i.min_ms, i.median_ms));
            format!("{model} {}", times.collect::<Vec<_>>().join(", "))
        };
        models.into_iter().map(of).collect()
    }
}

fn is_positive(number: f64) -> bool {
    number.is_finite() && number > 0.0
}

/// A row of Markdown. A text of a driver may hold what would end a cell, or begin something else.
fn row<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let plain = |cell: &str| -> String {
        cell.chars()
            .map(|c| match c {
                '|' | '<' | '>' | '`' | '[' | ']' => ' ',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect()
    };
    let cells: Vec<String> = cells.map(plain).collect();
    format!("| {} |", cells.join(" | "))
}

/// The table of reports, in Markdown: by adapter.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut rows: Vec<String> = reports.iter().map(Report::row).collect();
    rows.sort();
    let head = [
        row(COLUMNS.into_iter()),
        row(COLUMNS.map(|_| "---").into_iter()),
    ];
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// Reads a report.
///
/// # Errors
/// What is wrong with the text, as it goes on from "the report".
pub fn read(text: &str) -> Result<Report, String> {
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| format!("is no report of `pixgrad bench --output`: {error}"))?;
    match value["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(other) => {
            return Err(format!(
                "is of format {other}; this pixgrad reads format {SCHEMA}"
            ));
        }
        None => return Err("is no report of `pixgrad bench --output`: it has no `schema`".into()),
    }
    serde_json::from_value(value)
        .map_err(|error| format!("is no report of `pixgrad bench --output`: {error}"))
}
