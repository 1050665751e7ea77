//! A client that reads one stream and keeps its position, as a page with a script would.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::hubs::{
    dialect,
    kind::Kind,
    position::{Meaning, Position},
    process::Failure,
    stream::{StreamDecoder, StreamEvent},
};

pub struct Observer {
    pub position: Position,
    kind: Kind,
    stream: TcpStream,
    decoder: StreamDecoder,
    hello: Vec<u8>,
    is_live: bool,
    /// Events that were received, and not asked for yet, each with its meaning.
    events: VecDeque<(StreamEvent, Meaning)>,
}

impl Observer {
    /// Opens the stream of a room from a position on, and waits until it is live.
    pub fn open(
        kind: Kind,
        address: SocketAddr,
        room: &str,
        position: Position,
        limit: Duration,
    ) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.write_all(&dialect::subscription(kind, room, &position))?;
        let hello = dialect::hello(kind, &position);
        let (decoder, events) = (StreamDecoder::default(), VecDeque::new());
        let mut observer = Self { position, kind, stream, decoder, hello, is_live: false, events };
        let end = Instant::now() + limit;
        while !observer.is_live {
            observer.receive(end)?;
            observer.is_live |= !dialect::says_live(kind) && observer.decoder.status() == Some(200);
        }
        Ok(observer)
    }

    /// Reads until an event satisfies `found`, and returns all events up to it.
    ///
    /// # Errors
    /// When none does within `limit`, or the stream ends.
    pub fn read_until(
        &mut self,
        limit: Duration,
        found: impl Fn(&StreamEvent, Meaning) -> bool,
    ) -> Result<Vec<StreamEvent>, Failure> {
        let (end, mut passed) = (Instant::now() + limit, Vec::new());
        loop {
            while let Some((event, meaning)) = self.events.pop_front() {
                let is_last = found(&event, meaning);
                passed.push(event);
                if is_last {
                    return Ok(passed);
                }
            }
            self.receive(end)?;
        }
    }

    /// Reads what comes with the last event: the offset of durable-streams is an event of its own.
    pub fn settle(&mut self) -> Result<(), Failure> {
        if self.kind == Kind::DurableStreams && !self.events.iter().any(|(event, _)| event.name == "control") {
            self.read_until(Duration::from_secs(5), |event, _| event.name == "control")?;
        }
        Ok(())
    }

    fn receive(&mut self, end: Instant) -> Result<(), Failure> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || self.decoder.is_ended() {
            return Err(format!("{}: an observer received too little", self.kind.name()).into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 16 * 1024];
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(format!("{} ended a stream", self.kind.name()).into()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(()),
            other => other?,
        };
        if let Some(reply) = dialect::reply(self.kind, &self.hello, &buffer[..length], self.is_live) {
            self.stream.write_all(reply)?;
        }
        for event in self.decoder.push(&buffer[..length]) {
            let meaning = self.position.advance(self.kind, &event);
            self.is_live |= meaning.is_live;
            self.events.push_back((event, meaning));
        }
        Ok(())
    }
}
