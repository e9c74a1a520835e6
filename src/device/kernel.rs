//! What a kernel is: one WGSL entry point and its twin over plain slices.

use std::fmt::Debug;

use super::{Kind, Real, Shader};

/// What one binding of a kernel holds and whether the kernel writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Reals, read.
    In,
    /// Reals, every element of the kernel's view written, none read.
    Out,
    /// Reals, read and written.
    InOut,
    /// Words, read.
    WordsIn,
    /// Words, written.
    WordsOut,
    /// Words, read and written.
    WordsInOut,
    /// Reals in f16, read.
    HalvesIn,
    /// Packed reals, read.
    PackedIn,
    /// Packed reals, every element of the kernel's view written.
    PackedOut,
    /// Packed reals, read and written.
    PackedInOut,
}

impl Slot {
    /// What the binding's buffer holds.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::In | Self::Out | Self::InOut => Kind::Real,
            Self::WordsIn | Self::WordsOut | Self::WordsInOut => Kind::Word,
            Self::HalvesIn => Kind::Half,
            Self::PackedIn | Self::PackedOut | Self::PackedInOut => Kind::Packed,
        }
    }

    /// The same binding of reals, or of words, on a buffer that holds `kind`.
    #[must_use]
    pub fn on(self, kind: Kind) -> Option<Self> {
        match (self, kind) {
            (slot, kind) if slot.kind() == kind => Some(slot),
            (Self::In, Kind::Half) => Some(Self::HalvesIn),
            (Self::In, Kind::Packed) => Some(Self::PackedIn),
            (Self::Out, Kind::Packed) => Some(Self::PackedOut),
            (Self::InOut, Kind::Packed) => Some(Self::PackedInOut),
            _ => None,
        }
    }

    /// Whether the kernel reads what was there before.
    #[must_use]
    pub fn reads(self) -> bool {
        !matches!(self, Self::Out | Self::WordsOut | Self::PackedOut)
    }

    /// Whether the kernel writes.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(
            self,
            Self::In | Self::WordsIn | Self::HalvesIn | Self::PackedIn
        )
    }
}

/// What one dispatch costs, counted from its shapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Work {
    /// Floating-point operations; a fused multiply-add is two.
    pub flop: u64,
    /// Bytes moved if every operand is read or written once.
    pub bytes: u64,
}

/// One kernel with its parameters: implemented by every file of `src/kernels/`.
pub trait Kernel: Debug + Send + Sync + 'static {
    /// The parameters as the WGSL struct lays them out, after the leading `origin: vec4<u32>` that the engine fills.
    type Params: bytemuck::Pod;

    /// The WGSL file and its definitions.
    fn shader(&self) -> Shader;
    /// The storage bindings, in the order of the WGSL file; binding 0 is the parameters, these follow.
    fn bindings(&self) -> Vec<Slot>;
    /// The parameters.
    fn params(&self) -> Self::Params;
    /// Workgroups to dispatch. The shader adds `params.origin` to `workgroup_id`, so that the scheduler may split
    /// a long dispatch into bands.
    fn grid(&self) -> [u32; 3];
    /// What the dispatch costs.
    fn work(&self) -> Work;
    /// The kernels that a device may run in its place, where there are any.
    fn alternatives(&self) -> Option<Alternatives> {
        None
    }
    /// The same computation over plain slices, in f32 or f64.
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>);
}

/// Other kernels that compute the same from the same bindings: which is the fastest depends on the device.
#[derive(Debug)]
pub struct Alternatives {
    /// What their times depend on: the same for all calls of the same shapes and operands.
    pub shape: String,
    /// Those beside the kernel itself.
    pub kernels: Vec<Box<dyn Operation>>,
}

/// A [`Kernel`] behind a pointer: what a recording holds. Implemented for every kernel, never by hand.
pub trait Operation: Debug + Send + Sync {
    /// See [`Kernel::shader`].
    fn shader(&self) -> Shader;
    /// See [`Kernel::bindings`].
    fn bindings(&self) -> Vec<Slot>;
    /// The bytes of [`Kernel::params`].
    fn params(&self) -> Vec<u8>;
    /// See [`Kernel::grid`].
    fn grid(&self) -> [u32; 3];
    /// See [`Kernel::work`].
    fn work(&self) -> Work;
    /// See [`Kernel::alternatives`].
    fn alternatives(&self) -> Option<Alternatives>;
    /// The twin in f32.
    fn twin_f32(&self, bindings: Bindings<'_, f32>);
    /// The twin in f64.
    fn twin_f64(&self, bindings: Bindings<'_, f64>);
}

impl<K: Kernel> Operation for K {
    fn shader(&self) -> Shader {
        Kernel::shader(self)
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(self)
    }
    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Kernel::params(self)).to_vec()
    }
    fn grid(&self) -> [u32; 3] {
        Kernel::grid(self)
    }
    fn work(&self) -> Work {
        Kernel::work(self)
    }
    fn alternatives(&self) -> Option<Alternatives> {
        Kernel::alternatives(self)
    }
    fn twin_f32(&self, bindings: Bindings<'_, f32>) {
        self.twin(bindings);
    }
    fn twin_f64(&self, bindings: Bindings<'_, f64>) {
        self.twin(bindings);
    }
}

/// The slice behind one binding.
#[derive(Debug)]
pub enum Binding<'a, T> {
    /// [`Slot::In`].
    Real(&'a [T]),
    /// [`Slot::Out`], [`Slot::InOut`].
    RealMut(&'a mut [T]),
    /// [`Slot::WordsIn`].
    Words(&'a [u32]),
    /// [`Slot::WordsOut`], [`Slot::WordsInOut`].
    WordsMut(&'a mut [u32]),
}

/// A kernel's bindings as slices, taken one after the other in the order of [`Kernel::bindings`].
///
/// A twin that takes them in another order than it declares is a bug and panics.
#[derive(Debug)]
pub struct Bindings<'a, T>(std::vec::IntoIter<Binding<'a, T>>);

impl<'a, T> Bindings<'a, T> {
    pub(super) fn new(bindings: Vec<Binding<'a, T>>) -> Self {
        Self(bindings.into_iter())
    }

    /// The next binding, reals that are read.
    pub fn input(&mut self) -> &'a [T] {
        match self.0.next() {
            Some(Binding::Real(slice)) => slice,
            _ => {
                unreachable!("the twin's bindings differ from its kernel's: expected reals to read")
            }
        }
    }

    /// The next binding, reals that are written.
    pub fn output(&mut self) -> &'a mut [T] {
        match self.0.next() {
            Some(Binding::RealMut(slice)) => slice,
            _ => unreachable!(
                "the twin's bindings differ from its kernel's: expected reals to write"
            ),
        }
    }

    /// The next binding, words that are read.
    pub fn words(&mut self) -> &'a [u32] {
        match self.0.next() {
            Some(Binding::Words(slice)) => slice,
            _ => {
                unreachable!("the twin's bindings differ from its kernel's: expected words to read")
            }
        }
    }

    /// The next binding, words that are written.
    pub fn words_mut(&mut self) -> &'a mut [u32] {
        match self.0.next() {
            Some(Binding::WordsMut(slice)) => slice,
            _ => unreachable!(
                "the twin's bindings differ from its kernel's: expected words to write"
            ),
        }
    }
}
