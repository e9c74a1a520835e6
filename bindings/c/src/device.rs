//! Devices and networks.

use std::ffi::c_char;

use pixgrad::engine::device::cache_folder;
use pixgrad::engine::methods::options::{CLASSIFIER, parse};
use pixgrad::{Device, DeviceOptions, Network};

use crate::status::{Failure, guard, pixgrad_status};
use crate::{free, give, handle, optional, text};

/// A GPU or the processor.
pub struct pixgrad_device {
    pub(crate) device: Device,
    name: std::ffi::CString,
}

/// A trained network on a device.
pub struct pixgrad_network(pub(crate) Network);

/// Opens a device. `name` is an index or a part of a name as `pixgrad devices` lists them, "cpu", or NULL for the best
/// GPU, else the processor. `memory` is the most that plans may take, such as "600M"; NULL: what there is.
///
/// # Safety
/// The texts are NULL or end with 0; `device` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_device_open(
    name: *const c_char,
    memory: *const c_char,
    device: *mut *mut pixgrad_device,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (name, memory) = unsafe { (optional("name", name)?, optional("memory", memory)?) };
        let memory = memory.map(parse::bytes).transpose();
        let opened = Device::new(&DeviceOptions {
            device: name.map(str::to_string),
            memory: memory.map_err(|why| Failure::invalid(format!("memory: {why}")))?,
            tuning_folder: cache_folder().map(|folder| folder.join("kernels")),
            ..DeviceOptions::default()
        })?;
        let name = std::ffi::CString::new(opened.info().name.replace('\0', " "));
        let opened = pixgrad_device {
            device: opened,
            name: name.unwrap_or_default(),
        };
        // SAFETY: as promised by the caller.
        unsafe { give(device, opened) }
    })
}

/// The name of a device, valid as long as it; NULL for NULL.
///
/// # Safety
/// `device` is NULL or a device that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_device_name(device: *const pixgrad_device) -> *const c_char {
    // SAFETY: as promised by the caller.
    unsafe { device.as_ref() }.map_or(std::ptr::null(), |device| device.name.as_ptr())
}

/// Frees a device.
///
/// # Safety
/// `device` is NULL or a device that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_device_free(device: *mut pixgrad_device) {
    // SAFETY: as promised by the caller.
    unsafe { free(device) }
}

/// Loads a network onto a device: an embedded or installed name, the path of a .safetensors, .onnx or .pth file, or
/// "auto".
///
/// # Safety
/// `device` is a device that is not freed; `model` ends with 0; `network` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_network_load(
    device: *const pixgrad_device,
    model: *const c_char,
    network: *mut *mut pixgrad_network,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (device, model) = unsafe { (handle("device", device)?, text("model", model)?) };
        let model = if model == "auto" { CLASSIFIER } else { model };
        let loaded = pixgrad_network(Network::load(&device.device, model)?);
        // SAFETY: as promised by the caller.
        unsafe { give(network, loaded) }
    })
}

/// Frees a network.
///
/// # Safety
/// `network` is NULL or a network that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_network_free(network: *mut pixgrad_network) {
    // SAFETY: as promised by the caller.
    unsafe { free(network) }
}
