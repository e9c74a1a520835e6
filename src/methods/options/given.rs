//! Options as a table: a value by name, read as the command line reads the same option.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::parse;
use crate::image::Image;
use crate::methods::MethodError;
use crate::spec::{Init, Picture};

/// Pictures in memory by the names that options have for them.
pub type Pictures = HashMap<String, Arc<Image>>;

/// The options of a method that have not been read yet.
#[derive(Debug)]
pub struct Given<'a> {
    method: &'static str,
    values: Map<String, Value>,
    pictures: &'a Pictures,
    /// The names of those that have been asked for.
    known: Vec<&'static str>,
}

impl<'a> Given<'a> {
    /// Options of `method`. Those that are null count as not given.
    #[must_use]
    pub fn new(method: &'static str, options: Map<String, Value>, pictures: &'a Pictures) -> Self {
        let given = options.into_iter().filter(|(_, value)| !value.is_null());
        Self {
            method,
            values: given
                .map(|(name, value)| (name.replace('-', "_"), value))
                .collect(),
            pictures,
            known: Vec::new(),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.values.remove(name)
    }

    /// One value, read by `parse`.
    ///
    /// # Errors
    /// [`MethodError::Option`] says what it must be.
    pub fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, MethodError> {
        self.take(name)
            .map(|value| parse(&text(name, &value)?).map_err(|why| wrong(name, why)))
            .transpose()
    }

    /// Several values: a list, or text with commas between them.
    ///
    /// # Errors
    /// As [`Given::value`].
    pub fn list<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, MethodError> {
        let texts: Vec<String> = match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| text(name, value))
                .collect::<Result<_, _>>()?,
            Some(value) => {
                let text = text(name, &value)?;
                text.split(',').map(str::to_string).collect()
            }
        };
        let values = texts.iter().map(|text| parse(text));
        values
            .collect::<Result<_, _>>()
            .map_err(|why| wrong(name, why))
    }

    /// Whether something is asked for.
    ///
    /// # Errors
    /// [`MethodError::Option`] for anything but true and false.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, MethodError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "it must be true or false")),
        }
    }

    /// A picture: a path, or the name of one in memory.
    ///
    /// # Errors
    /// [`MethodError::Option`] for anything but text.
    pub fn picture(&mut self, name: &'static str) -> Result<Option<Picture>, MethodError> {
        let pictures = self.pictures;
        self.take(name)
            .map(|value| picture(name, &value, pictures))
            .transpose()
    }

    /// Several pictures, in a list, or one.
    ///
    /// # Errors
    /// As [`Given::picture`].
    pub fn pictures(&mut self, name: &'static str) -> Result<Vec<Picture>, MethodError> {
        let pictures = self.pictures;
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| picture(name, value, pictures))
                .collect(),
            Some(value) => Ok(vec![picture(name, &value, pictures)?]),
        }
    }

    /// A start image: a word, a path, or the name of a picture in memory.
    ///
    /// # Errors
    /// As [`Given::value`].
    pub fn init(&mut self, name: &'static str) -> Result<Option<Init>, MethodError> {
        let pictures = self.pictures;
        self.value(name, |text| match pictures.get(text) {
            Some(image) => Ok(Init::Picture(Arc::clone(image).into())),
            None => parse::init(text),
        })
    }

    /// To be called when all options have been read.
    ///
    /// # Errors
    /// [`MethodError::UnknownOption`] names one that the method does not have.
    pub fn finish(self) -> Result<(), MethodError> {
        let Some(option) = self.values.keys().next() else {
            return Ok(());
        };
        Err(MethodError::UnknownOption {
            method: self.method,
            option: option.clone(),
            options: self.known.join(", "),
        })
    }

    /// The names of the options that have been read.
    #[must_use]
    pub fn known(&self) -> &[&'static str] {
        &self.known
    }
}

fn wrong(option: &str, problem: impl Into<String>) -> MethodError {
    MethodError::Option {
        option: option.to_string(),
        problem: problem.into(),
    }
}

/// A value as the command line has it.
fn text(option: &str, value: &Value) -> Result<String, MethodError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(wrong(option, "it must be a number or text")),
    }
}

fn picture(option: &str, value: &Value, pictures: &Pictures) -> Result<Picture, MethodError> {
    let Value::String(name) = value else {
        return Err(wrong(option, "it must be a picture"));
    };
    Ok(match pictures.get(name) {
        Some(image) => Arc::clone(image).into(),
        None => Path::new(name).into(),
    })
}
