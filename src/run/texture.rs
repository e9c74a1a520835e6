//! The image in a texture of the host program.

use wgpu::TextureFormat;

use super::TextureError;
use crate::Error;
use crate::device::{Gpu, Kind};
use crate::kernels::Pixels;
use crate::schedule::Executor;

/// The formats that [`Run::copy_to_texture`](super::Run::copy_to_texture) writes.
pub const TEXTURE_FORMATS: [TextureFormat; 4] = [
    TextureFormat::Rgba8Unorm,
    TextureFormat::Rgba8UnormSrgb,
    TextureFormat::Bgra8Unorm,
    TextureFormat::Bgra8UnormSrgb,
];

pub(crate) fn record(
    executor: &Executor,
    encoder: &mut wgpu::CommandEncoder,
    texture: &wgpu::Texture,
) -> Result<(), Error> {
    let Some(gpu) = executor.device().gpu() else {
        return Err(TextureError::NoGpu.into());
    };
    let image = executor.handles().image;
    if !executor.handles().parameterisation.is_empty() {
        return Err(TextureError::Parameterised.into());
    }
    let size = texture.size();
    if (size.width, size.height) != (image.view.w, image.view.h) {
        return Err(TextureError::Size {
            texture: (size.width, size.height),
            image: (image.view.w, image.view.h),
        }
        .into());
    }
    if !TEXTURE_FORMATS.contains(&texture.format()) {
        return Err(TextureError::Format {
            format: texture.format(),
        }
        .into());
    }
    let bgra = matches!(
        texture.format(),
        TextureFormat::Bgra8Unorm | TextureFormat::Bgra8UnormSrgb
    );
    // Rows of a copy begin at multiples of 256 bytes.
    let pitch = size.width.next_multiple_of(64);
    let kernel = Pixels {
        x: image.view,
        pitch,
        bgra,
    };
    let words = gpu.buffer("pixels", Kind::Word, pitch as usize * size.height as usize)?;
    let params = gpu.params_buffer(&Gpu::params_bytes(&kernel, [0; 3]))?;
    let grid = crate::device::Kernel::grid(&kernel);
    let dispatch = gpu.dispatch(
        &kernel,
        &[executor.buffer(image.value), &words],
        &params,
        0,
        grid,
    )?;
    dispatch.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
    if let Some(own) = words.wgpu() {
        let layout = wgpu::TexelCopyBufferLayout {
            offset: own.offset,
            bytes_per_row: Some(pitch * 4),
            rows_per_image: None,
        };
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo {
                buffer: own.buffer,
                layout,
            },
            texture.as_image_copy(),
            size,
        );
    }
    Ok(())
}
