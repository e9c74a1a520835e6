#define_import_path pixgrad::tensor

// The one layout of this engine: NHWC with channels in groups of four.
//
// A tensor is an array<vec4<f32>>; element (n, y, x, c) is component c % 4 of the vec4 with index
//     ((n·h + y)·w + x)·stride + offset + c / 4.
// `stride` is the number of vec4s per pixel in the buffer and `offset` where this tensor's channels begin, so that
// a tensor can be a slice of channels of a larger one: concatenation is writing into slices. Channels that fill the
// last vec4 (c..4·quads) are zero in every buffer, and every kernel keeps them so.
//
// Bit masks (ReLU) hold one bit per element: word ((n·h + y)·strips + x / 8)·quads + c / 4 with strips = ceil(w / 8)
// covers 8 neighbouring pixels of a row times 4 channels; pixel x, channel c is bit (x % 8)·4 + c % 4. Eight pixels
// of a row are a *strip*: the unit of work of the convolutions, which therefore write whole words.
//
// Masks of maxima (2×2 max pooling with stride 2) hold one bit per element of what is pooled, set where it is the first
// maximum of its window and positive. They are laid out by the *pooled* tensor: word
// ((n·h + y)·groups + x / 2)·quads + c / 4 with groups = ceil(w / 2) covers the windows of 2 neighbouring pixels, that
// is 2 rows of 4 pixels each, times 4 channels; row r, pixel i, channel c of these is bit r·16 + i·4 + c % 4.
struct View {
    n: u32,
    h: u32,
    w: u32,
    // Channels that mean something.
    c: u32,
    // vec4s per pixel of this tensor: ceil(c / 4).
    quads: u32,
    offset: u32,
    stride: u32,
    // ceil(w / 8)
    strips: u32,
}

fn index(v: View, n: u32, y: u32, x: u32, quad: u32) -> u32 {
    return ((n * v.h + y) * v.w + x) * v.stride + v.offset + quad;
}

fn mask_index(v: View, n: u32, y: u32, strip: u32, quad: u32) -> u32 {
    return ((n * v.h + y) * v.strips + strip) * v.quads + quad;
}

// Groups of two pixels per row: the words of a row and quad of a mask of maxima.
fn groups(v: View) -> u32 {
    return (v.w + 1u) / 2u;
}

fn maxima_index(v: View, n: u32, y: u32, group: u32, quad: u32) -> u32 {
    return ((n * v.h + y) * groups(v) + group) * v.quads + quad;
}

// The components of `value` whose bit is set in `bits` (the low four), 0 for the others.
fn masked(value: vec4<f32>, bits: u32) -> vec4<f32> {
    let on = (vec4<u32>(bits) & vec4<u32>(1u, 2u, 4u, 8u)) != vec4<u32>(0u);
    return select(vec4<f32>(0.0), value, on);
}

// The low four bits: which components are positive.
fn positive(value: vec4<f32>) -> u32 {
    let bits = select(vec4<u32>(0u), vec4<u32>(1u, 2u, 4u, 8u), value > vec4<f32>(0.0));
    return bits.x | bits.y | bits.z | bits.w;
}

// `value` with zeros in the padding channels of a quad.
fn padded(v: View, quad: u32, value: vec4<f32>) -> vec4<f32> {
    let meaningful = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u < vec4<u32>(v.c);
    return select(vec4<f32>(0.0), value, meaningful);
}
