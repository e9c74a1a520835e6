// Convolution with any window, stride, dilation and padding, as plainly as it can be written; formula and operands:
// shared/conv.wgsl, without bias, ReLU and masks. No plan uses it: it is the second oracle of the fast kernels, and
// what they are measured against.
//
// One invocation per strip of y and vec4 of output channels, pixel by pixel.
#import pixgrad::tensor::index
#import pixgrad::conv::{p, x, w, put, work}

// The row (or column) of x behind a position of the padded, dilated one; −1 where that is zero.
fn source(position: u32, size: u32, pad: u32, dilation: u32) -> i32 {
    if position < pad || (position - pad) % dilation != 0u { return -1; }
    let at = (position - pad) / dilation;
    return select(-1, i32(at), at < size);
}

fn pixel(n: u32, oy: u32, ox: u32, quad_out: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var ky = 0u; ky < p.kernel.x; ky++) {
        let yy = source(oy * p.stride.x + ky * p.dilation.x, p.x.h, p.pad.x, p.input_dilation.x);
        if yy < 0 { continue; }
        for (var kx = 0u; kx < p.kernel.y; kx++) {
            let xx = source(ox * p.stride.y + kx * p.dilation.y, p.x.w, p.pad.y, p.input_dilation.y);
            if xx < 0 { continue; }
            let tap = (ky * p.kernel.y + kx) * p.x.quads * 4u;
            for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
                let v = x[index(p.x, n, u32(yy), u32(xx), quad_in)];
                let row = n * p.image_weights + (tap + quad_in * 4u) * p.y.quads + quad_out;
                sum += v.x * w[row] + v.y * w[row + p.y.quads]
                    + v.z * w[row + 2u * p.y.quads] + v.w * w[row + 3u * p.y.quads];
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
    for (var i = 0u; i < 8u; i++) {
        let ox = item.piece * 8u + i;
        if ox >= p.y.w { break; }
        let value = p.alpha * pixel(id.z, item.row, ox, item.quad_out);
        put(index(p.y, id.z, item.row, ox, item.quad_out), value);
    }
}
