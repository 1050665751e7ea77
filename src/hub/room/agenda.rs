//! The rooms that the next tick has to look at, so that a room where nothing changes costs nothing.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::chat::RoomName;

/// A set of rooms.
#[derive(Debug, Default)]
pub struct Agenda {
    rooms: Mutex<HashSet<RoomName>>,
    /// Notified of the first room.
    filled: Notify,
}

impl Agenda {
    /// Adds a room.
    pub fn add(&self, room: &RoomName) {
        let is_first = {
            let mut rooms = self.rooms.lock();
            let is_first = rooms.is_empty();
            if !rooms.contains(room) {
                rooms.insert(room.clone());
            }
            is_first
        };
        if is_first {
            self.filled.notify_one();
        }
    }

    /// Removes and returns all rooms.
    pub fn take(&self) -> HashSet<RoomName> {
        std::mem::take(&mut *self.rooms.lock())
    }

    /// Waits until there is a room.
    pub async fn filled(&self) {
        while self.rooms.lock().is_empty() {
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn its_first_room_ends_the_wait() {
        let (agenda, room) = (Agenda::default(), RoomName::parse("everyone").unwrap());
        for _ in 0..2 {
            assert_eq!(agenda.filled().now_or_never(), None);
            let add = async {
                yield_now().await;
                agenda.add(&room);
            };
            let (filled, ()) = tokio::join!(timeout(Duration::from_secs(10), agenda.filled()), add);
            assert_eq!(filled, Ok(()));
            agenda.take();
        }
    }
}
