//! The model test of continuity: random histories of a log, of a node that follows it and of subscribers, checked
//! against what really happened. A subscriber that is told nothing has lost nothing, and if nothing was lost there is no
//! gap.

mod store;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::store::{Log, Place, Store};
use super::buffer::{Frame, Position};
use super::gap::continue_after;
use super::log_tail::{LogTail, StalePage};
use crate::bus::{Entry, LogPage};
use crate::chat::Id;

const HISTORIES: u64 = 12_000;
const STEPS: usize = 60;
const PAGE_ENTRIES: usize = 3;

type Action = fn(&mut History);

/// What happens in a history, and how often.
const ACTIONS: [(u32, Action); 17] = [
    (30, History::publish),
    (3, |history| history.store.trim(&mut history.random)),
    (4, |history| history.store.delete_by_hand(&mut history.random)),
    (6, |history| history.change(Store::delete)),
    (1, |history| history.change(Store::clear)),
    (6, |history| history.change(Store::edit)),
    (3, |history| history.store.log = Log::default()), // expired, deleted, or flushed
    (2, |history| history.store.copy()),
    (2, History::promote_copy),
    (2, |history| history.store.set_clock(&mut history.random)),
    (2, History::disconnect),
    (2, History::connect),
    (15, History::deliver_announcements),
    (8, History::begin_read),
    (8, History::finish_read),
    (8, History::arrive),
    (30, History::act_as_subscriber),
];

struct History {
    random: StdRng,
    store: Store,
    /// Whether a node of the version before publishes as well.
    is_deploy: bool,
    /// The frames of the one node, with which the test does what `Room` does.
    tail: LogTail,
    /// The number of the node's subscription to announcements; 0 while there is none.
    subscription: u64,
    subscriptions: u64,
    announcements: VecDeque<usize>,
    comparison: Option<Comparison>,
    read: Option<Read>,
    subscribers: Vec<Subscriber>,
    verdicts: Verdicts,
}

/// What was read to compare announced entries with, and has not arrived yet.
struct Comparison {
    after: Id,
    page: LogPage,
    log: Log,
    subscription: u64,
}

/// A page that was read and has not arrived yet.
struct Read {
    asked: Option<Id>,
    page: LogPage,
    log: Log,
    /// The subscription when the first page was read.
    subscription: u64,
}

#[derive(Clone)]
struct Subscriber {
    cursor: Id,
    /// The message that the cursor stands for.
    place: Place,
    /// Where it is among the frames of the node; `None` if it is away.
    position: Option<Position>,
    /// The number of messages that were published when the cursor was set.
    published: usize,
    /// Whether a message did not continue from the one before: a silent loss, unless a gap follows.
    is_broken: bool,
}

/// What became of the histories.
#[derive(Debug, Default)]
struct Verdicts {
    messages: usize,
    gaps: usize,
    silent_losses: usize,
    false_gaps: usize,
    /// Losses that were told late: announcements of a lost log are compared with the new one after they were passed on.
    told_late: usize,
    /// Silent losses because two messages had one id.
    id_given_twice: usize,
    /// Silent losses in histories with entries of the version before.
    prev_not_stated: usize,
    /// Cursors `0-0` that continued into a log although another had ended in between.
    began_and_ended: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            is_deploy: random.random_bool(0.1),
            random,
            store: Store::default(),
            tail: LogTail::new(true, Arc::default()),
            subscription: 0,
            subscriptions: 0,
            announcements: VecDeque::new(),
            comparison: None,
            read: None,
            subscribers: Vec::new(),
            verdicts: Verdicts::default(),
        }
    }

    fn run(mut self) -> Verdicts {
        // Each action is rare in some histories and frequent in others: that finds more than one mixture for all.
        let weights = ACTIONS.map(|(weight, _)| weight * [0, 1, 1, 1, 4, 4][self.random.random_range(0..6)]);
        self.store.set_clock(&mut self.random);
        self.connect();
        self.publish();
        for _ in 0..STEPS {
            let drawn = WeightedIndex::new(weights).expect("some action").sample(&mut self.random);
            ACTIONS[drawn].1(&mut self);
        }
        self.settle();
        self.verdicts
    }

    fn publish(&mut self) {
        let states_prev = !(self.is_deploy && self.random.random_bool(0.5));
        let number = self.store.publish(&mut self.random, states_prev);
        if self.subscription > 0 {
            self.announcements.push_back(number);
        }
    }

    fn change(&mut self, change: fn(&mut Store, &mut StdRng) -> Option<usize>) {
        let number = change(&mut self.store, &mut self.random);
        if self.subscription > 0 {
            self.announcements.extend(number);
        }
    }

    /// Replaces the log by an older copy, which breaks the connection of the node, as each failover does.
    fn promote_copy(&mut self) {
        self.disconnect();
        self.store.promote_copy(&mut self.random);
    }

    // The node.

    fn disconnect(&mut self) {
        self.subscription = 0;
        self.announcements.clear();
        self.tail.start_catching_up(Instant::now());
    }

    fn connect(&mut self) {
        self.subscriptions += 1;
        self.subscription = self.subscriptions;
        self.tail.start_catching_up(Instant::now());
    }

    fn deliver_announcements(&mut self) {
        for _ in 0..self.random.random_range(1..5) {
            let Some(number) = self.announcements.pop_front() else {
                return;
            };
            let announced = Entry { prev: None, ..self.store.entry(number) };
            self.tail.on_announcement(announced);
        }
    }

    /// Begins to read the log. A read that has not finished has failed.
    fn begin_read(&mut self) {
        (self.comparison, self.read) = (None, None);
        let subscription = self.subscription;
        match self.tail.unverified() {
            Some(after) => {
                let page = self.store.read(Some(after), 2 * PAGE_ENTRIES);
                self.comparison = Some(Comparison { after, page, log: self.store.log.clone(), subscription });
            }
            None => self.read_page(subscription),
        }
    }

    fn finish_comparison(&mut self) {
        let Some(Comparison { after, page, log, subscription }) = self.comparison.take() else {
            return;
        };
        let last = self.tail.last();
        if self.tail.compare(after, &page).is_some() {
            self.judge_gap(last.unwrap_or(Id::ZERO), &log);
        }
        self.read_page(subscription);
    }

    fn read_page(&mut self, subscription: u64) {
        let asked = self.tail.begin_read();
        let page = self.store.read(asked, PAGE_ENTRIES);
        self.read = Some(Read { asked, page, log: self.store.log.clone(), subscription });
    }

    fn finish_read(&mut self) {
        if self.comparison.is_some() {
            return self.finish_comparison();
        }
        let Some(Read { asked, page, log, subscription }) = self.read.take() else {
            return;
        };
        let more = match asked {
            None => {
                self.tail.load(page);
                false
            }
            Some(asked) => {
                let more = page.more;
                let applied = self.tail.apply_page(asked, page);
                if let Ok(Some(_)) = applied {
                    self.judge_gap(asked, &log);
                }
                applied == Err(StalePage) || more
            }
        };
        if more {
            self.read_page(subscription);
        } else if subscription > 0 && subscription == self.subscription {
            self.tail.mark_in_sync(Instant::now());
        }
    }

    // The subscribers.

    fn arrive(&mut self) {
        let place = self.store.any_cursor(&mut self.random);
        let (cursor, published) = (self.store.id(place), self.store.published());
        self.subscribers.push(Subscriber { cursor, place, position: None, published, is_broken: false });
    }

    fn act_as_subscriber(&mut self) {
        if self.subscribers.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.subscribers.len());
        let mut subscriber = self.subscribers[index].clone();
        match self.random.random_range(0..5) {
            0 => subscriber.position = None, // it leaves
            1 | 2 => self.look_up(&mut subscriber),
            _ => self.receive(&mut subscriber, 2),
        }
        self.subscribers[index] = subscriber;
    }

    /// Looks the cursor up once the node is in sync. If it is not in memory, reads a page of the log.
    fn look_up(&mut self, subscriber: &mut Subscriber) {
        if subscriber.position.is_some() || !self.tail.is_in_sync() {
            return;
        }
        subscriber.position = self.tail.position_after(subscriber.cursor);
        if subscriber.position.is_some() {
            return;
        }
        let page = self.store.read(Some(subscriber.cursor), PAGE_ENTRIES);
        let (more, last) = (page.more, self.store.log.last());
        let continuation = continue_after(subscriber.cursor, page);
        if continuation.gap.is_some() {
            self.judge_gap(subscriber.cursor, &self.store.log.clone());
            self.on_gap(subscriber, continuation.cursor);
        }
        for entry in &continuation.entries {
            self.on_message(subscriber, Store::number_of(&entry.data));
        }
        if !more || continuation.entries.is_empty() {
            self.judge_continuation(subscriber, last);
            self.set_cursor(subscriber, last);
        }
    }

    /// Receives some of the frames after the position.
    fn receive(&mut self, subscriber: &mut Subscriber, count: usize) {
        let Some(position) = subscriber.position else { return };
        let frames = self.tail.buffer().frames_from(position, usize::MAX).expect("a position in memory");
        let parts = |frame: &Frame| (frame.logged, frame.cursor.clone(), frame.event.clone());
        let frames: Vec<_> = frames.take(count).map(|(_, frame)| parts(frame)).collect();
        for (logged, cursor, event) in &frames {
            if *logged {
                if let Some(event) = event {
                    self.on_message(subscriber, Store::number_of(&event.data));
                }
            } else if let Some(cursor) = cursor {
                self.on_gap(subscriber, cursor.of(0));
            }
        }
        subscriber.position = Some(position + frames.len() as Position);
    }

    fn on_message(&mut self, subscriber: &mut Subscriber, number: usize) {
        self.verdicts.messages += 1;
        self.verdicts.told_late += usize::from(subscriber.is_broken && !self.is_deploy);
        self.judge_continuation(subscriber, self.store.parent(number));
        self.set_cursor(subscriber, Some(number));
    }

    fn on_gap(&mut self, subscriber: &mut Subscriber, cursor: Id) {
        self.verdicts.gaps += 1;
        let place = self.store.message_with(cursor);
        assert!(place.is_some() || cursor == Id::ZERO || self.is_deploy, "{cursor} is not the id of a message");
        self.set_cursor(subscriber, place);
        (subscriber.cursor, subscriber.is_broken) = (cursor, false);
    }

    fn set_cursor(&self, subscriber: &mut Subscriber, place: Place) {
        (subscriber.cursor, subscriber.place) = (self.store.id(place), place);
        subscriber.published = self.store.published();
    }

    // What is right.

    /// Checks that a subscriber has every message up to a place that was not deleted.
    fn judge_continuation(&mut self, subscriber: &mut Subscriber, up_to: Place) {
        let place = self.store.skip_deleted(up_to, subscriber.place);
        if place != subscriber.place && self.store.id(place) == subscriber.cursor {
            self.verdicts.id_given_twice += 1;
        } else if place != subscriber.place {
            subscriber.is_broken = true;
        } else if place.is_none() && self.store.has_lost_since(subscriber.published) {
            self.verdicts.began_and_ended += 1;
        }
    }

    fn judge_broken(&mut self, subscriber: &mut Subscriber) {
        if std::mem::take(&mut subscriber.is_broken) {
            let Verdicts { prev_not_stated, silent_losses, .. } = &mut self.verdicts;
            *(if self.is_deploy { prev_not_stated } else { silent_losses }) += 1;
        }
    }

    fn judge_gap(&mut self, asked: Id, log: &Log) {
        self.verdicts.false_gaps += usize::from(self.store.is_continuous(log, asked));
    }

    /// Lets everything arrive, and checks that each subscriber has everything or was told.
    fn settle(&mut self) {
        self.disconnect();
        self.connect();
        let mut reads = 0;
        while !self.tail.is_in_sync() || reads == 0 {
            self.begin_read();
            while self.comparison.is_some() || self.read.is_some() {
                self.finish_read();
            }
            reads += 1;
            assert!(reads < 1000, "the log is read again and again");
        }
        let frames = self.tail.buffer().frames_from(self.tail.buffer().start(), usize::MAX).expect("frames");
        self.store.check_deleted(frames.map(|(_, frame)| frame));
        for mut subscriber in std::mem::take(&mut self.subscribers) {
            while subscriber.position.is_none() {
                self.look_up(&mut subscriber);
            }
            self.receive(&mut subscriber, usize::MAX);
            self.judge_broken(&mut subscriber);
            self.judge_continuation(&mut subscriber, self.store.log.last());
            self.judge_broken(&mut subscriber);
        }
    }
}

#[test]
fn random_histories_have_no_silent_loss_and_no_false_gap() {
    let (mut messages, mut gaps, mut exceptions) = (0, 0, [0; 4]);
    for seed in 0..HISTORIES {
        let verdicts = History::new(seed).run();
        assert_eq!((verdicts.silent_losses, verdicts.false_gaps), (0, 0), "history {seed}: {verdicts:?}");
        (messages, gaps) = (messages + verdicts.messages, gaps + verdicts.gaps);
        let Verdicts { began_and_ended, id_given_twice, prev_not_stated, told_late, .. } = verdicts;
        let counted = [began_and_ended, id_given_twice, prev_not_stated, told_late];
        exceptions = std::array::from_fn(|index| exceptions[index] + counted[index]);
    }
    // The histories come to what they are about, and to each of the exceptions.
    assert!(messages > 100_000 && gaps > 10_000, "{messages} messages, {gaps} gaps");
    assert!(exceptions.iter().all(|count| *count > 0), "{exceptions:?}");
}
