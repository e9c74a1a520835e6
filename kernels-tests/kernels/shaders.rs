//! Every variant of every WGSL file compiles for every backend.

use naga::valid::Capabilities;
use pixgrad::engine::device::{
    Access, BROADCAST, COOP, HALF, Kind, LANES_8, LANES_64, LARGE, LARGE_BYTES, Shader, Slot,
    compose, pack_bindings,
};
use pixgrad::engine::kernels::SOURCES;

use crate::common::open_gpu;

fn every_variant() -> impl Iterator<Item = Shader> {
    SOURCES
        .iter()
        .flat_map(|source| (0..source.variants.len()).map(|variant| Shader { source, variant }))
}

/// What a variant asks of the adapter.
fn capabilities(shader: Shader) -> Capabilities {
    if shader.definitions().contains(&COOP) {
        Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP
    } else if shader.definitions().contains(&HALF) {
        Capabilities::SHADER_FLOAT16
    } else {
        Capabilities::empty()
    }
}

fn validate(
    shader: Shader,
    module: &naga::Module,
    capabilities: Capabilities,
) -> naga::valid::ModuleInfo {
    let flags = naga::valid::ValidationFlags::all();
    naga::valid::Validator::new(flags, capabilities)
        .validate(module)
        .unwrap_or_else(|e| panic!("{}: {}", shader.label(), e.emit_to_string("")))
}

fn validated(shader: Shader) -> (naga::Module, naga::valid::ModuleInfo) {
    let module = compose(shader, &[]).unwrap_or_else(|e| panic!("{e}"));
    let info = validate(shader, &module, capabilities(shader));
    (module, info)
}

fn to_spirv(shader: Shader, module: &naga::Module, info: &naga::valid::ModuleInfo) -> Vec<u32> {
    let options = naga::back::spv::Options::default();
    naga::back::spv::write_vec(module, info, &options, None)
        .unwrap_or_else(|e| panic!("{}: {e}", shader.label()))
}

#[test]
fn spirv() {
    for shader in every_variant() {
        let (module, info) = validated(shader);
        assert_eq!(
            to_spirv(shader, &module, &info)[0],
            0x0723_0203,
            "{}: SPIR-V's magic number",
            shader.label()
        );
    }
}

/// Where it matters how many invocations a subgroup has.
#[test]
fn spirv_of_other_subgroups() {
    for shader in every_variant().filter(|s| s.definitions().contains(&COOP)) {
        for lanes in [LANES_8, LANES_64] {
            let module = compose(shader, &[lanes]).unwrap_or_else(|e| panic!("{e}"));
            let info = validate(shader, &module, capabilities(shader));
            let size = module.entry_points[0].workgroup_size[0];
            assert_eq!(size, if lanes == LANES_8 { 32 } else { 256 }, "{lanes}");
            to_spirv(shader, &module, &info);
        }
    }
}

/// With the definition of software adapters; those whose text does not know it come out as without.
#[test]
fn spirv_of_software_adapters() {
    let mut changed = 0;
    for shader in every_variant() {
        let module = compose(shader, &[BROADCAST]).unwrap_or_else(|e| panic!("{e}"));
        let info = validate(
            shader,
            &module,
            capabilities(shader) | Capabilities::SUBGROUP,
        );
        let (plain, plain_info) = validated(shader);
        let (ours, without) = (
            to_spirv(shader, &module, &info),
            to_spirv(shader, &plain, &plain_info),
        );
        changed += usize::from(ours != without);
    }
    // Not conv3x3_coop: it calls no function that shares loads, and what is not called is not in its module.
    let convolutions = [
        "conv",
        "conv1x1",
        "conv3x3",
        "conv3x3_pool",
        "conv_grouped",
        "gram",
    ];
    let known = every_variant().filter(|s| convolutions.contains(&s.source.name));
    assert_eq!(changed, known.count());
}

/// The driver's own compiler takes every variant that the adapter can run.
#[test]
fn the_adapter_compiles_them() {
    let device = open_gpu();
    let gpu = device.gpu().expect("the test adapter is a GPU");
    let has = |feature: &str| gpu.info().features.iter().any(|f| f == feature);
    let tiles =
        pollster::block_on(gpu.cooperative_tiles(async |_, _| Ok(true))).expect("no test fails");
    let lanes: &[_] = match gpu.info().subgroup {
        Some((_, 8)) => &[LANES_8],
        Some((_, 64)) => &[LANES_64],
        _ => &[],
    };
    let mut count = 0;
    for shader in every_variant() {
        let needs = |definition| shader.definitions().contains(&definition);
        let large = needs(LARGE) && gpu.info().max_workgroup_bytes < LARGE_BYTES;
        let coop = shader.cooperative_tile();
        if large
            || needs(HALF) && !has("shader-f16")
            || coop.is_some_and(|tile| tiles.iter().all(|has| has.side != tile))
        {
            continue;
        }
        let module = compose(shader, lanes).unwrap_or_else(|e| panic!("{e}"));
        let scope = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let label = shader.label();
        let module = gpu
            .device()
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&label),
                source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)),
            });
        let descriptor = wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        };
        let _ = gpu.device().create_compute_pipeline(&descriptor);
        if let Some(error) = pollster::block_on(scope.pop()) {
            panic!("{label} on {}: {error}", gpu.info());
        }
        count += 1;
    }
    let all = every_variant().count();
    eprintln!("{count} of {all} variants compiled on {}", gpu.info());
    let optional = [COOP, HALF, LARGE];
    let everywhere =
        every_variant().filter(|s| s.definitions().iter().all(|d| !optional.contains(d)));
    assert!(count >= everywhere.count(), "{count} of {all}");
}

fn to_metal(shader: Shader, module: &naga::Module, info: &naga::valid::ModuleInfo) {
    let options = naga::back::msl::Options {
        fake_missing_bindings: true,
        // Cooperative matrices are of Metal 2.3.
        lang_version: if shader.definitions().contains(&COOP) {
            (2, 3)
        } else {
            naga::back::msl::Options::default().lang_version
        },
        ..Default::default()
    };
    let pipeline = naga::back::msl::PipelineOptions::default();
    let (text, _) = naga::back::msl::write_string(module, info, &options, &pipeline)
        .unwrap_or_else(|e| panic!("{}: {e}", shader.label()));
    let entry = text.contains("kernel void");
    assert!(entry, "{}: no entry point", shader.label());
}

#[test]
fn metal() {
    for shader in every_variant() {
        let (module, info) = validated(shader);
        to_metal(shader, &module, &info);
    }
}

fn to_hlsl(shader: Shader, module: &naga::Module, info: &naga::valid::ModuleInfo) {
    let options = naga::back::hlsl::Options {
        shader_model: naga::back::hlsl::ShaderModel::V6_2,
        fake_missing_bindings: true,
        ..Default::default()
    };
    let pipeline = naga::back::hlsl::PipelineOptions::default();
    let mut text = String::new();
    naga::back::hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .unwrap_or_else(|e| panic!("{}: {e}", shader.label()));
    // DXC 1.9 has a namespace of this name.
    assert!(!text.contains(" dx : register"), "{}", shader.label());
    let entry = text.contains("numthreads");
    assert!(entry, "{}: no entry point", shader.label());
}

#[test]
fn hlsl() {
    // Direct3D has no cooperative matrices.
    for shader in every_variant().filter(|s| !s.definitions().contains(&COOP)) {
        let (module, info) = validated(shader);
        to_hlsl(shader, &module, &info);
    }
}

#[test]
fn glsl_es() {
    // No OpenGL adapter has f16.
    let half = |s: &Shader| [HALF, COOP].iter().any(|d| s.definitions().contains(d));
    for shader in every_variant().filter(|s| !half(s)) {
        let (module, info) = validated(shader);
        let options = naga::back::glsl::Options {
            version: naga::back::glsl::Version::Embedded {
                version: 310,
                is_webgl: false,
            },
            ..Default::default()
        };
        let pipeline = naga::back::glsl::PipelineOptions {
            shader_stage: naga::ShaderStage::Compute,
            entry_point: "main".to_string(),
            multiview: None,
        };
        let mut text = String::new();
        let policies = naga::proc::BoundsCheckPolicies::default();
        naga::back::glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, policies)
            .and_then(|mut writer| writer.write())
            .unwrap_or_else(|e| panic!("{}: {e}", shader.label()));
        assert!(
            text.contains("local_size_x"),
            "{}: no entry point",
            shader.label()
        );
    }
}

/// The bindings of a module with all that can be stored in 16 bits stored so, and how many those are.
fn packed_slots(module: &naga::Module) -> (Vec<Slot>, usize) {
    let quad = naga::TypeInner::Vector {
        size: naga::VectorSize::Quad,
        scalar: naga::Scalar::F32,
    };
    let mut slots = vec![Slot::IN; 8];
    let mut count = 0;
    for (_, variable) in module.global_variables.iter() {
        let (Some(binding), naga::AddressSpace::Storage { access }) =
            (&variable.binding, variable.space)
        else {
            continue;
        };
        let naga::TypeInner::Array { base, .. } = module.types[variable.ty].inner else {
            continue;
        };
        if module.types[base].inner == quad {
            let written = access.contains(naga::StorageAccess::STORE);
            slots[binding.binding as usize - 1] = match (written, count % 3) {
                (true, i) => Slot {
                    kind: [Kind::Packed, Kind::Rectified, Kind::Packed][i],
                    access: Access::ReadWrite,
                },
                (false, i) => Slot {
                    kind: [Kind::Packed, Kind::Half, Kind::Rectified][i],
                    access: Access::Read,
                },
            };
            count += 1;
        }
    }
    (slots, count)
}

/// Any kernel may find reals in 16 bits where its file says vec4s.
#[test]
fn bindings_of_vec4s_can_be_packed() {
    for adapter in [&[][..], &[BROADCAST]] {
        for shader in every_variant() {
            let mut module = compose(shader, adapter).unwrap_or_else(|e| panic!("{e}"));
            let (slots, count) = packed_slots(&module);
            pack_bindings(&mut module, &slots)
                .unwrap_or_else(|e| panic!("{}: {e}", shader.label()));
            let left = packed_slots(&module).1;
            assert_eq!(left, 0, "{}: of {count}", shader.label());
            let more = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
            let info = validate(shader, &module, capabilities(shader) | more);
            to_spirv(shader, &module, &info);
        }
    }
}

/// What a kernel reads may lie in one buffer with what it writes, and is then declared as written.
#[test]
fn whatever_is_bound_can_be_declared_as_written() {
    for shader in every_variant() {
        for packed in [false, true] {
            let mut module = compose(shader, &[]).unwrap_or_else(|e| panic!("{e}"));
            let (mut slots, _) = packed_slots(&module);
            for slot in &mut slots {
                slot.access = Access::ReadWrite;
                if !packed && slot.kind != Kind::Word {
                    slot.kind = Kind::Real;
                }
            }
            pack_bindings(&mut module, &slots)
                .unwrap_or_else(|e| panic!("{}: {e}", shader.label()));
            let read_only = naga::StorageAccess::LOAD;
            for (_, variable) in module.global_variables.iter() {
                if let naga::AddressSpace::Storage { access } = variable.space {
                    assert_ne!(access, read_only, "{}", shader.label());
                }
            }
            let more = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
            let info = validate(shader, &module, capabilities(shader) | more);
            to_spirv(shader, &module, &info);
            to_metal(shader, &module, &info);
            if !shader.definitions().contains(&COOP) {
                to_hlsl(shader, &module, &info);
            }
        }
    }
}

#[test]
fn a_variant_that_does_not_exist_is_noticed() {
    let made = std::panic::catch_unwind(|| SOURCES[0].with(&["NO_SUCH_DEFINITION"]));
    assert!(made.is_err());
}
