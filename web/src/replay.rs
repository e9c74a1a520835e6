//! Single kernel calls, as the tests of the kernels write them: the browser is one of the devices that these run on.
//! `kernels-tests/common/elsewhere.rs` has the format.

use pixgrad::engine::device::{
    Access, Alternatives, Bindings, Buffer, Kind, Operation, Shader, Slot, Work,
};
use pixgrad::engine::kernels::SOURCES;
use serde::Deserialize;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Device;
use crate::told;

#[derive(Deserialize)]
struct Header {
    source: String,
    definitions: Vec<String>,
    params: Vec<u8>,
    grid: [u32; 3],
    bindings: Vec<Bound>,
}

#[derive(Deserialize)]
struct Bound {
    access: String,
    words: bool,
    len: usize,
}

impl Bound {
    fn slot(&self) -> Slot {
        let (kind, access) = (
            if self.words { Kind::Word } else { Kind::Real },
            match self.access.as_str() {
                "read" => Access::Read,
                "write" => Access::Write,
                _ => Access::ReadWrite,
            },
        );
        Slot { kind, access }
    }
}

/// A kernel that is known by its shader and the bytes of its parameters.
#[derive(Debug)]
struct Call {
    shader: Shader,
    slots: Vec<Slot>,
    params: Vec<u8>,
    grid: [u32; 3],
}

impl Operation for Call {
    fn shader(&self) -> Shader {
        self.shader
    }
    fn bindings(&self) -> Vec<Slot> {
        self.slots.clone()
    }
    fn params(&self) -> Vec<u8> {
        self.params.clone()
    }
    fn grid(&self) -> [u32; 3] {
        self.grid
    }
    fn work(&self) -> Work {
        Work::default()
    }
    fn alternatives(&self) -> Option<Alternatives> {
        None
    }
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        None
    }
    fn reference_f32(&self, _: Bindings<'_, f32>) {
        unreachable!("it runs on a GPU only")
    }
    fn reference_f64(&self, _: Bindings<'_, f64>) {
        unreachable!("it runs on a GPU only")
    }
}

#[wasm_bindgen]
impl Device {
    /// Runs a kernel call of the tests. Returns the words of the bindings that it writes, as bytes.
    ///
    /// # Errors
    /// It is no such call; the adapter lacks what the kernel needs; the device fails.
    pub async fn replay(&self, call: &[u8]) -> Result<Vec<u8>, JsError> {
        if self.0.gpu().is_none() {
            return Err(JsError::new("calls are replayed on a GPU"));
        }
        let damaged = || JsError::new("this is no kernel call of the tests");
        let (length, rest) = call.split_first_chunk::<8>().ok_or_else(damaged)?;
        let length = u64::from_le_bytes(*length) as usize;
        let (header, data) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| damaged())?;
        let source = SOURCES.iter().find(|source| source.name == header.source);
        let source = source.ok_or_else(damaged)?;
        let variant = source
            .variants
            .iter()
            .position(|variant| variant.iter().eq(&header.definitions));
        let operation = Call {
            shader: Shader {
                source,
                variant: variant.ok_or_else(damaged)?,
            },
            slots: header.bindings.iter().map(Bound::slot).collect(),
            params: header.params,
            grid: header.grid,
        };

        let (words, _) = data.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let mut buffers: Vec<Buffer> = Vec::new();
        for bound in &header.bindings {
            let own: Vec<u32> = words.by_ref().take(bound.len).collect();
            if own.len() < bound.len {
                return Err(damaged());
            }
            let buffer = self.0.buffer("replayed", bound.slot().kind, bound.len);
            let buffer = buffer.map_err(told)?;
            if bound.words {
                self.0.upload_words(&buffer, &own).map_err(told)?;
            } else {
                let reals: Vec<f32> = own.iter().map(|word| f32::from_bits(*word)).collect();
                self.0.upload(&buffer, &reals).map_err(told)?;
            }
            buffers.push(buffer);
        }
        let all: Vec<&Buffer> = buffers.iter().collect();
        self.0.run(&operation, &all).map_err(told)?;
        let mut answer = Vec::new();
        for (bound, buffer) in header.bindings.iter().zip(&buffers) {
            if !bound.slot().writes() {
                continue;
            }
            if bound.words {
                let words = self.0.download_words_async(buffer).await.map_err(told)?;
                answer.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            } else {
                let reals = self.0.download_async(buffer).await.map_err(told)?;
                answer.extend(reals.iter().flat_map(|real| real.to_le_bytes()));
            }
        }
        Ok(answer)
    }
}
