//! Recipes.

use std::ffi::c_char;
use std::sync::Arc;

use pixgrad::Recipe;
use pixgrad::engine::methods::options::{Asked, Pictures};
use serde_json::{Map, Value};

use crate::picture::pixgrad_picture;
use crate::status::{Failure, guard, pixgrad_status};
use crate::{free, give, handle, text};

/// What a run does.
pub struct pixgrad_recipe(pub(crate) Asked);

/// A picture in memory, and the name by which a recipe or an option has it in place of a path.
#[repr(C)]
pub struct pixgrad_named_picture {
    /// UTF-8, ends with 0.
    pub name: *const c_char,
    /// It is copied by reference: the caller may free the handle at once.
    pub picture: *const pixgrad_picture,
}

/// # Safety
/// `pictures` points to `count` of them, each with a name that ends with 0 and a picture that is not freed.
unsafe fn named(pictures: *const pixgrad_named_picture, count: usize) -> Result<Pictures, Failure> {
    let pictures = match (pictures.is_null(), count) {
        (_, 0) => &[][..],
        (true, _) => return Err(Failure::null("pictures")),
        // SAFETY: as promised by the caller.
        (false, count) => unsafe { std::slice::from_raw_parts(pictures, count) },
    };
    let pair = |picture: &pixgrad_named_picture| {
        // SAFETY: as promised by the caller.
        unsafe {
            let name = text("the name of a picture", picture.name)?;
            let picture = handle("a picture", picture.picture)?;
            Ok((name.to_string(), Arc::clone(&picture.0)))
        }
    };
    pictures.iter().map(pair).collect()
}

/// Makes a recipe of the text of a recipe file (docs/recipe.md). Relative paths start at the current folder. Where it
/// has the name of one of `pictures` in place of a path, it takes that picture.
///
/// # Safety
/// `toml` ends with 0; `pictures` points to `count` of them, with names that end with 0 and pictures that are not freed;
/// `recipe` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_recipe_from_toml(
    toml: *const c_char,
    pictures: *const pixgrad_named_picture,
    count: usize,
    recipe: *mut *mut pixgrad_recipe,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (toml, pictures) = unsafe { (text("toml", toml)?, named(pictures, count)?) };
        let mut read: Recipe = toml::from_str(toml)
            .map_err(|e| Failure::invalid(format!("the recipe is wrong: {e}")))?;
        read.put_pictures(&pictures);
        // SAFETY: as promised by the caller.
        unsafe { give(recipe, pixgrad_recipe(read.into())) }
    })
}

/// Makes a recipe of a method, `style`, `texture`, `invert`, `dream`, `visualize` or `fool`, with options as TOML: those
/// of the command line, with `_` between words, and the pictures `content` and `styles`, or `image`. An example:
///
///   content = "photo"            # the name of one of `pictures`, or a path
///   styles = ["painting.jpg"]
///   size = 512
///   style_weight = 2
///
/// # Safety
/// As of pixgrad_recipe_from_toml.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_recipe_from_method(
    method: *const c_char,
    options: *const c_char,
    pictures: *const pixgrad_named_picture,
    count: usize,
    recipe: *mut *mut pixgrad_recipe,
) -> pixgrad_status {
    guard(|| {
        // SAFETY: as promised by the caller.
        let (method, options, pictures) = unsafe {
            (
                text("method", method)?,
                text("options", options)?,
                named(pictures, count)?,
            )
        };
        let options: Map<String, Value> = toml::from_str(options)
            .map_err(|e| Failure::invalid(format!("the options are wrong: {e}")))?;
        let asked = Asked::read(method, options, &pictures)?;
        // SAFETY: as promised by the caller.
        unsafe { give(recipe, pixgrad_recipe(asked)) }
    })
}

/// Frees a recipe.
///
/// # Safety
/// `recipe` is NULL or a recipe that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pixgrad_recipe_free(recipe: *mut pixgrad_recipe) {
    // SAFETY: as promised by the caller.
    unsafe { free(recipe) }
}
