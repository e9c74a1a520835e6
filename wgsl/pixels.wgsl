// Image to 8-bit pixels: word[y, x] = r | g << 8 | b << 16 | 255 << 24 with each channel rounded to the nearest of
// 0..255 (BGRA exchanges r and b). The rows of words are `pitch` long, as a copy into a texture wants them.
//
// Bindings: x, a tensor of one vec4 per pixel in [0, 1], its first image; words.
// One invocation per pixel: grid (⌈w/64⌉, h, 1).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    pitch: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let xx = id.x * 64u + lane;
    if xx >= p.x.w { return; }
    let value = clamp(x[index(p.x, 0u, id.y, xx, 0u)].xyz, vec3<f32>(0.0), vec3<f32>(1.0));
    let bytes = vec3<u32>(floor(value * 255.0 + 0.5));
#ifdef BGRA
    words[id.y * p.pitch + xx] = bytes.z | (bytes.y << 8u) | (bytes.x << 16u) | 0xff000000u;
#else
    words[id.y * p.pitch + xx] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | 0xff000000u;
#endif
}
