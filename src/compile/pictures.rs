//! The pictures that a recipe names, read once.

use std::sync::Arc;

use super::masks::Masks;
use crate::Error;
use crate::image::{Filter, Image, gray_like, match_colours, with_hidden_filled};
use crate::spec::{Embedded, Picture, PreserveColor, Recipe, RecipeError};

/// The pictures of a recipe, read once.
#[derive(Debug)]
pub(crate) struct Pictures {
    /// For each term its targets.
    pub targets: Vec<Vec<Arc<Image>>>,
    /// The start images, where pictures are.
    pub starts: Vec<Arc<Image>>,
    /// For each term its masks.
    pub masks: Vec<Masks>,
    /// The content as it was, where the result gets its chroma.
    pub chroma: Option<Arc<Image>>,
    /// The picture that gives the result its shape and its alpha, as it was read.
    shape: Option<Arc<Image>>,
    /// What the file of the picture that gives the result its shape holds besides pixels.
    pub embedded: Arc<Embedded>,
    /// All as they were read, in the order in which the recipe names them.
    named: Vec<Arc<Image>>,
}

impl Pictures {
    pub fn load(recipe: &Recipe) -> Result<Self, Error> {
        let mut named = Vec::new();
        let shape = shape(recipe).cloned();
        let mut embedded = Embedded::default();
        let mut read = |picture: &Picture| {
            let (image, besides) = picture.load_all()?;
            if shape.as_ref() == Some(picture) {
                embedded = besides;
            }
            named.push(Arc::clone(&image));
            Ok(image)
        };
        let starts = recipe.image.init.pictures().iter().map(&mut read);
        let starts = starts.collect::<Result<Vec<_>, Error>>()?;
        let (mut targets, mut masks) = (Vec::new(), Vec::new());
        for term in &recipe.terms {
            let own = term.kind.targets().iter().map(&mut read);
            let mut own = own.collect::<Result<Vec<_>, Error>>()?;
            let mut of_term = Masks::load(term, &mut read)?;
            of_term.weigh_by_opacity(term, &mut own)?;
            targets.push(own);
            masks.push(of_term);
        }
        let mut pictures = Self {
            targets,
            starts,
            masks,
            chroma: None,
            shape: None,
            embedded: Arc::new(embedded),
            named,
        };
        pictures.shape = pictures
            .content(recipe)
            .or(pictures.starts.first())
            .cloned();
        pictures.fill_hidden(recipe);
        pictures.preserve_colour(recipe)?;
        Ok(pictures)
    }

    /// What is transparent in a content or a start image gets the mean colour of the rest, so that the network sees
    /// nothing of the colours that files have there. Those of styles have it already, see [`Masks::weigh_by_opacity`].
    fn fill_hidden(&mut self, recipe: &Recipe) {
        let terms = recipe.terms.iter().zip(&mut self.targets);
        let spatial = terms.filter(|(term, _)| term.kind.is_spatial());
        let contents = spatial.flat_map(|(_, targets)| targets);
        for picture in contents.chain(&mut self.starts) {
            let alpha = picture.alpha.iter().flatten();
            if { alpha }.any(|opacity| *opacity <= 0.0) {
                *picture = Arc::new(with_hidden_filled(picture));
            }
        }
    }

    /// Takes the colours out of the pictures that are not to bring theirs, see [`PreserveColor`].
    fn preserve_colour(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let mode = recipe.image.preserve_color;
        if mode == PreserveColor::Off {
            return Ok(());
        }
        let content = self.content(recipe).cloned();
        let content = content.ok_or(RecipeError::NoColours)?;
        let luma = mode == PreserveColor::Luma;
        for (term, targets) in recipe.terms.iter().zip(&mut self.targets) {
            for target in targets {
                *target = match (term.kind.is_spatial(), luma) {
                    (true, true) => Arc::new(gray_like(target, target)),
                    (true, false) => continue,
                    (false, true) => Arc::new(gray_like(target, &content)),
                    (false, false) => Arc::new(match_colours(target, &content).clamp()),
                };
            }
        }
        if luma {
            for start in &mut self.starts {
                *start = Arc::new(gray_like(start, start));
            }
            self.chroma = Some(content);
        }
        Ok(())
    }

    /// The same with every target that is compared position by position brought to `size`; the others are the very
    /// same.
    pub fn at(&self, recipe: &Recipe, size: (u32, u32)) -> Result<Self, Error> {
        let mut targets = self.targets.clone();
        for (term, targets) in recipe.terms.iter().zip(&mut targets) {
            if term.kind.is_spatial() {
                for target in targets.iter_mut().filter(|t| t.size() != size) {
                    *target = Arc::new(resized(target, size)?);
                }
            }
        }
        Ok(Self {
            targets,
            starts: self.starts.clone(),
            masks: self.masks.clone(),
            chroma: self.chroma.clone(),
            shape: self.shape.clone(),
            embedded: Arc::clone(&self.embedded),
            named: self.named.clone(),
        })
    }

    /// All of them as they were read, in the order in which the recipe names its pictures.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.named.iter()
    }

    /// The target of the term that compares position by position.
    pub fn content(&self, recipe: &Recipe) -> Option<&Arc<Image>> {
        let index = recipe.terms.iter().position(|t| t.kind.is_spatial())?;
        self.targets[index].first()
    }

    /// The picture that gives the result its shape and its alpha: the content, else the start image. As it was read.
    pub fn shape(&self) -> Option<&Arc<Image>> {
        self.shape.as_ref()
    }
}

/// What [`Pictures::shape`] is read from.
fn shape(recipe: &Recipe) -> Option<&Picture> {
    let mut terms = recipe.terms.iter().filter(|term| term.kind.is_spatial());
    let content = terms.next().and_then(|term| term.kind.targets().first());
    content.or(recipe.image.init.pictures().first())
}

/// The picture at exactly `size`, by antialiased bicubic resampling.
pub(crate) fn resized(picture: &Image, size: (u32, u32)) -> Result<Image, Error> {
    if picture.size() == size {
        return Ok(picture.clone());
    }
    Ok(picture.resize(size.0, size.1, Filter::Bicubic)?.clamp())
}
