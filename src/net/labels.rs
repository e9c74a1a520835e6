//! The names of the 1000 ImageNet classes, and how a user may point at one.

use std::sync::LazyLock;

use super::NetError;

/// One name per line, in the order of the networks' outputs.
const TEXT: &str = include_str!("../../samples/models/imagenet_classes.txt");

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| TEXT.lines().collect());

/// The names of the 1000 classes of ILSVRC-2012.
pub fn imagenet_classes() -> &'static [&'static str] {
    &NAMES
}

/// Classes whose name in ILSVRC-2012 is also that of another class. The list of names tells them apart with a word more;
/// whoever writes the name of ILSVRC-2012 may mean either.
const SHARED_NAMES: [(usize, &str); 2] = [(134, "crane"), (639, "maillot")];

/// The one class that is called `name`, else the one that is called so in another case, else the one whose name
/// contains it. An underscore is a space.
pub(super) fn find(names: &[&str], name: &str) -> Result<usize, NetError> {
    let spaced = |text: &str| text.trim().replace('_', " ");
    let (wanted, lower) = (spaced(name), spaced(name).to_lowercase());
    let shared = |class: usize, test: &dyn Fn(&str) -> bool| {
        std::ptr::eq(names, imagenet_classes())
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
}
