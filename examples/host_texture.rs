//! A host program with a GPU device of its own: iterations in the host's command encoder, the picture in the host's
//! texture. Nothing is copied through the processor but the texture, once, to write it to a file.
//!
//!     cargo run --release --example host_texture -- CONTENT STYLE OUTPUT [SIZE] [ITERATIONS]
//!
//! Set `PIXGRAD_ADAPTER=software` where there is only a software adapter.

use std::error::Error;

use pixgrad::{Device, Image, Network, Recipe, wgpu};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [content, style, output, numbers @ ..] = &arguments[..] else {
        return Err("usage: host_texture CONTENT STYLE OUTPUT [SIZE] [ITERATIONS]".into());
    };
    let number = |place: usize, default: u32| match numbers.get(place) {
        Some(text) => text.parse(),
        None => Ok(default),
    };

    // What a host program has already: an adapter, a device, a queue.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let software = std::env::var_os("PIXGRAD_ADAPTER").is_some_and(|value| value == "software");
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        force_fallback_adapter: software,
        ..Default::default()
    }))?;
    let (host, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;

    // pixgrad on that device.
    let device = Device::from_wgpu(&adapter, host.clone(), queue.clone());
    let network = Network::load(&device, "squeezenet1_1")?;
    let size = number(0, 256)?;
    let mut recipe = Recipe::style(content.as_str(), [style.as_str()]).size(size);
    recipe.image.min_size = None;
    recipe.optimizer.average = 0.0;
    let mut run = recipe.compile(&device, &network)?;
    let scale = run.plan()[0];
    let extent = wgpu::Extent3d {
        width: scale.width,
        height: scale.height,
        depth_or_array_layers: 1,
    };
    let texture = host.create_texture(&wgpu::TextureDescriptor {
        label: Some("the host's picture"),
        size: extent,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });

    // Frame by frame, as a window would do it.
    for _ in 0..number(1, 60)? {
        let mut encoder = host.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        run.encode(&mut encoder, 1)?;
        run.copy_to_texture(&mut encoder, &texture)?;
        queue.submit([encoder.finish()]);
    }

    // The texture as a file: rows of a copy are multiples of 256 bytes.
    let row = (4 * scale.width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = host.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the texture's pixels"),
        size: u64::from(row) * u64::from(scale.height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = host.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(row),
                rows_per_image: None,
            },
        },
        extent,
    );
    queue.submit([encoder.finish()]);
    buffer.map_async(wgpu::MapMode::Read, .., |_| ());
    host.poll(wgpu::PollType::wait_indefinitely())?;
    let bytes = buffer.get_mapped_range(..)?;
    let rgb: Vec<u8> = bytes
        .chunks(row as usize)
        .flat_map(|row| row[..4 * scale.width as usize].chunks(4))
        .flat_map(|pixel| pixel[..3].to_vec())
        .collect();
    Image::from_rgb8(scale.width, scale.height, &rgb)?.save(output)?;
    println!("{output}");
    Ok(())
}
