//! Starts what watches which servers are masters.

use std::sync::Arc;

use super::cluster;
use super::topology::Topology;
use super::url::Form;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// Begins to watch the masters of a store whose masters may change.
pub fn watch_masters(topology: &Arc<Topology>, metrics: &Arc<Metrics>) {
    match topology.form() {
        Form::One(_) | Form::Sentinel { .. } => {}
        Form::Cluster { seeds } => {
            let (topology, seeds) = (topology.clone(), seeds.clone());
            let run = async move || cluster::watch(&topology, &seeds).await;
            tokio::spawn(supervise(metrics.clone(), "topology", run, || {}));
        }
    }
}
