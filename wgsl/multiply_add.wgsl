// What an adapter computes at most: chains of multiply-adds that touch no memory in between. Every element of y becomes
// the sum of four chains, each of 16·rounds steps x ← a·x + b.
//
// One invocation per vec4 of y; the chains begin at 8, 4, 3 and 1 sixteenths of it, so that no compiler makes one of
// them. a and b are parameters: a compiler that knew them could do without the chain. HALF computes in f16; `compose`
// enables that.
#import pixgrad::flat::group_index

#ifdef HALF
alias Lane = f16;
alias Four = vec4<f16>;
#else
alias Lane = f32;
alias Four = vec4<f32>;
#endif

struct Params {
    origin: vec4<u32>,
    columns: u32,
    len: u32,
    rounds: u32,
    a: f32,
    b: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

struct Chains { a: Four, b: Four, c: Four, d: Four }

fn step(s: Chains, a: Four, b: Four) -> Chains {
    return Chains(fma(a, s.a, b), fma(a, s.b, b), fma(a, s.c, b), fma(a, s.d, b));
}

fn four_steps(s: Chains, a: Four, b: Four) -> Chains {
    return step(step(step(step(s, a, b), a, b), a, b), a, b);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if i >= p.len { return; }
    let a = Four(Lane(p.a));
    let b = Four(Lane(p.b));
    let x = Four(y[i]);
    var s = Chains(x * Lane(0.5), x * Lane(0.25), x * Lane(0.1875), x * Lane(0.0625));
    for (var round = 0u; round < p.rounds; round++) {
        s = four_steps(four_steps(four_steps(four_steps(s, a, b), a, b), a, b), a, b);
    }
    y[i] = vec4<f32>((s.a + s.b) + (s.c + s.d));
}
