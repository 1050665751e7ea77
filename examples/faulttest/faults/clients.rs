//! Faults between nodes and their clients.

use std::time::Duration;

use tokio::time::sleep;

use super::{Outcome, stage::Stage};
use crate::Failure;

/// How long a connection may be idle at a balancer that is set wrong: less than between some messages.
const IDLE_LIMIT: Duration = Duration::from_millis(100);

/// The share of readers that vanish at once.
const VANISHING: f64 = 0.4;

/// Has all readers reconnect at once.
pub async fn storm(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    stage.load.storm();
    Ok(Outcome::Ran)
}

/// Has readers leave without a FIN, and come back over another connection.
pub async fn vanish(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    stage.load.vanish(VANISHING);
    Ok(Outcome::Ran)
}

/// Cuts connections that are idle.
pub async fn cut_idle(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let balancer = &stage.world.balancer;
    let before = balancer.idle_cuts();
    balancer.limit_idleness(Some(IDLE_LIMIT));
    sleep(length).await;
    balancer.limit_idleness(None);
    let none = || Outcome::NotRun("no connection was idle".to_owned());
    Ok(if balancer.idle_cuts() == before { none() } else { Outcome::Ran })
}
