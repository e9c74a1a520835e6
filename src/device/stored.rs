//! A kernel on buffers that hold reals in 16 bits.

use std::fmt;

use super::{Alternatives, Bindings, Kind, Operation, Shader, Slot, Work};

/// A kernel whose bindings of reals are stored otherwise than its WGSL file declares them: see [`Kind`]. Only bindings
/// that the file declares as `array<vec4<f32>>`, and of which whole vec4s are written, can be.
pub struct Stored {
    operation: Box<dyn Operation>,
    slots: Vec<Slot>,
    /// Bytes that are not moved.
    saved: u64,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operation.fmt(f)
    }
}

impl Stored {
    /// The operation on buffers of these kinds and lengths: itself, where they are those that it declares.
    ///
    /// # Errors
    /// What is wrong with the buffers.
    pub fn on(
        operation: Box<dyn Operation>,
        buffers: &[(Kind, usize)],
    ) -> Result<Box<dyn Operation>, String> {
        let declared = operation.bindings();
        if declared.len() != buffers.len() {
            return Err(format!("{operation:?} takes {declared:?}"));
        }
        let slots = declared
            .iter()
            .zip(buffers)
            .enumerate()
            .map(|(i, (slot, (kind, _)))| {
                slot.on(*kind)
                    .ok_or_else(|| format!("{operation:?} binding {i} takes no {kind:?}s"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if slots == declared {
            return Ok(operation);
        }
        let saved = buffers
            .iter()
            .map(|(kind, len)| Kind::Real.bytes(*len).saturating_sub(kind.bytes(*len)))
            .sum();
        Ok(Box::new(Self {
            operation,
            slots,
            saved,
        }))
    }
}

impl Operation for Stored {
    fn shader(&self) -> Shader {
        self.operation.shader()
    }
    fn bindings(&self) -> Vec<Slot> {
        self.slots.clone()
    }
    fn params(&self) -> Vec<u8> {
        self.operation.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.operation.grid()
    }
    fn work(&self) -> Work {
        let work = self.operation.work();
        Work {
            bytes: work.bytes.saturating_sub(self.saved).max(1),
            ..work
        }
    }
    fn alternatives(&self) -> Option<Alternatives> {
        let kinds: Vec<Kind> = self.slots.iter().map(|slot| slot.kind).collect();
        let exact = self.operation.alternatives();
        // Of a convolution.
        let weights = kinds.get(1).copied();
        let reduced = weights
            .filter(|w| w.in_quads())
            .and_then(|_| self.operation.reduced_alternatives());
        // Parts of what is beyond f16 would be, too.
        let can_run =
            |shader: Shader| weights != Some(Kind::Wide) || shader.cooperative_tile().is_none();
        let shape = &exact.as_ref().or(reduced.as_ref())?.shape;
        Some(Alternatives {
            shape: format!("{shape} {kinds:?}"),
            kernels: [exact, reduced]
                .into_iter()
                .flatten()
                .flat_map(|alternatives| alternatives.kernels)
                .filter(|kernel| can_run(kernel.shader()))
                .map(|operation| -> Box<dyn Operation> {
                    Box::new(Self {
                        operation,
                        slots: self.slots.clone(),
                        saved: self.saved,
                    })
                })
                .collect(),
        })
    }
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        None
    }
    fn reference_f32(&self, bindings: Bindings<'_, f32>) {
        self.operation.reference_f32(bindings);
    }
    fn reference_f64(&self, bindings: Bindings<'_, f64>) {
        self.operation.reference_f64(bindings);
    }
}
