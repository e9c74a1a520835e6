//! A list in a recipe that may also be written as its only element.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Picture;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

pub fn serialize<T: Serialize, S: Serializer>(
    list: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match list {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}

pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// The one picture of a term that takes one, which may stand in a list.
pub fn only<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Picture, D::Error> {
    let mut pictures: Vec<Picture> = deserialize(deserializer)?;
    match (pictures.pop(), pictures.is_empty()) {
        (None, _) => Err(D::Error::custom("needs a `target` picture")),
        (Some(_), false) => Err(D::Error::custom("takes one target picture")),
        (Some(picture), true) => Ok(picture),
    }
}
