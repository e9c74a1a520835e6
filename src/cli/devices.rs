//! `pixgrad devices`: what there is to run on.

use std::process::ExitCode;

use clap::Args;
use pixgrad::engine::device::{self, DeviceInfo};
use serde_json::json;

use super::{Global, terminal};

/// List the devices, best first. `cpu` is always available
#[derive(Debug, Args)]
pub struct DevicesArgs {}

pub fn run(_: &DevicesArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let devices = device::list();
    if global.json {
        terminal::print_json(&json!({ "devices": devices }))?;
    } else {
        let header = [
            "",
            "name",
            "backend",
            "type",
            "driver",
            "binding",
            "buffer",
            "workgroup",
            "invocations",
            "subgroup",
            "features",
        ];
        let rows =
            std::iter::once(header.map(String::from).to_vec()).chain(devices.iter().map(row));
        terminal::print(terminal::table(&rows.collect::<Vec<_>>()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(device: &DeviceInfo) -> Vec<String> {
    // A limit of 0 is one that the device does not have.
    let or_dash = |there: bool, text: String| if there { text } else { "-".to_string() };
    vec![
        device.index.to_string(),
        device.name.clone(),
        device.backend.clone(),
        serde_json::to_value(device.kind)
            .ok()
            .and_then(|k| Some(k.as_str()?.to_string()))
            .unwrap_or_default(),
        device.driver.clone(),
        terminal::bytes(device.max_binding_bytes),
        terminal::bytes(device.max_buffer_bytes),
        or_dash(
            device.max_workgroup_bytes > 0,
            terminal::bytes(device.max_workgroup_bytes.into()),
        ),
        or_dash(
            device.max_invocations > 0,
            device.max_invocations.to_string(),
        ),
        device
            .subgroup
            .map_or("-".to_string(), |(least, most)| format!("{least}-{most}")),
        or_dash(!device.features.is_empty(), device.features.join(",")),
    ]
}
