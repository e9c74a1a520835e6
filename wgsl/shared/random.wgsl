#define_import_path pixgrad::random

// Random numbers without a state: four words that are a function of a run's seed, the iteration, the image of the batch
// and what is drawn. Integers only, so the same on every device. The function is pcg4d of Jarzynski and Olano 2020,
// "Hash Functions for GPU Rendering" (JCGT 9(3)), section 4.2.
fn random(seed: u32, step: u32, image: u32, index: u32) -> vec4<u32> {
    var v = vec4<u32>(seed, step, image, index) * 1664525u + 1013904223u;
    v = stir(v);
    return stir(v ^ (v >> vec4<u32>(16u)));
}

fn stir(words: vec4<u32>) -> vec4<u32> {
    var v = words;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Multiples of 2⁻²⁴ in [0, 1): each is an f32.
fn uniform_real(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(words >> vec4<u32>(8u)) * 0x1p-24f;
}

// An integer in [0, count). Their probabilities differ by a fraction of count/2³² at most.
fn uniform_below(word: u32, count: u32) -> u32 {
    return word % count;
}
