// What L-BFGS decides for each image: whether the trial point is accepted, and the next direction and step length.
//
// f = Σ losses of the image at the trial point, f₀ the least of accepted ones; products as lbfgs_products.wgsl makes
// them. A trial is accepted if it is finite and has moved, and decreases enough (Armijo), or, where rounding hides the
// decrease along a quasi-Newton direction, if it rises no more than by rounding and the slope agrees (Hager and Zhang
// 2005, eq. 4.1):
//     f ≤ f₀ + c·min(⟨g₀,s⟩, 0)          f ≤ f₀ + ROUNDING·|f₀|  and  ⟨q,s⟩ ≤ (2c − 1)·⟨g₀,s⟩
// Accepted: the pair (s, y) is stored in the ring if ⟨s,y⟩ > CURVATURE·‖s‖‖y‖, and the two-loop recursion (Nocedal
// 1980) runs on the coefficients δ of d = Σ δ_k·b_k, b = s_0 … s_(m−1), y_0 … y_(m−1), q, of which `gram` has all inner
// products. Without a pair, or where d does not descend, d = −q of root mean square `radius`. Step length 1.
// Rejected: the step length is multiplied by the minimum of the parabola through f₀, ⟨g₀,s⟩ and f, within [0.1, 0.5].
// After LIMIT in a row, or where no element moves any more, the pairs are forgotten and d = −q at the base; then it
// stops.
//
// Per image: gram[2m, 2m]; scalars (f₀, step length, ⟨q₀,q₀⟩, radius); words as listed below; coefficients
// [δ_0 … δ_2m, step length, action, slot of the new pair or m], what lbfgs_direction.wgsl and lbfgs_step.wgsl do.
//
// One workgroup per image. Invocation k has δ_k; scalars are computed by all alike. Grid (n).
struct Params {
    origin: vec4<u32>,
    // m, at most 127.
    history: u32,
    slots: u32,
    // Elements of an image that mean something.
    elements: f32,
    // Root mean square of the first step.
    step_size: f32,
}

// Words of an image.
const STATUS = 0u;
// Next slot of the ring, and pairs in it.
const HEAD = 1u;
const COUNT = 2u;
// Trials rejected in a row.
const REJECTED = 3u;
const EVALUATIONS = 4u;
const ACCEPTED = 5u;
const RESETS = 6u;
const SKIPPED = 7u;

// Values of STATUS.
const WAITING = 0u;
const RUNNING = 1u;
const STOPPED = 2u;

// Actions: keep the direction; take the trial as base; steepest descent at the base; no finite point yet.
const KEEP = 0.0;
const ACCEPT = 1.0;
const RESTART = 2.0;
const WAIT = 3.0;

const DECREASE = 1e-4;
const ROUNDING = 1e-6;
const CURVATURE = 1e-6;
const LIMIT = 20u;
// No element of a direction of this length overflows; nor does one of this root mean square, whatever the gradient.
const LONGEST = 1e37;
const FASTEST = 1e10;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> products: array<f32>;
@group(0) @binding(3) var<storage, read_write> gram: array<f32>;
@group(0) @binding(4) var<storage, read_write> scalars: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> words: array<u32>;
@group(0) @binding(6) var<storage, read_write> coefficients: array<f32>;

var<workgroup> sums: array<f32, 256>;

// Σ over the workgroup, for every invocation.
fn total(lane: u32, value: f32) -> f32 {
    sums[lane] = value;
    for (var reach = 128u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { sums[lane] += sums[lane + reach]; }
    }
    workgroupBarrier();
    let sum = sums[0];
    workgroupBarrier();
    return sum;
}

// By the bits: a compiler may assume that there is neither NaN nor infinity.
fn finite(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = id.x + p.origin.x;
    let m = p.history;
    let width = 2u * m;
    let table = image * width * width;
    let state = image * 8u;
    var status = words[state + STATUS];
    var head = words[state + HEAD];
    var count = words[state + COUNT];
    var rejected = words[state + REJECTED];
    var resets = words[state + RESETS];
    let before = scalars[image];
    var now = before;

    // The trial.
    var value = 0.0;
    for (var slot = 0u; slot < p.slots; slot += 1u) {
        value += losses[image * p.slots + slot];
    }
    let pairs = image * (m + 1u) * 8u;
    let own = pairs + m * 8u;
    let ss = products[own];
    let sy = products[own + 1u];
    let yy = products[own + 3u];
    let qs = products[own + 4u];
    let qq = products[own + 6u];
    let descent = products[own + 7u];
    let sane = finite(value) && finite(qq);
    let begins = status == WAITING;
    let enough = value <= before.x + DECREASE * min(descent, 0.0);
    let level = count > 0u && value <= before.x + ROUNDING * abs(before.x) && qs <= (2.0 * DECREASE - 1.0) * descent;
    let improves = status == RUNNING && ss > 0.0 && (enough || level);
    let accepted = sane && (begins || improves);

    // The new pair: where ⟨b_k, ·⟩ of this invocation's b_k stands among the products, and the rows and columns of it.
    let stored = accepted && !begins && sy > CURVATURE * sqrt(ss) * sqrt(yy);
    let slot = head;
    let pair = lane % m;
    let products_of = pairs + select(pair, m, stored && pair == slot) * 8u + lane / m;
    var with_q = 0.0;
    if lane < width {
        with_q = products[products_of + 4u];
        if stored {
            let with_s = products[products_of];
            let with_y = products[products_of + 2u];
            gram[table + slot * width + lane] = with_s;
            gram[table + (m + slot) * width + lane] = with_y;
            if pair != slot {
                gram[table + lane * width + slot] = with_s;
                gram[table + lane * width + m + slot] = with_y;
            }
        }
    } else if lane == width {
        with_q = qq;
    }
    if stored {
        head = (head + 1u) % m;
        count = min(count + 1u, m);
    }
    storageBarrier();

    // The two loops, over all m slots: those without a pair change nothing.
    var delta = select(0.0, -1.0, lane == width);
    var alpha = 0.0;
    for (var age = 0u; age < m; age += 1u) {
        let j = (head + m - 1u - age) % m;
        let used = age < count;
        var term = 0.0;
        if used && lane < width {
            term = delta * gram[table + j * width + lane];
        } else if used && lane == width {
            term = delta * products[pairs + select(j, m, stored && j == slot) * 8u + 4u];
        }
        let curvature = select(1.0, gram[table + j * width + m + j], used);
        let a = total(lane, term) / curvature;
        if used && lane == m + j { delta -= a; }
        if used && lane == j { alpha = a; }
    }
    if count > 0u {
        let j = (head + m - 1u) % m;
        delta *= gram[table + j * width + m + j] / gram[table + (m + j) * width + m + j];
    }
    for (var step = 0u; step < m; step += 1u) {
        // Oldest first.
        let age = m - 1u - step;
        let j = (head + m - 1u - age) % m;
        let used = age < count;
        var term = 0.0;
        if used && lane < width {
            term = delta * gram[table + (m + j) * width + lane];
        } else if used && lane == width {
            term = delta * products[pairs + select(j, m, stored && j == slot) * 8u + 5u];
        }
        let curvature = select(1.0, gram[table + j * width + m + j], used);
        let b = total(lane, term) / curvature;
        if used && lane == j { delta += alpha - b; }
    }
    // ⟨q,d⟩, and a bound on the length of d. A slot that was never used has no products.
    let used = lane == width || (lane < width && (m + head - 1u - pair) % m < count);
    var length_of = 0.0;
    if lane < width { length_of = gram[table + lane * width + lane]; }
    if lane == width { length_of = qq; }
    let slope = total(lane, select(0.0, delta * with_q, used));
    let length = total(lane, select(0.0, abs(delta) * sqrt(length_of), used));

    var action = KEEP;
    now.y = 0.0;
    var quasi_newton = false;
    if accepted {
        action = ACCEPT;
        rejected = 0u;
        status = RUNNING;
        now.x = select(min(value, before.x), value, begins);
        now.y = 1.0;
        now.z = qq;
        if begins { now.w = p.step_size; }
        // The way down bends down: it may be gone faster.
        if !begins && count == 0u { now.w = min(2.0 * now.w, FASTEST); }
        quasi_newton = count > 0u && slope < 0.0 && finite(slope) && length < LONGEST && finite(length);
        if count > 0u && !quasi_newton {
            count = 0u;
            resets += 1u;
            now.w = p.step_size;
        }
        if qq == 0.0 {
            status = STOPPED;
            now.y = 0.0;
        }
    } else if begins {
        action = WAIT;
    } else if status == RUNNING {
        rejected += 1u;
        if rejected < LIMIT && ss > 0.0 {
            let rise = value - before.x - descent;
            var factor = 0.5;
            if !sane { factor = 0.1; }
            if sane && descent < 0.0 { factor = clamp(-0.5 * descent / rise, 0.1, 0.5); }
            now.y = before.y * factor;
        } else if count > 0u {
            action = RESTART;
            rejected = 0u;
            count = 0u;
            resets += 1u;
            now.y = 1.0;
            now.w = p.step_size;
        } else {
            status = STOPPED;
        }
    }

    let at = image * (width + 4u);
    if lane <= width {
        let steepest = (action == ACCEPT || action == RESTART) && !quasi_newton && lane == width && now.z > 0.0;
        var coefficient = select(0.0, delta, quasi_newton);
        if steepest { coefficient = -now.w * sqrt(p.elements) / sqrt(now.z); }
        coefficients[at + lane] = coefficient;
    }
    // All have read the state, which now changes.
    storageBarrier();
    if lane == 0u {
        coefficients[at + width + 1u] = now.y;
        coefficients[at + width + 2u] = action;
        coefficients[at + width + 3u] = f32(select(m, slot, stored));
        scalars[image] = now;
        words[state + STATUS] = status;
        words[state + HEAD] = head;
        words[state + COUNT] = count;
        words[state + REJECTED] = rejected;
        words[state + EVALUATIONS] += 1u;
        words[state + ACCEPTED] += select(0u, 1u, accepted && !begins);
        words[state + RESETS] = resets;
        words[state + SKIPPED] += select(0u, 1u, accepted && !begins && !stored);
    }
}
