//! What a recording knows of before it is there: memory that somebody else owns, and numbers among a kernel's
//! parameters.
//!
//! A scale is planned once, before its weights are uploaded and its targets computed. So a recording holds a [`Given`]
//! for each, and a [`Scalar`] where a factor depends on a target. Both are looked up when the program gets its memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Buffer, DeviceError, Kind};

/// Memory that a program reads and somebody else owns, such as weights or a target. A clone is the same memory.
#[derive(Clone)]
pub struct Given(Arc<Inner>);

struct Inner {
    kind: Kind,
    len: usize,
    buffer: OnceLock<Buffer>,
    make: Option<Box<Make>>,
}

type Make = dyn Fn() -> Result<Buffer, DeviceError> + Send + Sync;

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Given({:?} × {})", self.0.kind, self.0.len)
    }
}

impl From<Buffer> for Given {
    fn from(buffer: Buffer) -> Self {
        let given = Self::later(buffer.kind(), buffer.len());
        given.set(buffer);
        given
    }
}

impl From<&Given> for Given {
    fn from(given: &Given) -> Self {
        given.clone()
    }
}

impl Given {
    /// Memory of `len` elements that [`Given::set`] will name.
    #[must_use]
    pub fn later(kind: Kind, len: usize) -> Self {
        Self(Arc::new(Inner {
            kind,
            len,
            buffer: OnceLock::new(),
            make: None,
        }))
    }

    /// Memory of `len` elements that `make` allocates and fills when it is first needed.
    #[must_use]
    pub fn made_by(
        kind: Kind,
        len: usize,
        make: impl Fn() -> Result<Buffer, DeviceError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            len,
            buffer: OnceLock::new(),
            make: Some(Box::new(make)),
        }))
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Says where the memory is.
    ///
    /// # Panics
    /// Where the buffer has another kind or length, or another one has been named before: a bug in the caller.
    pub fn set(&self, buffer: Buffer) {
        let same = (buffer.kind(), buffer.len()) == (self.0.kind, self.0.len);
        assert!(same, "{self:?} cannot be {buffer:?}");
        assert!(self.0.buffer.set(buffer).is_ok(), "{self:?} was set twice");
    }

    /// The memory.
    ///
    /// # Errors
    /// [`DeviceError`] where it cannot be allocated or filled.
    ///
    /// # Panics
    /// Where it has been neither set nor is made here: a bug in the caller.
    pub fn buffer(&self) -> Result<Buffer, DeviceError> {
        if let Some(buffer) = self.0.buffer.get() {
            return Ok(buffer.clone());
        }
        let make = self.0.make.as_ref();
        let make = make.unwrap_or_else(|| panic!("{self:?} is read before it is set"));
        let made = make()?;
        Ok(self.0.buffer.get_or_init(|| made).clone())
    }

    /// Tells distinct memory apart.
    pub(crate) fn id(&self) -> usize {
        match self.0.buffer.get() {
            Some(buffer) => buffer.address(),
            None => Arc::as_ptr(&self.0).cast::<()>() as usize,
        }
    }
}

/// A number that is known when the program is loaded. A clone is the same number.
pub type Later = Arc<OnceLock<f64>>;

/// A number that may change while a program runs, between two iterations. A clone is the same number.
#[derive(Debug, Clone)]
pub struct Dial(Arc<AtomicU64>);

impl Dial {
    /// With its first value.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(Arc::new(AtomicU64::new(value.to_bits())))
    }

    /// Its value.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Changes it. A program that is loaded takes it up when it is told to.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl PartialEq for Dial {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A number among a kernel's parameters: a factor, times numbers that are known when the program is loaded, and numbers
/// that may change while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    factor: f64,
    later: Vec<Later>,
    dials: Vec<Dial>,
}

impl Scalar {
    /// Its value.
    ///
    /// # Panics
    /// Where a number is not known yet: a bug in the caller.
    #[must_use]
    pub fn get(&self) -> f32 {
        let later = |number: &Later| *number.get().expect("a number is read before it is known");
        let known: f64 = self.later.iter().map(later).product();
        let dials: f64 = self.dials.iter().map(Dial::get).product();
        (self.factor * known * dials) as f32
    }

    /// The number times a factor.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self {
            factor: self.factor * factor,
            ..self.clone()
        }
    }

    /// The number times another.
    #[must_use]
    pub fn times_scalar(&self, other: &Self) -> Self {
        let later = self.later.iter().chain(&other.later);
        let dials = self.dials.iter().chain(&other.dials);
        Self {
            factor: self.factor * other.factor,
            later: later.cloned().collect(),
            dials: dials.cloned().collect(),
        }
    }

    /// The number times one that is known later.
    #[must_use]
    pub fn times_later(&self, number: &Later) -> Self {
        let mut product = self.clone();
        product.later.push(Arc::clone(number));
        product
    }

    /// The number times one that may change.
    #[must_use]
    pub fn times_dial(&self, dial: &Dial) -> Self {
        let mut product = self.clone();
        product.dials.push(dial.clone());
        product
    }
}

impl From<f64> for Scalar {
    fn from(factor: f64) -> Self {
        Self {
            factor,
            later: Vec::new(),
            dials: Vec::new(),
        }
    }
}

impl From<f32> for Scalar {
    fn from(factor: f32) -> Self {
        f64::from(factor).into()
    }
}

impl From<Later> for Scalar {
    fn from(number: Later) -> Self {
        Self::from(1.0f64).times_later(&number)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::device::Device;

    #[test]
    fn memory_is_made_once_and_when_it_is_needed() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let given = Given::made_by(Kind::Real, 4, || {
            MADE.fetch_add(1, Ordering::Relaxed);
            Device::cpu().buffer("made", Kind::Real, 4)
        });
        let clone = given.clone();
        assert_eq!((given.len(), MADE.load(Ordering::Relaxed)), (4, 0));
        let first = given.buffer().expect("memory");
        let second = clone.buffer().expect("memory");
        assert_eq!(first.address(), second.address());
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
        assert_eq!(given.id(), first.address());
    }

    #[test]
    fn a_scalar_is_a_product_with_what_is_known_later() {
        let (a, b) = (Later::default(), Later::default());
        let scalar = Scalar::from(3.0f64)
            .times_later(&a)
            .times(0.5)
            .times_later(&b);
        a.set(4.0).expect("unset");
        b.set(0.25).expect("unset");
        assert_eq!(scalar.get(), 1.5);
        let dial = Dial::new(2.0);
        let scalar = scalar.times_dial(&dial);
        assert_eq!(scalar.get(), 3.0);
        dial.set(10.0);
        assert_eq!(scalar.get(), 15.0);
        assert_eq!(Scalar::from(0.1f32).get(), 0.1);
    }
}
