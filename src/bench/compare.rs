//! Reports of several devices, or of one device at several times, side by side.

use super::Report;

/// A figure of every report, and how it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The figure.
    pub name: String,
    /// One for each report, in their order; `None` where it was not measured.
    pub values: Vec<Option<f64>>,
}

/// The figures that reports have in common, as far as each has them: ceilings, then iterations, then the kernels of the
/// same calls at the same size.
#[must_use]
pub fn compare(reports: &[Report]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut put = |name: String, report: usize, value: f64| {
        let figure = match figures.iter_mut().find(|c| c.name == name) {
            Some(figure) => figure,
            None => {
                let values = vec![None; reports.len()];
                figures.push(Figure { name, values });
                let last = figures.len() - 1;
                &mut figures[last]
            }
        };
        figure.values[report] = Some(value);
    };
    for (i, report) in reports.iter().enumerate() {
        put("fp32 GFLOP/s".into(), i, report.ceilings.fp32_gflops);
    }
    for (i, report) in reports.iter().enumerate() {
        if let Some(rate) = report.ceilings.fp16_gflops {
            put("fp16 GFLOP/s".into(), i, rate);
        }
        if let Some(rate) = report.ceilings.coop_gflops {
            put("cooperative GFLOP/s".into(), i, rate);
        }
    }
    for (i, report) in reports.iter().enumerate() {
        put("copy GB/s".into(), i, report.ceilings.copy_gbps);
        put("dispatch µs".into(), i, report.ceilings.dispatch_us);
    }
    for (i, report) in reports.iter().enumerate() {
        for one in &report.iterations {
            let name = format!("{} {} px, ms/iteration", one.model, one.size);
            put(name, i, one.min_ms);
        }
    }
    for (i, report) in reports.iter().enumerate() {
        for one in report.kernels.iter().filter(|k| k.gflop > 0.0) {
            let (file, _) = one.kernel.split_once('+').unwrap_or((&one.kernel, ""));
            let name = format!(
                "{} {} px, {file} {}, GFLOP/s",
                one.model, one.size, one.call
            );
            put(name, i, one.gflops);
        }
    }
    figures
}
