use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::arrival::SubscribeRequest;
use super::feed::Feed;

/// Up to so many readers of a feed are left to one worker, so that a message wakes no other; more are spread
/// over all. Writing to them takes about half a millisecond. Those that arrive count twice.
const FEW: usize = 256;

/// A reader on its way to the worker that will write to it.
pub struct Newcomer {
    /// The reader.
    pub arrival: SubscribeRequest,
    /// What it reads; entered, so that it counts.
    pub feed: Feed,
}

/// The ways to the workers, one of which is the home of a feed.
#[derive(Default)]
pub struct Homes(Mutex<Vec<UnboundedSender<Newcomer>>>);

impl Homes {
    /// The way to one more worker.
    pub fn open(&self) -> UnboundedReceiver<Newcomer> {
        let (way, newcomers) = unbounded_channel();
        let mut ways = self.ways();
        ways.retain(|way| !way.is_closed());
        ways.push(way);
        newcomers
    }

    /// Sends a reader home, if what it reads has few; else it is given back, and stays where it came.
    pub fn send(&self, newcomer: Newcomer) -> Option<Newcomer> {
        if newcomer.feed.readers() > FEW {
            return Some(newcomer);
        }
        let ways = self.ways();
        match ways.get(home(&newcomer.feed, ways.len())) {
            Some(way) => way.send(newcomer).err().map(|unsent| unsent.0),
            None => Some(newcomer),
        }
    }

    fn ways(&self) -> MutexGuard<'_, Vec<UnboundedSender<Newcomer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn home(feed: &Feed, homes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    feed.names().hash(&mut hasher);
    hasher.finish() as usize % homes.max(1)
}
