//! Chooses the worker that writes to a subscriber.
//!
//! The subscribers of a source are left to one worker while they are few, so that a message wakes no other. If there are
//! more, each stays with the worker that took its request.

use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::source::Source;
use super::subscriber::start::SubscribeRequest;

/// The most subscribers of a source that are left to one worker. Writing a message to all of them takes less than a
/// millisecond. Arriving subscribers are counted twice, see [`Source::subscribers`].
const MAX_SUBSCRIBERS_ON_ONE_WORKER: usize = 256;

/// A subscriber on its way to the worker that will write to it.
pub struct Handoff {
    /// What the client asked for.
    pub request: SubscribeRequest,
    /// What the subscriber reads; held from now on, so that the subscriber is counted.
    pub source: Source,
}

/// The workers of a node.
#[derive(Default)]
pub struct Placement(Mutex<Vec<UnboundedSender<Handoff>>>);

impl Placement {
    /// Adds a worker, and returns both ends of the channel over which subscribers are handed to it.
    pub fn add_worker(&self) -> (UnboundedSender<Handoff>, UnboundedReceiver<Handoff>) {
        let (sender, handoffs) = unbounded_channel();
        let mut workers = self.0.lock();
        workers.retain(|worker| !worker.is_closed());
        workers.push(sender.clone());
        (sender, handoffs)
    }

    /// Hands a subscriber to the worker of its source. Returns it if that is the calling one, to which `own` leads, or if the
    /// source has many subscribers.
    pub fn hand_off(&self, handoff: Handoff, own: &UnboundedSender<Handoff>) -> Option<Handoff> {
        if handoff.source.subscribers() > MAX_SUBSCRIBERS_ON_ONE_WORKER {
            return Some(handoff);
        }
        let workers = self.0.lock();
        match workers.get(worker_index(&handoff.source, workers.len())) {
            Some(worker) if !worker.same_channel(own) => worker.send(handoff).err().map(|unsent| unsent.0),
            _ => Some(handoff),
        }
    }
}

fn worker_index(source: &Source, workers: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    source.names().hash(&mut hasher);
    hasher.finish() as usize % workers.max(1)
}
