//! 3×3 convolutions with half the registers.

use super::conv::Params;
use super::items::Items;
use super::{Conv3x3Form, conv3x3, conv3x3_pool};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Work};

/// `wgsl/conv3x3.wgsl` or, with a pool, `wgsl/conv3x3_pool.wgsl`, where an invocation makes one vec4 of output channels
/// though it could make two: twice the loads, for adapters on which two do not fit in the registers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Narrow(Conv3x3Form);

impl Conv3x3Narrow {
    /// `form`, if its vec4s of output channels are an even number.
    #[must_use]
    pub fn serve(form: Conv3x3Form) -> Option<Self> {
        form.sums().quads.is_multiple_of(2).then_some(Self(form))
    }

    fn items(&self) -> Items {
        let y = self.0.conv().y;
        let per_row = if self.0.pools() {
            y.groups() as u32
        } else {
            y.strips
        };
        Items::single(y, per_row)
    }
}

impl Kernel for Conv3x3Narrow {
    type Params = Params;

    fn shader(&self) -> Shader {
        let (source, mut definitions) = if self.0.pools() {
            (&conv3x3_pool::SOURCE, vec!["BIAS"])
        } else {
            (&conv3x3::SOURCE, self.0.operands())
        };
        definitions.extend(self.items().definitions());
        source.with(&definitions)
    }
    fn bindings(&self) -> Vec<Slot> {
        self.0.bindings()
    }
    fn params(&self) -> Params {
        self.0.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }
    fn work(&self) -> Work {
        self.0.work()
    }
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.reference(bindings);
    }
}
