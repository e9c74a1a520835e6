//! The page from the program itself: an HTTP server on this machine that queues runs, runs them on its devices, and
//! shows them to any number of browsers.
//!
//! - `studio`: devices, pictures and jobs, and the threads that run them. `job`: a run as others see it.
//! - `http`: connections and their limits. `guard`: who may ask. `routes`: what can be asked. `events`: what is told.
//!
//! Requests are answered on one thread with an executor; whatever takes time is done on others. A run pays for being
//! watched with a picture from time to time, see `job::PREVIEW_SHARE`.

mod asked;
mod error;
mod events;
mod files;
mod guard;
mod http;
mod job;
mod pictures;
mod preview;
mod routes;
mod studio;

pub use http::{Listener, Server};
pub use job::{Job, Phase};
pub use studio::{Place, Studio};
