//! When messages were posted to this node, so that the time from POST to socket can be measured.

use std::collections::VecDeque;
use std::time::Instant;

/// The most posts that are remembered until they are announced. Beyond it, the oldest are not timed.
const MAX_TIMED_POSTS: usize = 256;

/// The posts of a room that have not been announced yet, by their data, oldest first.
#[derive(Debug, Default)]
pub struct PostTimes(VecDeque<(String, Instant)>);

impl PostTimes {
    /// Remembers a post by its data.
    pub fn push(&mut self, data: &str, posted: Instant) {
        self.0.push_back((data.to_owned(), posted));
        if self.0.len() > MAX_TIMED_POSTS {
            self.0.pop_front();
        }
    }

    /// Removes the oldest post with this data and returns its time.
    pub fn take(&mut self, data: &str) -> Option<Instant> {
        let index = self.0.iter().position(|(posted, _)| posted == data)?;
        self.0.remove(index).map(|(_, posted)| posted)
    }
}
