#define_import_path pixgrad::convolved
#import pixgrad::tensor::{index, mask_index, masked, maxima_index}
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{p, w, x}

// What the kernels that stage in workgroup memory read, vec4 by vec4, conv3x3_tile.wgsl, conv3x3_winograd.wgsl,
// conv3x3_winograd4.wgsl and conv3x3_coop.wgsl. Of x: itself; under MASKED x through the mask of a ReLU; under UNPOOL
// the gradient of what conv3x3_pool.wgsl has pooled, see conv3x3.wgsl.

#ifdef UNPOOL
@group(0) @binding(4) var<storage, read> maxima: array<u32>;
#endif

// Quad `quad` of pixel (yy, xx), 0 outside the image. Nothing branches: several such loads are under way at once.
fn convolved(n: u32, yy: i32, xx: i32, quad: u32) -> vec4<f32> {
    // Of a negative number this is far outside.
    let column = u32(xx);
    let row = u32(yy);
#ifdef UNPOOL
    let inside = column / 2u < p.x.w && row / 2u < p.x.h && quad < p.x.quads;
    let bits = maxima[select(0u, maxima_index(p.x, n, row / 2u, column / 4u, quad), inside)];
    let gradient = x[select(0u, index(p.x, n, row / 2u, column / 2u, quad), inside)];
    let value = masked(gradient, bits >> (row % 2u * 16u + column % 4u * 4u));
#else
    let inside = column < p.x.w && row < p.x.h && quad < p.x.quads;
    var value = x[select(0u, index(p.x, n, row, column, quad), inside)];
#ifdef MASKED
    let bits = mask[select(0u, mask_index(p.x, n, row, column / 8u, quad), inside)];
    value = masked(value, bits >> (column % 8u * 4u));
#endif
#endif
    return select(vec4<f32>(0.0), value, inside);
}

// Row `row` of the weights of image n for one vec4 of output channels, 0 beyond the channels.
fn weight(n: u32, row: u32, quad_out: u32) -> vec4<f32> {
    let inside = quad_out < p.y.quads;
    let at = n * p.image_weights + row * p.y.quads + quad_out;
    return select(vec4<f32>(0.0), w[select(0u, at, inside)], inside);
}
