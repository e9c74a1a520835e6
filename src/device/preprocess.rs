//! One WGSL text of a file and all that it imports, and where each of its lines comes from.
//!
//! Directives stand at the beginning of a line: `#import a::b` and `#import a::{b, c}`, which bring in the whole file
//! that begins with `#define_import_path a`; `#ifdef NAME` and `#ifndef NAME` with `#else` and `#endif`. A file comes
//! once, before those that import it. So all names of one text share one space, and WGSL itself refuses two that are
//! alike.

/// A file of WGSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    /// As messages name it.
    pub path: &'static str,
    pub text: &'static str,
}

/// What a file and its imports come to.
#[derive(Debug, Default)]
pub(super) struct Flat {
    pub text: String,
    /// File and line, counted from 1, of each line of the text.
    lines: Vec<(&'static str, usize)>,
}

impl Flat {
    /// `file` behind what it imports of `shared`, without the lines that `definitions` leave out; before all that
    /// `directives`, a line of WGSL.
    ///
    /// # Errors
    /// The file and line of a directive that is none, and what is wrong with it.
    pub fn of(
        file: File,
        shared: &[File],
        definitions: &[&str],
        directives: &str,
    ) -> Result<Self, String> {
        let mut flat = Self::default();
        if !directives.is_empty() {
            flat.push(directives, ("", 0));
        }
        flat.append(file, shared, definitions, &mut Vec::new())?;
        Ok(flat)
    }

    fn push(&mut self, line: &str, from: (&'static str, usize)) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines.push(from);
    }

    fn append(
        &mut self,
        file: File,
        shared: &[File],
        definitions: &[&str],
        included: &mut Vec<File>,
    ) -> Result<(), String> {
        let mut own = Vec::new();
        for (number, line) in kept(file, definitions)? {
            let Some(directive) = line.strip_prefix('#') else {
                own.push((number, line));
                continue;
            };
            let wrong = |what: &str| Err(format!("{}:{number}: {what}: {line}", file.path));
            match directive.split_once(' ') {
                Some(("define_import_path", _)) => {}
                Some(("import", path)) => {
                    let Some(import) = shared.iter().find(|file| defines(path, file.text)) else {
                        return wrong("no shared file has this path");
                    };
                    if !included.contains(import) {
                        included.push(*import);
                        self.append(*import, shared, definitions, included)?;
                    }
                }
                _ => return wrong("there is no such directive"),
            }
        }
        for (number, line) in own {
            self.push(line, (file.path, number));
        }
        Ok(())
    }

    /// A message about some places of the text, each with its own note: file, line and text of each.
    pub fn locate<'a>(
        &self,
        message: &str,
        places: impl IntoIterator<Item = (naga::Span, &'a str)>,
    ) -> String {
        let mut all = message.to_string();
        for (span, note) in places.into_iter().filter(|(span, _)| span.is_defined()) {
            let index = span.location(&self.text).line_number as usize - 1;
            let (path, number) = self.lines.get(index).copied().unwrap_or_default();
            let line = self.text.lines().nth(index).unwrap_or_default().trim();
            all.push_str(&format!("\n{path}:{number}: {note}\n    {line}"));
        }
        all
    }
}

/// Whether `a::b::{c, d}` names items of the file that begins with `#define_import_path a::b`.
fn defines(path: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let module = first.strip_prefix("#define_import_path ");
    module.is_some_and(|module| {
        path.strip_prefix(module.trim())
            .is_some_and(|rest| rest.starts_with("::"))
    })
}

/// The lines that are left of `#ifdef`, `#ifndef`, `#else` and `#endif`, with their numbers.
fn kept(file: File, definitions: &[&str]) -> Result<Vec<(usize, &'static str)>, String> {
    // Of each conditional around a line: whether its lines count.
    let mut on: Vec<bool> = Vec::new();
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let unopened = || format!("{}:{number}: nothing was opened: {line}", file.path);
        if let Some(name) = line.strip_prefix("#ifdef ") {
            on.push(definitions.contains(&name.trim()));
        } else if let Some(name) = line.strip_prefix("#ifndef ") {
            on.push(!definitions.contains(&name.trim()));
        } else if line.trim_end() == "#else" {
            let last = on.last_mut().ok_or_else(unopened)?;
            *last = !*last;
        } else if line.trim_end() == "#endif" {
            on.pop().ok_or_else(unopened)?;
        } else if on.iter().all(|on| *on) {
            lines.push((number, line));
        }
    }
    if on.is_empty() {
        Ok(lines)
    } else {
        Err(format!("{}: an #endif is missing", file.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: [File; 2] = [
        File {
            path: "one.wgsl",
            text: "#define_import_path pixgrad::one\nfn one() {}\n",
        },
        File {
            path: "two.wgsl",
            text: "#define_import_path pixgrad::two\n#import pixgrad::one::one\n\
                   #ifdef A\nfn a() {}\n#else\nfn b() {}\n#endif\n",
        },
    ];

    fn flat(text: &'static str, definitions: &[&str]) -> Result<Flat, String> {
        let path = "main.wgsl";
        Flat::of(File { path, text }, &SHARED, definitions, "")
    }

    #[test]
    fn each_file_comes_once_and_after_what_it_imports() {
        let source = "#import pixgrad::two::{a}\n#import pixgrad::one::one\nfn main() {}\n";
        let text = |definitions: &[&str]| flat(source, definitions).unwrap().text;
        assert_eq!(text(&["A"]), "fn one() {}\nfn a() {}\nfn main() {}\n");
        assert_eq!(text(&[]), "fn one() {}\nfn b() {}\nfn main() {}\n");
    }

    #[test]
    fn what_is_left_out_leaves_out_what_is_in_it() {
        let source = "#ifdef A\n#ifndef B\n1\n#else\n2\n#endif\n3\n#endif\n4";
        let lines = |definitions: &[&str]| flat(source, definitions).unwrap().text;
        assert_eq!(lines(&[]), "4\n");
        assert_eq!(lines(&["A"]), "1\n3\n4\n");
        assert_eq!(lines(&["A", "B"]), "2\n3\n4\n");
        assert_eq!(lines(&["B"]), "4\n");
        // Nor is what is left out looked for.
        assert_eq!(
            lines(&["A"]),
            flat(
                "#ifdef C\n#import none::x\n#endif\n#ifdef A\n1\n#endif\n3\n4",
                &["A"]
            )
            .unwrap()
            .text
        );
    }

    #[test]
    fn wrong_directives_are_told_with_file_and_line() {
        for (source, message) in [
            (
                "\n#import pixgrad::none::a",
                "main.wgsl:2: no shared file has this path: #import pixgrad::none::a",
            ),
            (
                "#if A == 1",
                "main.wgsl:1: there is no such directive: #if A == 1",
            ),
            ("1\n2\n#endif", "main.wgsl:3: nothing was opened: #endif"),
            ("#else", "main.wgsl:1: nothing was opened: #else"),
            ("#ifdef A\n1", "main.wgsl: an #endif is missing"),
        ] {
            assert_eq!(flat(source, &[]).unwrap_err(), message);
        }
    }

    #[test]
    fn a_place_is_that_in_its_own_file() {
        let flat = flat(
            "// main\n#import pixgrad::two::a\n\n  fn main() {}\n",
            &["A"],
        )
        .unwrap();
        let place = |what: &str| {
            let start = flat.text.find(what).unwrap() as u32;
            naga::Span::new(start, start + 1)
        };
        let undefined = (naga::Span::UNDEFINED, "nowhere");
        assert_eq!(
            flat.locate(
                "no",
                [
                    (place("a() {}"), "here"),
                    undefined,
                    (place("main()"), "and")
                ]
            ),
            "no\ntwo.wgsl:4: here\n    fn a() {}\nmain.wgsl:4: and\n    fn main() {}"
        );
    }
}
