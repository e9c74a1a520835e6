#define_import_path pixgrad::bounds

// The box [low, high] in which an optimizer keeps every element; without one it is all that f32 holds.

// `value` where the point may move: zero where it stands at a bound and a step against its gradient would leave the
// box.
fn free_part(value: vec4<f32>, point: vec4<f32>, gradient: vec4<f32>, low: f32, high: f32) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    let held = ((point <= vec4<f32>(low)) & (gradient > zero)) | ((point >= vec4<f32>(high)) & (gradient < zero));
    return select(value, zero, held);
}

// `change`, the difference of the gradients of two points, without the elements that stand at the same bound in both.
fn free_change(change: vec4<f32>, a: vec4<f32>, b: vec4<f32>, low: f32, high: f32) -> vec4<f32> {
    let held = (max(a, b) <= vec4<f32>(low)) | (min(a, b) >= vec4<f32>(high));
    return select(change, vec4<f32>(0.0), held);
}
