//! The store in which each process keeps a summary of what it did, for the dashboard.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::error::Unavailable;

/// How often a process writes its summary.
pub const SUMMARY_INTERVAL: Duration = Duration::from_secs(10);

/// The most processes whose summaries are kept: those that wrote last.
pub const MAX_PROCESSES: usize = 100;

/// Slots of equal length, the newest of which are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ring {
    /// 60 slots of 10 s.
    TenMinutes,
    /// 60 slots of a minute.
    Hour,
    /// 96 slots of 15 minutes.
    Day,
    /// 84 slots of two hours.
    Week,
}

impl Ring {
    /// All rings, the finest first.
    pub const ALL: [Ring; 4] = [Ring::TenMinutes, Ring::Hour, Ring::Day, Ring::Week];

    /// Returns the name by which it is asked for and stored.
    pub fn name(self) -> &'static str {
        match self {
            Ring::TenMinutes => "10m",
            Ring::Hour => "1h",
            Ring::Day => "1d",
            Ring::Week => "7d",
        }
    }

    /// Returns the length of a slot, in milliseconds.
    pub fn slot_ms(self) -> u64 {
        match self {
            Ring::TenMinutes => 10_000,
            Ring::Hour => 60_000,
            Ring::Day => 15 * 60_000,
            Ring::Week => 2 * 60 * 60_000,
        }
    }

    /// Returns the number of slots.
    pub fn slots(self) -> u64 {
        match self {
            Ring::TenMinutes | Ring::Hour => 60,
            Ring::Day => 96,
            Ring::Week => 84,
        }
    }

    /// Returns how long a slot is kept, in milliseconds.
    pub fn span_ms(self) -> u64 {
        self.slot_ms() * self.slots()
    }

    /// Returns the beginning of the slot with this time, in Unix milliseconds.
    pub fn slot_start(self, ms: u64) -> u64 {
        ms - ms % self.slot_ms()
    }

    /// Returns the place of a slot that begins then. A later slot takes it over.
    pub fn place(self, start: u64) -> u64 {
        start / self.slot_ms() % self.slots()
    }
}

/// What a process writes at once. The texts are for who reads them; the store looks into them only to
/// remove what an app has left.
#[derive(Clone, Debug)]
pub struct SummaryUpdate {
    /// What the process does now. It is kept for as long as a slot of [`Ring::TenMinutes`].
    pub state: String,
    /// The newest slots, each with its beginning in Unix milliseconds. An earlier form of the same slot is replaced.
    pub slots: Vec<(Ring, u64, String)>,
}

/// What a process has written into a ring.
#[derive(Clone, Debug, Default)]
pub struct StoredSummaries {
    /// What it did last; only with [`Ring::TenMinutes`].
    pub state: Option<String>,
    /// The slots, in any order, with older ones among them if the process paused.
    pub slots: Vec<String>,
}

/// Returns a text of a summary without what it says of an app: the usage under its key, and rooms that begin with its
/// prefix. Returns `None` if it says nothing of it.
pub fn without_app(summary: &str, app_key: &str, prefix: &str) -> Option<String> {
    let mut parsed: Value = serde_json::from_str(summary).ok()?;
    let mut found = false;
    // Slots have the usage themselves, a state has it in its sample.
    for keys in ["/keys", "/sample/keys"] {
        let usage = parsed.pointer_mut(keys).and_then(Value::as_object_mut);
        found |= usage.is_some_and(|usage| usage.remove(app_key).is_some());
    }
    if let Some(rooms) = parsed.pointer_mut("/rooms").and_then(Value::as_array_mut) {
        let count = rooms.len();
        rooms.retain(|room| !room["room"].as_str().is_some_and(|room| room.starts_with(prefix)));
        found |= rooms.len() < count;
    }
    found.then(|| parsed.to_string())
}

/// The summaries of all processes.
///
/// Every call returns within 2 s.
#[async_trait]
pub trait SummaryStore: Send + Sync {
    /// Returns true if there may be other processes, so that a call takes a round trip.
    fn is_shared(&self) -> bool;

    /// Writes what a process did, and announces to the nodes that there is something new: as a foreign payload in
    /// [`RoomName::dashboard`](crate::chat::RoomName::dashboard).
    async fn write(&self, process: &str, update: &SummaryUpdate) -> Result<(), Unavailable>;

    /// Returns the processes that wrote within the last 7 days, and when each did so last, in Unix milliseconds.
    async fn processes(&self) -> Result<Vec<(String, u64)>, Unavailable>;

    /// Reads a ring of each of these processes.
    async fn read(&self, ring: Ring, processes: &[String]) -> Result<Vec<StoredSummaries>, Unavailable>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_removed_from_slots_and_states() {
        let slot = r#"{"t":1764153610000,"m":3,"keys":{"shop":{"e":2},"crm":{"e":1}}}"#;
        let expected = r#"{"keys":{"crm":{"e":1}},"m":3,"t":1764153610000}"#;
        let equal = |text: Option<String>, expected: &str| {
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(text.map(|text| parse(&text)), Some(parse(expected)));
        };
        equal(without_app(slot, "shop", "private-shop~"), expected);
        assert_eq!(without_app(expected, "shop", "private-shop~"), None);
        let state = r#"{"rooms":[{"room":"private-shop~a"},{"room":"lobby"}],"sample":{"keys":{"shop":{"e":2}}}}"#;
        let expected = r#"{"rooms":[{"room":"lobby"}],"sample":{"keys":{}}}"#;
        equal(without_app(state, "shop", "private-shop~"), expected);
        assert_eq!(without_app("nonsense", "shop", ""), None);
    }

    #[test]
    fn rings_cover_what_their_names_say_and_slots_follow_each_other() {
        let spans = Ring::ALL.map(|ring| ring.span_ms() / 60_000);
        assert_eq!(spans, [10, 60, 24 * 60, 7 * 24 * 60], "minutes");
        for ring in Ring::ALL {
            let start = ring.slot_start(1_764_153_612_345);
            assert!(start <= 1_764_153_612_345 && start + ring.slot_ms() > 1_764_153_612_345);
            let next = ring.place(start + ring.slot_ms());
            assert_eq!(next, (ring.place(start) + 1) % ring.slots());
            assert_eq!(ring.place(start + ring.span_ms()), ring.place(start));
        }
    }
}
