//! What was posted and read in a run, and the acts that disturbed it: finds lost, duplicated and reordered messages,
//! and how long the readers took to recover. Free of I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::sse::Id;

/// A ledger that all tasks of a run share. Each change wakes the tasks that wait for a condition.
pub type SharedLedger = Arc<watch::Sender<Ledger>>;

/// The record of a run.
pub struct Ledger {
    /// The prefix of all keys, which tells our messages from others.
    run: String,
    messages: Vec<Message>,
    readers: Vec<Reader>,
    acts: Vec<Act>,
    /// The processes of the cluster with their states.
    pub process_states: BTreeMap<String, &'static str>,
    /// Responses other than 200 with their counts: to posts, and to subscriptions.
    pub refusals: [BTreeMap<String, usize>; 2],
    pub reordered: usize,
    pub gaps: usize,
    is_closed: bool,
}

/// A message that one of our chatters posted.
struct Message {
    act: usize,
    posted_at: Instant,
    id: Option<Id>,
    /// How often each reader received it.
    copies: Vec<u8>,
}

#[derive(Default)]
struct Reader {
    /// The node to which it is live, if it is.
    node: Option<String>,
    away_since: Option<Instant>,
    last_id: Option<Id>,
    /// When the newest message that it received was posted.
    newest_posted_at: Option<Instant>,
}

/// An action on the chat, with its effect on the readers.
struct Act {
    name: String,
    begun_at: Instant,
    done_at: Option<Instant>,
    /// The readers that lost their stream.
    away: BTreeSet<usize>,
    longest_absence: Duration,
    recovered_at: Option<Instant>,
}

/// An act in numbers.
pub struct Row {
    pub name: String,
    /// Readers that lost their stream, or whose node lost its Redis.
    pub away: usize,
    /// The longest absence of a reader.
    pub longest: Duration,
    /// How long it took until all readers were live again and had received a message posted since.
    pub recovery: Option<Duration>,
    pub posted: usize,
    pub lost: usize,
    pub duplicated: usize,
}

/// A run in numbers.
pub struct Total {
    pub posted: usize,
    pub acknowledged: usize,
    /// The deliveries of acknowledged messages to all readers.
    pub expected: usize,
    pub read: usize,
    pub lost: usize,
    pub duplicated: usize,
}

impl Ledger {
    /// Creates the ledger of a run that begins calm. The keys of its messages begin with `run`.
    pub fn new(run: &str, readers: usize) -> Self {
        let mut ledger = Self {
            run: run.to_owned(),
            messages: Vec::new(),
            readers: (0..readers).map(|_| Reader::default()).collect(),
            acts: Vec::new(),
            process_states: BTreeMap::new(),
            refusals: Default::default(),
            reordered: 0,
            gaps: 0,
            is_closed: false,
        };
        ledger.begin_act("calm");
        ledger
    }

    /// Begins an act, to which messages and absences count from now on.
    pub fn begin_act(&mut self, name: &str) {
        let begun_at = Instant::now();
        let act = Act {
            name: name.to_owned(),
            begun_at,
            done_at: None,
            away: BTreeSet::new(),
            longest_absence: Duration::ZERO,
            recovered_at: None,
        };
        self.acts.push(act);
    }

    /// Marks the action of the last act as done; the readers may recover from now on.
    pub fn act_done(&mut self) {
        if let Some(act) = self.acts.last_mut() {
            act.done_at.get_or_insert(Instant::now());
        }
    }

    /// Returns true if the last act is done, and all readers are live and have received a message posted since.
    pub fn has_recovered(&self) -> bool {
        self.acts.last().is_some_and(|act| act.recovered_at.is_some())
    }

    /// Records the state of a process.
    pub fn set_process_state(&mut self, name: &str, state: &'static str) {
        self.process_states.insert(name.to_owned(), state);
    }

    /// Records a message that is about to be posted, and returns its key.
    pub fn add_message(&mut self) -> String {
        let (act, copies) = (self.acts.len() - 1, vec![0; self.readers.len()]);
        self.messages.push(Message { act, posted_at: Instant::now(), id: None, copies });
        format!("{}-{}", self.run, self.messages.len() - 1)
    }

    /// Records the id of a message that was acknowledged.
    pub fn acknowledge(&mut self, key: &str, id: Id) {
        if let Some(number) = self.message_index(key) {
            self.messages[number].id = Some(id);
        }
    }

    /// Records a post that has to be repeated.
    pub fn post_failed(&mut self, response: String) {
        *self.refusals[0].entry(response).or_default() += 1;
    }

    /// Returns the index of the message with this key, if it is one of this run.
    fn message_index(&self, key: &str) -> Option<usize> {
        let number = key.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()?;
        (number < self.messages.len()).then_some(number)
    }

    /// Records that a reader is live.
    pub fn reader_live(&mut self, reader: usize, node: String) {
        let reader = &mut self.readers[reader];
        reader.node = Some(node);
        let away = reader.away_since.take().map(|since| since.elapsed()).unwrap_or_default();
        if let Some(act) = self.acts.last_mut() {
            act.longest_absence = act.longest_absence.max(away);
        }
        self.update_recovery();
    }

    /// Records that a reader has received nothing since some time. Has no effect if it was not live.
    pub fn reader_away(&mut self, reader: usize, since: Instant) {
        let Some(act) = self.acts.last_mut() else { return };
        if self.readers[reader].node.take().is_some() {
            self.readers[reader].away_since = Some(since.max(act.begun_at));
            act.away.insert(reader);
        }
    }

    /// Records a response to a subscription other than a stream.
    pub fn stream_refused(&mut self, status: u16) {
        *self.refusals[1].entry(status.to_string()).or_default() += 1;
    }

    /// Records a `gap` event.
    pub fn add_gap(&mut self) {
        self.gaps += 1;
    }

    /// Records a message that a reader received. `key` is that of the post, if it had one.
    pub fn record(&mut self, reader: usize, id: Id, key: Option<&str>) {
        let index = key.and_then(|key| self.message_index(key));
        let again = index.is_some_and(|number| self.messages[number].copies[reader] > 0);
        let late = self.readers[reader].last_id.is_some_and(|last| id <= last);
        self.reordered += usize::from(late && !again);
        if !late {
            self.readers[reader].last_id = Some(id);
        }
        if let Some(number) = index {
            let message = &mut self.messages[number];
            message.copies[reader] = message.copies[reader].saturating_add(1);
            self.readers[reader].newest_posted_at = self.readers[reader].newest_posted_at.max(Some(message.posted_at));
        }
        self.update_recovery();
    }

    /// Marks the acts from which all readers have recovered.
    fn update_recovery(&mut self) {
        if self.readers.iter().any(|reader| reader.node.is_none()) {
            return;
        }
        let newest = self.readers.iter().map(|reader| reader.newest_posted_at).min().flatten();
        for act in self.acts.iter_mut().filter(|act| act.recovered_at.is_none()) {
            if act.done_at.is_some() && newest > act.done_at {
                act.recovered_at = Some(Instant::now());
            }
        }
    }

    /// Ends the run: a message that was not received by now is lost.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Returns true if every reader has received or skipped each acknowledged message.
    pub fn is_complete(&self) -> bool {
        self.messages.iter().all(|message| message.unread().count() == self.skipped(message))
    }

    /// Returns how many readers have skipped a message: they received a later one instead.
    fn skipped(&self, message: &Message) -> usize {
        let has_skipped = |reader: usize| self.is_closed || self.readers[reader].last_id > message.id;
        message.unread().filter(|reader| has_skipped(*reader)).count()
    }

    /// Returns the acts in numbers.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.acts.iter().map(Row::of).collect();
        for message in &self.messages {
            let row = &mut rows[message.act];
            row.posted += 1;
            row.lost += self.skipped(message);
            row.duplicated += message.duplicates();
        }
        rows
    }

    /// Returns the run in numbers.
    pub fn total(&self) -> Total {
        let acknowledged = self.messages.iter().filter(|message| message.id.is_some()).count();
        let read = |message: &Message| message.copies.iter().filter(|copies| **copies > 0).count();
        Total {
            posted: self.messages.len(),
            acknowledged,
            expected: acknowledged * self.readers.len(),
            read: self.messages.iter().map(read).sum(),
            lost: self.messages.iter().map(|message| self.skipped(message)).sum(),
            duplicated: self.messages.iter().map(Message::duplicates).sum(),
        }
    }

    /// Returns true if there was no fault. A run in which nothing was read shows nothing, and is not flawless.
    pub fn is_flawless(&self) -> bool {
        let total = self.total();
        let is_complete = total.acknowledged == total.posted && total.read == total.expected && total.expected > 0;
        is_complete && total.lost + total.duplicated + self.reordered + self.gaps == 0
    }

    pub fn all_live(&self) -> bool {
        self.readers.iter().all(|reader| reader.node.is_some())
    }

    /// Returns how many readers each node has now.
    pub fn readers_per_node(&self) -> BTreeMap<&str, usize> {
        let mut nodes = BTreeMap::new();
        for node in self.readers.iter().filter_map(|reader| reader.node.as_deref()) {
            *nodes.entry(node).or_default() += 1;
        }
        nodes
    }

    pub fn readers(&self) -> usize {
        self.readers.len()
    }
}

impl Message {
    /// Returns the readers that have not received the message, or none if it was not acknowledged.
    fn unread(&self) -> impl Iterator<Item = usize> {
        let without = |(reader, copies): (usize, &u8)| (*copies == 0).then_some(reader);
        self.copies.iter().enumerate().filter_map(without).take_while(|_| self.id.is_some())
    }

    /// Returns how many copies were received beyond the first of each reader.
    fn duplicates(&self) -> usize {
        self.copies.iter().map(|copies| usize::from(copies.saturating_sub(1))).sum()
    }
}

impl Row {
    fn of(act: &Act) -> Self {
        Self {
            name: act.name.clone(),
            away: act.away.len(),
            longest: act.longest_absence,
            recovery: act.recovered_at.map(|moment| moment - act.begun_at),
            posted: 0,
            lost: 0,
            duplicated: 0,
        }
    }
}
