//! The C library `pixgrad`. `include/pixgrad.h` is written from this file and says what holds for all functions:
//! ownership, threads, errors.
//!
//! Each function checks its pointers, calls the engine within [`status::guard`], which turns errors and panics into a
//! status and a text, and writes its results through pointers only if all went well.

// The names are those of C.
#![allow(non_camel_case_types)]

mod device;
#[cfg(test)]
mod lost;
mod picture;
mod recipe;
mod run;
mod status;

pub use device::*;
pub use picture::*;
pub use recipe::*;
pub use run::*;
pub use status::*;

use std::ffi::{CStr, c_char};

/// Reads a text of the caller.
///
/// # Safety
/// `text` is NULL or points to a string that ends with 0.
unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: as promised by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map_err(|_| Failure::invalid(format!("{name} is not UTF-8")))
}

/// As [`text`], where NULL means that nothing is asked for.
///
/// # Safety
/// As [`text`].
unsafe fn optional<'a>(name: &str, given: *const c_char) -> Result<Option<&'a str>, Failure> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised by the caller.
    unsafe { text(name, given) }.map(Some)
}

/// What a handle points to.
///
/// # Safety
/// `handle` is NULL or was returned by this library and not freed.
unsafe fn handle<'a, T>(name: &str, handle: *const T) -> Result<&'a T, Failure> {
    // SAFETY: as promised by the caller.
    unsafe { handle.as_ref() }.ok_or_else(|| Failure::null(name))
}

/// Gives a value to the caller.
///
/// # Safety
/// `place` is NULL or can be written.
unsafe fn give<T>(place: *mut *mut T, value: T) -> Result<(), Failure> {
    if place.is_null() {
        return Err(Failure::null("the place of the result"));
    }
    // SAFETY: as promised by the caller.
    unsafe { place.write(Box::into_raw(Box::new(value))) };
    Ok(())
}

/// Takes a value back and drops it.
///
/// # Safety
/// `value` is NULL or was given by [`give`] and not taken back.
unsafe fn free<T>(value: *mut T) {
    if !value.is_null() {
        // A value whose drop panics is leaked: nothing may unwind into C.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // SAFETY: as promised by the caller.
            drop(unsafe { Box::from_raw(value) });
        }));
    }
}
