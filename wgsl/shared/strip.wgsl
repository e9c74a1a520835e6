#define_import_path pixgrad::strip
#import pixgrad::nan::rectified

// A strip is eight neighbouring pixels of a row, four channels each, in named registers: an indexed local array
// would be spilled to memory by the compilers behind naga, which cannot unroll its loops.
struct Strip {
    a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
    e: vec4<f32>, f: vec4<f32>, g: vec4<f32>, h: vec4<f32>,
}

fn zero_strip() -> Strip {
    let z = vec4<f32>(0.0);
    return Strip(z, z, z, z, z, z, z, z);
}

// acc + m·v, where column j of `m` holds the weights from input channel j to four output channels.
fn mac(acc: vec4<f32>, v: vec4<f32>, m: mat4x4<f32>) -> vec4<f32> {
    return fma(m[3], v.wwww, fma(m[2], v.zzzz, fma(m[1], v.yyyy, fma(m[0], v.xxxx, acc))));
}

// One tap of a convolution on a whole strip.
fn mac_strip(acc: Strip, v: Strip, m: mat4x4<f32>) -> Strip {
    return Strip(
        mac(acc.a, v.a, m), mac(acc.b, v.b, m), mac(acc.c, v.c, m), mac(acc.d, v.d, m),
        mac(acc.e, v.e, m), mac(acc.f, v.f, m), mac(acc.g, v.g, m), mac(acc.h, v.h, m),
    );
}

// acc + v·m, channel by channel.
fn mul_strip(acc: Strip, v: Strip, m: vec4<f32>) -> Strip {
    return Strip(
        fma(v.a, m, acc.a), fma(v.b, m, acc.b), fma(v.c, m, acc.c), fma(v.d, m, acc.d),
        fma(v.e, m, acc.e), fma(v.f, m, acc.f), fma(v.g, m, acc.g), fma(v.h, m, acc.h),
    );
}

fn add_strip(s: Strip, v: vec4<f32>) -> Strip {
    return Strip(s.a + v, s.b + v, s.c + v, s.d + v, s.e + v, s.f + v, s.g + v, s.h + v);
}

fn scale_strip(s: Strip, k: f32) -> Strip {
    return Strip(s.a * k, s.b * k, s.c * k, s.d * k, s.e * k, s.f * k, s.g * k, s.h * k);
}

fn relu_strip(s: Strip) -> Strip {
    return Strip(
        rectified(s.a), rectified(s.b), rectified(s.c), rectified(s.d),
        rectified(s.e), rectified(s.f), rectified(s.g), rectified(s.h),
    );
}
