//! Everything that is counted: what was said, who read it, who was away and when all were back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::sse::Id;

/// One tally for all tasks of a run; whoever waits for something in it is woken by each change.
pub type Shared = Arc<watch::Sender<Tally>>;

pub struct Tally {
    run: String,
    messages: Vec<Message>,
    readers: Vec<Reader>,
    acts: Vec<Act>,
    /// What is known to be up, or not.
    pub machines: BTreeMap<String, &'static str>,
    /// Answers other than 200, and how often they came: to posts, and to readers.
    pub refusals: [BTreeMap<String, usize>; 2],
    pub reordered: usize,
    pub gaps: usize,
    finished: bool,
}

/// Something that was said by one of our chatters.
struct Message {
    act: usize,
    posted: Instant,
    id: Option<Id>,
    /// How often each reader got it.
    copies: Vec<u8>,
}

#[derive(Default)]
struct Reader {
    /// Where it is live.
    node: Option<String>,
    away: Option<Instant>,
    place: Option<Id>,
    /// When the newest message that it has got was posted.
    newest: Option<Instant>,
}

/// Something that is done to the chat, and what came of it.
struct Act {
    name: String,
    begun: Instant,
    done: Option<Instant>,
    away: BTreeSet<usize>,
    longest: Duration,
    recovered: Option<Instant>,
}

/// One act in numbers.
pub struct Row {
    pub name: String,
    /// Readers that lost their stream or were told that their node hears nothing.
    pub away: usize,
    /// The longest that a reader was away.
    pub longest: Duration,
    /// How long until all were live again and had read something said since.
    pub recovery: Option<Duration>,
    pub said: usize,
    pub lost: usize,
    pub doubled: usize,
}

/// The whole run in numbers.
pub struct Total {
    pub said: usize,
    pub acknowledged: usize,
    pub due: usize,
    pub read: usize,
    pub lost: usize,
    pub doubled: usize,
}

impl Tally {
    /// Nothing yet, for so many readers. `run` tells our messages from those of others.
    pub fn new(run: &str, readers: usize) -> Self {
        let mut tally = Self {
            run: run.to_owned(),
            messages: Vec::new(),
            readers: (0..readers).map(|_| Reader::default()).collect(),
            acts: Vec::new(),
            machines: BTreeMap::new(),
            refusals: Default::default(),
            reordered: 0,
            gaps: 0,
            finished: false,
        };
        tally.begin("calm");
        tally
    }

    // what is done

    /// From now on everything counts as part of this act.
    pub fn begin(&mut self, name: &str) {
        let begun = Instant::now();
        let act = Act {
            name: name.to_owned(),
            begun,
            done: None,
            away: BTreeSet::new(),
            longest: Duration::ZERO,
            recovered: None,
        };
        self.acts.push(act);
    }

    /// What was to be done is done: from now on all may be well again.
    pub fn done(&mut self) {
        if let Some(act) = self.acts.last_mut() {
            act.done.get_or_insert(Instant::now());
        }
    }

    /// Whether the last act is over: done, all readers live, and each has read something said since.
    pub fn has_recovered(&self) -> bool {
        self.acts.last().is_some_and(|act| act.recovered.is_some())
    }

    pub fn machine(&mut self, name: &str, state: &'static str) {
        self.machines.insert(name.to_owned(), state);
    }

    // what is said

    /// Somebody is about to say something; gives the key it goes under.
    pub fn say(&mut self) -> String {
        let (act, copies) = (self.acts.len() - 1, vec![0; self.readers.len()]);
        self.messages.push(Message { act, posted: Instant::now(), id: None, copies });
        format!("{}-{}", self.run, self.messages.len() - 1)
    }

    pub fn acknowledged(&mut self, key: &str, id: Id) {
        if let Some(number) = self.ours(key) {
            self.messages[number].id = Some(id);
        }
    }

    /// A post has to be sent again.
    pub fn post_failed(&mut self, answer: String) {
        *self.refusals[0].entry(answer).or_default() += 1;
    }

    fn ours(&self, key: &str) -> Option<usize> {
        let number = key.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()?;
        (number < self.messages.len()).then_some(number)
    }

    // what is read

    pub fn live(&mut self, reader: usize, node: String) {
        let reader = &mut self.readers[reader];
        reader.node = Some(node);
        let away = reader.away.take().map(|since| since.elapsed()).unwrap_or_default();
        if let Some(act) = self.acts.last_mut() {
            act.longest = act.longest.max(away);
        }
        self.look();
    }

    /// A reader that was live hears nothing any more.
    pub fn away(&mut self, reader: usize, since: Instant) {
        let Some(act) = self.acts.last_mut() else { return };
        if self.readers[reader].node.take().is_some() {
            self.readers[reader].away = Some(since.max(act.begun));
            act.away.insert(reader);
        }
    }

    /// A request for a stream was not answered with one.
    pub fn stream_answered(&mut self, status: u16) {
        *self.refusals[1].entry(status.to_string()).or_default() += 1;
    }

    pub fn gap(&mut self) {
        self.gaps += 1;
    }

    pub fn read(&mut self, reader: usize, id: Id, key: Option<&str>) {
        let ours = key.and_then(|key| self.ours(key));
        let again = ours.is_some_and(|number| self.messages[number].copies[reader] > 0);
        let late = self.readers[reader].place.is_some_and(|place| id <= place);
        self.reordered += usize::from(late && !again);
        if !late {
            self.readers[reader].place = Some(id);
        }
        if let Some(number) = ours {
            let message = &mut self.messages[number];
            message.copies[reader] = message.copies[reader].saturating_add(1);
            self.readers[reader].newest = self.readers[reader].newest.max(Some(message.posted));
        }
        self.look();
    }

    /// Notes which acts are over.
    fn look(&mut self) {
        if self.readers.iter().any(|reader| reader.node.is_none()) {
            return;
        }
        let newest = self.readers.iter().map(|reader| reader.newest).min().flatten();
        for act in self.acts.iter_mut().filter(|act| act.recovered.is_none()) {
            if act.done.is_some() && newest > act.done {
                act.recovered = Some(Instant::now());
            }
        }
    }

    // the verdict

    /// Nothing more comes: what has not been read now is lost.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether nothing more is to come: every reader has read, or passed over, all that was acknowledged.
    pub fn is_complete(&self) -> bool {
        self.messages.iter().all(|message| message.unread().count() == self.missed(message))
    }

    /// How many readers have passed over a message.
    fn missed(&self, message: &Message) -> usize {
        let passed = |reader: usize| self.finished || self.readers[reader].place > message.id;
        message.unread().filter(|reader| passed(*reader)).count()
    }

    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.acts.iter().map(Row::of).collect();
        for message in &self.messages {
            let row = &mut rows[message.act];
            row.said += 1;
            row.lost += self.missed(message);
            row.doubled += message.doubles();
        }
        rows
    }

    pub fn total(&self) -> Total {
        let acknowledged = self.messages.iter().filter(|message| message.id.is_some()).count();
        let read = |message: &Message| message.copies.iter().filter(|copies| **copies > 0).count();
        Total {
            said: self.messages.len(),
            acknowledged,
            due: acknowledged * self.readers.len(),
            read: self.messages.iter().map(read).sum(),
            lost: self.messages.iter().map(|message| self.missed(message)).sum(),
            doubled: self.messages.iter().map(Message::doubles).sum(),
        }
    }

    /// Whether everything was as promised. A run in which nothing was read shows nothing.
    pub fn is_flawless(&self) -> bool {
        let total = self.total();
        let as_said = total.acknowledged == total.said && total.read == total.due && total.due > 0;
        as_said && total.lost + total.doubled + self.reordered + self.gaps == 0
    }

    pub fn all_live(&self) -> bool {
        self.readers.iter().all(|reader| reader.node.is_some())
    }

    /// How many readers each node has now.
    pub fn nodes(&self) -> BTreeMap<&str, usize> {
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
    /// The readers that do not have it, if it is known to be in the log.
    fn unread(&self) -> impl Iterator<Item = usize> {
        let without = |(reader, copies): (usize, &u8)| (*copies == 0).then_some(reader);
        self.copies.iter().enumerate().filter_map(without).take_while(|_| self.id.is_some())
    }

    fn doubles(&self) -> usize {
        self.copies.iter().map(|copies| usize::from(copies.saturating_sub(1))).sum()
    }
}

impl Row {
    fn of(act: &Act) -> Self {
        Self {
            name: act.name.clone(),
            away: act.away.len(),
            longest: act.longest,
            recovery: act.recovered.map(|moment| moment - act.begun),
            said: 0,
            lost: 0,
            doubled: 0,
        }
    }
}
