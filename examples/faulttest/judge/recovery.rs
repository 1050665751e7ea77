//! How long the readers took to recover from a fault.

use crate::history::{At, Chain, Delivery, History, Kind, Outcome, RoomChain};

/// For each room, the times at which posts were acknowledged, in order.
pub struct Acknowledgements(Vec<Vec<At>>);

impl Acknowledgements {
    pub fn of(history: &History) -> Self {
        let mut rooms = vec![Vec::new(); history.rooms.len()];
        for post in &history.posts {
            if let (Outcome::Acknowledged(_), Some(room)) = (post.outcome, rooms.get_mut(usize::from(post.room))) {
                room.push(post.ended);
            }
        }
        rooms.iter_mut().for_each(|room| room.sort_unstable());
        Self(rooms)
    }

    /// Returns the first time after `at` at which a post to the room was acknowledged.
    fn first_after(&self, room: u16, at: At) -> Option<At> {
        let times = self.0.get(usize::from(room))?;
        times.get(times.partition_point(|time| *time < at)).copied()
    }
}

/// Returns for each staying reader of a busy room how long after `ended` it had received a message posted since, and
/// the room had taken one; `None` if that never came.
pub fn samples(history: &History, acknowledgements: &Acknowledgements, ended: At) -> Vec<Option<At>> {
    let is_busy = |room: &&RoomChain| history.rooms.get(usize::from(room.room)).is_some_and(|room| room.is_busy);
    let staying = history.chains.iter().filter(|chain| chain.kind == Kind::Staying);
    let rooms = staying.flat_map(|chain: &Chain| &chain.rooms).filter(is_busy);
    rooms
        .map(|room| {
            let read = first_posted_after(history, &room.deliveries, ended)?;
            let written = acknowledgements.first_after(room.room, ended)?;
            Some(read.max(written) - ended)
        })
        .collect()
}

/// Returns when the first message that was posted after a time was received.
fn first_posted_after(history: &History, deliveries: &[Delivery], at: At) -> Option<At> {
    let later = &deliveries[deliveries.partition_point(|delivery| delivery.at < at)..];
    let is_new =
        |delivery: &&Delivery| history.posts.get(delivery.message as usize).is_some_and(|post| post.begun >= at);
    later.iter().find(is_new).map(|delivery| delivery.at)
}
