// Channels of one tensor written to, or added to (ACCUMULATE), channels of another, wherever they begin: concatenation
// where a slice will not do.
//     y[n, row, col, to + c] (+)= x[n, row, col, from + c]        for c < channels
// In the vec4s that are written, channels before `to` stay as they are, and those behind the last one become zero
// (under ACCUMULATE they stay): who writes several tensors side by side goes upwards.
//
// Bindings: x; y, of the same n, h and w.
// One invocation per vec4 of y that is written. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    from_channel: u32,
    to_channel: u32,
    channels: u32,
    columns: u32,
    // n·h·w·(vec4s of a pixel that are written).
    items: u32,
    quads: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// Channel `c` of the pixel of x that begins at vec4 `pixel`, 0 where it is not copied.
fn channel(pixel: u32, c: u32) -> f32 {
    let inside = c >= p.to_channel && c < p.to_channel + p.channels;
    let source = select(0u, c + p.from_channel - p.to_channel, inside);
    let value = x[pixel + source / 4u];
    return select(0.0, value[source % 4u], inside);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = p.to_channel / 4u + item % p.quads;
    let pixel = item / p.quads;
    let from_at = pixel * p.x.stride + p.x.offset;
    let at = pixel * p.y.stride + p.y.offset + quad;
    let c = quad * 4u;
    let value = vec4<f32>(
        channel(from_at, c), channel(from_at, c + 1u), channel(from_at, c + 2u), channel(from_at, c + 3u));
#ifdef ACCUMULATE
    y[at] += value;
#else
#ifdef KEEP
    let before = vec4<u32>(c) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.to_channel);
    y[at] = select(value, y[at], before);
#else
    y[at] = value;
#endif
#endif
}
