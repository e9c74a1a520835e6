//! The Python package `pixgrad`: its native part, `pixgrad._pixgrad`.
//!
//! What a caller sees is written in Python, in `python/pixgrad`. Here the engine is called: options and recipes come
//! as JSON, pictures as bytes with a layout, and every call that computes releases the interpreter's lock. The options
//! are read by the same code that the command line uses, `pixgrad::engine::methods::options`.

mod device;
mod error;
mod logging;
mod network;
mod picture;
mod recipe;
mod run;

use pyo3::prelude::*;

#[pymodule]
fn _pixgrad(module: &Bound<'_, PyModule>) -> PyResult<()> {
    logging::listen();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<device::Device>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<picture::Picture>()?;
    module.add_class::<recipe::Recipe>()?;
    module.add_class::<run::Run>()?;
    module.add_function(wrap_pyfunction!(device::devices, module)?)?;
    module.add_function(wrap_pyfunction!(network::transfer, module)?)
}
