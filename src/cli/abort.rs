//! How the program ends when it cannot go on: where an allocation fails, Rust says how many bytes were asked for and
//! aborts. To a shell that would be a crash with a core dump; here it is an error with exit code 1.

/// From here on an abort is exit code 1.
pub fn listen() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // SAFETY: the handler calls `write` and `_exit` only, which POSIX allows in one.
        let set = unsafe { signal(Signal::SIGABRT, SigHandler::Handler(end)) };
        // The signal may be handled by any program.
        debug_assert!(set.is_ok());
    }
}

#[cfg(unix)]
extern "C" fn end(_: i32) {
    const MESSAGE: &str =
        "error: pixgrad had to stop; if memory was short, a smaller picture or --memory may help\n";
    // SAFETY: the bytes are there, as many as are said. Whether they arrive is all the same.
    let _ = unsafe { nix::libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
    // SAFETY: ends the process without running anything of it.
    unsafe { nix::libc::_exit(1) }
}
