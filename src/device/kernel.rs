//! What a kernel is: one WGSL entry point and its reference implementation over plain slices.

use std::fmt::Debug;

use super::{Kind, Real, Shader};

/// Whether a kernel reads a binding, writes it, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only read.
    Read,
    /// Every element of the kernel's view written, none read.
    Write,
    /// Read and written.
    ReadWrite,
}

/// What one binding of a kernel holds, and what the kernel does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// What the buffer holds.
    pub kind: Kind,
    /// What becomes of it.
    pub access: Access,
}

impl Slot {
    /// Reals, read.
    pub const IN: Self = Self::new(Kind::Real, Access::Read);
    /// Reals, every element of the kernel's view written, none read.
    pub const OUT: Self = Self::new(Kind::Real, Access::Write);
    /// Reals, read and written.
    pub const IN_OUT: Self = Self::new(Kind::Real, Access::ReadWrite);
    /// Words, read.
    pub const WORDS_IN: Self = Self::new(Kind::Word, Access::Read);
    /// Words, written.
    pub const WORDS_OUT: Self = Self::new(Kind::Word, Access::Write);
    /// Words, read and written.
    pub const WORDS_IN_OUT: Self = Self::new(Kind::Word, Access::ReadWrite);

    const fn new(kind: Kind, access: Access) -> Self {
        Self { kind, access }
    }

    /// The same binding of reals, or of words, on a buffer that holds `kind`.
    #[must_use]
    pub fn on(self, kind: Kind) -> Option<Self> {
        let readable = kind != Kind::Half || !self.writes();
        (self.kind.is_real() == kind.is_real() && readable).then_some(Self { kind, ..self })
    }

    /// Whether the kernel reads what was there before.
    #[must_use]
    pub fn reads(self) -> bool {
        self.access != Access::Write
    }

    /// Whether the kernel writes.
    #[must_use]
    pub fn writes(self) -> bool {
        self.access != Access::Read
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
    /// a long dispatch into parts.
    fn grid(&self) -> [u32; 3];
    /// What the dispatch costs.
    fn work(&self) -> Work;
    /// The kernels that a device may run in its place, where there are any.
    fn alternatives(&self) -> Option<Alternatives> {
        None
    }
    /// More of these for weights that are stored in 16 bits: they may round what they read once more.
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        None
    }
    /// The reference implementation of the WGSL entry point: the same computation over plain slices, in
    /// f32 or f64.
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>);
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
    /// See [`Kernel::reduced_alternatives`].
    fn reduced_alternatives(&self) -> Option<Alternatives>;
    /// [`Kernel::reference`] in f32.
    fn reference_f32(&self, bindings: Bindings<'_, f32>);
    /// [`Kernel::reference`] in f64.
    fn reference_f64(&self, bindings: Bindings<'_, f64>);
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
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        Kernel::reduced_alternatives(self)
    }
    fn reference_f32(&self, bindings: Bindings<'_, f32>) {
        self.reference(bindings);
    }
    fn reference_f64(&self, bindings: Bindings<'_, f64>) {
        self.reference(bindings);
    }
}

/// The slice behind one binding.
#[derive(Debug)]
pub enum Binding<'a, T> {
    /// [`Slot::IN`].
    Real(&'a [T]),
    /// [`Slot::OUT`], [`Slot::IN_OUT`].
    RealMut(&'a mut [T]),
    /// [`Slot::WORDS_IN`].
    Words(&'a [u32]),
    /// [`Slot::WORDS_OUT`], [`Slot::WORDS_IN_OUT`].
    WordsMut(&'a mut [u32]),
}

/// A kernel's bindings as slices, taken one after the other in the order of [`Kernel::bindings`].
///
/// A reference that takes them in another order than its kernel declares is a bug and panics.
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
                unreachable!(
                    "the reference's bindings differ from its kernel's: expected reals to read"
                )
            }
        }
    }

    /// The next binding, reals that are written.
    pub fn output(&mut self) -> &'a mut [T] {
        match self.0.next() {
            Some(Binding::RealMut(slice)) => slice,
            _ => unreachable!(
                "the reference's bindings differ from its kernel's: expected reals to write"
            ),
        }
    }

    /// The next binding, words that are read.
    pub fn words(&mut self) -> &'a [u32] {
        match self.0.next() {
            Some(Binding::Words(slice)) => slice,
            _ => {
                unreachable!(
                    "the reference's bindings differ from its kernel's: expected words to read"
                )
            }
        }
    }

    /// The next binding, words that are written.
    pub fn words_mut(&mut self) -> &'a mut [u32] {
        match self.0.next() {
            Some(Binding::WordsMut(slice)) => slice,
            _ => unreachable!(
                "the reference's bindings differ from its kernel's: expected words to write"
            ),
        }
    }
}
