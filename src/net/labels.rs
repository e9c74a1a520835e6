//! The names of the 1000 ImageNet classes, and how a user may point at one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use super::NetError;
use super::error::{LabelsError, LabelsProblem};

/// One name per line, in the order of the networks' outputs.
const TEXT: &str = include_str!("../../samples/models/imagenet_classes.txt");

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| TEXT.lines().collect());

/// The names of the 1000 classes of ILSVRC-2012.
pub fn imagenet_classes() -> &'static [&'static str] {
    &NAMES
}

/// Classes whose name in ILSVRC-2012 is also that of another class. The list of names tells them apart with a word
/// more; whoever writes the name of ILSVRC-2012 may mean either.
const SHARED_NAMES: [(usize, &str); 2] = [(134, "crane"), (639, "maillot")];

/// The one class that is called `name`, else the one that is called so in another case, else the one whose name
/// contains it. An underscore is a space.
pub(super) fn find(names: &[&str], name: &str) -> Result<usize, NetError> {
    let spaced = |text: &str| text.trim().replace('_', " ");
    let (wanted, lower) = (spaced(name), spaced(name).to_lowercase());
    let shared = |class: usize, test: &dyn Fn(&str) -> bool| {
        names == imagenet_classes()
            && SHARED_NAMES
                .iter()
                .any(|known| known.0 == class && test(known.1))
    };
    let matching = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..names.len())
            .filter(|&class| test(&spaced(names[class])) || shared(class, test))
            .collect()
    };
    let mut found = matching(&|known| known == wanted);
    if found.is_empty() {
        found = matching(&|known| known.to_lowercase() == lower);
    }
    if found.is_empty() && !wanted.is_empty() {
        found = matching(&|known| known.to_lowercase().contains(&lower));
    }
    let class = name.to_owned();
    match found[..] {
        [class] => Ok(class),
        [] => Err(NetError::UnknownClass { class }),
        _ => Err(NetError::AmbiguousClass {
            class,
            matches: list(names, &found),
        }),
    }
}

/// Reads the names of a network's classes: one per line, each perhaps after its class's number and a colon, or JSON, a
/// list or an object by numbers, as torchvision's `imagenet_class_index.json` is one.
pub(super) fn read(path: &Path) -> Result<Vec<String>, LabelsError> {
    let wrong = |problem| LabelsError {
        path: path.to_owned(),
        problem,
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(LabelsProblem::Unreadable(error)))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(LabelsProblem::Encoding))?;
    parse(text.trim_start_matches('\u{feff}')).map_err(wrong)
}

fn parse(text: &str) -> Result<Vec<String>, LabelsProblem> {
    if text.trim_start().starts_with(['[', '{']) {
        return parse_json(serde_json::from_str(text).map_err(LabelsProblem::Json)?);
    }
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
    let numbered: Option<Vec<(usize, &str)>> = lines
        .iter()
        .map(|line| {
            let (number, name) = line.split_once(':')?;
            Some((number.trim().parse().ok()?, name.trim()))
        })
        .collect();
    let names: Vec<&str> = match &numbered {
        Some(numbered) => numbered.iter().map(|(_, name)| *name).collect(),
        None => lines,
    };
    if let Some(empty) = names.iter().position(|name| name.is_empty()) {
        return Err(LabelsProblem::NoName { line: empty + 1 });
    }
    match numbered {
        Some(numbered) => by_number(numbered.into_iter().map(|(i, name)| (i, name.to_owned()))),
        None => Ok(names.into_iter().map(str::to_owned).collect()),
    }
}

fn parse_json(document: Value) -> Result<Vec<String>, LabelsProblem> {
    let wrong = |found: &Value| LabelsProblem::Shape {
        found: found.to_string().chars().take(60).collect(),
    };
    // Of `["n01440764", "tench"]` the last is for people.
    let name = |value: &Value| match value {
        Value::String(name) => Ok(name.clone()),
        Value::Array(names) => match names.last() {
            Some(Value::String(name)) => Ok(name.clone()),
            _ => Err(wrong(value)),
        },
        _ => Err(wrong(value)),
    };
    match &document {
        Value::Array(names) => names.iter().map(name).collect(),
        Value::Object(names) => {
            let pair = |(number, value): (&String, &Value)| {
                let number = number.trim().parse();
                let number = number.map_err(|_| wrong(&Value::String(format!("{value}"))))?;
                Ok((number, name(value)?))
            };
            let pairs: Vec<(usize, String)> = names
                .iter()
                .map(pair)
                .collect::<Result<_, LabelsProblem>>()?;
            by_number(pairs.into_iter())
        }
        _ => Err(wrong(&document)),
    }
}

/// Names in the order of their classes, each of which is there once.
fn by_number(named: impl Iterator<Item = (usize, String)>) -> Result<Vec<String>, LabelsProblem> {
    let mut names = BTreeMap::new();
    for (class, name) in named {
        if names.insert(class, name).is_some() {
            return Err(LabelsProblem::Twice { class });
        }
    }
    if let Some((missing, (&class, _))) =
        names.iter().enumerate().find(|(i, (class, _))| i != *class)
    {
        return Err(LabelsProblem::Missing { class, missing });
    }
    Ok(names.into_values().collect())
}

/// `281 (tabby), 282 (tiger cat)`, with the end left out where it gets long.
fn list(names: &[&str], classes: &[usize]) -> String {
    const MOST: usize = 20;
    let shown = classes.iter().take(MOST);
    let mut text = shown
        .map(|&class| format!("{class} ({})", names[class]))
        .collect::<Vec<_>>()
        .join(", ");
    if classes.len() > MOST {
        text += &format!(" and {} more", classes.len() - MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_1000_distinct_names() {
        let names = imagenet_classes();
        assert_eq!(names.len(), 1000);
        assert_eq!(names[285], "Egyptian cat");
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), 1000);
        assert!(names.iter().all(|name| !name.trim().is_empty()));
    }

    #[test]
    fn a_class_is_found_by_its_name_or_a_unique_part() {
        let names = ["tabby", "tiger cat", "Egyptian cat", "tiger", "tiger shark"];
        assert_eq!(find(&names, "egyptian_cat").unwrap(), 2);
        assert_eq!(find(&names, "shark").unwrap(), 4);
        // A whole name wins over parts of others.
        assert_eq!(find(&names, "Tiger").unwrap(), 3);
        let error = find(&names, "cat").unwrap_err().to_string();
        assert!(error.contains("1 (tiger cat), 2 (Egyptian cat)"), "{error}");
        for unknown in ["zebra", "", " "] {
            let error = find(&names, unknown).unwrap_err();
            assert!(matches!(error, NetError::UnknownClass { .. }));
        }
    }

    #[test]
    fn a_whole_name_in_its_own_case_is_not_ambiguous() {
        let names = imagenet_classes();
        assert_eq!(find(names, "cardigan").unwrap(), 474);
        assert_eq!(find(names, "Cardigan").unwrap(), 264);
        let error = find(names, "CARDIGAN").unwrap_err().to_string();
        assert!(error.contains("264 (Cardigan), 474 (cardigan)"), "{error}");
    }

    #[test]
    fn a_name_that_two_classes_have_names_both() {
        let names = imagenet_classes();
        for (name, both) in [
            ("crane", "134 (crane bird), 517 (crane)"),
            ("Maillot", "638 (maillot), 639 (maillot tank suit)"),
        ] {
            let error = find(names, name).unwrap_err().to_string();
            assert!(error.contains(both), "{error}");
        }
        assert_eq!(find(names, "crane_bird").unwrap(), 134);
    }

    #[test]
    fn labels_are_read_from_lines_and_json() {
        let expected = ["tench", "great: shark", "3rd"];
        for text in [
            "tench\ngreat: shark\n3rd\n\n",
            "0: tench\r\n1: great: shark\r\n2: 3rd",
            "2:3rd\n0:tench\n1:great: shark\n",
            r#"["tench", "great: shark", "3rd"]"#,
            r#" {"2": "3rd", "0": "tench", "1": "great: shark"}"#,
            r#"{"0": ["n01440764", "tench"], "1": ["n1", "great: shark"], "2": ["n2", "3rd"]}"#,
            r#"[["n01440764", "tench"], "great: shark", "3rd"]"#,
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn labels_that_are_wrong_say_where() {
        for (text, reason) in [
            ("tench\n\nshark", "line 2"),
            ("0: tench\n1:\n", "line 2"),
            ("0: tench\n0: shark", "class 0 twice"),
            ("1: tench\n2: shark", "no class 0"),
            ("{\"0\": 3}", "another kind"),
            ("{\"a\": \"b\"}", "another kind"),
            ("{0: 'tench'}", "is none"),
            ("[1, 2]", "`1`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
