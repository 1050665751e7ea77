//! The task that writes a summary of this process every 10 s.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep;

use super::busy_rooms::BusyRooms;
use super::history::History;
use super::reading::Reading;
use super::state::State;
use crate::bus::{Listener, Ring, SUMMARY_INTERVAL, SummaryStore, SummaryUpdate, unix_ms};
use crate::chat::RoomName;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// What is written about this process.
struct Writer {
    started: u64,
    last: Reading,
    history: History,
    rooms: BusyRooms,
    /// How long the last write took, if it succeeded.
    round_trip: Option<Duration>,
}

/// Writes summaries for as long as the hub exists. What could not be written is a hole in the history, and no more.
pub fn run(
    hub: &Arc<Hub>,
    store: Arc<dyn SummaryStore>,
    metrics: Arc<Metrics>,
) -> impl Future<Output = ()> + Send + use<> {
    let started = unix_ms();
    let writer = Arc::new(Mutex::new(Writer {
        started,
        last: Reading::take(&metrics, started),
        history: History::default(),
        rooms: BusyRooms::default(),
        round_trip: None,
    }));
    let (hub, measured) = (Arc::downgrade(hub), metrics.clone());
    let write = async move || write_regularly(&hub, &*store, &measured, &writer).await;
    supervise(metrics, "summaries", write, || {})
}

async fn write_regularly(hub: &Weak<Hub>, store: &dyn SummaryStore, metrics: &Metrics, writer: &Mutex<Writer>) {
    loop {
        // At the end of a slot, so that the slots of all nodes cover the same time.
        let now = unix_ms();
        let next = Ring::TenMinutes.slot_start(now) + SUMMARY_INTERVAL.as_millis() as u64;
        sleep(Duration::from_millis(next - now)).await;
        let Some(hub) = hub.upgrade() else { return };
        let update = writer.lock().sample(&hub, metrics);
        let Some(update) = update else { continue };
        let started = Instant::now();
        let written = store.write(&hub.process(), &update).await;
        writer.lock().round_trip = (written.is_ok() && store.is_shared()).then(|| started.elapsed());
        // Those who look at this node need no announcement by the store.
        hub.on_foreign(RoomName::dashboard().as_str(), b"{}");
    }
}

impl Writer {
    /// Sums up what happened since the last call. Returns `None` if the clock was set back, so that the time is not known.
    fn sample(&mut self, hub: &Hub, metrics: &Metrics) -> Option<SummaryUpdate> {
        let now = unix_ms();
        let reading = Reading::take(metrics, now);
        let before = std::mem::replace(&mut self.last, reading);
        let round_trip_us = self.round_trip.map(|round_trip| round_trip.as_micros() as u64);
        let mut sample = self.last.since(&before, round_trip_us);
        let activity = hub.room_activity();
        // The room of the dashboard is none to its operator.
        let own = activity.iter().any(|activity| activity.room == RoomName::dashboard());
        sample.rooms = sample.rooms.saturating_sub(own.into());
        let rooms = self.rooms.update(activity);
        if sample.to <= sample.from {
            return None;
        }
        let slots = self.history.add(&sample);
        let slots = slots.iter().map(|(ring, slot)| (*ring, slot.start, to_json(slot))).collect();
        let state = State {
            node: hub.node().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            leaving: hub.is_leaving(),
            sample,
            rooms,
        };
        Some(SummaryUpdate { state: to_json(&state), slots })
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
