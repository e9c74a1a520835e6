// One generation of MAP-Elites with the direct encoding (Nguyen, Yosinski and Clune 2015, section 2.3). An elite is
// `each` words, one for each pixel with a byte for each of its three genes, red in the lowest.
//
// BREED: image i of x, unrounded, in [0, 1]. In generation 0 each gene is k/255, k uniform in 0 … 255. Later, with a
// and b two elites drawn at random,
//     half of the genes of a share `crossed` of the images are crossed: near a or, as often, near b, by SBX:
//         ((1 + β)a + (1 − β)b)/2 or ((1 + β)b + (1 − β)a)/2,  β = (2u)^q where u < 1/2, else (2(1 − u))^−q
//     a share `mutated`, halved every `halving` generations, is then mutated: + δ,
//         δ = (2u)^r − 1 where u < 1/2, else 1 − (2(1 − u))^r
// and both results are clamped to [0, 1]. q = 1/(η + 1) of the crossing, r that of the mutation. All other genes are
// a's. All choices compare integers, so that every device makes the same. One invocation per pixel. Grid:
// shared/flat.wgsl.
//
// JUDGE: best[c] = the largest of scores[i, c] over the images i and best[c], which counts as −MAX in generation 0;
// winner[c] = the first image that has it, n where it was there before. A NaN never wins. One invocation per niche.
// Grid (⌈niches/256⌉).
//
// Else: elites[c] = image winner[c], its channels rounded to 8 bits, where winner[c] < n. One invocation per word of
// the elites. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, padded}
#import pixgrad::flat::{group_index, place}
#import pixgrad::random::{random, uniform_real, uniform_below}

#ifdef BREED
struct Params {
    origin: vec4<u32>,
    x: View,
    columns: u32,
    // Pixels of all images, and of one.
    items: u32,
    each: u32,
    niches: u32,
    seed: u32,
    // A gene is mutated, an image crossed, where its word is below these.
    mutated: u32,
    crossed: u32,
    halving: u32,
    // r, q
    mutation: f32,
    crossing: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> elites: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

fn genes(elite: u32, pixel: u32) -> vec4<f32> {
    let word = vec4<u32>(elites[elite * p.each + pixel]);
    return vec4<f32>((word >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u)) / 255.0;
}

// v^power for v in [0, 2): `pow` of 0 is kept from the logarithm of 0.
fn powered(v: vec4<f32>, power: f32) -> vec4<f32> {
    let root = pow(max(v, vec4<f32>(0x1p-30)), vec4<f32>(power));
    return select(vec4<f32>(0.0), root, v > vec4<f32>(0.0));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let image = item / p.each;
    let pixel = item % p.each;
    let t = step[0];
    let zero = vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    let middle = vec4<f32>(0.5);
    let choices = random(p.seed, t, image, 3u * pixel);
    if t == 0u {
        x[place(p.x, item, 0u)] = padded(p.x, 0u, vec4<f32>(choices >> vec4<u32>(24u)) / 255.0);
        return;
    }
    // Drawn once for the whole image: behind all that its pixels draw. The lowest bits of a draw's words are not
    // independent of each other.
    let parents = random(p.seed, t, image, 3u * p.each);
    let a = genes(uniform_below(parents.x >> 8u, p.niches), pixel);
    var gene = a;
    if parents.z < p.crossed {
        let b = genes(uniform_below(parents.y >> 8u, p.niches), pixel);
        let u = uniform_real(random(p.seed, t, image, 3u * pixel + 1u));
        let less = powered(2.0 * u, p.crossing);
        let more = one / powered(2.0 * (one - u), p.crossing);
        let beta = select(more, less, u < middle);
        let near_a = 0.5 * ((one + beta) * a + (one - beta) * b);
        let near_b = 0.5 * ((one + beta) * b + (one - beta) * a);
        // Two bits for each gene.
        let kind = (vec4<u32>(choices.w) >> vec4<u32>(24u, 26u, 28u, 30u)) & vec4<u32>(3u);
        gene = select(gene, near_a, kind == vec4<u32>(0u));
        gene = select(gene, near_b, kind == vec4<u32>(1u));
        gene = clamp(gene, zero, one);
    }
    let rate = p.mutated >> min(t / p.halving, 31u);
    let u = uniform_real(random(p.seed, t, image, 3u * pixel + 2u));
    let down = powered(2.0 * u, p.mutation) - one;
    let up = one - powered(2.0 * (one - u), p.mutation);
    let mutant = clamp(gene + select(up, down, u < middle), zero, one);
    gene = select(gene, mutant, choices < vec4<u32>(rate));
    x[place(p.x, item, 0u)] = padded(p.x, 0u, gene);
}
#else
#ifdef JUDGE
struct Params {
    origin: vec4<u32>,
    // n images of 1×1 pixel, a channel for each niche.
    scores: View,
}

// −2^127. Not the lowest f32: naga writes that one rounded, and browsers refuse it.
const LOWEST: f32 = -0x1p+127f;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> best: array<f32>;
@group(0) @binding(4) var<storage, read_write> winner: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let niche = (id.x + p.origin.x) * 256u + lane;
    if niche >= p.scores.c { return; }
    var most = select(best[niche], LOWEST, step[0] == 0u);
    var first = p.scores.n;
    for (var i = 0u; i < p.scores.n; i++) {
        let score = scores[4u * place(p.scores, i, 0u) + niche];
        // A shader's compiler may take for granted that no float is NaN, so NaNs are told by their bits.
        let number = (bitcast<u32>(score) & 0x7fffffffu) <= 0x7f800000u;
        if number && score > most {
            most = score;
            first = i;
        }
    }
    best[niche] = most;
    winner[niche] = first;
}
#else
struct Params {
    origin: vec4<u32>,
    x: View,
    columns: u32,
    // Words of all elites, and of one.
    items: u32,
    each: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> elites: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let image = winner[item / p.each];
    if image >= p.x.n { return; }
    let value = x[place(p.x, image * p.each + item % p.each, 0u)];
    let byte = vec4<u32>(clamp(value, vec4<f32>(0.0), vec4<f32>(1.0)) * 255.0 + 0.5);
    elites[item] = byte.x | (byte.y << 8u) | (byte.z << 16u);
}
#endif
#endif
