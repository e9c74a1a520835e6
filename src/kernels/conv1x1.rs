//! The fast kernel of 1×1 convolutions with stride 1.

use super::Conv;
use super::conv::{Items, Params};
use crate::device::{Alternatives, Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv1x1.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv1x1",
    text: include_str!("../../wgsl/conv1x1.wgsl"),
    variants: super::conv::VARIANTS,
};

/// A [`Conv`] whose shape this kernel serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv1x1 {
    conv: Conv,
    narrow: bool,
}

impl Conv1x1 {
    /// `conv`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv) -> Option<Self> {
        conv.is_same(1).then_some(Self {
            conv,
            narrow: false,
        })
    }

    /// The same with one vec4 of output channels per invocation: half the registers, more loads.
    #[must_use]
    pub fn narrow(self) -> Self {
        Self {
            narrow: true,
            ..self
        }
    }

    fn items(&self) -> Items {
        if self.narrow {
            Items::single(self.conv.y)
        } else {
            self.conv.items()
        }
    }
}

impl Kernel for Conv1x1 {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.conv.variant(&SOURCE, self.items())
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.conv)
    }
    fn params(&self) -> Params {
        Kernel::params(&self.conv)
    }
    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }
    fn work(&self) -> Work {
        Kernel::work(&self.conv)
    }
    fn alternatives(&self) -> Option<Alternatives> {
        let narrow = self.narrow();
        (Kernel::shader(&narrow) != Kernel::shader(self)).then(|| Alternatives {
            shape: self.conv.shape(),
            kernels: vec![Box::new(narrow)],
        })
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.conv.twin(bindings);
    }
}
