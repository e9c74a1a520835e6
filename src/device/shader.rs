//! WGSL sources, and how imports and definitions make a shader of them.

use naga::compact::{KeepUnused, compact};
use naga::front::wgsl;
use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::preprocess::{File, Flat};
use super::{DeviceError, fingerprint};
use crate::error::with_causes;

/// A file of `wgsl/` with the variants that the kernels use.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The file's stem, which is also the Rust file's and the test's.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
    /// Every set of definitions (`#ifdef`) a kernel may ask for.
    pub variants: &'static [&'static [&'static str]],
}

/// One variant of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shader {
    /// The file.
    pub source: &'static Source,
    /// Index into [`Source::variants`].
    pub variant: usize,
}

impl Source {
    /// The variant with exactly these definitions, in any order.
    ///
    /// # Panics
    /// When the source does not list it: a bug in the kernel's Rust file.
    #[must_use]
    pub fn with(&'static self, definitions: &[&str]) -> Shader {
        let variant = self.variants.iter().position(|v| {
            v.len() == definitions.len() && v.iter().all(|d| definitions.contains(d))
        });
        match variant {
            Some(variant) => Shader {
                source: self,
                variant,
            },
            None => panic!("{} has no variant {definitions:?}", self.name),
        }
    }
}

impl Shader {
    /// The definitions of this variant.
    #[must_use]
    pub fn definitions(&self) -> &'static [&'static str] {
        self.source.variants[self.variant]
    }

    /// The side of the cooperative matrices that it takes, if it takes any.
    #[must_use]
    pub fn cooperative_tile(&self) -> Option<u32> {
        let has = |name| self.definitions().contains(&name);
        has(COOP).then(|| if has(T8) { 8 } else { 16 })
    }

    /// Whether the sums of its cooperative matrices must have the digits of f32.
    #[must_use]
    pub fn needs_exact_sums(&self) -> bool {
        self.definitions().contains(&SPLIT)
    }

    /// A number that changes with the shader's text, and that of all that it may import.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        let texts = std::iter::once(self.source.text)
            .chain(self.definitions().iter().copied())
            .chain(SHARED.iter().map(|file| file.text));
        fingerprint(texts.map(str::as_bytes))
    }

    /// File and definitions, as messages name it.
    #[must_use]
    pub fn label(&self) -> String {
        std::iter::once(self.source.name)
            .chain(self.definitions().iter().copied())
            .collect::<Vec<_>>()
            .join("+")
    }
}

/// The importable files of `wgsl/shared/`.
macro_rules! shared {
    ($($name:literal),*) => {
        &[$(File {
            path: concat!("wgsl/shared/", $name, ".wgsl"),
            text: include_str!(concat!("../../wgsl/shared/", $name, ".wgsl")),
        }),*]
    };
}
const SHARED: &[File] = shared![
    "tensor",
    "nan",
    "window",
    "divide",
    "strip",
    "conv",
    "convolved",
    "coop",
    "pool",
    "flat",
    "reduce",
    "power",
    "bounds",
    "random"
];

/// The definition of an adapter with subgroups of 8 for which loads are dear, see `wgsl/shared/conv.wgsl`; it takes the
/// capability of subgroup operations.
pub const BROADCAST: &str = "BROADCAST";

/// The definition of variants that compute in f16; they run where the adapter has `shader-f16`.
pub const HALF: &str = "HALF";

/// The definition of variants that take more workgroup memory than WebGPU grants, 16 KiB, and at most [`LARGE_BYTES`];
/// they run where the adapter has that.
pub const LARGE: &str = "LARGE";

/// Bytes of workgroup memory that all but small adapters have.
pub const LARGE_BYTES: u32 = 32 << 10;

/// The definition of variants on cooperative matrices of f16 that add up in f32; they run where the adapter has these.
pub const COOP: &str = "COOP";

/// The definition of matrices of 8×8 where others are 16×16.
pub const T8: &str = "T8";

/// The definition of variants on cooperative matrices that multiply more of pixels than f16 holds, piece by piece; they
/// run where sums of such products are as good as those of f32.
pub const SPLIT: &str = "SPLIT";
/// The definition of those with [`SPLIT`] that multiply more of weights, too.
pub const SPLIT_WEIGHTS: &str = "SPLIT_WEIGHTS";

/// Sides of the cooperative matrices that there are kernels for.
pub const COOP_TILES: [u32; 2] = [16, 8];

/// Subgroups of 8 or of 64 invocations, where it matters to a kernel; else they are of 32.
pub const LANES_8: &str = "LANES_8";
/// See [`LANES_8`].
pub const LANES_64: &str = "LANES_64";

/// Resolves the imports and definitions of a shader, and those of the adapter that it is for, into one module with the
/// entry point `main`.
///
/// # Errors
/// [`DeviceError::Shader`] with the compiler's message.
pub fn compose(shader: Shader, adapter: &[&str]) -> Result<naga::Module, DeviceError> {
    module(shader, adapter).map_err(|reason| DeviceError::Shader {
        name: shader.label(),
        reason,
    })
}

fn module(shader: Shader, adapter: &[&str]) -> Result<naga::Module, String> {
    let own = shader.definitions();
    let definitions: Vec<&str> = own.iter().chain(adapter).copied().collect();
    let directives = if own.contains(&COOP) {
        "enable f16, wgpu_cooperative_matrix;"
    } else if own.contains(&HALF) {
        "enable f16;"
    } else {
        ""
    };
    let file = File {
        path: shader.source.name,
        text: shader.source.text,
    };
    let flat = Flat::of(file, SHARED, &definitions, directives)?;
    let mut module =
        wgsl::parse_str(&flat.text).map_err(|e| flat.locate(e.message(), e.labels()))?;
    // Shared files bring more than is used.
    compact(&mut module, KeepUnused::No);
    // Here the places of errors are known. Whether the adapter has what the shader takes is asked when the pipeline is
    // made.
    Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|e| {
            let places = e.spans().map(|(span, note)| (*span, note.as_str()));
            flat.locate(&with_causes(e.as_inner()), places)
        })?;
    rename_reserved(&mut module);
    Ok(module)
}

/// Gives variables other names whose own only the next compiler takes for something else: naga knows the words of the
/// languages that it writes, but not that Microsoft's compiler has had a namespace `dx` since version 1.9.
fn rename_reserved(module: &mut naga::Module) {
    for (_, variable) in module.global_variables.iter_mut() {
        if variable.name.as_deref() == Some("dx") {
            variable.name = Some("d_x".to_string());
        }
    }
}

/// Moves a module's parameters from a uniform buffer into read-only storage; their layout suits both.
pub(super) fn params_in_storage(module: &mut naga::Module) {
    for (_, variable) in module.global_variables.iter_mut() {
        if variable.space == naga::AddressSpace::Uniform {
            variable.space = naga::AddressSpace::Storage {
                access: naga::StorageAccess::LOAD,
            };
        }
    }
}
