//! What the log says about calls that fail: each change once, not each call.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::CallError;
use crate::bus::error::Unavailable;

/// How long a refusal counts as the same without being repeated.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// How long a refusal must not have been repeated to be over: a Redis whose memory is full accepts some calls between
/// those that it refuses.
const OVER_AFTER: Duration = Duration::from_secs(3);

/// The most lines about single rooms within [`LINE_WINDOW`].
const MAX_ROOM_LINES: usize = 10;
const LINE_WINDOW: Duration = Duration::from_secs(60);

/// The most rooms whose refusals are remembered.
const MAX_ROOMS: usize = 1000;

/// The refusals that were logged.
#[derive(Default)]
pub struct CallLog {
    /// Whether there are refusals, so that a call that succeeds costs no lock.
    any: AtomicBool,
    refusals: Mutex<Refusals>,
}

#[derive(Default)]
struct Refusals {
    /// What concerns the whole server, by code.
    server: HashMap<String, Refusal>,
    /// What concerns a room, by room and call.
    rooms: BTreeMap<(String, &'static str), Instant>,
    /// When lines about rooms were logged.
    room_lines: Vec<Instant>,
}

struct Refusal {
    /// The calls that have not been accepted since they were refused.
    calls: BTreeSet<&'static str>,
    last: Instant,
}

impl CallLog {
    /// Takes the result of a call. Clients only learn that the store is unavailable. An outage as such is logged by the
    /// Pub/Sub connection.
    pub fn settle<T>(
        &self,
        call: &'static str,
        room: Option<&str>,
        result: Result<T, CallError>,
    ) -> Result<T, Unavailable> {
        let error = match result {
            Ok(value) => {
                if self.any.load(Ordering::Relaxed) {
                    self.accepted(call, room);
                }
                return Ok(value);
            }
            Err(error) => error,
        };
        match error {
            CallError::Disconnected => tracing::debug!(call, "Redis is not connected"),
            CallError::TimedOut => tracing::debug!(call, "Redis did not respond in time"),
            CallError::Unreachable(failure) => tracing::debug!(call, cause = failure.cause(), "Redis is not connected"),
            CallError::Away(cause) => tracing::debug!(call, cause, "lost the connection to Redis during a call"),
            CallError::Refused(code) => self.refused(call, room, &code),
            CallError::Redirected(_) => self.refused(call, room, "MOVED"),
        }
        Err(Unavailable)
    }

    fn refused(&self, call: &'static str, room: Option<&str>, code: &str) {
        let mut refusals = self.refusals.lock();
        self.any.store(true, Ordering::Relaxed);
        let now = Instant::now();
        match (hint(code), room) {
            (Some(hint), _) => {
                if refusals.is_new_for_server(call, code, now) {
                    tracing::warn!(call, code, "Redis refuses calls: {hint}");
                }
            }
            (None, Some(room)) => {
                if refusals.is_new_for_room(call, room, now) {
                    tracing::warn!(call, code, room, "Redis refuses calls for this room: its keys hold something else");
                }
            }
            (None, None) => {
                if refusals.is_new_for_server(call, code, now) {
                    tracing::warn!(call, code, "Redis refuses calls");
                }
            }
        }
    }

    fn accepted(&self, call: &'static str, room: Option<&str>) {
        let mut refusals = self.refusals.lock();
        for code in refusals.ended_by(call, room, Instant::now()) {
            tracing::info!(code, "Redis accepts calls again");
        }
        self.any.store(!(refusals.server.is_empty() && refusals.rooms.is_empty()), Ordering::Relaxed);
    }
}

/// Returns what an error that concerns all calls means, by its code.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "OOM" => "its memory is full (maxmemory)",
        "MISCONF" => "it cannot write its data to disk (stop-writes-on-bgsave-error, appendonly)",
        "NOREPLICAS" => "too few of its replicas are connected (min-replicas-to-write)",
        "READONLY" => "it has become a replica; connecting again",
        "NOPERM" => "its user has lost a right; connecting again",
        "NOAUTH" => "its user has been removed; connecting again",
        "LOADING" => "it is still loading its data",
        "MASTERDOWN" => "it is a replica without a master",
        "BUSY" => "a script of another program runs for too long",
        "MOVED" | "CROSSSLOT" => "it is a cluster of several masters: use redis-cluster:// instead of redis://",
        "TRYAGAIN" => "it moves the slot of a room",
        "CLUSTERDOWN" => "the cluster is down",
        "NOSCRIPT" => "it forgets scripts",
        _ => return None,
    })
}

impl Refusals {
    /// Notes a refusal of the server. Returns true if it is to be logged.
    fn is_new_for_server(&mut self, call: &'static str, code: &str, now: Instant) -> bool {
        self.server.retain(|_, refusal| now - refusal.last < FORGET_AFTER);
        let is_new = !self.server.contains_key(code);
        let refusal = self.server.entry(code.to_owned()).or_insert(Refusal { calls: BTreeSet::new(), last: now });
        refusal.calls.insert(call);
        refusal.last = now;
        is_new
    }

    /// Notes a refusal that concerns a room. Returns true if it is to be logged.
    fn is_new_for_room(&mut self, call: &'static str, room: &str, now: Instant) -> bool {
        self.rooms.retain(|_, last| now - *last < FORGET_AFTER);
        self.room_lines.retain(|logged| now - *logged < LINE_WINDOW);
        if self.rooms.len() >= MAX_ROOMS || self.rooms.insert((room.to_owned(), call), now).is_some() {
            return false;
        }
        if self.room_lines.len() >= MAX_ROOM_LINES {
            return false;
        }
        self.room_lines.push(now);
        true
    }

    /// Notes an acceptance. Returns the codes of the refusals of the server that are over: each call that they met has been
    /// accepted since, and none was refused for a while. Some calls are rare, like the announcement of presence, so theirs
    /// may be accepted at any time before.
    fn ended_by(&mut self, call: &'static str, room: Option<&str>, now: Instant) -> Vec<String> {
        if let Some(room) = room {
            self.rooms.remove(&(room.to_owned(), call));
        }
        let ended = self.server.extract_if(|_, refusal| {
            refusal.calls.remove(call);
            refusal.calls.is_empty() && now - refusal.last >= OVER_AFTER
        });
        ended.map(|(code, _)| code).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_server_is_one_line_for_all_calls_and_rooms() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert!(refusals.is_new_for_server("publish", "OOM", now));
        for call in ["publish", "announce presence", "publish"] {
            assert!(!refusals.is_new_for_server(call, "OOM", now));
        }
        assert!(refusals.is_new_for_server("publish", "MISCONF", now), "another reason");
        let later = now + OVER_AFTER;
        assert!(refusals.ended_by("read", None, later).is_empty());
        assert_eq!(refusals.ended_by("publish", None, later), ["MISCONF"]);
        assert_eq!(refusals.ended_by("announce presence", None, later), ["OOM"]);
        assert!(refusals.is_new_for_server("publish", "OOM", later), "once more");
        assert!(refusals.is_new_for_server("publish", "OOM", later + FORGET_AFTER));
    }

    #[test]
    fn a_refusal_ends_without_another_call_of_a_rare_kind() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let calls = ["publish", "announce presence"];
        for call in calls {
            refusals.is_new_for_server(call, "OOM", now);
        }
        for call in calls {
            assert!(refusals.ended_by(call, None, now).is_empty(), "it may refuse the next one");
        }
        assert_eq!(refusals.ended_by("publish", None, now + OVER_AFTER), ["OOM"]);
    }

    #[test]
    fn a_call_that_is_refused_again_has_to_be_accepted_again() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        refusals.is_new_for_server("publish", "OOM", now);
        assert!(refusals.ended_by("publish", None, now).is_empty());
        assert!(!refusals.is_new_for_server("publish", "OOM", now), "the same refusal");
        assert!(refusals.ended_by("read", None, now + OVER_AFTER).is_empty(), "posts are refused");
        assert_eq!(refusals.ended_by("publish", None, now + OVER_AFTER), ["OOM"]);
    }

    #[test]
    fn refusals_of_rooms_are_logged_once_each_and_ten_a_minute() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let lines = |refusals: &mut Refusals, at| {
            (0..80).filter(|room: &usize| refusals.is_new_for_room("publish", &room.to_string(), at)).count()
        };
        assert_eq!(lines(&mut refusals, now), 10);
        assert_eq!(lines(&mut refusals, now), 0);
        assert_eq!(lines(&mut refusals, now + LINE_WINDOW), 10);
        refusals.ended_by("publish", Some("7"), now + LINE_WINDOW);
        assert!(refusals.is_new_for_room("publish", "7", now + LINE_WINDOW * 2));
    }
}
