// Sums over the pixels of each image, for every channel alone:
//     partials[n, split, c] = Σ_pixels of the share x[pixel, c]          SQUARE: (x[pixel, c] − centre[n, c])²
//     sums[n, c] = scale·Σ_split partials[n, split, c]                   REDUCE
// as rows of whole vec4s. Sums about the mean keep their digits where the mean is many deviations.
//
// A workgroup has 16 vec4s of channels; of its 256 invocations 16 share one, and take every 16th pixel, or split; then
// a tree of fixed shape adds their sums. Grid (⌈quads/16⌉, splits, n); REDUCE: (⌈quads/16⌉, 1, n).
#import pixgrad::tensor::View

struct Params {
    origin: vec4<u32>,
    x: View,
    splits: u32,
    // Pixels of one image, and of one share.
    pixels: u32,
    share: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef REDUCE
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef SQUARE
@group(0) @binding(2) var<storage, read> centre: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
#endif
#endif

var<workgroup> tree: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let n = id.z;
    let quads = p.x.quads;
    let quad = id.x * 16u + lane % 16u;
    var sum = vec4<f32>(0.0);
    if quad < quads {
#ifdef REDUCE
        for (var split = lane / 16u; split < p.splits; split += 16u) {
            sum += partials[(n * p.splits + split) * quads + quad];
        }
#else
        let begin = id.y * p.share;
        let end = min(begin + p.share, p.pixels);
#ifdef SQUARE
        let middle = centre[n * quads + quad];
#endif
        for (var pixel = begin + lane / 16u; pixel < end; pixel += 16u) {
            let v = x[(n * p.pixels + pixel) * p.x.stride + p.x.offset + quad];
#ifdef SQUARE
            sum = fma(v - middle, v - middle, sum);
#else
            sum += v;
#endif
        }
#endif
    }
    tree[lane] = sum;
    for (var reach = 128u; reach >= 16u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { tree[lane] += tree[lane + reach]; }
    }
    if lane < 16u && quad < quads {
#ifdef REDUCE
        sums[n * quads + quad] = p.scale * tree[lane];
#else
        partials[(n * p.splits + id.y) * quads + quad] = tree[lane];
#endif
    }
}
