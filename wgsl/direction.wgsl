// The mean over an image's positions of f = d·max(1/10, cos)^power, d = ⟨φ, v⟩, cos = d / (10⁻⁴ + ‖φ‖·‖v‖), φ being the
// channels of x at the position and v a direction in their space; and its gradient:
//     partials[i·parts + g] = Σ f / positions over share g (16 positions) of image i
//     slopes[position] = (a, b),  ∂f/∂φ = a·v + b·φ
//     dx (+)= alpha/positions·(a·v + b·φ)                                                                 (BACKWARD)
// With ∂cos/∂φ = v/q − d·‖v‖·φ/(q²·‖φ‖), q = 10⁻⁴ + ‖φ‖·‖v‖:  a = (1 + power)·cos^power, b = −power·cos^(power +
// 1)·‖v‖/‖φ‖; where cos ≤ 1/10 the factor is constant: a = 10^−power, b = 0.
// v: one direction for each image or one for all, as rows of v.quads vec4s, padding zero. ACCUMULATE adds to dx.
//
// Forward: 16 invocations per position, every 16th vec4 each; a workgroup has 16 positions. Grid: shared/flat.wgsl, one
// group per share. Backward: one invocation per item. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    dx: View,
    columns: u32,
    // Backward: pixels·quads of all images.
    items: u32,
    // Shares of each image, and its positions.
    parts: u32,
    positions: u32,
    // Directions there are: one for each image, or 1.
    directions: u32,
    power: f32,
    // 1/positions; backward: times alpha.
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(3) var<storage, read> slopes: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> slopes: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

// ⟨φ, v⟩, ‖φ‖², ‖v‖² of what an invocation has seen; later f of each position.
var<workgroup> products: array<vec3<f32>, 256>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let direction = v[(pixel / p.positions) % p.directions * p.x.quads + quad];
    let slope = p.scale * slopes[pixel];
    let value = slope.x * direction + slope.y * x[place(p.x, pixel, quad)];
    let to = place(p.dx, pixel, quad);
#ifdef ACCUMULATE
    dx[to] += value;
#else
    dx[to] = value;
#endif
#else
    let image = group / p.parts;
    let position = group % p.parts * 16u + lane / 16u;
    let pixel = image * p.positions + position;
    // The grid's last row may reach beyond the last share.
    let inside = image < p.x.n && position < p.positions;
    var sums = vec3<f32>(0.0);
    if inside {
        let first = image % p.directions * p.x.quads;
        for (var quad = lane % 16u; quad < p.x.quads; quad += 16u) {
            let phi = x[place(p.x, pixel, quad)];
            let direction = v[first + quad];
            sums += vec3<f32>(dot(phi, direction), dot(phi, phi), dot(direction, direction));
        }
    }
    products[lane] = sums;
    for (var reach = 8u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane % 16u < reach { products[lane] += products[lane + reach]; }
    }
    workgroupBarrier();
    if lane % 16u == 0u {
        let product = products[lane];
        let lengths = sqrt(product.yz);
        let cosine = product.x / (1e-4 + lengths.x * lengths.y);
        let factor = pow(max(0.1, cosine), p.power);
        products[lane].x = select(0.0, factor * product.x, inside);
        if inside {
            var slope = vec2<f32>(factor, 0.0);
            if cosine > 0.1 {
                slope = factor * vec2<f32>(1.0 + p.power, -p.power * cosine * lengths.y / lengths.x);
            }
            slopes[pixel] = slope;
        }
    }
    // The 16 positions, which stand 16 apart.
    for (var reach = 128u; reach >= 16u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach && lane % 16u == 0u { products[lane].x += products[lane + reach].x; }
    }
    if lane == 0u && image < p.x.n {
        partials[group] = p.scale * products[0].x;
    }
#endif
}
