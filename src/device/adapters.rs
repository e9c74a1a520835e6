//! Which devices there are, and which one a request means.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{COOP_TILES, Cpu, DeviceError, Tuning};

/// What to open.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// An index from `pixgrad devices`, a part of a name (any case), `cpu`, or `auto` (also when absent).
    pub device: Option<String>,
    /// `vulkan`, `metal`, `dx12`, `gl` or `cpu`: only adapters of this backend.
    pub backend: Option<String>,
    /// The most bytes that plans may take: larger images go through the network in bands. Absent: what there is.
    pub memory: Option<u64>,
    /// Which kernels run where several compute the same.
    pub tuning: Tuning,
    /// Where what was found of a GPU's kernels is kept for later processes; absent: nowhere.
    pub tuning_folder: Option<PathBuf>,
    /// Compiles shaders with bounds and loop checks: what the tests run with, and builds with debug assertions.
    pub checked: bool,
}

/// The kind of hardware behind a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A GPU with its own memory.
    DiscreteGpu,
    /// A GPU that shares the processor's memory.
    IntegratedGpu,
    /// A GPU handed into a virtual machine.
    VirtualGpu,
    /// The processor: this crate's own `cpu` device, or a software adapter such as lavapipe.
    Cpu,
    /// The driver does not say.
    Other,
}

/// What `pixgrad devices` lists of one device. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// What `--device` takes.
    pub index: usize,
    /// The adapter's name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `gl` or `cpu`.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// The hardware.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// The largest storage binding.
    pub max_binding_bytes: u64,
    /// The largest buffer.
    pub max_buffer_bytes: u64,
    /// Workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Invocations per workgroup.
    pub max_invocations: u32,
    /// Smallest and largest subgroup, where there are subgroups.
    pub subgroup: Option<(u32, u32)>,
    /// The optional features the engine would use.
    pub features: Vec<String>,
}

impl DeviceInfo {
    /// Whether this is a software adapter or the `cpu` device: not what a timing should be taken on.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.kind == DeviceKind::Cpu
    }
}

impl std::fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  {} ({}", self.index, self.name, self.backend)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        write!(f, ")")
    }
}

/// What to install where no adapter is found.
const HINT: &str = "On Debian and Ubuntu `apt-get install mesa-vulkan-drivers` installs a software Vulkan adapter; \
                    a GPU needs its vendor's driver. The device `cpu` needs nothing.";

/// The optional features that the engine makes use of where they exist.
pub(super) const USED_FEATURES: &[(wgpu::Features, &str)] = &[
    (wgpu::Features::SUBGROUP, "subgroup"),
    (wgpu::Features::SHADER_F16, "shader-f16"),
    (wgpu::Features::TIMESTAMP_QUERY, "timestamp-query"),
    (
        wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS,
        "timestamp-query-inside-encoders",
    ),
    (COOPERATIVE, "cooperative-matrix"),
];

/// Cooperative matrices, see [`cooperative_tiles`].
pub(super) const COOPERATIVE: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;

/// Sides of the square cooperative matrices of f16 that add up in f32, for subgroups of at most the 64 invocations that
/// the kernels know (`wgsl/shared/coop.wgsl`). The variable `PIXGRAD_COOP` is another answer: 0 for none, or a side
/// that is used whether or not the driver says that it has it.
pub(super) fn cooperative_tiles(adapter: &wgpu::Adapter) -> Vec<u32> {
    let needs = COOPERATIVE | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    let info = adapter.get_info();
    let known = info.subgroup_max_size <= 64;
    let asked: Option<u32> = std::env::var("PIXGRAD_COOP")
        .ok()
        .and_then(|v| v.parse().ok());
    if asked == Some(0) || !known || !adapter.features().contains(needs) {
        return Vec::new();
    }
    if let Some(side) = asked.filter(|side| COOP_TILES.contains(side)) {
        return vec![side];
    }
    let (half, single) = (
        wgpu::CooperativeScalarType::F16,
        wgpu::CooperativeScalarType::F32,
    );
    let properties = adapter.cooperative_matrix_properties();
    COOP_TILES
        .into_iter()
        .filter(|side| {
            properties.iter().any(|p| {
                (p.m_size, p.n_size, p.k_size) == (*side, *side, *side)
                    && p.ab_type == half
                    && p.cr_type == single
            })
        })
        .collect()
}

pub(super) fn describe(
    index: usize,
    info: &wgpu::AdapterInfo,
    limits: &wgpu::Limits,
    features: wgpu::Features,
) -> DeviceInfo {
    DeviceInfo {
        index,
        name: info.name.clone(),
        backend: info.backend.to_string(),
        driver: [info.driver.as_str(), info.driver_info.as_str()]
            .into_iter()
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
            wgpu::DeviceType::Cpu => DeviceKind::Cpu,
            wgpu::DeviceType::Other => DeviceKind::Other,
        },
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        subgroup: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        features: USED_FEATURES
            .iter()
            .filter(|(feature, _)| features.contains(*feature))
            .map(|(_, name)| (*name).to_string())
            .collect(),
    }
}

/// Every adapter, best first: discrete, integrated, virtual and other GPUs, then software adapters.
async fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN
        | wgpu::Backends::METAL
        | wgpu::Backends::DX12
        | wgpu::Backends::BROWSER_WEBGPU;
    if cfg!(feature = "gl") {
        descriptor.backends |= wgpu::Backends::GL;
    }
    let backends = descriptor.backends;
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = instance.enumerate_adapters(backends).await;
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    adapters
}

/// Every device, in the order of their indices; the last is `cpu`.
#[must_use]
pub async fn list_async() -> Vec<DeviceInfo> {
    with_infos()
        .await
        .into_iter()
        .map(|(info, _)| info)
        .collect()
}

async fn with_infos() -> Vec<(DeviceInfo, Option<wgpu::Adapter>)> {
    let mut all: Vec<_> = adapters()
        .await
        .into_iter()
        .enumerate()
        .map(|(i, a)| {
            (
                describe(i, &a.get_info(), &a.limits(), a.features()),
                Some(a),
            )
        })
        .collect();
    all.push((
        DeviceInfo {
            index: all.len(),
            ..Cpu::describe()
        },
        None,
    ));
    all
}

/// The adapter that `options` mean, with its index; `None` is the `cpu` device.
pub(super) async fn choose(
    options: &DeviceOptions,
) -> Result<Option<(usize, wgpu::Adapter)>, DeviceError> {
    let asked = options
        .device
        .as_deref()
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .unwrap_or("auto");
    let backend = options
        .backend
        .as_deref()
        .map(str::trim)
        .filter(|b| !b.is_empty());
    // No driver need be loaded to learn that the processor was asked for.
    let is_cpu = |name: &str| name.eq_ignore_ascii_case("cpu");
    let any_device = asked.eq_ignore_ascii_case("auto");
    if is_cpu(asked) && backend.is_none_or(is_cpu) || any_device && backend.is_some_and(is_cpu) {
        return Ok(None);
    }
    let all = with_infos().await;
    let found = all
        .iter()
        .map(|(info, _)| format!("  {info}"))
        .collect::<Vec<_>>()
        .join("\n");
    let chosen = all.into_iter().find(|(info, adapter)| {
        let fits_backend = backend.is_none_or(|b| info.backend.eq_ignore_ascii_case(b));
        let fits_device = if any_device {
            // Our own reference implementations are faster than a software adapter, which is therefore only taken when
            // named.
            // A browser says little of its adapters, and has one thread for ours.
            let fast = info.kind != DeviceKind::Cpu || cfg!(target_arch = "wasm32");
            adapter.is_none() || fast || backend.is_some()
        } else if let Ok(index) = asked.parse::<usize>() {
            info.index == index
        } else {
            info.name.to_lowercase().contains(&asked.to_lowercase())
        };
        fits_backend && fits_device
    });
    match chosen {
        Some((info, adapter)) => Ok(adapter.map(|adapter| (info.index, adapter))),
        None => Err(DeviceError::NotFound {
            asked: match backend {
                Some(backend) => format!("device `{asked}` on backend `{backend}`"),
                None => format!("device `{asked}`"),
            },
            found,
            hint: HINT.to_string(),
        }),
    }
}
