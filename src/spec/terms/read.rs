//! A term from a recipe file: a table with the term's name, its weight, and the keys of its kind.
//!
//! The keys of a table have no order, so it is read whole before its kind is known. An error therefore has the line of
//! the table, and names the key.

use std::fmt::{Display, Formatter};

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use toml::{Table, Value};

use super::{Content, MmdKernel, Style, StyleKind, TermKind, TermProblem, TermSpec};

type ReadError = toml::de::Error;

impl<'de> Deserialize<'de> for TermSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Table::deserialize(deserializer)?;
        let name = table
            .remove("kind")
            .ok_or_else(|| D::Error::missing_field("kind"))?;
        let name = String::deserialize(name).map_err(|e| D::Error::custom(in_key("kind", &e)))?;
        from_table(&name, table)
    }
}

fn from_table<E: serde::de::Error>(name: &str, mut table: Table) -> Result<TermSpec, E> {
    let kinds = kinds();
    let wrong = |reason: String| E::custom(format_args!("term `{name}`: {reason}"));
    let Some(kind) = kinds.iter().find(|kind| kind.name == name) else {
        let names = kinds.iter().map(|kind| kind.name);
        return Err(E::custom(format_args!(
            "unknown kind of term `{name}`, expected one of {}",
            quoted(names)
        )));
    };
    let weight = match table.remove("weight") {
        Some(weight) => f64::deserialize(weight).map_err(|e| wrong(in_key("weight", &e)))?,
        None => 1.0,
    };
    if let Some(key) = table.keys().find(|key| !kind.keys.contains(&key.as_str())) {
        let owners = kinds
            .iter()
            .filter(|kind| kind.keys.contains(&key.as_str()))
            .map(|kind| kind.name)
            .collect::<Vec<_>>();
        return Err(wrong(if owners.is_empty() {
            let keys = kind.keys.iter().copied();
            format!(
                "unknown field `{key}`, expected one of {}",
                quoted(["kind", "weight"].into_iter().chain(keys))
            )
        } else {
            format!("takes no `{key}`; that is for {}", owners.join(" and "))
        }));
    }
    if kind.keys.contains(&"target") && !table.contains_key("target") {
        return Err(wrong(TermProblem::NoTarget.to_string()));
    }
    let kind = (kind.read)(table).map_err(|e| wrong(sentence(&e)))?;
    Ok(TermSpec { kind, weight })
}

/// What is wrong with the value of a key.
fn in_key(key: &str, error: &ReadError) -> String {
    format!("{} in `{key}`", error.message())
}

/// An error on one line: what is wrong, and in which key.
fn sentence(error: &ReadError) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A kind of term as a recipe file has it.
pub(super) struct Kind {
    pub name: &'static str,
    /// The keys that it takes, beside `kind` and `weight`.
    keys: Vec<&'static str>,
    read: Box<dyn Fn(Table) -> Result<TermKind, ReadError>>,
}

impl Kind {
    fn new<T: DeserializeOwned + 'static>(
        name: &'static str,
        kind: impl Fn(T) -> TermKind + 'static,
    ) -> Self {
        Self {
            name,
            keys: keys_of::<T>().to_vec(),
            read: Box::new(move |table| Value::Table(table).try_into().map(&kind)),
        }
    }

    fn style(kind: StyleKind) -> Self {
        let style = Self::new(kind.name(), move |style: Style| kind.of(style));
        if kind.kernel().is_none() {
            return style;
        }
        /// Its fields are in two structs.
        #[derive(Deserialize)]
        struct WithKernel {
            #[serde(flatten)]
            style: Style,
            #[serde(flatten)]
            kernel: MmdKernel,
        }
        Self {
            keys: [&style.keys, keys_of::<MmdKernel>()].concat(),
            ..Self::new(kind.name(), |both: WithKernel| {
                StyleKind::Mmd(both.kernel).of(both.style)
            })
        }
    }
}

/// All kinds; the styles, of which several losses may be one kind, are between the others.
pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![Kind::new::<Content>("content", TermKind::Content)];
    for loss in StyleKind::LOSSES {
        if kinds.iter().all(|kind| kind.name != loss.kind.name()) {
            kinds.push(Kind::style(loss.kind));
        }
    }
    kinds.extend([
        Kind::new("tv", TermKind::Tv),
        Kind::new("activation", TermKind::Activation),
        Kind::new("energy", TermKind::Energy),
        Kind::new("guide", TermKind::Guide),
        Kind::new("direction", TermKind::Direction),
        Kind::new("logit", TermKind::Logit),
        Kind::new("cross_entropy", TermKind::CrossEntropy),
        Kind::new("margin", TermKind::Margin),
        Kind::new("inversion", TermKind::Inversion),
        Kind::new("alpha_norm", TermKind::AlphaNorm),
        Kind::new("l2", TermKind::L2),
    ]);
    kinds
}

/// The keys of a struct: what it asks a deserializer for.
fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    match T::deserialize(AskedFor) {
        Err(Keys(keys)) => keys,
        Ok(_) => &[],
    }
}

/// Reads nothing; it fails with the keys that a struct asks for.
struct AskedFor;

#[derive(Debug)]
struct Keys(&'static [&'static str]);

impl<'de> Deserializer<'de> for AskedFor {
    type Error = Keys;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Keys> {
        Err(Keys(fields))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Keys> {
        Err(Keys(&[]))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Display for Keys {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Keys {}

impl serde::de::Error for Keys {
    fn custom<T: Display>(_: T) -> Self {
        Self(&[])
    }
}
