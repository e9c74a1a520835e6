// The best match of each position of x among the columns of a guide y, as dot products of their channels:
//     matches[i] = argmax_j ⟨x_i, y_j⟩ (the lowest of equals),  partials[group] = Σ max_j ⟨x_i, y_j⟩ over 64 positions i
// Image n of x has its own guide, image n of y, or all share y's only one. guide_backward.wgsl is the gradient.
//
// A workgroup has 64 positions and goes through the columns 64 at a time, of which it stages 16 channels at a time: an
// invocation makes 4×4 dot products, a mat4x4 whose column j holds y_j's with four positions, and keeps its best four.
// Grid (⌈positions/64⌉, 1, n).
#import pixgrad::tensor::View

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    // Positions of one image of x, of one guide.
    positions: u32,
    columns: u32,
    // Shares of 64 positions of each image.
    parts: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> matches: array<u32>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

// Four quads of 64 positions and of 64 columns: quad·64 + which.
var<workgroup> left: array<vec4<f32>, 256>;
var<workgroup> right: array<vec4<f32>, 256>;
// The best of each invocation, at the end.
var<workgroup> scores: array<vec4<f32>, 256>;
var<workgroup> found: array<vec4<u32>, 256>;

struct Best {
    score: vec4<f32>,
    column: vec4<u32>,
}

// Of each component the greater score, of equal ones the lower column.
fn better(a: Best, b: Best) -> Best {
    let second = (b.score > a.score) | ((b.score == a.score) & (b.column < a.column));
    return Best(select(a.score, b.score, second), select(a.column, b.column, second));
}

fn load_x(n: u32, position: u32, quad: u32) -> vec4<f32> {
    if position >= p.positions || quad >= p.x.quads { return vec4<f32>(0.0); }
    return x[(n * p.positions + position) * p.x.stride + p.x.offset + quad];
}

fn load_y(n: u32, column: u32, quad: u32) -> vec4<f32> {
    if column >= p.columns || quad >= p.x.quads { return vec4<f32>(0.0); }
    return y[(n % p.y.n * p.columns + column) * p.y.stride + p.y.offset + quad];
}

// The four scores of one column, where there is one.
fn consider(best: Best, column: u32, score: vec4<f32>) -> Best {
    if column >= p.columns { return best; }
    return better(best, Best(score, vec4<u32>(column)));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let n = id.z;
    // Which of the 64 an invocation stages; it multiplies positions row, row + 16, … with columns column, column + 16, ….
    let staged = lane % 64u;
    let row = lane / 16u;
    let column = lane % 16u;
    let first_position = id.x * 64u;
    var best = Best(vec4<f32>(-3.4e38), vec4<u32>(0xffffffffu));
    for (var first = 0u; first < p.columns; first += 64u) {
        var acc = mat4x4<f32>();
        for (var quads = 0u; quads < p.x.quads; quads += 4u) {
            let quad = quads + lane / 64u;
            left[lane] = load_x(n, first_position + staged, quad);
            right[lane] = load_y(n, first + staged, quad);
            workgroupBarrier();
            for (var k = 0u; k < 256u; k += 64u) {
                let a = mat4x4<f32>(
                    left[k + row], left[k + row + 16u], left[k + row + 32u], left[k + row + 48u],
                );
                // A row vector times a matrix: the dot product with each of its columns.
                acc += mat4x4<f32>(
                    right[k + column] * a, right[k + column + 16u] * a,
                    right[k + column + 32u] * a, right[k + column + 48u] * a,
                );
            }
            workgroupBarrier();
        }
        best = consider(best, first + column, acc[0]);
        best = consider(best, first + column + 16u, acc[1]);
        best = consider(best, first + column + 32u, acc[2]);
        best = consider(best, first + column + 48u, acc[3]);
    }
    scores[lane] = best.score;
    found[lane] = best.column;
    for (var reach = 8u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if column < reach {
            let other = lane + reach;
            let both = better(Best(scores[lane], found[lane]), Best(scores[other], found[other]));
            scores[lane] = both.score;
            found[lane] = both.column;
        }
    }
    workgroupBarrier();
    // Of the positions row, row + 16, …, those within the image.
    let at = vec4<u32>(0u, 16u, 32u, 48u) + first_position + row;
    let inside = at < vec4<u32>(p.positions);
    if column == 0u {
        // Scores that are no numbers have no best one: any column will do then.
        let columns = min(found[lane], vec4<u32>(p.columns - 1u));
        let to = n * p.positions + at;
        if inside.x { matches[to.x] = columns.x; }
        if inside.y { matches[to.y] = columns.y; }
        if inside.z { matches[to.z] = columns.z; }
        if inside.w { matches[to.w] = columns.w; }
        scores[lane] = select(vec4<f32>(0.0), scores[lane], inside);
    }
    // The 16 rows, which stand 16 apart.
    for (var reach = 128u; reach >= 16u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach && column == 0u { scores[lane] += scores[lane + reach]; }
    }
    if lane == 0u {
        let sum = scores[0];
        partials[n * p.parts + id.x] = (sum.x + sum.y) + (sum.z + sum.w);
    }
}
