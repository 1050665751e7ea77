//! Clients that read a stream and resume it, each after its kind: they stay, hop, read slowly, vanish.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    http::{Chunks, Connection, RESPONSE_TIMEOUT},
    shared::{Orders, Phase, Shared, add},
    stream::Recorder,
};
use crate::{
    history::{At, Chain, End, Kind, Session},
    sse::{Block, Parser},
};

/// How much longer than two heartbeats a stream may be silent before the reader reconnects.
const SILENCE_MARGIN: Duration = Duration::from_secs(1);

/// How much is read at once, and what a slow reader reads in a second, in bytes.
const READ_SIZE: usize = 32 * 1024;
const SLOW_READ: usize = 512;
const SLOW_RATE: f64 = 3_000.0;

/// The receive buffer of a slow reader in bytes.
const SLOW_RECEIVE_BUFFER: u32 = 4_096;

/// How many connections a reader leaves open behind it. An older one is closed.
const MAX_VANISHED: usize = 4;

/// How often a hopping reader begins anew instead of resuming, and how often it stays away for long.
const BEGINS_ANEW: f64 = 0.04;
const LONG_ABSENCE: f64 = 0.03;

/// How often a reader that begins with an old cursor takes a newer one for the next times.
const FORGETS_CURSOR: f64 = 0.25;

pub struct Reader {
    pub shared: Arc<Shared>,
    pub orders: watch::Receiver<Orders>,
    pub random: StdRng,
    pub kind: Kind,
    pub rooms: Vec<u16>,
    /// The index of a staying reader in `Shared::newest`.
    pub index: Option<usize>,
    chains: Vec<Chain>,
    /// A cursor that it had a while ago.
    oldest: Option<String>,
    retry: Duration,
    /// Streams that are not read any more, and not closed.
    vanished: VecDeque<Connection>,
    /// Whether it has a cursor.
    is_resumable: bool,
    /// Whether it was told of a gap at the end, which may have been over the last message of a room.
    has_gap_at_end: bool,
    has_caught_up: bool,
}

/// A stream that is read.
struct Stream {
    connection: Connection,
    chunks: Chunks,
    parser: Parser,
    max_silence: Duration,
    begun: At,
    replayed: bool,
    is_sent_away: bool,
}

impl Reader {
    pub fn new(
        shared: &Arc<Shared>,
        orders: watch::Receiver<Orders>,
        random: StdRng,
        kind: Kind,
        rooms: Vec<u16>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            orders,
            random,
            kind,
            rooms,
            index: None,
            chains: Vec::new(),
            oldest: None,
            retry: Duration::from_secs(2),
            vanished: VecDeque::new(),
            is_resumable: false,
            has_gap_at_end: false,
            has_caught_up: false,
        }
    }

    /// Reads until the load is over, and returns what was read.
    pub async fn run(mut self) -> Vec<Chain> {
        let mut recorder = self.recorder(None);
        while self.phase() != Phase::Over {
            let end = self.session(&mut recorder).await;
            let pause = self.pause_after(end);
            if end == End::Left && self.wants_to_begin_anew() {
                self.begin_anew(&mut recorder);
            }
            let (mut orders, is_choice) = (self.orders.clone(), end == End::Left);
            let ends = |phase| phase == Phase::Over || (is_choice && phase != Phase::Running);
            let _ = timeout(pause, orders.wait_for(|orders| ends(orders.phase))).await;
        }
        self.chains.push(recorder.chain);
        self.chains
    }

    fn phase(&self) -> Phase {
        self.orders.borrow().phase
    }

    fn recorder(&self, cursor: Option<String>) -> Recorder {
        let name = |room: &u16| self.shared.rooms[usize::from(*room)].name.clone();
        Recorder::new(self.kind, &self.rooms, self.rooms.iter().map(name).collect(), cursor)
    }

    fn wants_to_begin_anew(&mut self) -> bool {
        let share = match self.kind {
            Kind::Old => 1.0,
            Kind::Hopping => BEGINS_ANEW,
            Kind::Staying | Kind::Several | Kind::Slow => 0.0,
        };
        self.random.random_bool(share)
    }

    /// Begins a new chain, unless the load is closing: the last messages are posted once all readers are resumable, so
    /// this one says that it is not before it looks at the phase.
    fn begin_anew(&mut self, recorder: &mut Recorder) {
        self.note_resumable(false);
        if self.phase() == Phase::Running {
            if self.random.random_bool(FORGETS_CURSOR) {
                self.oldest.clone_from(&recorder.cursor);
            }
            let next = self.recorder(self.oldest.clone().filter(|_| self.kind == Kind::Old));
            self.chains.push(Chain { reads_to_end: false, ..std::mem::replace(recorder, next).chain });
        }
        self.note_resumable(recorder.cursor.is_some());
    }

    fn note_resumable(&mut self, is_resumable: bool) {
        match (std::mem::replace(&mut self.is_resumable, is_resumable), is_resumable) {
            (false, true) => self.shared.resumable.send_modify(|readers| *readers += 1),
            (true, false) => self.shared.resumable.send_modify(|readers| *readers -= 1),
            _ => {}
        }
    }

    /// Returns how long the reader is away after a session.
    fn pause_after(&mut self, end: End) -> Duration {
        let seconds = match (end, self.kind) {
            (End::Broken | End::SentAway, _) => return self.retry,
            _ if self.phase() != Phase::Running => 0.0,
            (End::Left, Kind::Hopping) if self.random.random_bool(LONG_ABSENCE) => self.random.random_range(3.0..15.0),
            (End::Left, Kind::Hopping) => self.random.random_range(0.05..0.7),
            (End::Left, Kind::Old) => self.random.random_range(5.0..15.0),
            (End::Left, Kind::Several) => self.random.random_range(0.1..3.0),
            (End::Left, Kind::Staying | Kind::Slow) => self.random.random_range(0.0..0.1),
        };
        Duration::from_secs_f64(seconds)
    }

    /// Returns how long the reader stays.
    fn stay(&mut self) -> Option<Duration> {
        let seconds = match self.kind {
            Kind::Hopping => self.random.random_range(0.1..1.6),
            Kind::Several => self.random.random_range(2.0..20.0),
            Kind::Old => self.random.random_range(1.0..5.0),
            Kind::Staying | Kind::Slow => return None,
        };
        Some(Duration::from_secs_f64(seconds))
    }

    /// Reads one stream, and records the session.
    async fn session(&mut self, recorder: &mut Recorder) -> End {
        let (begun, resumed) = (self.shared.clock.now(), recorder.cursor.is_some());
        recorder.begin_session();
        let (end, replayed) = match self.open(recorder, begun).await {
            Ok(stream) => {
                add(&self.shared.counters.streams);
                if resumed {
                    add(&self.shared.counters.resumes);
                }
                let ended = self.read(stream, recorder).await;
                self.shared.counters.streams.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                ended
            }
            Err(_) => (End::Broken, false),
        };
        if end != End::Left {
            add(&self.shared.counters.broken);
        }
        recorder.chain.sessions.push(Session { ended: self.shared.clock.now(), resumed, replayed, end });
        end
    }

    async fn open(&self, recorder: &Recorder, begun: At) -> io::Result<Stream> {
        let receive_buffer = (self.kind == Kind::Slow).then_some(SLOW_RECEIVE_BUFFER);
        let mut connection = Connection::open(self.shared.front, receive_buffer).await?;
        let names: Vec<&str> =
            self.rooms.iter().map(|room| self.shared.rooms[usize::from(*room)].name.as_str()).collect();
        let (front, rooms) = (self.shared.front, names.join(","));
        let mut request = format!("GET /subscribe/{rooms} HTTP/1.1\r\nHost: {front}\r\nAccept: text/event-stream\r\n");
        if let Some(cursor) = &recorder.cursor {
            request += &format!("Last-Event-ID: {cursor}\r\n");
        }
        let head = timeout(RESPONSE_TIMEOUT, connection.send((request + "\r\n").as_bytes())).await??;
        if head.status != 200 {
            return Err(io::Error::other(format!("status {}", head.status)));
        }
        let (chunks, parser) = (Chunks::default(), Parser::default());
        let max_silence = RESPONSE_TIMEOUT;
        Ok(Stream { connection, chunks, parser, max_silence, begun, replayed: false, is_sent_away: false })
    }

    /// Reads a stream to its end, or until the reader leaves; returns how it ended, and whether it replayed anything.
    async fn read(&mut self, mut stream: Stream, recorder: &mut Recorder) -> (End, bool) {
        let leaves_at = self.stay().map(|stay| Instant::now() + stay);
        let (mut seen, mut last_read) = (*self.orders.borrow_and_update(), Instant::now());
        let end = loop {
            let limit = if self.is_slow() { SLOW_READ } else { READ_SIZE };
            let silent_at = last_read + stream.max_silence;
            let leaves = leaves_at.filter(|_| seen.phase == Phase::Running);
            tokio::select! {
                read = timeout_at(silent_at, stream.connection.next(limit)) => match read {
                    Ok(Ok(bytes)) if !bytes.is_empty() => {
                        if self.on_bytes(&bytes, &mut stream, recorder).is_none() {
                            break End::Broken;
                        }
                        self.pace(bytes.len()).await;
                        last_read = Instant::now();
                    }
                    _ if stream.is_sent_away => break End::SentAway,
                    _ => break End::Broken,
                },
                () = sleep_until(leaves.unwrap_or(silent_at)), if leaves.is_some() => break End::Left,
                changed = self.orders.changed() => {
                    let orders = *self.orders.borrow_and_update();
                    let before = std::mem::replace(&mut seen, orders);
                    self.note_end(recorder);
                    if changed.is_err() || orders.phase == Phase::Over || orders.storms != before.storms {
                        break End::Left;
                    }
                    if orders.vanishings.0 != before.vanishings.0 && self.vanishes(orders.vanishings.1) {
                        self.vanished.push_back(stream.connection);
                        self.vanished.drain(..self.vanished.len().saturating_sub(MAX_VANISHED));
                        break End::Left;
                    }
                }
            }
        };
        (end, stream.replayed)
    }

    fn is_slow(&self) -> bool {
        self.kind == Kind::Slow && self.phase() == Phase::Running
    }

    fn vanishes(&mut self, share: f64) -> bool {
        matches!(self.kind, Kind::Staying | Kind::Hopping) && self.random.random_bool(share.clamp(0.0, 1.0))
    }

    /// Waits as long as a slow reader takes for these bytes.
    async fn pace(&self, bytes: usize) {
        if self.is_slow() {
            sleep(Duration::from_secs_f64(bytes as f64 / SLOW_RATE)).await;
        }
    }

    /// Records what came. Returns `None` if it is no stream.
    fn on_bytes(&mut self, bytes: &[u8], stream: &mut Stream, recorder: &mut Recorder) -> Option<()> {
        let at = self.shared.clock.now();
        for block in stream.parser.feed(&stream.chunks.decode(bytes)?) {
            self.on_block(&block, stream, recorder, at);
        }
        self.note_end(recorder);
        Some(())
    }

    fn on_block(&mut self, block: &Block, stream: &mut Stream, recorder: &mut Recorder, at: At) {
        if let Some(retry) = block.retry {
            self.retry = Duration::from_millis(retry);
        }
        let effect = recorder.on_block(block, &self.shared.tag, at);
        if let Some(heartbeat) = effect.heartbeat {
            stream.max_silence = heartbeat * 2 + SILENCE_MARGIN;
        }
        if let Some(message) = effect.message {
            add(&self.shared.counters.deliveries);
            stream.replayed |= message.posted_at < stream.begun;
            if let Some(index) = self.index {
                self.shared.newest[index].fetch_max(message.posted_at, std::sync::atomic::Ordering::Relaxed);
            }
        }
        if effect.is_gap {
            add(&self.shared.counters.gaps);
            self.has_gap_at_end |= self.phase() != Phase::Running;
        }
        if block.event == "heartbeat" && self.has_gap_at_end && matches!(self.phase(), Phase::Finishing(_)) {
            self.caught_up(); // what follows the gap has come: a heartbeat waits for it
        }
        stream.is_sent_away |= effect.is_sent_away;
        if self.oldest.is_none() {
            self.oldest.clone_from(&recorder.cursor);
        }
        self.note_resumable(recorder.cursor.is_some());
    }

    /// Reports once that the reader has the last message of each of its rooms.
    fn note_end(&mut self, recorder: &Recorder) {
        if let Phase::Finishing(first) = self.phase()
            && recorder.newest.iter().all(|newest| newest.is_some_and(|newest| newest >= first))
        {
            self.caught_up();
        }
    }

    fn caught_up(&mut self) {
        if !std::mem::replace(&mut self.has_caught_up, true) {
            self.shared.caught_up.send_modify(|readers| *readers += 1);
        }
    }
}
