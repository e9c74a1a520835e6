#define_import_path pixgrad::flat
#import pixgrad::tensor::View

// Kernels without a spatial tile walk a flat index: over the vec4s of an array, or over the *items* of a tensor,
// item = pixel·quads + quad with the pixels of all images counted in one row. One row of workgroups would not reach
// the end of a large tensor (65535 at most), so they stand in a grid `columns` wide.
fn group_index(id: vec3<u32>, columns: u32) -> u32 {
    return id.y * columns + id.x;
}

// A reduction is over each image of a batch alone: image i has `parts` workgroups, group = i·parts + part, each of
// which sums up to 2048 of its `items` items. The first item of a group's share and the one after its last.
fn share(group: u32, items: u32, parts: u32) -> vec2<u32> {
    let image = group / parts;
    let first = image * items + (group % parts) * 2048u;
    return vec2<u32>(first, min(first + 2048u, (image + 1u) * items));
}

// The vec4 of a pixel (counted over all images) and quad.
fn place(v: View, pixel: u32, quad: u32) -> u32 {
    return pixel * v.stride + v.offset + quad;
}
