// Channels of a tensor in any order, some perhaps several times or not at all:
//     y[…, c] = x[…, table[c]]
//     dx[…, c] (+)= Σ dy[…, table[i]] over i from table[c] up to, not including, table[c + 1]                (BACKWARD)
// The backward pass finds where the list of channel c begins among the first words of its table. ACCUMULATE adds to dx.
//
// Bindings: x; table; y. BACKWARD: dy; table; dx.
// One invocation per vec4 of y, backward of dx. Grid: shared/flat.wgsl. Lists of padding channels are empty.
#import pixgrad::tensor::{View, padded}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    from_view: View,
    to_view: View,
    columns: u32,
    items: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Channel `c` of the pixel of x that begins at vec4 `first`.
fn channel(first: u32, c: u32) -> f32 {
    let value = x[first + c / 4u];
    return value[c % 4u];
}

#ifdef BACKWARD
fn gathered(first: u32, c: u32) -> f32 {
    var sum = 0.0;
    for (var i = table[c]; i < table[c + 1u]; i++) {
        sum += channel(first, table[i]);
    }
    return sum;
}
#else
fn gathered(first: u32, c: u32) -> f32 {
    return channel(first, table[c]);
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.to_view.quads;
    let quad = item % p.to_view.quads;
    let first = place(p.from_view, pixel, 0u);
    let c = quad * 4u;
    let all = vec4<f32>(gathered(first, c), gathered(first, c + 1u), gathered(first, c + 2u), gathered(first, c + 3u));
    let value = padded(p.to_view, quad, all);
    let at = place(p.to_view, pixel, quad);
#ifdef ACCUMULATE
    y[at] += value;
#else
    y[at] = value;
#endif
}
