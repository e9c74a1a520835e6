//! The GPU of the browser, and networks on it.

use pixgrad::engine::bench::{self, Options};
use pixgrad::engine::methods::classify;
use pixgrad::engine::net;
use pixgrad::{DeviceOptions, Tuning};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};

use crate::picture::Pictures;
use crate::{json, told};

/// Kernels are compared with the processor's at this size: a page has one core for that.
const CHECK_SIZE: u32 = 48;

/// An open GPU.
#[wasm_bindgen]
pub struct Device(pub(crate) pixgrad::Device);

/// Opens the GPU that the browser gives, or with `cpu` the processor, on one core. After a device was lost another one
/// can be opened.
///
/// # Errors
/// There is no WebGPU, or no adapter.
#[wasm_bindgen]
pub async fn open(cpu: bool) -> Result<Device, JsError> {
    let options = DeviceOptions {
        device: cpu.then(|| "cpu".to_string()),
        tuning: Tuning::Off,
        ..DeviceOptions::default()
    };
    let device = pixgrad::Device::new_async(&options).await.map_err(told)?;
    if !cpu && device.gpu().is_none() {
        return Err(JsError::new("this browser gives no WebGPU adapter"));
    }
    Ok(Device(device))
}

#[wasm_bindgen]
impl Device {
    /// Name, backend and limits, as JSON.
    ///
    /// # Errors
    /// None.
    pub fn info(&self) -> Result<String, JsError> {
        json(self.0.info())
    }

    /// Bytes of all buffers that exist, and the most there were.
    #[must_use]
    pub fn allocated(&self) -> Vec<f64> {
        let (now, peak) = self.0.allocated();
        vec![now as f64, peak as f64]
    }

    /// Measures the device with networks: the report of `pixgrad bench --output` as JSON, its name as a file, its row
    /// of the project's table, and what in it is doubtful. `host` is what the browser says of itself; `adapter` are the
    /// parts of what it says of its adapter, and `is_fallback` whether that is its fallback; `stage` is called with
    /// what comes next.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn bench(
        &self,
        networks: Vec<Network>,
        host: String,
        adapter: Vec<String>,
        is_fallback: bool,
        stage: js_sys::Function,
    ) -> Result<String, JsError> {
        let graphs = networks.iter().map(|network| network.0.graph().clone());
        let options = Options {
            quick: true,
            check_size: Some(CHECK_SIZE),
            ..Options::default()
        };
        let tell = |what: &str| {
            // Whether the page listens does not matter here.
            let _ = stage.call1(&JsValue::NULL, &what.into());
        };
        let report = bench::run_async(&self.0, graphs.collect(), host, &options, tell).await;
        let mut report = report.map_err(told)?;
        report.tell_adapter(&adapter, is_fallback);
        json(&serde_json::json!({
            "file": report.file_name(),
            "row": report.row(),
            "doubts": report.doubts(),
            "report": report,
        }))
    }

    /// Destroys the GPU's device at once, with all that is on it: what runs on it fails.
    pub fn destroy(&self) {
        if let Some(gpu) = self.0.gpu() {
            gpu.device().destroy();
        }
    }

    /// A network from the bytes of its file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn network(&self, name: &str, file: &[u8]) -> Result<Network, JsError> {
        let graph = net::Network::from_bytes(name, file).map_err(told)?;
        Ok(Network(pixgrad::Network::new(&self.0, graph)))
    }
}

/// A network on a device.
#[wasm_bindgen]
pub struct Network(pub(crate) pixgrad::Network);

#[wasm_bindgen]
impl Network {
    /// The same network once more, for a call that takes it away.
    #[must_use]
    pub fn share(&self) -> Network {
        Network(self.0.clone())
    }

    /// The names of its classes, one a line; empty where it has none.
    #[must_use]
    pub fn classes(&self) -> String {
        let names = self.0.graph().class_names();
        names.map_or_else(String::new, |names| names.join("\n"))
    }

    /// The names of its layers, one a line.
    #[must_use]
    pub fn layers(&self) -> String {
        let nodes = self.0.graph().layers();
        nodes.map(|node| &*node.name).collect::<Vec<_>>().join("\n")
    }

    /// What it sees in a picture as it is: the likeliest classes, as JSON.
    ///
    /// # Errors
    /// No such picture, or a network without a classifier.
    pub async fn classify(
        &self,
        pictures: &Pictures,
        name: &str,
        top: usize,
    ) -> Result<String, JsError> {
        let missing = || JsError::new(&format!("there is no picture '{name}'"));
        let image = pictures.find(name).ok_or_else(missing)?;
        let network = self.0.clone();
        let found = classify::classify_async(&network, &image, classify::Size::Native, top).await;
        json(&found.map_err(told)?)
    }
}
