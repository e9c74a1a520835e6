//! The command line tool.

mod cli;
#[cfg(feature = "serve")]
mod serve;

use std::env;

fn main() -> std::process::ExitCode {
    quiet_mesa();
    cli::main()
}

/// Switches off Mesa's Vulkan layer `device_select`, unless the user configures it. The layer asks the window system
/// which GPU is the default one, and writes errors to stderr where there is no window system, as over ssh. This program
/// opens no window and chooses its device itself.
fn quiet_mesa() {
    let configured = [
        "MESA_VK_DEVICE_SELECT",
        "MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE",
    ];
    if configured.iter().all(|name| env::var_os(name).is_none()) {
        // SAFETY: `main` has just begun, so no other thread reads or writes the environment.
        unsafe { env::set_var("NODEVICE_SELECT", "1") };
    }
}
