// Convolution with any window, stride and padding, as plainly as it can be written; formula, operands and variants:
// shared/conv.wgsl. No plan uses it: it is the second oracle of the fast kernels, and what they are measured against.
//
// One invocation per strip of y and vec4 of output channels, pixel by pixel.
#import pixgrad::tensor::{index, mask_index, masked, positive}
#ifdef BIAS
#import pixgrad::conv::bias
#endif
#ifdef RELU
#import pixgrad::conv::relu
#endif
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{p, x, w, put, work}

fn load(n: u32, yy: u32, xx: u32, quad: u32) -> vec4<f32> {
    let value = x[index(p.x, n, yy, xx, quad)];
#ifdef MASKED
    let word = mask[mask_index(p.x, n, yy, xx / 8u, quad)];
    return masked(value, word >> ((xx % 8u) * 4u));
#else
    return value;
#endif
}

// The row (or column) of x behind a position of the padded, dilated one; −1 where that is zero.
fn source(position: u32, size: u32, pad: u32, dilation: u32) -> i32 {
    if position < pad || (position - pad) % dilation != 0u { return -1; }
    let at = (position - pad) / dilation;
    return select(-1, i32(at), at < size);
}

fn pixel(n: u32, oy: u32, ox: u32, quad_out: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var ky = 0u; ky < p.kernel.x; ky++) {
        let yy = source(oy * p.stride.x + ky, p.x.h, p.pad.x, p.input_dilation.x);
        if yy < 0 { continue; }
        for (var kx = 0u; kx < p.kernel.y; kx++) {
            let xx = source(ox * p.stride.y + kx, p.x.w, p.pad.y, p.input_dilation.y);
            if xx < 0 { continue; }
            let tap = (ky * p.kernel.y + kx) * p.x.quads * 4u;
            for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
                let v = load(n, u32(yy), u32(xx), quad_in);
                let row = n * p.image_weights + (tap + quad_in * 4u) * p.y.quads + quad_out;
                sum += v.x * w[row] + v.y * w[row + p.y.quads] + v.z * w[row + 2u * p.y.quads] + v.w * w[row + 3u * p.y.quads];
            }
        }
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let item = work(id, lane, 1u, p.y.strips);
    if !item.inside { return; }
    let oy = item.row;
    let strip = item.piece;
    let quad_out = item.quad_out;
    let n = id.z;
    var bits = 0u;
    for (var i = 0u; i < 8u; i++) {
        let ox = strip * 8u + i;
        if ox >= p.y.w { break; }
        var value = pixel(n, oy, ox, quad_out);
#ifdef BIAS
        value += bias[quad_out];
#endif
        value *= p.alpha;
#ifdef RELU
        bits |= positive(value) << (i * 4u);
        value = max(value, vec4<f32>(0.0));
#endif
        put(index(p.y, n, oy, ox, quad_out), value);
    }
#ifdef RELU
    relu[mask_index(p.y, n, oy, strip, quad_out)] = bits;
#endif
}
