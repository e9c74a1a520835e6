//! The decoder of libjpeg-turbo, as MozJPEG carries it.
//!
//! Its errors unwind through C code that is compiled for that (the feature `unwinding`), and are caught here. Its
//! warnings are collected: they alone tell that a scan was cut, for the library fills the rest with grey.

use std::cell::RefCell;
use std::os::raw::c_int;
use std::panic::{self, AssertUnwindSafe};

use mozjpeg::{ColorSpace, Decompress};
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, jpeg_std_error};

use super::segments::Segments;
use super::{Fault, Pixels};

/// Warnings that are kept; a damaged file may have one per block.
const MOST_WARNINGS: usize = 100;

thread_local! {
    /// The warnings of the file that this thread decodes.
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What an error of the library unwinds with: its words.
struct Failure(String);

pub fn decode(bytes: &[u8], segments: &Segments) -> Result<Pixels, Fault> {
    WARNINGS.with_borrow_mut(Vec::clear);
    let run = panic::catch_unwind(AssertUnwindSafe(|| run(bytes, segments)));
    let mut pixels = match run {
        Ok(result) => result?,
        Err(payload) => return Err(fault_of(payload)),
    };
    for warning in WARNINGS.take() {
        let says = |words: &str| warning.contains(words);
        if says("premature end of data") {
            return Err(if segments.has_end {
                Fault::damaged("a scan ends before its last block")
            } else {
                Fault::Truncated
            });
        } else if says("Corrupt") && says("extraneous bytes") {
            pixels.stray_bytes = true;
        } else if says("Corrupt") {
            return Err(Fault::Damaged(warning));
        }
    }
    Ok(pixels)
}

fn run(bytes: &[u8], segments: &Segments) -> Result<Pixels, Fault> {
    let started = Decompress::with_err(error_manager()).from_mem(bytes);
    let mut file = started.map_err(Fault::damaged)?;
    // Chroma is interpolated, as by default. The picture itself is not blurred where some encoder has sampled the first
    // component below the others.
    file.do_fancy_upsampling(!segments.first_is_coarse());
    let (space, channels) = match segments.components.len() {
        1 => (ColorSpace::JCS_GRAYSCALE, 1),
        3 => (ColorSpace::JCS_RGB, 3),
        4 => (ColorSpace::JCS_CMYK, 4),
        count => return Err(Fault::Variant(format!("{count} colour components"))),
    };
    let mut file = file.to_colorspace(space).map_err(Fault::damaged)?;
    let (width, height) = (file.width() as u32, file.height() as u32);
    let values = file.read_scanlines::<u8>().map_err(Fault::damaged)?;
    // Not finished: what follows the pixels cannot change them any more.
    Ok(Pixels {
        width,
        height,
        channels,
        values,
        no_end: false,
        stray_bytes: false,
    })
}

fn fault_of(payload: Box<dyn std::any::Any + Send>) -> Fault {
    let failure = match payload.downcast::<Failure>() {
        Ok(failure) => failure.0,
        Err(other) => panic::resume_unwind(other),
    };
    let unsupported = [
        "nsupported",
        "not supported",
        "not implemented",
        "too large",
    ];
    if unsupported.iter().any(|words| failure.contains(words)) {
        Fault::Variant(failure)
    } else {
        Fault::Damaged(failure)
    }
}

fn error_manager() -> jpeg_error_mgr {
    // SAFETY: the struct is plain data of C, of which the library fills every field.
    let mut manager: jpeg_error_mgr = unsafe { std::mem::zeroed() };
    // SAFETY: a valid pointer to the struct.
    unsafe { jpeg_std_error(&mut manager) };
    manager.error_exit = Some(fail);
    manager.emit_message = Some(collect);
    manager
}

extern "C-unwind" fn collect(file: &mut jpeg_common_struct, level: c_int) {
    // Levels from 0 on are traces for those who debug the library.
    if level < 0 && WARNINGS.with_borrow(|warnings| warnings.len() < MOST_WARNINGS) {
        let words = message(file);
        WARNINGS.with_borrow_mut(|warnings| warnings.push(words));
    }
}

extern "C-unwind" fn fail(file: &mut jpeg_common_struct) {
    // No panic that a hook would print: an error on its way.
    panic::resume_unwind(Box::new(Failure(message(file))));
}

/// What the library has to say, in its words.
fn message(file: &mut jpeg_common_struct) -> String {
    type Format = unsafe extern "C-unwind" fn(&mut jpeg_common_struct, &mut [u8; 80]);
    // SAFETY: the library sets it before it calls.
    let format = unsafe { (*file.err).format_message };
    let mut text = [0u8; 80];
    if let Some(format) = format {
        // SAFETY: the library writes at most 80 bytes (JMSG_LENGTH_MAX), the final zero among them. That the buffer is
        // declared as one that is only read is a slip of the declaration.
        unsafe {
            let format: Format = std::mem::transmute(format);
            format(file, &mut text);
        }
    }
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
