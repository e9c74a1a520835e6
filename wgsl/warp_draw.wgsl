// For each image of a batch the affine map from the pixels of a warped image to those of the image that it is made of,
// drawn anew in every step: the chain "shift by e, scale by s, rotate by θ, shift by d" about the centre. In half
// pixels from either centre, o in the warped image and u in the other,
//     u = A·(o + d) + e          A = 1/s · (cos θ, −sin θ; sin θ, cos θ)
// d and e: integers, uniform in [−jitter, jitter] in steps of 2. s, θ: uniform from lists.
//
// All of it is integers, so that every device samples at the same places: A in units of 2⁻¹³, A·d + e in units of 2⁻¹⁴
// pixels.
//
// Bindings: step, one word; placements: [n·8] words, i32 in two's complement: A row by row, the translation (x, y), 0,
// 0. `lists`: first the 1/s in units of 2⁻¹⁴; then for each θ cos θ and sin θ in units of 2⁻¹⁴, its low and its high 16
//    bits.
// The draws are indices 1 and 2 (shared/random.wgsl); image n·own draws them: own = 0 is one draw for all images.
// One invocation per image.
#import pixgrad::random::{random, uniform_below}

struct Params {
    origin: vec4<u32>,
    n: u32,
    seed: u32,
    own: u32,
    scales: u32,
    angles: u32,
    // Before scaling: e. After rotating: d.
    jitter_before: u32,
    jitter_after: u32,
    pad: u32,
    lists: array<vec4<u32>, 12>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read_write> placements: array<u32>;

fn entry(i: u32) -> u32 {
    return p.lists[i / 4u][i % 4u];
}

// Uniform in [−jitter, jitter] in steps of 2.
fn offset(words: vec2<u32>, jitter: u32) -> vec2<i32> {
    let drawn = vec2<u32>(uniform_below(words.x, jitter + 1u), uniform_below(words.y, jitter + 1u));
    return 2 * vec2<i32>(drawn) - vec2<i32>(i32(jitter));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = (id.x + p.origin.x) * 64u + lane;
    if n >= p.n { return; }
    let first = random(p.seed, step[0], n * p.own, 1u);
    let second = random(p.seed, step[0], n * p.own, 2u);
    let e = offset(first.xy, p.jitter_before);
    let d = offset(second.xy, p.jitter_after);
    let inverse = i32(entry(uniform_below(first.z, p.scales)));
    let angle = bitcast<i32>(entry(p.scales + uniform_below(first.w, p.angles)));
    // To nearest.
    let c = (((angle << 16u) >> 16u) * inverse + 16384) >> 15u;
    let s = ((angle >> 16u) * inverse + 16384) >> 15u;
    let at = n * 8u;
    placements[at] = bitcast<u32>(c);
    placements[at + 1u] = bitcast<u32>(-s);
    placements[at + 2u] = bitcast<u32>(s);
    placements[at + 3u] = bitcast<u32>(c);
    placements[at + 4u] = bitcast<u32>(c * d.x - s * d.y + e.x * 8192);
    placements[at + 5u] = bitcast<u32>(s * d.x + c * d.y + e.y * 8192);
    placements[at + 6u] = 0u;
    placements[at + 7u] = 0u;
}
