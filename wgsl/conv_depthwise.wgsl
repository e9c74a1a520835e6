// Depthwise convolution, each channel by a window of its own, with any window, stride, dilation and padding; formula,
// operands and variants: shared/conv.wgsl, without SINGLE, FLAT and images' own weights. Of the wider of x and y each
// channel has a window:
//     y[c] sees x[c];  under SPREAD y[c] sees x[c / m], m = group.y;  under GATHER y[c] sees x[c·m .. c·m + m−1], m =
//     group.x. The backward pass of one of the two is the other.
// DENSE: strides and dilations are 1 and the window is at least 3 wide; a row of 8 pixels and the first three taps is
// then read as 10 pixels, and each tap more as one.
//
// w: [kh·kw, wide] vec4s, `wide` being those of the wider of x and y.
// One invocation per piece (shared/window.wgsl) and vec4 of channels of y, neighbours in neighbouring vec4s, so that
// they read and write memory side by side: grid (⌈pieces·quads/64⌉, h, n).
#import pixgrad::divide::divide
#import pixgrad::tensor::{index, mask_index}
#import pixgrad::strip::{Strip, zero_strip, mul_strip, mac_strip}
#import pixgrad::conv::{p, w, store_strip, store_apart}
#import pixgrad::window::{pieces, first_column, source, pixel, pixels, shifted}

#ifdef GATHER
// The channels that wide channels 4·part .. of the channels of one vec4 of y add to.
fn targets(part: u32) -> mat4x4<f32> {
    return selection((vec4<u32>(0u, 1u, 2u, 3u) + part * 4u) / p.group.x);
}

// Column j is 1 in row `to[j]`.
fn selection(to: vec4<u32>) -> mat4x4<f32> {
    let rows = vec4<u32>(0u, 1u, 2u, 3u);
    let z = vec4<f32>(0.0);
    let o = vec4<f32>(1.0);
    return mat4x4<f32>(
        select(z, o, rows == vec4<u32>(to.x)), select(z, o, rows == vec4<u32>(to.y)),
        select(z, o, rows == vec4<u32>(to.z)), select(z, o, rows == vec4<u32>(to.w)));
}
#endif

#ifdef SPREAD
// The channels of x that the channels of vec4 `quad` of y see, as a matrix: row i is 1 in their column.
fn sources(quad: u32) -> mat4x4<f32> {
    let seen = (vec4<u32>(0u, 1u, 2u, 3u) + quad % p.group.y * 4u) / p.group.y;
    let z = vec4<f32>(0.0);
    let o = vec4<f32>(1.0);
    return mat4x4<f32>(
        select(z, o, seen == vec4<u32>(0u)), select(z, o, seen == vec4<u32>(1u)),
        select(z, o, seen == vec4<u32>(2u)), select(z, o, seen == vec4<u32>(3u)));
}
#endif

// Sums over the windows of a piece that begins at column ox, of vec4 `wide` of the wider of x and y.
fn sums(n: u32, oy: u32, ox: u32, wide: u32) -> Strip {
#ifdef SPREAD
    let quad = wide / p.group.y;
    let spread = sources(wide);
#else
    let quad = wide;
#endif
#ifdef GATHER
    let stride = p.x.quads;
#else
    let stride = p.y.quads;
#endif
    var acc = zero_strip();
    for (var ky = 0u; ky < p.kernel.x; ky++) {
        let down = source(oy, ky, 0u);
        if !down.exact || down.at < 0 || down.at >= i32(p.x.h) { continue; }
        let row = index(p.x, n, u32(down.at), 0u, quad);
        let words = mask_index(p.x, n, u32(down.at), 0u, quad);
        let taps = ky * p.kernel.y * stride + wide;
#ifdef DENSE
        let at = i32(ox) - i32(p.pad.y);
        let s = shifted(row, words, at);
        acc = mul_strip(acc, s.left, w[taps]);
        acc = mul_strip(acc, s.middle, w[taps + stride]);
        var seen = s.right;
        acc = mul_strip(acc, seen, w[taps + 2u * stride]);
        for (var kx = 3u; kx < p.kernel.y; kx++) {
            let next = pixel(row, words, at + i32(kx) + 7);
            seen = Strip(seen.b, seen.c, seen.d, seen.e, seen.f, seen.g, seen.h, next);
            acc = mul_strip(acc, seen, w[taps + kx * stride]);
        }
#else
        for (var kx = 0u; kx < p.kernel.y; kx++) {
            let across = source(ox, kx, 1u);
            if !across.exact { continue; }
            var s = pixels(row, words, across.at, i32(p.stride.y));
#ifdef SPREAD
            s = mac_strip(zero_strip(), s, spread);
#endif
            acc = mul_strip(acc, s, w[taps + kx * stride]);
        }
#endif
    }
    return acc;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= pieces() * p.y.quads { return; }
    let place = divide(flat, p.y.quads);
    let ox = first_column(place.quotient);
#ifdef GATHER
    var sum = zero_strip();
    for (var part = 0u; part < p.group.x; part++) {
        let wide = place.rest * p.group.x + part;
        if wide >= p.x.quads { break; }
        sum = mac_strip(sum, sums(id.z, id.y, ox, wide), targets(part));
    }
#else
    let sum = sums(id.z, id.y, ox, place.rest);
#endif
#ifdef RELU
    store_strip(sum, id.z, id.y, place.quotient, place.rest);
#else
    store_apart(sum, id.z, id.y, ox, p.input_dilation.y, place.rest);
#endif
}
