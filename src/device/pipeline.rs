//! Compiled kernels of a GPU, their parameters, and dispatches of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Access, Buffer, DeviceError, Gpu, Operation, Shader, Slot, compose, packing, shader};

/// Where the parameters of one dispatch stand in a buffer of many: WebGPU's alignment of uniform offsets.
pub const PARAMS_SLOT: u64 = 256;

/// What a pipeline is compiled of: a kernel's shader, and how its bindings are stored.
pub type PipelineKey = (Shader, Vec<Slot>);

/// Compiled kernels.
pub(super) type Pipelines = HashMap<PipelineKey, Arc<Pipeline>>;

/// A compiled kernel.
#[derive(Debug)]
pub struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// Whether a dispatch of it has been encoded.
    has_run: AtomicBool,
}

/// One dispatch ready to be encoded.
#[derive(Debug)]
pub struct Dispatch {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    grid: [u32; 3],
}

impl Dispatch {
    /// Appends the dispatch to a compute pass.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.pipeline.has_run.store(true, Ordering::Relaxed);
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], self.grid[2]);
    }
}

/// The bindings of a kernel on these buffers. WebGPU lets a dispatch only read or also write a buffer, wherever in it:
/// what is read counts as written where it is in one buffer with what is written.
fn slots(operation: &dyn Operation, buffers: &[&Buffer]) -> Vec<Slot> {
    let mut slots = operation.bindings();
    assert!(
        !overlaps(&slots, buffers),
        "{operation:?}: what is written is bound twice"
    );
    let written: Vec<usize> = slots
        .iter()
        .zip(buffers)
        .filter(|(slot, _)| slot.writes())
        .map(|(_, buffer)| buffer.address())
        .collect();
    for (slot, buffer) in slots.iter_mut().zip(buffers) {
        if !slot.writes() && written.contains(&buffer.address()) {
            slot.access = Access::ReadWrite;
        }
    }
    slots
}

/// Whether bytes that one binding writes are another's, too.
fn overlaps(slots: &[Slot], buffers: &[&Buffer]) -> bool {
    let bound = || slots.iter().zip(buffers).enumerate();
    bound().any(|(i, (slot, own))| {
        slot.writes() && bound().any(|(j, (_, other))| i != j && own.overlaps(other))
    })
}

impl Gpu {
    /// The compiled pipeline of a kernel on these buffers, made once per device.
    fn pipeline(
        &self,
        operation: &dyn Operation,
        buffers: &[&Buffer],
    ) -> Result<Arc<Pipeline>, DeviceError> {
        let key = (operation.shader(), slots(operation, buffers));
        if let Some(pipeline) = self.pipelines.lock().get(&key) {
            return Ok(Arc::clone(pipeline));
        }
        let pipeline = Arc::new(self.compile(key.0, &key.1)?);
        self.pipelines.lock().insert(key, Arc::clone(&pipeline));
        Ok(pipeline)
    }

    fn compile(&self, shader: Shader, slots: &[Slot]) -> Result<Pipeline, DeviceError> {
        let label = shader.label();
        let mut module = compose(shader, self.definitions)?;
        if self.params_in_storage {
            shader::params_in_storage(&mut module);
        }
        packing::apply(&mut module, slots).map_err(|reason| DeviceError::Shader {
            name: label.clone(),
            reason,
        })?;
        let scope = self
            .device()
            .push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)),
        };
        let module = if self.checked {
            self.device().create_shader_module(descriptor)
        } else {
            // SAFETY: the shaders are this crate's own; the tests run every one of them checked and hold every
            // output against its reference, and every loop in them ends. Numbers that shaders index by are computed
            // by the planner or are set through `Labels::set_labels`, which checks them. From a file they come through
            // one door, the checkpoint's `Stored::load`, which refuses those that are too large.
            unsafe {
                self.device().create_shader_module_trusted(
                    descriptor,
                    wgpu::ShaderRuntimeChecks::unchecked(),
                )
            }
        };
        let entry = |binding: u32, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let params_type = if self.params_in_storage {
            wgpu::BufferBindingType::Storage { read_only: true }
        } else {
            wgpu::BufferBindingType::Uniform
        };
        let entries: Vec<_> = std::iter::once(entry(0, params_type))
            .chain(slots.iter().zip(1..).map(|(slot, binding)| {
                entry(
                    binding,
                    wgpu::BufferBindingType::Storage {
                        read_only: !slot.writes(),
                    },
                )
            }))
            .collect();
        let layout = self
            .device()
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&label),
                entries: &entries,
            });
        let pipeline_layout =
            self.device()
                .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: Some(&label),
                    bind_group_layouts: &[Some(&layout)],
                    immediate_size: 0,
                });
        let pipeline = self
            .device()
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes its workgroup memory before it reads it; clearing costs a barrier.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
        self.close(scope, |error| DeviceError::Shader {
            name: label,
            reason: error.to_string(),
        })?;
        self.counters.pipelines.fetch_add(1, Ordering::Relaxed);
        Ok(Pipeline {
            pipeline,
            layout,
            has_run: AtomicBool::new(false),
        })
    }

    /// Whether the device has been given a dispatch of the kernel already: the first may take much longer than those
    /// after it.
    ///
    /// # Errors
    /// [`DeviceError::Shader`].
    pub fn has_run(
        &self,
        operation: &dyn Operation,
        buffers: &[&Buffer],
    ) -> Result<bool, DeviceError> {
        let pipeline = self.pipeline(operation, buffers)?;
        Ok(pipeline.has_run.load(Ordering::Relaxed))
    }

    /// A buffer of parameters: the slots of [`Gpu::params_bytes`], one after the other.
    ///
    /// # Errors
    /// As [`super::Device::buffer`].
    pub fn params_buffer(&self, slots: &[u8]) -> Result<wgpu::Buffer, DeviceError> {
        let usage = wgpu::BufferUsages::UNIFORM
            | wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST;
        let bytes = (slots.len() as u64).max(PARAMS_SLOT);
        let buffer = self.raw_buffer("parameters", bytes, usage)?;
        self.queue().write_buffer(&buffer, 0, slots);
        Ok(buffer)
    }

    /// The bytes of a parameter slot: the origin of a part of the dispatch in workgroups, then the kernel's own
    /// parameters.
    #[must_use]
    pub fn params_bytes(operation: &dyn Operation, origin: [u32; 3]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PARAMS_SLOT as usize);
        bytes.extend_from_slice(bytemuck::cast_slice(&[origin[0], origin[1], origin[2], 0]));
        bytes.extend_from_slice(&operation.params());
        assert!(
            bytes.len() as u64 <= PARAMS_SLOT,
            "{operation:?}: parameters do not fit their slot"
        );
        bytes.resize(PARAMS_SLOT as usize, 0);
        bytes
    }

    /// Binds `buffers` and the parameters at `slot` of `params` for a part of the dispatch of `grid` workgroups.
    ///
    /// # Errors
    /// [`DeviceError::Shader`].
    ///
    /// # Panics
    /// When what is written is bound twice: a bug in the caller.
    pub fn dispatch(
        &self,
        operation: &dyn Operation,
        buffers: &[&Buffer],
        params: &wgpu::Buffer,
        slot: u64,
        grid: [u32; 3],
    ) -> Result<Dispatch, DeviceError> {
        let pipeline = self.pipeline(operation, buffers)?;
        let parameters = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: params,
            offset: slot * PARAMS_SLOT,
            size: std::num::NonZeroU64::new(PARAMS_SLOT),
        });
        let entries: Vec<_> = std::iter::once(wgpu::BindGroupEntry {
            binding: 0,
            resource: parameters,
        })
        .chain(buffers.iter().zip(1..).filter_map(|(buffer, binding)| {
            buffer.wgpu().map(|own| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(own),
            })
        }))
        .collect();
        let bind_group = self.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.counters.bind_groups.fetch_add(1, Ordering::Relaxed);
        Ok(Dispatch {
            pipeline,
            bind_group,
            grid,
        })
    }

    pub(super) fn run(
        &self,
        operation: &dyn Operation,
        buffers: &[&Buffer],
    ) -> Result<(), DeviceError> {
        let params = self.params_buffer(&Self::params_bytes(operation, [0; 3]))?;
        let dispatch = self.dispatch(operation, buffers, &params, 0, operation.grid())?;
        let mut encoder = self
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        dispatch.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
        self.submit(encoder);
        self.check()
    }
}
