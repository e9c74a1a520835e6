use std::error::Error as _;
use std::path::Path;

use super::*;
use crate::run::{Checkpoint, CheckpointProblem};
use crate::spec::terms::{Classes, TermProblem, Tv};
use crate::spec::{Recipe, TermKind, TermSpec};
use crate::value::{Rule, ValueError};

/// No system has a file of this name, and none says that it is merely missing.
const IMPOSSIBLE: &str = "a\0b";

/// Each message with those of its causes, outermost first.
fn messages(error: &Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        messages.push(cause.to_string());
        next = cause.source();
    }
    messages
}

fn assert_told_once(error: &Error) {
    let messages = messages(error);
    for (i, cause) in messages.iter().enumerate().skip(1) {
        for message in &messages[..i] {
            assert!(!message.contains(cause), "{cause:?} is in {message:?}");
        }
    }
    assert_eq!(error.with_causes(), messages.join(": "));
}

#[test]
fn a_missing_recipe_file_has_the_systems_error_as_its_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none.toml");
    let error = Recipe::read(&path).expect_err("no such file");
    let Error::Recipe(problem) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(&**problem, RecipeError::Unreadable { path: p, .. } if *p == path));
    let source = error.source().and_then(|e| e.downcast_ref());
    let source: &std::io::Error = source.expect("the system's error");
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    let expected = format!("{}: {source}", path.display());
    assert_eq!(error.with_causes(), expected);
    assert_told_once(&error);
}

#[test]
fn a_recipe_that_is_not_utf_8_says_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recipe.toml");
    let utf16 = "\u{feff}seed = 1\n".encode_utf16();
    let utf16: Vec<u8> = utf16.flat_map(u16::to_le_bytes).collect();
    for (bytes, told) in [
        (&utf16[..], "is UTF-16 text; save it as UTF-8"),
        (
            &b"model = \"caf\xe9\""[..],
            "is not UTF-8 text; save it as UTF-8",
        ),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let error = Recipe::read(&path).expect_err(told).to_string();
        assert!(error.ends_with(told), "{error}");
    }
}

#[test]
fn a_small_limit_is_told_in_small_units() {
    assert_eq!(bytes(1024), "1.0 KiB");
    assert_eq!(bytes(3 << 20), "3 MiB");
}

#[test]
fn a_wrong_recipe_file_has_its_position_and_the_parsers_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recipe.toml");
    for (text, line, column) in [
        ("seed = 1\n[image]\nnoise = \"é\" x\n", 3, 13),
        ("seed = 1\n\n[[term]]\nkind = \"tv\"\nbeta = \"a\"\n", 3, 1),
        ("[image]\n  nose = 1\n", 2, 3),
    ] {
        std::fs::write(&path, text).expect("written");
        let error = Recipe::read(&path).expect_err(text);
        let Error::Recipe(problem) = &error else {
            panic!("{error:?}");
        };
        let RecipeError::Syntax { position, .. } = &**problem else {
            panic!("{error:?}");
        };
        let position = position.expect("a position");
        assert_eq!((position.line.get(), position.column.get()), (line, column));
        let source = error.source().and_then(|e| e.downcast_ref());
        let source: &toml::de::Error = source.expect("the parser's error");
        let told = format!("line {line}, column {column}");
        assert!(source.to_string().contains(&told), "{source}");
        assert!(error.with_causes().contains(&told), "{error}");
        assert_told_once(&error);
    }
}

#[test]
fn files_that_cannot_be_read_have_the_systems_error_as_their_source() {
    let path = Path::new(IMPOSSIBLE);
    let checkpoint = Checkpoint::read(path).expect_err("no such name");
    let Error::Checkpoint(CheckpointError { problem, .. }) = &checkpoint else {
        panic!("{checkpoint:?}");
    };
    assert!(matches!(problem, CheckpointProblem::Unreadable(_)));
    let picture = crate::Image::open(path).expect_err("no such name");
    let weights = crate::net::Network::open("a\0b.safetensors").expect_err("no such name");
    for error in [checkpoint, picture.into(), weights.into()] {
        let source = error.source().expect("a source");
        assert!(source.is::<std::io::Error>(), "{error:?}");
        assert!(!error.to_string().contains(&source.to_string()), "{error}");
        assert_told_once(&error);
    }
}

#[test]
fn a_checkpoint_whose_header_is_wrong_has_the_parsers_error_as_its_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let header = br#"{"__metadata__": {"checkpoint": 1}}"#;
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(&path, [&length[..], header].concat()).expect("written");
    let error = Checkpoint::read(&path).expect_err("a number");
    let source = error.source().expect("a source");
    assert!(source.is::<serde_json::Error>(), "{error:?}");
    let expected = format!("checkpoint '{}': it is damaged: {source}", path.display());
    assert_eq!(error.with_causes(), expected);
    assert_told_once(&error);
}

#[test]
fn a_terms_error_carries_its_parts() {
    let error = TermSpec::new(Tv { beta: Some(0.5) }).validate();
    let error = error.expect_err("beta is below 1");
    assert_eq!(error.kind, "tv");
    let expected = ValueError {
        field: "beta",
        value: 0.5,
        rule: Rule::AtLeast(1.0),
    };
    assert_eq!(error.problem, TermProblem::Value(expected));
    let message = "term `tv`: `beta` must be a number of at least 1";
    assert_eq!(error.to_string(), message);
    let error = Error::from(error);
    assert!(error.source().is_none(), "the message says it all");
    assert_told_once(&error);

    let none = TermSpec::new(TermKind::Logit(Classes::default())).validate();
    let error = none.expect_err("no class");
    assert_eq!(
        (error.kind.as_str(), error.problem),
        ("logit", TermProblem::NoClass)
    );
}

#[test]
fn a_picture_in_memory_says_why_its_recipe_cannot_be_written() {
    let picture = crate::Image::filled(1, 1, [0.0; 3]).expect("a picture");
    let recipe = Recipe::style(picture.clone(), [picture]);
    let error = recipe.to_toml().expect_err("in memory");
    let source = error.source().expect("a source");
    assert!(source.is::<toml::ser::Error>(), "{error:?}");
    let expected = "the recipe cannot be written: a picture in memory has no path to write";
    assert_eq!(error.with_causes().trim_end(), expected);
    assert_told_once(&error);
}
