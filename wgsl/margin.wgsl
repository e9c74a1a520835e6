// The margin between each image's label l and the best other class o = argmax_{j≠l} z_j (the lowest index of equals),
// and its gradient:
//     m = sign·(z_o − z_l),  values[i] = weightsᵢ·max(m, −confidence)
//     dz_o, dz_l (+)= ±sign·alpha·weightsᵢ unless m < −confidence; every other dz (+)= 0                  (BACKWARD)
// sign = 1: l is the class to reach; −1: the class to leave. labels: one word for each image; weights: one real each.
// ACCUMULATE adds to dz.
//
// One workgroup per image, invocation k every 256th vec4 of classes; a tree of fixed shape. Grid (n).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    z: View,
    dz: View,
    alpha: f32,
    sign: f32,
    confidence: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
#ifdef BACKWARD
@group(0) @binding(4) var<storage, read_write> dz: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read_write> values: array<f32>;
#endif

// No class yet.
const NONE = 0xffffffffu;

struct Best {
    score: f32,
    number: u32,
}

var<workgroup> bests: array<Best, 256>;

fn better(a: Best, b: Best) -> Best {
    let second = a.number == NONE || b.score > a.score || (b.score == a.score && b.number < a.number);
    if b.number != NONE && second { return b; }
    return a;
}

// `best`, or the class if it is one, another than the label, and better.
fn consider(best: Best, label: u32, number: u32, score: f32) -> Best {
    if number >= p.z.c || number == label { return best; }
    return better(best, Best(score, number));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = id.x + p.origin.x;
    let at = index(p.z, image, 0u, 0u, 0u);
    let label = labels[image];
    var mine = Best(0.0, NONE);
    // All invocations go round equally often, see softmax.wgsl.
    for (var first = 0u; first < p.z.quads; first += 256u) {
        let quad = first + lane;
        if quad >= p.z.quads { continue; }
        let score = z[at + quad];
        let number = quad * 4u;
        mine = consider(mine, label, number, score.x);
        mine = consider(mine, label, number + 1u, score.y);
        mine = consider(mine, label, number + 2u, score.z);
        mine = consider(mine, label, number + 3u, score.w);
    }
    bests[lane] = mine;
    for (var reach = 128u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { bests[lane] = better(bests[lane], bests[lane + reach]); }
    }
    workgroupBarrier();
    let other = bests[0];
    let margin = p.sign * (other.score - z[at + label / 4u][label % 4u]);
#ifdef BACKWARD
    let slope = select(p.sign * p.alpha * weights[image], 0.0, margin < -p.confidence);
    let to = index(p.dz, image, 0u, 0u, 0u);
    for (var first = 0u; first < p.z.quads; first += 256u) {
        let quad = first + lane;
        if quad >= p.z.quads { continue; }
        let number = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
        let value = select(vec4<f32>(0.0), vec4<f32>(slope), number == vec4<u32>(other.number))
            - select(vec4<f32>(0.0), vec4<f32>(slope), number == vec4<u32>(label));
#ifdef ACCUMULATE
        dz[to + quad] += value;
#else
        dz[to + quad] = value;
#endif
    }
#else
    if lane == 0u {
        values[image] = weights[image] * max(margin, -p.confidence);
    }
#endif
}
