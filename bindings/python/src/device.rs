//! Devices.

use std::path::PathBuf;
use std::sync::Mutex;

use pixgrad::engine::device::{Tuning, list};
use pixgrad::engine::methods::options::parse;
use pixgrad::engine::net;
use pixgrad::{DeviceOptions, Opening};
use pyo3::prelude::*;

use crate::error::{raise, wrong};
use crate::logging::warn;

/// Networks that are kept for the next call.
const KEPT: usize = 4;

/// A GPU or the processor.
#[pyclass(frozen, module = "pixgrad._pixgrad")]
pub struct Device {
    pub device: pixgrad::Device,
    /// The embedded networks that were used last, by name.
    networks: Mutex<Vec<(String, pixgrad::Network)>>,
}

impl Device {
    /// The network of a name or a file. Embedded ones stay on the device for the next call.
    pub fn network(
        &self,
        model: &str,
        opening: &Opening,
    ) -> Result<pixgrad::Network, pixgrad::Error> {
        let plain = opening.preprocessing.is_none() && opening.labels.is_none();
        let is_kept = plain && net::embedded().any(|name| name == model);
        if !is_kept {
            return pixgrad::Network::load_with(&self.device, model, opening);
        }
        let mut networks = self.networks.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, network)) = networks.iter().find(|(name, _)| name == model) {
            return Ok(network.clone());
        }
        let network = pixgrad::Network::load(&self.device, model)?;
        networks.truncate(KEPT - 1);
        networks.insert(0, (model.to_string(), network.clone()));
        Ok(network)
    }

    /// Logs what the device has to say.
    pub fn tell(&self) {
        for warning in self.device.take_warnings() {
            warn(&warning);
        }
    }
}

#[pymethods]
impl Device {
    #[new]
    #[pyo3(signature = (name=None, *, backend=None, memory=None, tune=None))]
    fn new(
        py: Python<'_>,
        name: Option<String>,
        backend: Option<String>,
        memory: Option<&str>,
        tune: Option<bool>,
    ) -> PyResult<Self> {
        let memory = memory.map(parse::bytes).transpose();
        let options = DeviceOptions {
            device: name,
            backend,
            memory: memory.map_err(|why| wrong(&format!("memory: {why}")))?,
            tuning: match tune {
                None => Tuning::Auto,
                Some(false) => Tuning::Off,
                Some(true) => Tuning::Again,
            },
            tuning_folder: folder(),
            ..DeviceOptions::default()
        };
        let device = py.detach(|| pixgrad::Device::new(&options));
        let device = Self {
            device: device.map_err(raise)?,
            networks: Mutex::default(),
        };
        device.tell();
        Ok(device)
    }

    #[getter]
    fn name(&self) -> &str {
        &self.device.info().name
    }

    #[getter]
    fn backend(&self) -> &str {
        &self.device.info().backend
    }

    /// All that is known of it, as JSON.
    #[getter]
    fn info(&self) -> PyResult<String> {
        serde_json::to_string(self.device.info()).map_err(|e| wrong(&e.to_string()))
    }

    /// Bytes that are allocated now, and the most there have been.
    #[getter]
    fn allocated(&self) -> (u64, u64) {
        self.device.allocated()
    }
}

/// Where the results of benchmarking kernels are kept: as for the command line.
fn folder() -> Option<PathBuf> {
    Some(pixgrad::engine::device::cache_folder()?.join("kernels"))
}

/// The devices there are, as JSON.
#[pyfunction]
pub fn devices(py: Python<'_>) -> PyResult<String> {
    let all = py.detach(list);
    serde_json::to_string(&all).map_err(|e| wrong(&e.to_string()))
}
