//! Pictures: bytes with a layout in Python, `Image` in the engine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pixgrad::Image;
use pixgrad::engine::image::{PixelDepth, PixelLayout};
use pixgrad::engine::methods::zoomed;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::error::{raise, wrong};

/// A picture of the engine.
#[pyclass(frozen, from_py_object, module = "pixgrad._pixgrad")]
#[derive(Clone)]
pub struct Picture(pub Arc<Image>);

/// Pictures by the names that recipes and options have for them.
pub type Named = HashMap<String, Picture>;

/// The same for the engine.
pub fn named(pictures: Named) -> HashMap<String, Arc<Image>> {
    let pictures = pictures.into_iter();
    pictures.map(|(name, picture)| (name, picture.0)).collect()
}

impl From<Image> for Picture {
    fn from(image: Image) -> Self {
        Self(Arc::new(image))
    }
}

fn depth(dtype: &str) -> PyResult<PixelDepth> {
    match dtype {
        "uint8" => Ok(PixelDepth::U8),
        "uint16" => Ok(PixelDepth::U16),
        "float32" => Ok(PixelDepth::F32),
        _ => Err(wrong(&format!(
            "dtype: it must be uint8, uint16 or float32, not {dtype}"
        ))),
    }
}

#[pymethods]
impl Picture {
    /// From the bytes of an array of [height, width, channels].
    #[new]
    fn new(data: &[u8], dtype: &str, shape: (u32, u32, usize)) -> PyResult<Self> {
        let (height, width, channels) = shape;
        let layout = PixelLayout::packed(width, height, channels, depth(dtype)?);
        Ok(layout.read(data).map_err(raise)?.into())
    }

    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let image = py.detach(|| Image::open(&path)).map_err(raise)?;
        Ok(image.into())
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.save(&path)).map_err(raise)
    }

    fn png<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.to_png()).map_err(raise)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The middle, enlarged to the size of all; `step` is the part of each side that is cut off.
    fn zoomed(&self, py: Python<'_>, step: f64) -> PyResult<Self> {
        let image = py.detach(|| zoomed(&self.0, step)).map_err(raise)?;
        Ok(image.into())
    }

    /// [height, width, channels].
    #[getter]
    fn shape(&self) -> (u32, u32, usize) {
        let channels = if self.0.alpha.is_some() { 4 } else { 3 };
        (self.0.height, self.0.width, channels)
    }

    /// The bytes of an array of that shape.
    fn data<'py>(&self, py: Python<'py>, dtype: &str) -> PyResult<Bound<'py, PyByteArray>> {
        let (height, width, channels) = self.shape();
        let layout = PixelLayout::packed(width, height, channels, depth(dtype)?);
        let len = layout.bytes().map_err(raise)?;
        PyByteArray::new_with(py, len, |bytes| layout.write(&self.0, bytes).map_err(raise))
    }
}
