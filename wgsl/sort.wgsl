// Sorts the rows of a matrix of numbers, and says for each number which place in its row it came from. Equal numbers
// stay in the order of their places; −0 is below 0, and NaN is at the ends.
//
// First, chunks of 1024 numbers of a row are sorted in workgroup memory by a bitonic network, in which all comparisons
// go the same way (Batcher 1968, "Sorting Networks and Their Applications"): chunk i of row r is
//     y[r, 1024·i ..] = x[r, 1024·i ..], sorted;  order[r, j] = the place in x[r, ..] of y[r, j]
// MERGE: two neighbouring sorted runs of `run` numbers become one. A number's new place is its place in its own run
// plus how many numbers of the other run come before it, which a binary search finds.
//
// One workgroup per chunk; MERGE: one invocation per number, 256 of a row in a workgroup. `parts` workgroups for each
// row. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    columns: u32,
    rows: u32,
    // Numbers of a row, and from one row of x to the next.
    len: u32,
    stride: u32,
    parts: u32,
    run: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
#ifdef MERGE
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> order: array<u32>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> order: array<u32>;

const CHUNK: u32 = 1024u;
var<workgroup> keys: array<u32, 1024>;
var<workgroup> places: array<u32, 1024>;
#endif

// Unsigned integers that are ordered as the numbers are.
fn key(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

#ifndef MERGE
fn number(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

// Brings the numbers at a and b, a < b, into their order.
fn exchange(a: u32, b: u32) {
    let low = keys[a];
    let high = keys[b];
    let low_place = places[a];
    let high_place = places[b];
    if high < low || (high == low && high_place < low_place) {
        keys[a] = high;
        keys[b] = low;
        places[a] = high_place;
        places[b] = low_place;
    }
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
    let row = group / p.parts;
#ifdef MERGE
    let i = group % p.parts * 256u + lane;
    // The grid's last row may reach beyond the last part.
    if row >= p.rows || i >= p.len { return; }
    let first = row * p.len;
    let value = x[first + i];
    let own = key(value);
    let run = i / p.run;
    let is_right = (run & 1u) == 1u;
    var low = min((run ^ 1u) * p.run, p.len);
    var high = min(low + p.run, p.len);
    let other = low;
    while low < high {
        let middle = (low + high) / 2u;
        let k = key(x[first + middle]);
        // Of equal numbers those of the left run come first.
        if k < own || (is_right && k == own) { low = middle + 1u; } else { high = middle; }
    }
    let to = first + (run & 0xfffffffeu) * p.run + (i - run * p.run) + (low - other);
    y[to] = value;
    order[to] = places[first + i];
#else
    let start = group % p.parts * CHUNK;
    let count = select(0u, min(CHUNK, p.len - start), row < p.rows);
    for (var i = lane; i < CHUNK; i += 256u) {
        let inside = i < count;
        let value = x[select(0u, row * p.stride + start + i, inside)];
        // What only fills the chunk stays behind all numbers.
        keys[i] = select(0xffffffffu, key(value), inside);
        places[i] = select(0xffffffffu, start + i, inside);
    }
    for (var block = 2u; block / 2u < min(CHUNK, p.len); block *= 2u) {
        // Two sorted halves: each number with its mirror image in the other half.
        workgroupBarrier();
        for (var i = lane; i < CHUNK / 2u; i += 256u) {
            let begin = i / (block / 2u) * block;
            let offset = i % (block / 2u);
            exchange(begin + offset, begin + block - 1u - offset);
        }
        // All numbers of the lower half are now below those of the upper one. The same again within each half.
        for (var reach = block / 4u; reach > 0u; reach /= 2u) {
            workgroupBarrier();
            for (var i = lane; i < CHUNK / 2u; i += 256u) {
                let a = i / reach * reach * 2u + i % reach;
                exchange(a, a + reach);
            }
        }
    }
    workgroupBarrier();
    for (var i = lane; i < count; i += 256u) {
        let to = row * p.len + start + i;
        y[to] = number(keys[i]);
        order[to] = places[i];
    }
#endif
}
