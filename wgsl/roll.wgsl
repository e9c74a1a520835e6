// Circular shift of every image:
//     y[n, row, col] = x[n, (row − sign·dy) mod h, (col − sign·dx) mod w]
//     (dx, dy) = fixed + drawn from [−reach, reach]²
// The backward pass is the shift with the other sign.
//
// Bindings: step, one word; x; y, of the same shape. The draw is words x, y of index 0 (shared/random.wgsl); image
// n·own draws it: own = 0 is one draw for all images.
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::{group_index, place}
#import pixgrad::random::{random, uniform_below}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    items: u32,
    seed: u32,
    reach: u32,
    // To the right and down, in pixels.
    fixed: vec2<i32>,
    own: u32,
    sign: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// a mod n, not negative. OpenGL leaves open what the remainder of a negative number is.
fn wrap(a: i32, n: u32) -> u32 {
    let rest = u32(abs(a)) % n;
    return select(rest, (n - rest) % n, a < 0);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = item % p.y.quads;
    let pixel = item / p.y.quads;
    let col = i32(pixel % p.y.w);
    let row = i32((pixel / p.y.w) % p.y.h);
    let n = pixel / (p.y.w * p.y.h);
    let words = random(p.seed, step[0], n * p.own, 0u);
    let count = 2u * p.reach + 1u;
    let drawn = vec2<i32>(i32(uniform_below(words.x, count)), i32(uniform_below(words.y, count)));
    let shift = p.sign * (p.fixed + drawn - vec2<i32>(i32(p.reach)));
    y[place(p.y, pixel, quad)] = x[index(p.x, n, wrap(row - shift.y, p.x.h), wrap(col - shift.x, p.x.w), quad)];
}
