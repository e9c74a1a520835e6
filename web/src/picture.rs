//! Pictures that the browser has decoded.

use std::collections::HashMap;
use std::sync::Arc;

use pixgrad::Image;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::told;

/// Pictures in memory by the names that recipes call them.
#[wasm_bindgen]
#[derive(Default)]
pub struct Pictures(HashMap<String, Arc<Image>>);

impl Pictures {
    /// The picture of that name.
    pub fn find(&self, name: &str) -> Option<Arc<Image>> {
        self.0.get(name).cloned()
    }
}

#[wasm_bindgen]
impl Pictures {
    /// No pictures.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a picture, or replaces one: the bytes of an `ImageData`, RGBA and not premultiplied.
    ///
    /// # Errors
    /// A wrong number of bytes.
    pub fn add(&mut self, name: &str, width: u32, height: u32, rgba: &[u8]) -> Result<(), JsError> {
        let unit = |v: &u8| f32::from(*v) / 255.0;
        let pixels = rgba.chunks_exact(4);
        let rgb = pixels.clone().flat_map(|p| p[..3].iter().map(unit));
        let mut image = Image::new(width, height, rgb.collect()).map_err(told)?;
        if pixels.clone().any(|p| p[3] < 255) {
            let alpha = pixels.map(|p| unit(&p[3])).collect();
            image = image.with_alpha(alpha).map_err(told)?;
        }
        self.0.insert(name.to_string(), Arc::new(image));
        Ok(())
    }

    /// Forgets a picture.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// The bytes of an `ImageData` of a picture.
pub fn rgba(image: &Image) -> Vec<u8> {
    let alpha = |i: usize| image.alpha.as_ref().map_or(1.0, |alpha| alpha[i]);
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels = image.rgb.chunks_exact(3).enumerate();
    pixels
        .flat_map(|(i, p)| [byte(p[0]), byte(p[1]), byte(p[2]), byte(alpha(i))])
        .collect()
}
