//! Watches which server the Sentinels have made the master.
//!
//! Each listed Sentinel is asked every second, and tells of a switch at once; [`Judge`](judge::Judge) decides what that means. The
//! servers themselves cannot be asked alone: one that was replaced says for another 10 s that it is a master.

mod asker;
mod judge;
mod log;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio::time::{sleep_until, timeout};

use super::failure::Failure;
use super::masters::Masters;
use super::topology::Topology;
use super::url::{Access, Address};
use asker::{Asker, Shared};
use judge::{Named, Step};

/// How long a server may take to say its role.
const ROLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long there may be no master at the start before that is logged.
const START_GRACE: Duration = Duration::from_secs(3);

/// How often it is looked at what is to be done, if nothing happens.
const STEP_INTERVAL: Duration = Duration::from_millis(500);

/// Keeps the master of a topology as more than half of the Sentinels name it, without end.
pub async fn watch(topology: &Arc<Topology>, sentinels: &[Address], master: &str, access: &Access) {
    let shared = Arc::new(Shared::new(topology.clone(), sentinels.len()));
    let askers = sentinels.iter().enumerate().map(|(index, address)| {
        let asker = Asker::new(index, address.clone(), access.clone(), master.to_owned(), shared.clone());
        async move { asker.run().await }
    });
    join(join_all(askers), decide(&shared)).await;
}

async fn decide(shared: &Shared) {
    let (started, mut is_said) = (Instant::now(), false);
    loop {
        // While the judge is locked, so that what is said meanwhile comes after it.
        let step = shared.step(|topology, master| {
            if let Ok(connector) = topology.connector(&master.address) {
                topology.set(Masters::one(Some(connector)));
            }
        });
        match step {
            Step::Wait(until) => {
                let until = until.unwrap_or_else(|| Instant::now() + STEP_INTERVAL);
                tokio::select! {
                    () = shared.changed.notified() => {}
                    () = shared.topology.refresh_requested() => shared.ask_now(),
                    () = sleep_until(until.into()) => {}
                }
            }
            Step::AskRole(server) => ask_role(shared, &server).await,
            Step::Follow(master) => {
                is_said = true;
                tracing::info!(master = %master.address, epoch = master.epoch, "the Sentinels name the master");
            }
            Step::FollowStill(master) => {
                is_said = true;
                tracing::warn!(
                    master = %master.address,
                    "most Sentinels still name the same master; what the other has said is not believed"
                );
            }
        }
        if !is_said && started.elapsed() >= START_GRACE {
            is_said = true;
            shared.log_start();
        }
    }
}

/// Asks a server whether it is a master, and tells the judge.
async fn ask_role(shared: &Shared, server: &Named) {
    let Ok(connector) = shared.topology.connector(&server.address) else {
        shared.on_role(server, false);
        return;
    };
    let answer = timeout(ROLE_TIMEOUT, connector.ask_role()).await;
    let answer = answer.unwrap_or_else(|_| Err(Failure::Unclear("it does not say its role in time".into())));
    let is_named_by_most = shared.on_role(server, answer.is_ok());
    if let (true, Err(failure)) = (is_named_by_most, answer) {
        connector.failed(failure).await;
    }
}
