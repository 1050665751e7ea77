//! When a hub looks at its rooms: at multiples of an interval, and less often while no room is on the agenda, so that a
//! node whose rooms are silent hardly wakes.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};

use super::room::agenda::Agenda;

/// How often the rooms on the agenda are looked at.
pub const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// The pause between ticks while no room is on the agenda.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Says when the next tick is.
pub struct TickClock {
    started: Instant,
    /// The number of the next tick that was not taken.
    next: u64,
}

impl TickClock {
    /// Creates the clock of a hub that ticks for the first time now.
    pub fn new() -> Self {
        Self { started: Instant::now(), next: 0 }
    }

    /// Takes the ticks up to a time, and returns their numbers: several after a pause in which no room was on the agenda.
    pub fn take(&mut self, now: Instant) -> Range<u64> {
        let first = self.next;
        self.next = self.next_after(now);
        first..self.next
    }

    /// Waits for the next tick.
    pub async fn wait(&self, agenda: &Agenda) {
        if timeout_at(self.idle_until().into(), agenda.filled()).await.is_ok() {
            sleep_until(self.time_of(self.next_after(Instant::now())).into()).await;
        }
    }

    /// Returns when the pause ends if no room comes onto the agenda.
    fn idle_until(&self) -> Instant {
        self.time_of(self.next) + (IDLE_INTERVAL - TICK_INTERVAL)
    }

    /// Returns the number of the first tick after a time that was not taken.
    fn next_after(&self, time: Instant) -> u64 {
        let passed = time.saturating_duration_since(self.started).as_nanos() / TICK_INTERVAL.as_nanos();
        self.next.max(passed as u64 + 1)
    }

    fn time_of(&self, number: u64) -> Instant {
        self.started + Duration::from_nanos(number * TICK_INTERVAL.as_nanos() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::RoomName;

    #[test]
    fn the_ticks_of_a_pause_are_taken_together() {
        let mut clock = TickClock::new();
        assert_eq!(clock.take(clock.started), 0..1);
        assert_eq!(clock.take(clock.started + TICK_INTERVAL), 1..2);
        assert_eq!(clock.take(clock.started + TICK_INTERVAL * 5), 2..6);
        assert_eq!(clock.take(clock.started + TICK_INTERVAL * 5), 6..6, "none twice");
    }

    #[test]
    fn ticks_are_at_multiples_of_the_interval() {
        let mut clock = TickClock::new();
        clock.take(clock.started);
        let after = |time: Duration| clock.time_of(clock.next_after(clock.started + time)) - clock.started;
        assert_eq!(after(Duration::ZERO), TICK_INTERVAL);
        assert_eq!(after(TICK_INTERVAL * 5 / 2), TICK_INTERVAL * 3, "the end of a pause");
        assert_eq!(after(TICK_INTERVAL * 3), TICK_INTERVAL * 4);
    }

    #[tokio::test]
    async fn only_an_empty_agenda_has_a_longer_pause() {
        let (mut clock, agenda) = (TickClock::new(), Agenda::default());
        clock.take(clock.started);
        clock.wait(&agenda).await;
        assert!(clock.take(Instant::now()).end >= 5);

        agenda.add(&RoomName::parse("everyone").unwrap());
        let idle_until = clock.idle_until();
        tokio::select! {
            biased;
            () = clock.wait(&agenda) => {}
            () = sleep_until(idle_until.into()) => panic!("the room on the agenda had to wait"),
        }
    }
}
