//! One text of a shader and all that it imports, for what the composer cannot carry over from module to module: `naga_oil` 0.23
//! leaves the pointers of cooperative loads and stores as they were.

/// The text of `source` behind those of the files that it imports, each once and after its own imports, with the lines that
/// `definitions` leave out left out. Names must be imported one by one, as they are.
pub(super) fn flatten(source: &str, shared: &[(&str, &str)], definitions: &[&str]) -> String {
    let mut included = Vec::new();
    let mut text = String::new();
    append(source, shared, definitions, &mut included, &mut text);
    text
}

fn append<'a>(
    source: &str,
    shared: &[(&str, &'a str)],
    definitions: &[&str],
    included: &mut Vec<&'a str>,
    text: &mut String,
) {
    let kept = kept(source, definitions);
    for line in &kept {
        let Some(path) = line.strip_prefix("#import ") else {
            continue;
        };
        let names = |text: &str| text.starts_with("#define_import_path") && imports(path, text);
        let file = shared
            .iter()
            .map(|(_, text)| *text)
            .find(|text| names(text));
        if let Some(file) = file
            && !included.contains(&file)
        {
            included.push(file);
            append(file, shared, definitions, included, text);
        }
    }
    for line in kept.iter().filter(|line| !line.starts_with('#')) {
        text.push_str(line);
        text.push('\n');
    }
}

/// Whether `a::b::{c, d}` names items of the file that begins with `#define_import_path a::b`.
fn imports(path: &str, file: &str) -> bool {
    let module = file
        .lines()
        .next()
        .and_then(|l| l.split_whitespace().nth(1));
    module.is_some_and(|module| {
        path.strip_prefix(module)
            .is_some_and(|rest| rest.starts_with("::"))
    })
}

/// The lines that are left of `#ifdef`, `#ifndef`, `#else` and `#endif`.
fn kept<'a>(source: &'a str, definitions: &[&str]) -> Vec<&'a str> {
    let mut on = vec![true];
    let mut lines = Vec::new();
    for line in source.lines() {
        let enclosing = |on: &[bool]| on[..on.len() - 1].iter().all(|on| *on);
        if let Some(name) = line.strip_prefix("#ifdef ") {
            on.push(definitions.contains(&name.trim()));
        } else if let Some(name) = line.strip_prefix("#ifndef ") {
            on.push(!definitions.contains(&name.trim()));
        } else if line.starts_with("#else") {
            if let Some(last) = on.last_mut() {
                *last = !*last;
            }
        } else if line.starts_with("#endif") {
            on.truncate(on.len().saturating_sub(1).max(1));
        } else if enclosing(&on) && on.last() == Some(&true) {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: [(&str, &str); 2] = [
        ("one", "#define_import_path pixgrad::one\nfn one() {}\n"),
        (
            "two",
            "#define_import_path pixgrad::two\n#import pixgrad::one::one\n#ifdef A\nfn a() {}\n#else\nfn b() {}\n#endif\n",
        ),
    ];

    #[test]
    fn each_file_comes_once_and_after_what_it_imports() {
        let source = "#import pixgrad::two::{a}\n#import pixgrad::one::one\nfn main() {}\n";
        let text = flatten(source, &SHARED, &["A"]);
        assert_eq!(text, "fn one() {}\nfn a() {}\nfn main() {}\n");
        let text = flatten(source, &SHARED, &[]);
        assert_eq!(text, "fn one() {}\nfn b() {}\nfn main() {}\n");
    }

    #[test]
    fn what_is_left_out_leaves_out_what_is_in_it() {
        let source = "#ifdef A\n#ifndef B\n1\n#else\n2\n#endif\n3\n#endif\n4";
        let lines = |definitions: &[&str]| kept(source, definitions).concat();
        assert_eq!(lines(&[]), "4");
        assert_eq!(lines(&["A"]), "134");
        assert_eq!(lines(&["A", "B"]), "234");
        assert_eq!(lines(&["B"]), "4");
    }
}
