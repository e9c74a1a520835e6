//! The kernels as wgpu hands them to a driver.

use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use pixgrad::device::{
    Access, HALF, Kind, LANES_8, LANES_64, LARGE, LARGE_BYTES, Shader, Slot, compose, pack_bindings,
};
use pixgrad::kernels::SOURCES;

use crate::vulkan::Driver;

/// Those variants of the kernels named, or of all, that the driver's device can run.
pub fn variants(driver: &Driver, named: &[String]) -> impl Iterator<Item = Shader> {
    let all = SOURCES
        .iter()
        .flat_map(|source| (0..source.variants.len()).map(|variant| Shader { source, variant }));
    all.filter(|shader| {
        let has = |definition| shader.definitions().contains(&definition);
        let label = shader.label();
        let wanted = named.is_empty()
            || named
                .iter()
                .any(|n| *n == label || *n == shader.source.name);
        wanted
            && (driver.half || !has(HALF))
            && (driver.workgroup_bytes >= LARGE_BYTES || !has(LARGE))
            && shader
                .cooperative_tile()
                .is_none_or(|tile| driver.tiles.contains(&tile))
    })
}

/// The module in SPIR-V, unchecked, as the engine has it compiled.
pub fn compile(shader: Shader, driver: &Driver, packed: bool) -> Result<Vec<u32>, String> {
    let lanes: &[_] = match driver.lanes {
        8 => &[LANES_8],
        64 => &[LANES_64],
        _ => &[],
    };
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", shader.label());
    let mut module = compose(shader, lanes).map_err(|e| failed(&e))?;
    if packed {
        let slots = packed_slots(&module);
        pack_bindings(&mut module, &slots).map_err(|e| failed(&e))?;
    }
    let flags = naga::valid::ValidationFlags::all();
    let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::all())
        .validate(&module)
        .map_err(|e| failed(&e))?;
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        ..spv::Options::default()
    };
    spv::write_vec(&module, &info, &options, None).map_err(|e| failed(&e))
}

/// The bindings with all arrays of vec4s in 16 bits.
fn packed_slots(module: &naga::Module) -> Vec<Slot> {
    let quad = naga::TypeInner::Vector {
        size: naga::VectorSize::Quad,
        scalar: naga::Scalar::F32,
    };
    let mut slots = vec![Slot::IN; 8];
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
            slots[binding.binding as usize - 1] = Slot {
                kind: Kind::Packed,
                access: if written {
                    Access::ReadWrite
                } else {
                    Access::Read
                },
            };
        }
    }
    slots
}
