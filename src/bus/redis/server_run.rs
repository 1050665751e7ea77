//! Which run of a server this node is connected to: a server that was restarted, or that has become a master, may have
//! lost entries that it, or the master before it, had.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

/// For how long logs are neither read nor written after a new run was found, so that all nodes can restore what it has
/// lost. It exceeds the pause after which each of them finds it.
pub const HOLD: Duration = Duration::from_millis(500);

/// What the runs of all servers have in common.
pub struct Runs {
    /// Whether new runs matter.
    heal: bool,
    found: Notify,
}

impl Runs {
    pub fn new(heal: bool) -> Arc<Self> {
        Arc::new(Self { heal, found: Notify::new() })
    }

    /// Returns when a new run was found.
    pub async fn found(&self) {
        self.found.notified().await;
    }
}

/// The run of one server.
pub struct ServerRun {
    runs: Arc<Runs>,
    state: Mutex<State>,
    /// How many runs were seen.
    number: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    id: Option<String>,
    /// Whether the server has become a master since the last connection.
    is_new_master: bool,
    /// When the current run was found; `None` if it is the first one.
    found: Option<Instant>,
}

impl ServerRun {
    pub fn new(runs: Arc<Runs>) -> Self {
        Self { runs, state: Mutex::default(), number: watch::Sender::new(0) }
    }

    /// Notes that the server has become a master: with the next connection begins a new run.
    pub fn on_becoming_master(&self) {
        self.state.lock().is_new_master = true;
    }

    /// Notes with which run a connection was greeted: Redis' `run_id`, or `None` if its user may not see it.
    pub fn note(&self, id: Option<String>) {
        {
            let mut state = self.state.lock();
            let is_other = id.is_some() && state.id.is_some() && id != state.id;
            let is_new = is_other || std::mem::take(&mut state.is_new_master);
            state.id = id.or(state.id.take());
            if !is_new {
                return;
            }
            if self.runs.heal {
                state.found = Some(Instant::now());
            }
        }
        self.number.send_modify(|number| *number += 1);
        self.runs.found.notify_one();
    }

    /// Returns when the current run was found. What this node knows from before may have been lost. Returns `None` if
    /// there was no other run before, or that does not matter.
    pub fn found(&self) -> Option<Instant> {
        self.state.lock().found
    }

    /// Returns until when logs are neither read nor written.
    fn held_until(&self) -> Option<Instant> {
        self.found().map(|found| found + HOLD).filter(|until| *until > Instant::now())
    }

    /// Waits until logs may be read and written. Returns true if that took time.
    pub async fn settled(&self) -> bool {
        let mut waited = false;
        while let Some(until) = self.held_until() {
            waited = true;
            sleep_until(until.into()).await;
        }
        waited
    }

    /// Returns a receiver that is notified of each new run.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.number.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_id_or_a_new_master_is_a_new_run() {
        let run = ServerRun::new(Runs::new(true));
        let id = |id: &str| Some(id.to_owned());
        run.note(id("a"));
        run.note(id("a"));
        run.note(None);
        assert_eq!(run.found(), None, "the first one");
        run.note(id("b"));
        let found = run.found();
        assert!(found.is_some());
        run.note(id("b"));
        assert_eq!(run.found(), found);
        run.on_becoming_master();
        run.note(id("b"));
        assert!(run.found() > found);
        assert_eq!(*run.changes().borrow(), 2);
    }

    #[test]
    fn runs_make_no_difference_where_nothing_is_healed() {
        let run = ServerRun::new(Runs::new(false));
        for id in ["a", "b"] {
            run.note(Some(id.to_owned()));
        }
        assert_eq!(run.found(), None);
        assert_eq!(*run.changes().borrow(), 1);
    }

    #[tokio::test]
    async fn logs_wait_while_a_new_run_is_healed() {
        let run = ServerRun::new(Runs::new(true));
        run.note(None);
        assert!(!run.settled().await, "not for the first one");
        run.on_becoming_master();
        run.note(None);
        assert!(run.settled().await);
        assert!(run.found().is_some_and(|found| found.elapsed() >= HOLD));
    }
}
