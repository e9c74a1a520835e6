//! One Vulkan device, that only compiles.

use std::ffi::{CStr, c_char};

use ash::{khr, vk};

/// Bindings of a kernel at most, parameters included.
const BINDINGS: u32 = 16;

/// The first Vulkan device that the loader finds.
pub struct Driver {
    /// Its name, and the driver's.
    pub name: String,
    /// Invocations of a subgroup at most.
    pub lanes: u32,
    /// Whether it computes in f16.
    pub half: bool,
    /// Bytes of memory of a workgroup.
    pub workgroup_bytes: u32,
    /// Sides of its square cooperative matrices of f16 with sums in f32.
    pub tiles: Vec<u32>,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    layout: vk::PipelineLayout,
    // The last to go: the functions of the others are its.
    _entry: ash::Entry,
}

/// What a driver says of a kernel.
pub struct Compiled {
    pub statistics: Vec<(String, f64)>,
    /// Its internal representations, one after the other.
    pub text: String,
}

impl Driver {
    pub fn open() -> Result<Self, String> {
        // SAFETY: the loader is the system's own; every handle below is used with what made it, while that is alive.
        unsafe {
            let entry = ash::Entry::load().map_err(|e| format!("no Vulkan loader: {e}"))?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let info = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&info, None).map_err(of("instance"))?;
            let physical = instance
                .enumerate_physical_devices()
                .map_err(of("devices"))?;
            let physical = *physical.first().ok_or("no Vulkan device")?;

            let mut subgroups = vk::PhysicalDeviceSubgroupSizeControlProperties::default();
            let mut driver = vk::PhysicalDeviceDriverProperties::default();
            let mut properties = vk::PhysicalDeviceProperties2::default()
                .push_next(&mut subgroups)
                .push_next(&mut driver);
            instance.get_physical_device_properties2(physical, &mut properties);
            let properties = properties.properties;
            let text = |chars: &[c_char]| {
                CStr::from_ptr(chars.as_ptr())
                    .to_string_lossy()
                    .into_owned()
            };
            let name = format!(
                "{}, {} {}",
                text(&properties.device_name),
                text(&driver.driver_name),
                text(&driver.driver_info)
            );

            let all = instance
                .enumerate_device_extension_properties(physical)
                .map_err(of("extensions"))?;
            let has = |name: &CStr| all.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
            if !has(khr::pipeline_executable_properties::NAME) {
                return Err(format!("{name} says nothing of what it compiles"));
            }
            let matrices = has(khr::cooperative_matrix::NAME);

            let mut cooperative = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default();
            let mut executable =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
            let mut features11 = vk::PhysicalDeviceVulkan11Features::default();
            let mut features12 = vk::PhysicalDeviceVulkan12Features::default();
            let mut features13 = vk::PhysicalDeviceVulkan13Features::default();
            let mut features = vk::PhysicalDeviceFeatures2::default()
                .push_next(&mut executable)
                .push_next(&mut features11)
                .push_next(&mut features12)
                .push_next(&mut features13);
            if matrices {
                features = features.push_next(&mut cooperative);
            }
            instance.get_physical_device_features2(physical, &mut features);

            let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
            let mut extensions = vec![khr::pipeline_executable_properties::NAME.as_ptr()];
            extensions.extend(matrices.then_some(khr::cooperative_matrix::NAME.as_ptr()));
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .push_next(&mut features);
            let device = instance
                .create_device(physical, &info, None)
                .map_err(of("device"))?;

            let bindings: Vec<_> = (0..BINDINGS)
                .map(|binding| {
                    let kind = if binding == 0 {
                        vk::DescriptorType::UNIFORM_BUFFER
                    } else {
                        vk::DescriptorType::STORAGE_BUFFER
                    };
                    vk::DescriptorSetLayoutBinding::default()
                        .binding(binding)
                        .descriptor_type(kind)
                        .descriptor_count(1)
                        .stage_flags(vk::ShaderStageFlags::COMPUTE)
                })
                .collect();
            let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device
                .create_descriptor_set_layout(&info, None)
                .map_err(of("layout"))?];
            let info = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device
                .create_pipeline_layout(&info, None)
                .map_err(of("layout"))?;
            let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);

            let tiles = if matrices {
                let loaded = khr::cooperative_matrix::Instance::new(&entry, &instance);
                let kinds = loaded
                    .get_physical_device_cooperative_matrix_properties(physical)
                    .map_err(of("cooperative matrices"))?;
                let (half, single) = (vk::ComponentTypeKHR::FLOAT16, vk::ComponentTypeKHR::FLOAT32);
                let serves = |side: u32| {
                    kinds.iter().any(|k| {
                        (k.m_size, k.n_size, k.k_size) == (side, side, side)
                            && (k.a_type, k.b_type) == (half, half)
                            && (k.c_type, k.result_type) == (single, single)
                    })
                };
                pixgrad::engine::device::COOP_TILES
                    .into_iter()
                    .filter(|side| serves(*side))
                    .collect()
            } else {
                Vec::new()
            };
            Ok(Self {
                name,
                lanes: subgroups.max_subgroup_size,
                half: features12.shader_float16 == vk::TRUE
                    && features11.storage_buffer16_bit_access == vk::TRUE,
                workgroup_bytes: properties.limits.max_compute_shared_memory_size,
                tiles,
                device,
                executables,
                layout,
                _entry: entry,
            })
        }
    }

    /// What the driver makes of a kernel; its texts only where they are asked for, because they take long.
    pub fn compile(&self, words: &[u32], texts: bool) -> Result<Compiled, String> {
        let mut flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR;
        if texts {
            flags |= vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        }
        // SAFETY: as in `open`; the module is validated SPIR-V.
        unsafe {
            let info = vk::ShaderModuleCreateInfo::default().code(words);
            let module = self
                .device
                .create_shader_module(&info, None)
                .map_err(of("module"))?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let info = [vk::ComputePipelineCreateInfo::default()
                .flags(flags)
                .stage(stage)
                .layout(self.layout)];
            let made = self
                .device
                .create_compute_pipelines(vk::PipelineCache::null(), &info, None);
            self.device.destroy_shader_module(module, None);
            let pipeline = made.map_err(|(_, e)| of("pipeline")(e))?[0];
            let of_it = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let statistics = self
                .executables
                .get_pipeline_executable_statistics(&of_it)
                .map_err(of("statistics"))?
                .iter()
                .map(|s| (name(s.name_as_c_str()), value(s)))
                // A number that tells one program from another.
                .filter(|(name, _)| !name.to_lowercase().ends_with("hash"))
                .collect();
            let text = if texts {
                self.texts(&of_it)?
            } else {
                String::new()
            };
            self.device.destroy_pipeline(pipeline, None);
            Ok(Compiled { statistics, text })
        }
    }

    /// SAFETY: the pipeline is alive, and was made to capture its representations.
    unsafe fn texts(&self, of_it: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String, String> {
        let call = self
            .executables
            .fp()
            .get_pipeline_executable_internal_representations_khr;
        let handle = self.executables.device();
        let mut count = 0;
        // SAFETY: the caller's; every text is given as many bytes as the driver says that it has.
        unsafe {
            call(handle, of_it, &raw mut count, std::ptr::null_mut())
                .result()
                .map_err(of("texts"))?;
            let mut all =
                vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            call(handle, of_it, &raw mut count, all.as_mut_ptr())
                .result()
                .map_err(of("texts"))?;
            let mut bytes: Vec<Vec<u8>> = all.iter().map(|t| vec![0; t.data_size]).collect();
            for (one, bytes) in all.iter_mut().zip(&mut bytes) {
                one.p_data = bytes.as_mut_ptr().cast();
            }
            call(handle, of_it, &raw mut count, all.as_mut_ptr())
                .result()
                .map_err(of("texts"))?;
            let texts = all
                .iter()
                .zip(&bytes)
                .filter(|(one, _)| one.is_text == vk::TRUE);
            Ok(texts
                .map(|(one, bytes)| {
                    let text = String::from_utf8_lossy(bytes);
                    format!(
                        "== {}\n{}\n",
                        name(one.name_as_c_str()),
                        text.trim_end_matches('\0')
                    )
                })
                .collect())
        }
    }
}

fn of(what: &'static str) -> impl Fn(vk::Result) -> String {
    move |e| format!("{what}: {e}")
}

fn name<E>(chars: Result<&CStr, E>) -> String {
    chars.map_or_else(|_| "?".to_string(), |c| c.to_string_lossy().into_owned())
}

fn value(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> f64 {
    // SAFETY: the format says which of the four is there.
    unsafe {
        match statistic.format {
            vk::PipelineExecutableStatisticFormatKHR::BOOL32 => f64::from(statistic.value.b32),
            vk::PipelineExecutableStatisticFormatKHR::INT64 => statistic.value.i64 as f64,
            vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64 as f64,
            _ => statistic.value.f64,
        }
    }
}
