//! A term of the host program's own.

use std::fmt::Debug;
use std::sync::Arc;

use super::{LayerWeight, Reads, TermFields, UsualLayers};
use crate::Error;
use crate::device::Device;
use crate::kernels::View;
use crate::objective::Term;

/// A term that the host program brings. The engine asks for it once for every layer and scale.
///
/// ```
/// use pixgrad::term::{Band, Gathered, Loss, Recording, Saved, Tensor, Term, View};
/// use pixgrad::terms::Own;
/// # #[derive(Debug)]
/// # struct Nothing;
/// # impl Term for Nothing {
/// #     fn gather(&self, _: &mut Recording, _: Tensor, _: Band, _: &mut Gathered) {}
/// #     fn conclude(&self, _: &mut Recording, _: View, _: Gathered, _: Loss) -> Saved { Saved::default() }
/// #     fn backward(&self, _: &mut Recording, _: Tensor, _: Band, _: &Saved, _: Tensor, _: bool) {}
/// # }
/// let mut recipe = pixgrad::Recipe::new();
/// let own = Own::new("nothing", |_site| Ok(Box::new(Nothing))).at(["relu1_1"]);
/// recipe.terms.push(pixgrad::TermSpec::new(own));
/// ```
#[derive(Clone)]
pub struct Own {
    name: Arc<str>,
    layers: Vec<LayerWeight>,
    make: Arc<Make>,
}

type Make = dyn Fn(&Site<'_>) -> Result<Box<dyn Term>, Error> + Send + Sync;

/// Where a term is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The device that it will run on.
    pub device: &'a Device,
    /// The layer's name; `input`: the image itself.
    pub layer: &'a str,
    /// The layer's shape, `[n, h, w, c]`, for the batch.
    pub shape: View,
    /// Weight of the term times that of the layer: what the term's value and gradient are to be multiplied by.
    pub weight: f64,
}

impl Own {
    /// A term of a name for reports and traces. `make` makes it for a layer of a shape.
    #[must_use]
    pub fn new(
        name: &str,
        make: impl Fn(&Site<'_>) -> Result<Box<dyn Term>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            layers: Vec::new(),
            make: Arc::new(make),
        }
    }

    /// The term at these layers; without any it reads the image itself.
    #[must_use]
    pub fn at<L: Into<LayerWeight>>(mut self, layers: impl IntoIterator<Item = L>) -> Self {
        self.layers = layers.into_iter().map(Into::into).collect();
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn make(&self, site: &Site<'_>) -> Result<Box<dyn Term>, Error> {
        (self.make)(site)
    }
}

impl Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({} at {:?})", self.name, self.layers)
    }
}

/// The same term is the one made by the same function.
impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.make, &other.make)
            && (&self.name, &self.layers) == (&other.name, &other.layers)
    }
}

impl TermFields for Own {
    fn reads(&self) -> Reads<'_> {
        if self.layers.is_empty() {
            Reads::Image
        } else {
            Reads::Layers(&self.layers, UsualLayers::None)
        }
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.layers)
    }
}
