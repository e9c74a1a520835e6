// Real images from spectra, by direct summation, not normalised. A spectrum X of an h×w image has h rows and
// half = w/2 + 1 columns of complex numbers; it is stored as a tensor with 2·half columns, real parts in the even ones,
// imaginary parts in the odd ones:
//     TWIDDLES         y[k] = (cos 2πk/N, sin 2πk/N, 0, 0), k < N = items
//     SCALE            Y[j,k] = gain·max(f, 1/max(w, h))^−decay · X[j,k]      f² = (k/w)² + (min(j, h−j)/h)²
//     COLUMNS          Y[row,k] = Σ_j X[j,k]·e^(2πi·j·row/h)                        ADJOINT: e^(−2πi·j·row/h)
//     ROWS             y[row,col] = Σ_k m(k)·Re(X[row,k]·e^(2πi·k·col/w))           m = 1 for k = 0 and k = w/2, else 2
//     ROWS, ADJOINT    Y[row,k] = m(k)·Σ_col x[row,col]·e^(−2πi·k·col/w)
// ROWS after COLUMNS is h·w times the inverse of the real two-dimensional discrete Fourier transform; an odd w has no
// k = w/2. ADJOINT is the transpose with respect to real and imaginary parts as real numbers.
//
// Bindings: TWIDDLES: y. SCALE: x, y. Else: table (the twiddles of the direction's size), x, y. Tensors fill their
// buffers. One invocation per twiddle; vec4 of y (SCALE, ROWS); complex number, two vec4s, of Y (COLUMNS; ROWS,
// ADJOINT). Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    h: u32,
    w: u32,
    // Columns of the spectrum.
    half: u32,
    // vec4s per pixel.
    quads: u32,
    columns: u32,
    items: u32,
    gain: f32,
    decay: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef TWIDDLES
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
#else
#ifdef SCALE
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#endif
#endif

#ifdef TWIDDLES
// The angle is θ, at most π/4, before or after a multiple of π/2: then a few terms of the Taylor series give all
// digits, which the built-in functions do not promise.
fn twiddle(k: u32, n: u32) -> vec4<f32> {
    let octant = 8u * k / n;
    let rest = 8u * k % n;
    let part = select(rest, n - rest, octant % 2u == 1u);
    let t = 0.78539816 * f32(part) / f32(n);
    let q = t * t;
    let s = t * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))));
    let c = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0 * (1.0 - q / 90.0))));
    let turned = select(vec2<f32>(c, s), vec2<f32>(s, c), (octant + 1u) / 2u % 2u == 1u);
    let negative = vec2<bool>((octant > 1u) && (octant < 6u), (octant > 3u));
    return vec4<f32>(select(turned, -turned, negative), 0.0, 0.0);
}
#endif

#ifdef ROWS
// How often frequency k stands in the whole spectrum, whose other half is the conjugate of this one.
fn times(k: u32) -> f32 {
    return select(2.0, 1.0, k == 0u || 2u * k == p.w);
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
#ifdef TWIDDLES
    y[item] = twiddle(item, p.items);
#endif
#ifdef SCALE
    let k = item / (2u * p.quads) % p.half;
    let j = item / (2u * p.quads * p.half) % p.h;
    let fx = f32(k) / f32(p.w);
    let fy = f32(min(j, p.h - j)) / f32(p.h);
    let f = max(sqrt(fx * fx + fy * fy), 1.0 / f32(max(p.w, p.h)));
    y[item] = p.gain * pow(f, -p.decay) * x[item];
#endif
#ifdef COLUMNS
    let quad = item % p.quads;
    let k = item / p.quads % p.half;
    let line = item / (p.quads * p.half);
    let row = line % p.h;
    let stride = 2u * p.quads * p.half;
    var at = (line - row) * stride + 2u * p.quads * k + quad;
    // j·row mod h
    var turn = 0u;
    var re = vec4<f32>(0.0);
    var im = vec4<f32>(0.0);
    for (var j = 0u; j < p.h; j++) {
        let c = table[turn].x;
#ifdef ADJOINT
        let s = -table[turn].y;
#else
        let s = table[turn].y;
#endif
        let a = x[at];
        let b = x[at + p.quads];
        re += a * c - b * s;
        im += a * s + b * c;
        at += stride;
        turn += row;
        if turn >= p.h { turn -= p.h; }
    }
    let to = line * stride + 2u * p.quads * k + quad;
    y[to] = re;
    y[to + p.quads] = im;
#endif
#ifdef ROWS
    let quad = item % p.quads;
    var turn = 0u;
#ifdef ADJOINT
    let k = item / p.quads % p.half;
    let line = item / (p.quads * p.half);
    var at = line * p.w * p.quads + quad;
    var re = vec4<f32>(0.0);
    var im = vec4<f32>(0.0);
    for (var col = 0u; col < p.w; col++) {
        let e = table[turn];
        let a = x[at];
        re += a * e.x;
        im -= a * e.y;
        at += p.quads;
        turn += k;
        if turn >= p.w { turn -= p.w; }
    }
    let to = 2u * p.quads * (line * p.half + k) + quad;
    y[to] = times(k) * re;
    y[to + p.quads] = times(k) * im;
#else
    let col = item / p.quads % p.w;
    let line = item / (p.quads * p.w);
    var at = 2u * p.quads * p.half * line + quad;
    var sum = vec4<f32>(0.0);
    for (var k = 0u; k < p.half; k++) {
        let e = times(k) * table[turn];
        sum += x[at] * e.x - x[at + p.quads] * e.y;
        at += 2u * p.quads;
        turn += col;
        if turn >= p.w { turn -= p.w; }
    }
    y[item] = sum;
#endif
#endif
}
