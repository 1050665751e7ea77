//! Reads the list of keys again at a signal.

use std::cell::Cell;
use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::apps::Apps;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// Reads the list of keys again at each signal, and logs what came of it.
pub async fn reload_keys_at(mut signal: Signal, apps: Arc<Apps>, metrics: Arc<Metrics>) {
    let is_unfinished = Cell::new(false);
    let run = async || {
        if is_unfinished.take() {
            reload(&apps).await;
        }
        while signal.recv().await.is_some() {
            reload(&apps).await;
        }
    };
    supervise(metrics, "keys", run, || is_unfinished.set(true)).await;
}

async fn reload(apps: &Arc<Apps>) {
    if !apps.can_change() {
        tracing::warn!("SIGHUP: the keys stay as they are; only those in an APP_KEYS_FILE can be read again");
        return;
    }
    // On a thread of its own: a file may be on a disk that does not answer.
    let reading = tokio::task::spawn_blocking({
        let apps = apps.clone();
        move || apps.reload()
    });
    match reading.await {
        Ok(Ok(())) => tracing::info!(keys = apps.all().len(), "SIGHUP: read the list of keys again"),
        Ok(Err(error)) => tracing::error!("SIGHUP: the keys stay as they are: {error}"),
        Err(error) => tracing::error!(%error, "SIGHUP: the keys may be as they were"),
    }
}
