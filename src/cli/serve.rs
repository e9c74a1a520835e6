//! `pixgrad serve`: the page, which runs what is asked for on this machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pixgrad::engine::device::{self, DeviceInfo};
use pixgrad::{Device, DeviceOptions};
use serde_json::json;

use super::interrupt::Interrupt;
use super::{Global, terminal};
use crate::serve::{Listener, Place, Server, Studio};

/// Show the page that paints, on the devices of this machine
///
/// Runs go on when the page is closed, and wait for one another; any number of pages may watch. Pictures that are done
/// are written to the folder of --output. Without --host only this machine can connect. Ctrl-C ends it; the picture of
/// the run at work is still written.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The port; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    port: u16,

    /// The address or the name of this machine to serve at. 0.0.0.0 is every network that it is in: then whoever has
    /// the address that is printed, with its token, can paint here
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,

    /// Open the page in the browser
    #[arg(long)]
    open: bool,

    /// The folder that pictures are written to, made when the first one is done
    #[arg(short, long, value_name = "FOLDER", default_value = "pixgrad-outputs")]
    output: PathBuf,
}

/// How often it is looked whether to end.
const PAUSE: Duration = Duration::from_millis(50);

pub fn run(args: &ServeArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let listener = Listener::bind(&args.host, args.port)?;
    let studio = Arc::new(Studio::new(places(args, global)?, args.output.clone())?);
    let interrupt = Interrupt::listen(true)?;
    let is_loopback = listener.is_loopback();
    let server = Server::start(listener, Arc::clone(&studio))?;
    if global.json {
        terminal::print_json(&json!({ "url": server.url() }))?;
    } else {
        terminal::print(server.url())?;
    }
    if !is_loopback {
        global.note(
            "warning: whoever has this address can use this machine's devices, and what is sent is not encrypted; \
             over networks that are not yours use ssh -L instead",
        );
    }
    if args.open
        && let Err(error) = open::that_detached(server.url())
    {
        global.note(format_args!("warning: no browser could be opened: {error}"));
    }
    global.note("Ctrl-C ends it");
    while !interrupt.pressed() {
        std::thread::sleep(PAUSE);
    }
    global.note("ending: what is at work is stopped and written; Ctrl-C again quits without");
    studio.close();
    server.say_goodbye();
    drop(server);
    Ok(ExitCode::from(Interrupt::EXIT_CODE))
}

/// The devices, the one that was asked for first.
fn places(args: &ServeArgs, global: &Global) -> anyhow::Result<Vec<Place>> {
    // A server writes to the folder of its results and nowhere else: what it finds of a GPU's kernels goes there, too.
    let options = DeviceOptions {
        tuning_folder: Some(args.output.join("kernels")),
        ..global.options()
    };
    let mut devices = device::list();
    if let Some(backend) = &global.backend {
        devices.retain(|device| device.backend == *backend);
    }
    // As `auto` chooses: a software adapter computes the same as `cpu`, and is slower.
    devices.sort_by_key(|info| info.is_software() && info.backend != "cpu");
    let mut opened = None;
    if global.device.is_some() {
        let device = Device::new(&options)?;
        let own = device.info();
        let is_own = |info: &DeviceInfo| match own.backend.as_str() {
            "cpu" => info.backend == "cpu",
            _ => info.index == own.index,
        };
        devices.sort_by_key(|info| !is_own(info));
        opened = Some(device);
    }
    let places = devices.into_iter();
    Ok(places
        .map(|info| Place::new(info, options.clone(), opened.take()))
        .collect())
}
