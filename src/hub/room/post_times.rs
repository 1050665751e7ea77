//! When texts were posted to this node, so that their delivery can be timed.

use std::collections::VecDeque;
use std::time::Instant;

/// Posts that are remembered until they are announced. If more are under way, the oldest are not timed.
const MAX_TIMED_POSTS: usize = 256;

/// The posts of a room that were not announced yet, oldest first.
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
