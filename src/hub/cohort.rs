use std::rc::Rc;
use std::time::Instant;

use tokio::task::yield_now;

use super::batch::{Batch, Tally};
use super::delivery::Worker;
use super::reader::{End, Reader};
use super::tape::Position;
use crate::chat::Cursor;

/// After so many readers the worker looks whether there is other work, such as a POST.
const FAIR_SHARE: usize = 48;

/// Readers per look at the clock: about 0.1 ms of writing.
const CLOCKED: usize = 16;

/// Readers that are all at the same place and were told the same. What they have in common is kept once:
/// writing to one of them touches its socket and nothing else of it.
pub struct Cohort {
    readers: Vec<Reader>,
    /// The position of the next frame of each.
    at: Position,
    /// The place of each, where it was moved since they are together.
    place: Option<Cursor>,
    /// What each was told last about the bus.
    told: bool,
    /// When all of them were written to last.
    wrote: Instant,
}

impl Cohort {
    /// A cohort of one, that has caught up.
    pub fn of(reader: Reader) -> Self {
        let (at, told, wrote) = (reader.at, reader.told, reader.wrote);
        Self { readers: vec![reader], at, place: None, told, wrote }
    }

    /// The position of the next frame.
    pub fn at(&self) -> Position {
        self.at
    }

    /// What its readers were told last about the bus.
    pub fn told(&self) -> bool {
        self.told
    }

    /// Whether everybody has gone.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Whether the readers of both could be one cohort.
    pub fn is_in_step_with(&self, other: &Self) -> bool {
        (self.at, self.told) == (other.at, other.told)
    }

    /// Takes in the readers of a cohort that is in step with this one.
    pub fn join(&mut self, mut other: Self) {
        for mut reader in std::mem::take(&mut other.readers) {
            other.hand_over(&mut reader);
            self.readers.push(reader);
        }
    }

    /// Writes what the cohort lacks of a batch, with one call for each reader, and the status where it has
    /// changed. One whose socket is full goes on by itself.
    pub async fn deliver(&mut self, batch: &Batch, worker: &Rc<Worker>, tally: &mut Tally) {
        if self.at > batch.end {
            return;
        }
        self.write(batch, worker, tally).await;
        self.at = batch.end;
        if let Some(place) = batch.place() {
            self.place = Some(place.clone());
        }
        if let Some(live) = batch.live.filter(|live| *live != self.told) {
            self.told = live;
            let (status, now) = (worker.hub().status(live), Instant::now());
            self.each(worker, |reader, _| reader.offer(status.clone(), now)).await;
        }
    }

    async fn write(&mut self, batch: &Batch, worker: &Rc<Worker>, tally: &mut Tally) {
        let bytes = batch.after(self.at);
        let mut left = self.readers.len();
        if bytes.is_empty() {
            return;
        }
        for share in 1.. {
            let some = left.saturating_sub(CLOCKED)..left;
            left = some.start;
            let mut whole = 0;
            for at in some.rev() {
                match self.readers[at].try_write(bytes) {
                    Ok(written) if written == bytes.len() => whole += 1,
                    Ok(written) => {
                        let mut reader = self.take_out(at);
                        if written > 0 {
                            reader.go_on_within(batch, bytes.len() - written);
                        }
                        worker.bring_up(reader, None);
                    }
                    Err(end) => self.take_out(at).end(end),
                }
            }
            self.wrote = Instant::now();
            batch.count(whole, self.at, 0, self.wrote, tally);
            if left == 0 {
                return;
            }
            if share % (FAIR_SHARE / CLOCKED) == 0 {
                yield_now().await;
            }
        }
    }

    /// Says the heartbeat where it is due, and notices who has left or is old enough.
    pub async fn look_after(&mut self, worker: &Rc<Worker>) {
        let now = Instant::now();
        self.each(worker, |reader, wrote| reader.look_after(now, wrote)).await;
    }

    /// Does something with every reader, given when all were written to last. Those who cannot go on at the
    /// pace of the others go on by themselves, and those who end are ended.
    pub async fn each(&mut self, worker: &Rc<Worker>, mut work: impl FnMut(&mut Reader, Instant) -> Result<bool, End>) {
        for at in (0..self.readers.len()).rev() {
            match work(&mut self.readers[at], self.wrote) {
                Ok(true) => {}
                Ok(false) => worker.bring_up(self.take_out(at), None),
                Err(end) => self.take_out(at).end(end),
            }
            if at % FAIR_SHARE == FAIR_SHARE - 1 {
                yield_now().await;
            }
        }
    }

    /// Takes a reader out, with what it has in common with the others.
    fn take_out(&mut self, at: usize) -> Reader {
        let mut reader = self.readers.swap_remove(at);
        self.hand_over(&mut reader);
        reader
    }

    fn hand_over(&self, reader: &mut Reader) {
        reader.go_on_from(self.at, self.place.as_ref());
        reader.told = self.told;
        reader.wrote = reader.wrote.max(self.wrote);
    }
}
