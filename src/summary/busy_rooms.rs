//! The busiest rooms of this process.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::chat::RoomName;
use crate::hub::RoomActivity;

/// How many rooms are named.
const MAX_ROOMS: usize = 20;

/// A room and what went on there in the time of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BusyRoom {
    /// The room's name.
    pub room: String,
    /// Its subscribers on this process.
    pub streams: usize,
    /// The frames that came into it.
    pub frames: u64,
}

/// Compares rooms with what they were at the sample before.
#[derive(Debug, Default)]
pub struct BusyRooms {
    frames: HashMap<RoomName, u64>,
}

impl BusyRooms {
    /// Returns the rooms with the most deliveries since the last call, and of those with equally many the ones with the most
    /// subscribers.
    pub fn update(&mut self, rooms: Vec<RoomActivity>) -> Vec<BusyRoom> {
        let dashboard = RoomName::dashboard();
        let before = std::mem::take(&mut self.frames);
        let mut busy = Vec::with_capacity(rooms.len());
        for RoomActivity { room, streams, frames } in rooms {
            if room == dashboard {
                continue;
            }
            let new = before.get(&room).map_or(0, |before| frames.saturating_sub(*before));
            busy.push((room.clone(), streams, new));
            self.frames.insert(room, frames);
        }
        let order = |(room, streams, frames): &(RoomName, usize, u64)| {
            (Reverse(frames.saturating_mul(*streams as u64)), Reverse(*streams), room.clone())
        };
        busy.sort_by_cached_key(order);
        busy.truncate(MAX_ROOMS);
        let named =
            busy.into_iter().map(|(room, streams, frames)| BusyRoom { room: room.to_string(), streams, frames });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_ordered_by_deliveries_and_bounded() {
        let rooms = |rooms: &[(&str, usize, u64)]| {
            let activity = |(room, streams, frames): &(&str, usize, u64)| RoomActivity {
                room: RoomName::parse(room).unwrap(),
                streams: *streams,
                frames: *frames,
            };
            rooms.iter().map(activity).collect::<Vec<_>>()
        };
        let mut busy = BusyRooms::default();
        let names = |busy: Vec<BusyRoom>| busy.into_iter().map(|busy| (busy.room, busy.frames)).collect::<Vec<_>>();
        let first = names(busy.update(rooms(&[("small", 1, 100), ("large", 9, 100), ("quiet", 5, 0)])));
        assert_eq!(first, [("large".into(), 0), ("quiet".into(), 0), ("small".into(), 0)], "what is new is not known");
        let second = names(busy.update(rooms(&[("small", 1, 150), ("large", 9, 103), ("quiet", 5, 0)])));
        assert_eq!(second, [("small".into(), 50), ("large".into(), 3), ("quiet".into(), 0)]);
        let many = (0..100).map(|number| RoomActivity {
            room: RoomName::parse(&format!("room-{number}")).unwrap(),
            streams: number,
            frames: 0,
        });
        let dashboard = RoomActivity { room: RoomName::dashboard(), streams: 1000, frames: 9 };
        let third = names(busy.update(many.chain([dashboard]).collect()));
        assert_eq!((third.len(), third[0].0.as_str()), (MAX_ROOMS, "room-99"));
    }
}
