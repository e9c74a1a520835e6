#define_import_path pixgrad::convolved
#import pixgrad::tensor::{index, mask_index, masked, maxima_index}
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{p, x}

// What conv3x3_tile.wgsl, conv3x3_winograd.wgsl and conv3x3_coop.wgsl read, pixel by pixel: x itself; under MASKED x through the mask of a ReLU; under UNPOOL the gradient
// of what conv3x3_pool.wgsl has pooled, see conv3x3.wgsl.

#ifdef UNPOOL
@group(0) @binding(4) var<storage, read> maxima: array<u32>;
#endif

// Quad `quad` of pixel (yy, xx), 0 outside the image.
fn convolved(n: u32, yy: i32, xx: i32, quad: u32) -> vec4<f32> {
    if xx < 0 || yy < 0 { return vec4<f32>(0.0); }
    let column = u32(xx);
    let row = u32(yy);
#ifdef UNPOOL
    if column / 2u >= p.x.w || row / 2u >= p.x.h { return vec4<f32>(0.0); }
    let bits = maxima[maxima_index(p.x, n, row / 2u, column / 4u, quad)];
    return masked(x[index(p.x, n, row / 2u, column / 2u, quad)], bits >> (row % 2u * 16u + column % 4u * 4u));
#else
    if column >= p.x.w || row >= p.x.h { return vec4<f32>(0.0); }
    let value = x[index(p.x, n, row, column, quad)];
#ifdef MASKED
    return masked(value, mask[mask_index(p.x, n, row, column / 8u, quad)] >> (column % 8u * 4u));
#else
    return value;
#endif
#endif
}
