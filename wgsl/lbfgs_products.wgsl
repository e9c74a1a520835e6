// The inner products that a step of vector-free L-BFGS needs (Chen, Wang and Zhou 2014, section 3.2), of each image
// alone. x is the trial point and g its gradient; `base` and `base_gradient` are the last accepted ones. With
//     s = x − base          y = g − base_gradient, without elements that stay at a bound
//     q = g without elements that a bound holds (shared/bounds.wgsl)
// and (v, w) a stored pair (s_j, y_j), the eight products of pair j are
//     ⟨s,v⟩ ⟨s,w⟩ ⟨y,v⟩ ⟨y,w⟩ ⟨q,v⟩ ⟨q,w⟩ ⟨q,q⟩ ⟨base_gradient,s⟩
// and those of the new pair, (v, w) = (s, y), follow as number `history`. `stored` holds pairs first, first + 1, … of
// all: s_j of all images, y_j of all images, s_(j+1), …; the new pair goes with pair 0.
//     partials[((i·(history + 1) + j)·8 + k)·parts + part]          of image i, pair j, product k
//
// A workgroup sums one share of one image for one pair; one invocation per 8 items (vec4s), 256 apart. The workgroups
// of the pairs are neighbours, so that they find x, g and the base in the cache. Grid: shared/flat.wgsl.
#import pixgrad::bounds::{free_change, free_part}
#import pixgrad::flat::{group_index, share}

struct Params {
    origin: vec4<u32>,
    columns: u32,
    // Images, items of one, and shares of one.
    n: u32,
    items: u32,
    parts: u32,
    // Pairs that are kept; which of them `stored` holds.
    history: u32,
    first: u32,
    pairs: u32,
    // Workgroups per share: pairs, and the new one with pair 0.
    jobs: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> base: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> base_gradient: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> stored: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;

var<workgroup> sums: array<mat2x4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
    // Shares are counted over all images.
    let part = group / p.jobs;
    let job = group % p.jobs;
    let range = share(part, p.items, p.parts);
    var sum = mat2x4<f32>();
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let point = x[item];
        let gradient = g[item];
        let here = base[item];
        let here_gradient = base_gradient[item];
        let s = point - here;
        let y = free_change(gradient - here_gradient, point, here, p.low, p.high);
        let q = free_part(gradient, point, gradient, p.low, p.high);
        var v = s;
        var w = y;
        if job < p.pairs {
            v = stored[2u * job * p.n * p.items + item];
            w = stored[(2u * job + 1u) * p.n * p.items + item];
        }
        sum += mat2x4<f32>(
            vec4<f32>(dot(s, v), dot(s, w), dot(y, v), dot(y, w)),
            vec4<f32>(dot(q, v), dot(q, w), dot(q, q), dot(here_gradient, s)),
        );
    }
    sums[lane] = sum;
    for (var reach = 128u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { sums[lane] += sums[lane + reach]; }
    }
    // The grid's last row may reach beyond the last share.
    if lane == 0u && part < p.n * p.parts {
        let pair = select(p.history, p.first + job, job < p.pairs);
        let image = part / p.parts;
        let at = (image * (p.history + 1u) + pair) * 8u * p.parts + part % p.parts;
        let total = sums[0];
        partials[at] = total[0].x;
        partials[at + p.parts] = total[0].y;
        partials[at + 2u * p.parts] = total[0].z;
        partials[at + 3u * p.parts] = total[0].w;
        partials[at + 4u * p.parts] = total[1].x;
        partials[at + 5u * p.parts] = total[1].y;
        partials[at + 6u * p.parts] = total[1].z;
        partials[at + 7u * p.parts] = total[1].w;
    }
}
