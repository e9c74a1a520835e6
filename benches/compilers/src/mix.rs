//! What RADV's main loops are made of.

/// What an instruction is counted as: the first whose beginnings one of these is.
const KINDS: &[(&str, &[&str])] = &[
    ("wmma", &["v_wmma"]),
    (
        "fma",
        &[
            "v_fma_",
            "v_fmac_",
            "v_fmaak_",
            "v_fmamk_",
            "v_dual_fma",
            "v_pk_fma",
        ],
    ),
    ("other vector", &["v_"]),
    ("loads", &["buffer_load", "global_load"]),
    ("scalar loads", &["s_buffer_load", "s_load"]),
    ("workgroup loads", &["ds_load", "ds_read"]),
    ("workgroup stores", &["ds_store", "ds_write"]),
    ("barriers", &["s_barrier"]),
];

/// How many of each kind the innermost loop with the most multiply-adds has, and the share of these in its vector
/// instructions; nothing where `text` is not RADV's.
pub fn of_main_loop(text: &str) -> Vec<(String, f64)> {
    let Some((_, assembly)) = text.split_once("== Assembly") else {
        return Vec::new();
    };
    let mut blocks: Vec<(&str, Vec<&str>)> = vec![("", Vec::new())];
    for line in assembly.lines() {
        let line = line.split(';').next().unwrap_or("").trim();
        match line.strip_suffix(':') {
            Some(name) if name.starts_with("BB") => blocks.push((name, Vec::new())),
            _ if !line.is_empty() => blocks.last_mut().expect("one").1.push(line),
            _ => {}
        }
    }
    // A branch to where it is or back is the end of a loop.
    let mut loops = Vec::new();
    for (end, (_, instructions)) in blocks.iter().enumerate() {
        for instruction in instructions {
            let mut words = instruction.split_whitespace();
            let branches = words.next().is_some_and(|w| w.contains("branch"));
            let target = words.next().filter(|_| branches);
            let begin = target.and_then(|t| blocks.iter().position(|(name, _)| *name == t));
            loops.extend(begin.filter(|b| *b <= end).map(|begin| (begin, end)));
        }
    }
    let count = |&(begin, end): &(usize, usize)| {
        let mut counts = vec![0.0_f64; KINDS.len()];
        for instruction in blocks[begin..=end].iter().flat_map(|(_, i)| i) {
            let is =
                |(_, starts): &(&str, &[&str])| starts.iter().any(|s| instruction.starts_with(s));
            if let Some(kind) = KINDS.iter().position(is) {
                counts[kind] += 1.0;
            }
        }
        counts
    };
    let innermost = loops.iter().filter(|(begin, end)| {
        let inside = |(b, e): &&(usize, usize)| begin <= b && e <= end && (b, e) != (begin, end);
        !loops.iter().any(|other| inside(&other))
    });
    let most = innermost
        .map(count)
        .max_by(|a, b| (a[0] + a[1]).total_cmp(&(b[0] + b[1])));
    let Some(counts) = most.filter(|c| c[0] + c[1] > 0.0) else {
        return Vec::new();
    };
    let share = (counts[0] + counts[1]) / (counts[0] + counts[1] + counts[2]);
    let named = KINDS
        .iter()
        .map(|(name, _)| format!("loop: {name}"))
        .zip(counts.clone());
    let share = (share * 1000.0).round() / 1000.0;
    named
        .chain([("loop: share of fma".to_string(), share)])
        .collect()
}
