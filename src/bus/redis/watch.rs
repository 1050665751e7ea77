//! Starts what watches which servers are masters.

use std::sync::Arc;

use super::cluster;
use super::sentinel;
use super::topology::Topology;
use super::url::Form;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// Begins to watch the masters of a store whose masters may change.
pub fn watch_masters(topology: &Arc<Topology>, metrics: &Arc<Metrics>) {
    match topology.form() {
        Form::One(_) => {}
        Form::Sentinel { sentinels, master, access } => {
            let (topology, sentinels) = (topology.clone(), sentinels.clone());
            let (master, access) = (master.clone(), access.clone());
            let run = async move || sentinel::watch(&topology, &sentinels, &master, &access).await;
            tokio::spawn(supervise(metrics.clone(), "topology", run, || {}));
        }
        Form::Cluster { seeds } => {
            let (topology, seeds) = (topology.clone(), seeds.clone());
            let run = async move || cluster::watch(&topology, &seeds).await;
            tokio::spawn(supervise(metrics.clone(), "topology", run, || {}));
        }
    }
}
