//! A run of a command that browsers watch: `--serve`.

#[cfg(feature = "serve")]
pub use served::WatchArgs;
#[cfg(not(feature = "serve"))]
pub use unserved::WatchArgs;

#[cfg(feature = "serve")]
mod served {
    use std::path::Path;
    use std::sync::{Arc, OnceLock};

    use clap::Args;
    use pixgrad::{Progress, Run};

    use crate::cli::Global;
    use crate::serve::{Job, Listener, Phase, Server, Studio};

    /// Options of commands whose runs can be watched.
    #[derive(Debug, Args)]
    pub struct WatchArgs {
        /// Show the run in a browser while it is at work, on a page of this machine only: --serve at port 8787,
        /// --serve=PORT at another, where 0 is any that is free
        #[arg(
            long,
            value_name = "PORT",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "8787",
        )]
        serve: Option<u16>,

        /// The server, once it runs
        #[arg(skip)]
        server: Shown,
    }

    /// A server that lets people see the end before it ends.
    #[derive(Debug, Default)]
    struct Shown(OnceLock<Server>);

    impl Drop for Shown {
        fn drop(&mut self) {
            if let Some(server) = self.0.get() {
                server.say_goodbye();
            }
        }
    }

    impl WatchArgs {
        pub fn is_given(&self) -> bool {
            self.serve.is_some()
        }

        /// Begins to serve, if that is asked for.
        pub fn begin(&self, global: &Global) -> anyhow::Result<()> {
            let Some(port) = self.serve else {
                return Ok(());
            };
            if self.server.0.get().is_none() {
                let listener = Listener::bind("127.0.0.1", port)?;
                let server = Server::start(listener, Arc::new(Studio::of_a_command()))?;
                let server = self.server.0.get_or_init(|| server);
                global.note(format_args!("watch it at {}", server.url()));
            }
            Ok(())
        }

        /// Shows a run whose picture goes to `output`.
        pub fn watch(&self, run: &Run, output: &Path, global: &Global) -> anyhow::Result<Watch> {
            self.begin(global)?;
            let job = self.server.0.get().map(|server| {
                let name = output.file_name().unwrap_or_default().to_string_lossy();
                let device = &run.executor().device().info().name;
                let job = server.studio().show(&name, device, &run.recipe().model);
                job.begin(run);
                job
            });
            Ok(Watch(job))
        }
    }

    /// A run as those who watch it see it.
    pub struct Watch(Option<Arc<Job>>);

    impl Watch {
        pub fn step(&self, progress: &Progress) {
            if let Some(job) = &self.0 {
                job.step(progress);
            }
        }

        /// Whether somebody wants something between two iterations.
        pub fn is_wanted(&self) -> bool {
            self.0.as_ref().is_some_and(|job| job.is_wanted())
        }

        /// Does what is wanted; whether the run shall go on.
        pub fn attend(
            &self,
            run: &mut Run,
            ends: impl Fn() -> bool,
        ) -> Result<bool, pixgrad::Error> {
            self.0
                .as_ref()
                .map_or(Ok(true), |job| job.attend(run, ends))
        }

        /// Shows how the run has ended.
        pub fn end(self, run: &mut Run, stopped: bool) -> Result<(), pixgrad::Error> {
            if let Some(job) = &self.0 {
                job.show(run, true)?;
                let phase = if stopped {
                    Phase::Stopped
                } else {
                    Phase::Finished
                };
                job.end(phase, None);
            }
            Ok(())
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            if let Some(job) = self.0.take().filter(|job| !job.phase().is_over()) {
                job.fail("the command failed: where it was started it says why".into());
            }
        }
    }
}

/// Without the server.
#[cfg(not(feature = "serve"))]
mod unserved {
    use std::path::Path;

    use clap::Args;
    use pixgrad::{Progress, Run};

    use crate::cli::Global;

    #[derive(Debug, Args)]
    pub struct WatchArgs {}

    impl WatchArgs {
        pub fn is_given(&self) -> bool {
            false
        }

        pub fn begin(&self, _: &Global) -> anyhow::Result<()> {
            Ok(())
        }

        pub fn watch(&self, _: &Run, _: &Path, _: &Global) -> anyhow::Result<Watch> {
            Ok(Watch)
        }
    }

    pub struct Watch;

    impl Watch {
        pub fn step(&self, _: &Progress) {}

        pub fn is_wanted(&self) -> bool {
            false
        }

        pub fn attend(&self, _: &mut Run, _: impl Fn() -> bool) -> Result<bool, pixgrad::Error> {
            Ok(true)
        }

        pub fn end(self, _: &mut Run, _: bool) -> Result<(), pixgrad::Error> {
            Ok(())
        }
    }
}
