//! What a page asks for, made into a recipe. A recipe that comes from outside names pictures that were uploaded and a
//! network that is installed, and nothing else: no name in it is ever a path.

use std::collections::HashMap;
use std::sync::Arc;

use pixgrad::engine::methods::{Method, Request, classify};
use pixgrad::engine::net;
use pixgrad::{Image, Network, Recipe};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Refusal;
use super::pictures::check_label;
use super::studio::{Place, Studio};

/// Of a run, a plan or a question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The index of the device; the first of the list where it is absent.
    #[serde(default)]
    pub device: Option<usize>,
    /// The network's name.
    pub model: String,
    /// A request, which has a method, or a recipe.
    #[serde(default)]
    pub asked: Value,
    /// Pictures by the names that the request calls them: their ids.
    #[serde(default)]
    pub pictures: HashMap<String, String>,
}

/// What it comes to.
pub struct Answer {
    pub place: Arc<Place>,
    pub network: Network,
    /// The recipe with the names of its pictures.
    pub named: Recipe,
    /// The same with its pictures.
    pub recipe: Recipe,
    pub label: String,
}

/// A name that is told to people.
fn told(name: &str) -> String {
    name.chars()
        .take(100)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

/// Whether this is the name of a network that is there.
pub fn check_model(model: &str) -> Result<(), Refusal> {
    let is_there = net::is_name(model)
        && (net::embedded().any(|name| name == model)
            || net::installed().iter().any(|name| name == model));
    if is_there {
        return Ok(());
    }
    Err(Refusal::wrong(format!(
        "there is no network '{}' on this machine: `pixgrad models` lists those that are",
        told(model)
    )))
}

impl Asked {
    /// The device that is meant.
    pub fn place(&self, studio: &Studio) -> Result<Arc<Place>, Refusal> {
        studio.place(self.device)
    }

    fn found(&self, studio: &Studio) -> Result<HashMap<String, Arc<Image>>, Refusal> {
        let mut pictures = studio.pictures.lock();
        let mut found = HashMap::new();
        for (name, id) in &self.pictures {
            check_label(name)?;
            let upload = pictures.find(id).ok_or_else(|| missing(name))?;
            found.insert(name.clone(), upload.image);
        }
        Ok(found)
    }

    /// The recipe.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn answer(&self, studio: &Studio) -> Result<Answer, Refusal> {
        let place = self.place(studio)?;
        let found = self.found(studio)?;
        let of_method = self.asked.get("method").is_some();
        let wrong = |error: serde_json::Error| Refusal::wrong(error.to_string());
        let (network, named, label) = if of_method {
            check_model(&self.model)?;
            let network = place.network(&self.model)?;
            let request: Request = serde_json::from_value(self.asked.clone()).map_err(wrong)?;
            request
                .content
                .iter()
                .chain(&request.styles)
                .try_for_each(|name| check_label(name))?;
            let mut seen = None;
            let content = request.content.as_deref().and_then(|name| found.get(name));
            if let (Some(content), Method::Attack) = (content, request.method) {
                let size = classify::Size::Native;
                seen = classify::classify(&network, content, size, 1)?
                    .into_iter()
                    .next();
            }
            let find = |name: &str| found.get(name).cloned();
            let named = request.recipe(&network, find, seen.as_ref())?;
            (network, named, request.method.name().to_lowercase())
        } else {
            let named: Recipe = serde_json::from_value(self.asked.clone()).map_err(wrong)?;
            check_model(&named.model)?;
            if named.labels.is_some() {
                return Err(Refusal::wrong(
                    "labels: a recipe of the page has the classes of its network",
                ));
            }
            named
                .picture_names()
                .iter()
                .try_for_each(|name| check_label(name))?;
            let network = match named.preprocessing {
                None => place.network(&named.model)?,
                Some(_) => named.network(&place.device()?)?,
            };
            (network, named, "recipe".to_string())
        };
        let recipe = named.with_pictures(|name| found.get(name).cloned())?;
        if !recipe.files().is_empty() {
            return Err(Refusal::wrong("the recipe names a file of this machine"));
        }
        Ok(Answer {
            place,
            network,
            named,
            recipe,
            label,
        })
    }

    /// The most probable classes of the one picture.
    ///
    /// # Errors
    /// What is wrong.
    pub fn classify(&self, studio: &Studio, top: usize) -> Result<Value, Refusal> {
        check_model(&self.model)?;
        let found = self.found(studio)?;
        let image = found.values().next();
        let image = image.ok_or_else(|| Refusal::wrong("a picture is needed"))?;
        let network = self.place(studio)?.network(&self.model)?;
        let size = classify::Size::Native;
        Ok(json!(classify::classify(
            &network,
            image,
            size,
            top.clamp(1, 1000)
        )?))
    }
}

/// What is told of a picture that is not there.
pub fn missing(name: &str) -> Refusal {
    Refusal::new(
        hyper::StatusCode::GONE,
        format!(
            "the picture '{}' is not here any more: it must be given again",
            told(name)
        ),
    )
}
