//! What a call comes to.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use pixgrad::{DeviceError, Error};

/// What a call came to.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum pixgrad_status {
    /// All went well.
    PIXGRAD_OK = 0,
    /// An argument is NULL, is not UTF-8, or is not what it must be; or an option or a recipe asks for something that
    /// cannot be.
    PIXGRAD_INVALID = 1,
    /// A picture cannot be read, or its layout or values are wrong.
    PIXGRAD_PICTURE = 2,
    /// A network or a layer is missing or wrong.
    PIXGRAD_NETWORK = 3,
    /// There is no such device, or it refuses to open.
    PIXGRAD_DEVICE = 4,
    /// The device has failed. Free what is on it and open another.
    PIXGRAD_DEVICE_LOST = 5,
    /// The device does not have as much memory. The text tells the largest size that fits, where it is known.
    PIXGRAD_OUT_OF_MEMORY = 6,
    /// A fault of the library: please report it with the text.
    PIXGRAD_INTERNAL = 7,
}

/// Why a call fails.
pub(crate) struct Failure {
    status: pixgrad_status,
    text: String,
}

impl Failure {
    pub fn invalid(text: impl Into<String>) -> Self {
        Self {
            status: pixgrad_status::PIXGRAD_INVALID,
            text: text.into(),
        }
    }

    pub fn null(name: &str) -> Self {
        Self::invalid(format!("{name} is NULL"))
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let status = match &error {
            Error::TooLarge { .. }
            | Error::Device(DeviceError::TooLarge { .. } | DeviceError::OutOfMemory { .. }) => {
                pixgrad_status::PIXGRAD_OUT_OF_MEMORY
            }
            Error::Device(DeviceError::Lost(_)) => pixgrad_status::PIXGRAD_DEVICE_LOST,
            Error::Device(_) => pixgrad_status::PIXGRAD_DEVICE,
            Error::Image(_) => pixgrad_status::PIXGRAD_PICTURE,
            Error::Net(_) | Error::Layer(_) => pixgrad_status::PIXGRAD_NETWORK,
            _ => pixgrad_status::PIXGRAD_INVALID,
        };
        Self {
            status,
            text: error.with_causes(),
        }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

fn remember(text: &str) {
    // A text cannot hold a 0, which would end it.
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = text);
}

/// Runs a call: its errors and panics become a status and a text.
pub(crate) fn guard(call: impl FnOnce() -> Result<(), Failure>) -> pixgrad_status {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => pixgrad_status::PIXGRAD_OK,
        Ok(Err(failure)) => {
            remember(&failure.text);
            failure.status
        }
        Err(panic) => {
            remember(&format!("pixgrad has a fault: {}", words(&*panic)));
            pixgrad_status::PIXGRAD_INTERNAL
        }
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it does not say which")
}

/// What went wrong in the last call of this thread that failed: UTF-8, empty before the first. It is valid until the
/// next call of this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn pixgrad_last_error() -> *const c_char {
    LAST.with(|last| last.borrow().as_ptr())
}

/// The version of the library, such as "0.1.0". It is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pixgrad_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
