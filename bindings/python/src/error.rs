//! Errors of the engine as exceptions, with the same texts. The classes are in `python/pixgrad/_errors.py`.

use pixgrad::{DeviceError, Error};
use pyo3::prelude::*;

/// The exception of an error.
pub fn raise(error: impl Into<Error>) -> PyErr {
    let error = error.into();
    let class = match &error {
        Error::TooLarge { .. }
        | Error::Device(DeviceError::TooLarge { .. } | DeviceError::OutOfMemory { .. }) => {
            "TooLargeError"
        }
        Error::Device(_) => "DeviceError",
        Error::Image(_) => "PictureError",
        Error::Net(_) | Error::Layer(_) => "NetworkError",
        _ => "RecipeError",
    };
    exception(class, &error.with_causes())
}

/// What a caller has asked for that cannot be.
pub fn wrong(text: &str) -> PyErr {
    exception("RecipeError", text)
}

fn exception(class: &str, text: &str) -> PyErr {
    Python::attach(|py| {
        let made = py
            .import("pixgrad._errors")
            .and_then(|module| module.getattr(class))
            .and_then(|class| class.call1((text,)));
        made.map_or_else(|error| error, PyErr::from_value)
    })
}
