//! The GPU of the browser, and networks on it.

use pixgrad::engine::methods::classify;
use pixgrad::engine::net;
use pixgrad::{DeviceOptions, Tuning};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::picture::Pictures;
use crate::{json, told};

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
