//! What browsers are told of the runs: a stream of server-sent events. The first tells everything, each further one
//! what is new.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::Sender;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::job::{Job, Seen, Watcher};
use super::studio::Studio;

/// Events of one stream come at most this often.
const PAUSE: Duration = Duration::from_millis(200);

/// The list of runs comes at most this often.
const LIST_PAUSE: Duration = Duration::from_secs(1);

/// A stream on which nothing is sent says that it is alive; so it is seen when nobody listens any more.
const ALIVE: Duration = Duration::from_secs(15);

/// Whoever reads nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the list of runs and one run until nobody listens.
pub async fn stream(
    studio: Arc<Studio>,
    job: Option<Arc<Job>>,
    mut sender: Sender<Bytes, Infallible>,
) {
    let _watcher = job.as_ref().map(Watcher::new);
    // Nobody listens any more: nothing to do.
    let _ = tell(&studio, job.as_deref(), &mut sender).await;
}

struct Gone;

async fn tell(
    studio: &Studio,
    job: Option<&Job>,
    sender: &mut Sender<Bytes, Infallible>,
) -> Result<(), Gone> {
    let mut list_changes = studio.changes();
    let mut changes = job.map(Job::changes);
    let mut seen = Seen::default();
    list_changes.mark_unchanged();
    if let Some(changes) = &mut changes {
        changes.mark_unchanged();
    }
    let mut list = studio.list();
    send(sender, "runs", &list).await?;
    if let Some(job) = job {
        send(sender, "run", &job.whole(&mut seen)).await?;
    }
    let mut list_told = Instant::now();
    let mut spoken = Instant::now();
    loop {
        let list_due = list_told + LIST_PAUSE;
        // What changes without a word, such as iterations, is seen from time to time.
        tokio::select! {
            () = changed(&mut changes) => {}
            _ = list_changes.changed() => {}
            () = sleep_until(list_due.max(Instant::now() + PAUSE)) => {}
        }
        if Instant::now() >= list_due {
            list_told = Instant::now();
            let now = studio.list();
            if now != list {
                list = now;
                send(sender, "runs", &list).await?;
                spoken = Instant::now();
            }
        }
        if let Some(job) = job {
            for (name, data) in job.news(&mut seen) {
                send(sender, name, &data).await?;
                spoken = Instant::now();
            }
        }
        if spoken.elapsed() >= ALIVE {
            write(sender, ": alive\n\n".into()).await?;
            spoken = Instant::now();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for a change of the run, where there is one.
async fn changed(changes: &mut Option<tokio::sync::watch::Receiver<u64>>) {
    let heard = match changes {
        Some(changes) => changes.changed().await.is_ok(),
        None => false,
    };
    if !heard {
        std::future::pending().await
    }
}

async fn send(
    sender: &mut Sender<Bytes, Infallible>,
    name: &str,
    data: &Value,
) -> Result<(), Gone> {
    write(sender, format!("event: {name}\ndata: {data}\n\n")).await
}

async fn write(sender: &mut Sender<Bytes, Infallible>, text: String) -> Result<(), Gone> {
    match timeout(PATIENCE, sender.send_data(text.into())).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}
