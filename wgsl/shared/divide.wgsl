#define_import_path pixgrad::divide

struct Divided { quotient: u32, rest: u32 }

// a / b for a below 2²². No adapter divides integers fast: a GPU takes twenty to forty instructions for it, a processor
// one invocation after the other. The quotient of the floats is at most 1 away.
fn divide(a: u32, b: u32) -> Divided {
    let near = u32(f32(a) / f32(b));
    let rest = i32(a - near * b);
    let step = select(select(0, 1, rest >= i32(b)), -1, rest < 0);
    return Divided(u32(i32(near) + step), u32(rest - step * i32(b)));
}
