//! pixgrad for JavaScript: a device, networks, recipes and runs, each an object that is freed with `free()`. Whatever
//! waits is a promise. Objects that describe something travel as JSON text; `pixgrad.js` beside the module turns them
//! into objects with types, and keeps all of it in a Web Worker.

#![cfg(target_arch = "wasm32")]

mod device;
mod picture;
mod recipe;
mod replay;
mod run;

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// The program's version.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}

/// What went wrong, with its causes, as an error of JavaScript.
fn told(error: impl Into<pixgrad::Error>) -> JsError {
    JsError::new(&error.into().with_causes())
}

/// A value as JSON.
fn json(value: &impl serde::Serialize) -> Result<String, JsError> {
    serde_json::to_string(value).map_err(|error| JsError::new(&error.to_string()))
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// A panic is a bug of this program: the console tells where.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&panic.to_string())));
}
