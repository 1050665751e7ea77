//! The message store of a random history: one log, its older copies, and what is true of its messages.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::bus::{Entry, LogPage};
use crate::chat::Id;
use crate::hub::room::buffer::Frame;

/// The number of a message in its history; `None` is the place before the first message of a log.
pub type Place = Option<usize>;

/// A message that was published, and what no subscriber can know about it.
struct Message {
    id: Id,
    /// The message before it in its log.
    parent: Place,
    /// Whether it was deleted, by itself, so that a subscriber loses nothing if it does not get it.
    is_deleted: bool,
    /// Whether it was deleted by a node, and not by hand, so that its id is remembered.
    is_remembered: bool,
    /// The message that it deletes, if it tells of a deletion.
    deletes: Option<usize>,
    /// The message that it edits, if it tells of an edit.
    edits: Option<usize>,
    /// Whether its entry states its predecessor; those of the version before do not.
    states_prev: bool,
}

/// The messages that a log ever had, and those that it retains, oldest first.
#[derive(Clone, Default)]
pub struct Log {
    all: Vec<usize>,
    retained: Vec<usize>,
}

/// The store.
#[derive(Default)]
pub struct Store {
    pub log: Log,
    clock: u64,
    messages: Vec<Message>,
    copies: Vec<Log>,
}

impl Log {
    /// Returns the last message that was ever in the log.
    pub fn last(&self) -> Place {
        self.all.last().copied()
    }
}

impl Store {
    pub fn set_clock(&mut self, random: &mut StdRng) {
        self.clock = 1000 + random.random_range(0..20);
    }

    /// Appends a message and returns its number. Without `states_prev`, a node of the version before does it.
    pub fn publish(&mut self, random: &mut StdRng, states_prev: bool) -> usize {
        self.append(random, states_prev, None)
    }

    fn append(&mut self, random: &mut StdRng, states_prev: bool, deletes: Option<usize>) -> usize {
        self.clock += random.random_range(0..3);
        let (number, parent) = (self.messages.len(), self.log.last());
        let id = self.id(parent).next(self.clock);
        self.messages.push(Message {
            id,
            parent,
            is_deleted: false,
            is_remembered: false,
            deletes,
            edits: None,
            states_prev,
        });
        self.log.all.push(number);
        self.log.retained.push(number);
        number
    }

    pub fn trim(&mut self, random: &mut StdRng) {
        let count = random.random_range(0..=self.log.retained.len());
        self.log.retained.drain(..count);
    }

    pub fn delete_by_hand(&mut self, random: &mut StdRng) {
        if !self.log.retained.is_empty() {
            let number = self.log.retained.remove(random.random_range(0..self.log.retained.len()));
            self.messages[number].is_deleted = true;
        }
    }

    /// Deletes a message as a node does. Returns the number of the entry that says so.
    pub fn delete(&mut self, random: &mut StdRng) -> Option<usize> {
        let number = self.any_message(random)?;
        self.remove_edits(number);
        self.log.retained.retain(|other| *other != number);
        self.remember(number);
        Some(self.append(random, true, Some(number)))
    }

    /// Edits a message as a node does. Returns the number of the entry that says so.
    pub fn edit(&mut self, random: &mut StdRng) -> Option<usize> {
        let number = self.any_message(random)?;
        self.remove_edits(number);
        let edit = self.append(random, true, None);
        self.messages[edit].edits = Some(number);
        Some(edit)
    }

    /// Returns a retained message.
    fn any_message(&self, random: &mut StdRng) -> Option<usize> {
        let is_message = |number: &usize| {
            let message = &self.messages[*number];
            message.deletes.is_none() && message.edits.is_none()
        };
        let messages: Vec<usize> = self.log.retained.iter().copied().filter(is_message).collect();
        messages.get(random.random_range(0..messages.len().max(1))).copied()
    }

    /// Deletes the entries that tell of edits of a message.
    fn remove_edits(&mut self, number: usize) {
        let of_message = |other: &usize| self.messages[*other].edits == Some(number);
        for edit in self.log.retained.extract_if(.., |other| of_message(other)).collect::<Vec<_>>() {
            self.remember(edit);
        }
    }

    /// Deletes all messages as a node does. Returns the number of the entry that says so.
    pub fn clear(&mut self, random: &mut StdRng) -> Option<usize> {
        self.log.last()?;
        // What was trimmed before is deleted, too: a node may still have it in memory, and drops it.
        self.log.all.iter().for_each(|number| self.messages[*number].is_deleted = true);
        for number in std::mem::take(&mut self.log.retained) {
            self.remember(number);
        }
        Some(self.append(random, true, Some(usize::MAX)))
    }

    fn remember(&mut self, number: usize) {
        let message = &mut self.messages[number];
        (message.is_deleted, message.is_remembered) = (true, true);
    }

    /// Returns true if it is remembered that all messages after an id, up to the next one that is retained, were deleted.
    fn is_only_deleted(&self, asked: Id, next: Option<&Entry>) -> bool {
        let until = match next {
            Some(Entry { prev: Some(prev), .. }) => {
                self.log.all.iter().find(|number| self.messages[**number].id == *prev)
            }
            Some(_) => None,
            None => self.log.all.last(),
        };
        let mut place = until.copied();
        while let Some(number) = place.filter(|number| self.messages[*number].is_remembered) {
            if self.messages[number].id == asked {
                return true;
            }
            place = self.messages[number].parent.filter(|_| self.messages[number].states_prev);
            if self.messages[number].states_prev && self.id(place) == asked {
                return true;
            }
        }
        false
    }

    pub fn copy(&mut self) {
        self.copies.push(self.log.clone());
    }

    /// Replaces the log by an older copy.
    pub fn promote_copy(&mut self, random: &mut StdRng) {
        if !self.copies.is_empty() {
            self.log = self.copies[random.random_range(0..self.copies.len())].clone();
        }
    }

    /// Reads the newest entries, or those from an id on, that one included.
    pub fn read(&self, from: Option<Id>, limit: usize) -> LogPage {
        let entries: Vec<Entry> = self.log.retained.iter().map(|number| self.entry(*number)).collect();
        let after = from.map(|id| entries.partition_point(|entry| entry.id <= id));
        let start = after.map_or(entries.len().saturating_sub(limit), |after| after.saturating_sub(1));
        let end = after.map_or(entries.len(), |after| entries.len().min(after + limit));
        let next = after.and_then(|after| entries.get(after));
        LogPage {
            only_deleted: from.is_some_and(|asked| self.is_only_deleted(asked, next)),
            first: entries.first().map(|entry| entry.id),
            last: self.id(self.log.last()),
            more: end < entries.len(),
            entries: entries[start..end].to_vec(),
        }
    }

    /// Returns the entry of a message.
    pub fn entry(&self, number: usize) -> Entry {
        let message = &self.messages[number];
        let prev = message.states_prev.then(|| self.id(message.parent));
        let (kind, data) = match message.deletes {
            None => match message.edits {
                None => ("", number.to_string()),
                Some(other) => ("edit", self.edit_data(number, other)),
            },
            Some(usize::MAX) => ("delete", format!(r#"{{"all":true,"number":{number}}}"#)),
            Some(other) => ("delete", format!(r#"{{"id":"{}","number":{number}}}"#, self.id(Some(other)))),
        };
        Entry { id: message.id, prev, kind: kind.into(), data, node: None }
    }

    fn edit_data(&self, number: usize, other: usize) -> String {
        let id = self.id(Some(other));
        format!(r#"{{"id":"{id}","sender":"ada","message":"{number}","number":{number}}}"#)
    }

    pub fn id(&self, place: Place) -> Id {
        place.map_or(Id::ZERO, |number| self.messages[number].id)
    }

    /// Returns how many messages were published.
    pub fn published(&self) -> usize {
        self.messages.len()
    }

    /// Returns true if a message that was published after that many others is not in the log.
    pub fn has_lost_since(&self, published: usize) -> bool {
        (published..self.published()).any(|number| !self.log.all.contains(&number))
    }

    pub fn parent(&self, number: usize) -> Place {
        self.messages[number].parent
    }

    /// Returns the number of the message with this data.
    pub fn number_of(data: &str) -> usize {
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        data.as_u64().or_else(|| data["number"].as_u64()).expect("a number") as usize
    }

    /// Checks that no frame has the text of a message that a later one deletes, or an edit that a later one replaces.
    pub fn check_deleted<'a>(&self, frames: impl Iterator<Item = &'a Frame>) {
        let mut numbers = Vec::new();
        for event in frames.filter(|frame| frame.logged).filter_map(|frame| frame.event.as_ref()) {
            let number = Self::number_of(&event.data);
            let edits =
                |other: usize| numbers.iter().any(|earlier: &usize| self.messages[*earlier].edits == Some(other));
            match self.messages[number].deletes {
                None if self.messages[number].edits.is_some_and(edits) => {
                    panic!("{number} replaces one of {numbers:?}")
                }
                None => {}
                Some(other) if edits(other) => panic!("{number} deletes what one of {numbers:?} edits"),
                Some(usize::MAX) => assert!(numbers.is_empty(), "{number} deletes {numbers:?}"),
                Some(other) => assert!(!numbers.contains(&other), "{number} deletes {other}"),
            }
            numbers.push(number);
        }
    }

    /// Returns the latest message that was given this id.
    pub fn message_with(&self, id: Id) -> Place {
        self.messages.iter().rposition(|message| message.id == id)
    }

    /// Returns a place whose id a stream, a page or the history gives to a client as a cursor.
    pub fn any_cursor(&self, random: &mut StdRng) -> Place {
        match (random.random_range(0..4), &self.log.retained[..]) {
            (0, [first, ..]) => self.messages[*first].parent,
            (1 | 2, retained @ [_, ..]) => Some(retained[random.random_range(0..retained.len())]),
            _ => self.log.last(),
        }
    }

    /// Returns the first place, counted back from one, where no message was deleted, or that is this place or has this
    /// id.
    pub fn skip_deleted(&self, mut from: Place, to: Place) -> Place {
        while from != to
            && let Some(number) = from
            && self.messages[number].is_deleted
            && self.messages[number].id != self.id(to)
        {
            from = self.messages[number].parent;
        }
        from
    }

    /// Returns true if a log shows that nothing is missing after an id: no message after it was trimmed, and it is in
    /// the log, or the message after it is, or is remembered as deleted, as all others before the next retained one.
    /// An id that was given out twice shows nothing.
    pub fn is_continuous(&self, log: &Log, id: Id) -> bool {
        if self.messages.iter().filter(|message| message.id == id).count() > 1 {
            return false;
        }
        let place = log.all.iter().position(|number| self.messages[*number].id == id);
        let following = match place {
            Some(place) => &log.all[place + 1..],
            None if id == Id::ZERO => &log.all[..],
            None => return false,
        };
        let is_retained = |number: &usize| log.retained.contains(number);
        let is_trimmed = |number: &usize| !is_retained(number) && !self.messages[*number].is_deleted;
        let is_shown = place.is_some_and(|place| is_retained(&log.all[place]));
        let is_remembered = |number: &usize| self.messages[*number].is_remembered && self.messages[*number].states_prev;
        let next = following.iter().find(|number| is_retained(number) || !is_remembered(number));
        let is_next = |number: &usize| {
            is_retained(number) && (Some(number) == following.first() || self.messages[*number].states_prev)
        };
        !following.iter().any(is_trimmed) && (is_shown || next.is_none_or(is_next))
    }
}
