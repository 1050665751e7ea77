//! A reader: it keeps its position, reconnects as its kind of client does, and notes what it receives.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    audit::Received,
    hubs::{
        dialect,
        kind::Kind,
        position::Position,
        reconnect::Reconnect,
        stream::{StreamDecoder, StreamEvent},
    },
    received::{Mark, parse_marks},
};

/// The statuses of a stream: of an event stream, and of a WebSocket.
const STREAM_STATUSES: [u16; 2] = [200, 101];

/// The status with which durable-streams tells its clients, which are scripts, that a position is no longer there.
const GONE: u16 = 410;

/// What is known of a reader.
#[derive(Default)]
pub struct Reading {
    pub received: Vec<Received>,
    /// Whether its stream is open and live.
    pub is_live: bool,
    /// Whether it was told that messages are missing.
    pub is_told: bool,
    /// The status that ended it for good.
    pub ended_by: Option<u16>,
}

#[derive(Clone)]
pub struct Reader {
    pub kind: Kind,
    /// The number of the room, which is also the lane of its messages.
    pub room: usize,
    pub address: SocketAddr,
    pub started: Instant,
    pub reading: Arc<Mutex<Reading>>,
}

impl Reader {
    /// Reads until a response is the end of it.
    pub async fn run(self) {
        let mut client =
            Client { position: Position::default(), reconnect: Reconnect::of(self.kind), failures_in_row: 0 };
        loop {
            let status = self.read_stream(&mut client).await;
            if self.note_end(status, client.reconnect) {
                return;
            }
            sleep(client.reconnect.delay(client.failures_in_row)).await;
            client.failures_in_row += 1;
        }
    }

    /// Notes that a stream ended with this status, if there was a response, and returns true if the reader ends with it.
    fn note_end(&self, status: Option<u16>, reconnect: Reconnect) -> bool {
        let mut reading = self.reading.lock();
        reading.is_live = false;
        let Some(status) = status.filter(|status| !STREAM_STATUSES.contains(status)) else {
            return false;
        };
        reading.is_told |= self.kind == Kind::DurableStreams && status == GONE;
        let is_final = reconnect.is_final(status);
        reading.ended_by = is_final.then_some(status);
        is_final
    }

    /// Reads one stream to its end, and returns its status, if there was a response.
    async fn read_stream(&self, client: &mut Client) -> Option<u16> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        let room = crate::room_name(self.room);
        stream.write_all(&dialect::subscription(self.kind, &room, &client.position)).await.ok()?;
        let hello = dialect::hello(self.kind, &client.position);
        let (mut decoder, mut buffer, mut is_live) = (StreamDecoder::default(), vec![0; 16 * 1024], false);
        loop {
            let length = stream.read(&mut buffer).await.unwrap_or_default();
            if length == 0 {
                return decoder.status();
            }
            if let Some(reply) = dialect::reply(self.kind, &hello, &buffer[..length], is_live) {
                stream.write_all(reply).await.ok()?;
            }
            let events = decoder.push(&buffer[..length]);
            match decoder.status() {
                Some(status) if !STREAM_STATUSES.contains(&status) => return Some(status),
                status => is_live |= status.is_some() && !dialect::says_live(self.kind),
            }
            for event in &events {
                is_live |= self.take(client, event);
            }
            if is_live {
                self.reading.lock().is_live = true;
                client.failures_in_row = 0;
            }
            if decoder.is_ended() {
                return decoder.status();
            }
        }
    }

    /// Notes an event, and returns true if the stream is live with it.
    fn take(&self, client: &mut Client, event: &StreamEvent) -> bool {
        let at = self.started.elapsed();
        let meaning = client.position.advance(self.kind, event);
        if let Some(retry) = event.retry {
            client.reconnect.set_retry(retry);
        }
        let mut reading = self.reading.lock();
        reading.is_told |= meaning.is_loss;
        parse_marks(event.data.as_bytes(), |mark| match mark {
            Mark::Numbered { lane, number, .. } if lane == self.room => reading.received.push(Received { number, at }),
            _ => {}
        });
        meaning.is_live
    }
}

/// What a client keeps between its streams.
struct Client {
    position: Position,
    reconnect: Reconnect,
    failures_in_row: i32,
}

/// Returns how long ago the last of some readers received something.
pub fn silence(readings: &[Arc<Mutex<Reading>>], started: Instant) -> Duration {
    let last = readings.iter().filter_map(|reading| reading.lock().received.last().map(|message| message.at)).max();
    started.elapsed().saturating_sub(last.unwrap_or_default())
}
