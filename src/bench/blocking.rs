//! The call that blocks. A browser has none.

use pollster::block_on;

use super::{Options, Report, run_async};
use crate::Error;
use crate::device::Device;
use crate::net;

/// Networks that are in every copy of this program.
const MODELS: &[&str] = &["squeezenet1_1", "vgg19"];

/// Measures `device` with the networks of these names or files, or without any with those that are embedded; `stage` is
/// told what comes next.
///
/// # Errors
/// [`Error::Device`] when the device fails, [`Error::Net`] for a network that cannot be loaded.
pub fn run(
    device: &Device,
    models: &[String],
    options: &Options,
    stage: impl FnMut(&str),
) -> Result<Report, Error> {
    let embedded = MODELS.iter().map(|name| net::Network::open(name));
    let given = models.iter().map(|model| net::Network::open(model));
    let networks: Result<Vec<_>, _> = if models.is_empty() {
        embedded.collect()
    } else {
        given.collect()
    };
    block_on(run_async(device, networks?, host(), options, stage))
}

/// The processor, its threads and the operating system.
fn host() -> String {
    let mut system = sysinfo::System::new();
    system.refresh_cpu_all();
    let name = system
        .cpus()
        .first()
        .map_or("unknown processor", |c| c.brand().trim());
    format!(
        "{name}, {} threads, {} {}",
        system.cpus().len(),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}
