//! The kernels as wgpu hands them to a driver.

use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use pixgrad::engine::device::{
    Access, HALF, Kind, LANES_8, LANES_64, LARGE, LARGE_BYTES, Shader, Slot, compose, pack_bindings,
};
use pixgrad::engine::kernels::SOURCES;

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

/// How bindings are declared where a plan wants it otherwise than the file.
#[derive(Clone, Copy)]
pub struct Bindings {
    /// All arrays of vec4s are stored in 16 bits.
    pub packed: bool,
    /// What is read lies in one buffer with what is written, and is declared as written, too.
    pub shared: bool,
}

/// The module in SPIR-V, unchecked, as the engine has it compiled.
pub fn compile(shader: Shader, driver: &Driver, bindings: Bindings) -> Result<Vec<u32>, String> {
    let lanes: &[_] = match driver.lanes {
        8 => &[LANES_8],
        64 => &[LANES_64],
        _ => &[],
    };
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", shader.label());
    let mut module = compose(shader, lanes).map_err(|e| failed(&e))?;
    let slots = slots(&module, bindings);
    pack_bindings(&mut module, &slots).map_err(|e| failed(&e))?;
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

fn slots(module: &naga::Module, bindings: Bindings) -> Vec<Slot> {
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
        let slot = &mut slots[binding.binding as usize - 1];
        if bindings.packed && module.types[base].inner == quad {
            slot.kind = Kind::Packed;
        }
        if bindings.shared || access.contains(naga::StorageAccess::STORE) {
            slot.access = Access::ReadWrite;
        }
    }
    slots
}
