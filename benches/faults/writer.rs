//! A writer: it posts numbered messages in one room, one after the other, and notes which were acknowledged.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    audit::Posted,
    hubs::{
        dialect::{self, Post},
        kind::Kind,
        response::take_response,
    },
    received::format_mark,
};

/// How long a writer waits for a response before it takes the post as failed.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The first delay before a post is repeated, which doubles, and the longest.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// What is known of a writer's posts.
#[derive(Default)]
pub struct Writing {
    pub posted: Vec<Posted>,
    /// The longest time from the first attempt until the acknowledgement, or until the outcome was left unknown.
    pub longest: Duration,
}

pub struct Writer {
    pub kind: Kind,
    /// The number of the room, which is also the lane of its messages.
    pub room: usize,
    /// The nodes. It stays with one until that fails it.
    pub addresses: Vec<SocketAddr>,
    pub interval: Duration,
    pub started: Instant,
    pub writing: Arc<Mutex<Writing>>,
    /// Becomes true when no message shall follow.
    pub is_stopped: watch::Receiver<bool>,
}

/// The outcome of an attempt to post.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Acknowledged,
    /// No byte of it reached a node.
    NotSent,
    /// There was no response, or one that says nothing about where the message is.
    Unknown,
}

/// A connection to one of the nodes.
struct Connection {
    node: usize,
    stream: Option<TcpStream>,
    inbox: Vec<u8>,
}

impl Writer {
    /// Posts until it is stopped, and then until its last message is acknowledged.
    pub async fn run(self) {
        let mut connection = Connection { node: self.room, stream: None, inbox: Vec::new() };
        let mut pace = interval(self.interval);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1.. {
            pace.tick().await;
            if *self.is_stopped.borrow() {
                return;
            }
            let began = Instant::now();
            self.writing.lock().posted.push(Posted { number, acknowledged: None });
            let is_acknowledged = self.post(&mut connection, number).await;
            let mut writing = self.writing.lock();
            writing.longest = writing.longest.max(began.elapsed());
            if let Some(post) = writing.posted.last_mut().filter(|_| is_acknowledged) {
                post.acknowledged = Some(self.started.elapsed());
            }
        }
    }

    /// Posts a message, repeats that where it cannot double the message, and returns whether it was acknowledged.
    async fn post(&self, connection: &mut Connection, number: u32) -> bool {
        let mut delay = FIRST_DELAY;
        loop {
            match self.attempt(connection, number).await {
                Attempt::Acknowledged => return true,
                outcome => {
                    connection.stream = None;
                    connection.inbox.clear();
                    connection.node += 1;
                    if outcome == Attempt::Unknown && !dialect::has_keys(self.kind) {
                        return false;
                    }
                }
            }
            sleep(delay).await;
            delay = (delay * 2).min(MAX_DELAY);
        }
    }

    async fn attempt(&self, connection: &mut Connection, number: u32) -> Attempt {
        if connection.stream.is_none() {
            let address = self.addresses[connection.node % self.addresses.len()];
            connection.stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await.ok().and_then(Result::ok);
        }
        let Some(stream) = &mut connection.stream else {
            return Attempt::NotSent;
        };
        let (room, text) = (crate::room_name(self.room), format_mark(self.room, number, 0));
        let key = format!("faults-{}-{number}", self.room);
        let post = Post { room: &room, text: &text, number: number.into(), key: Some(&key), client: None };
        let mut request = Vec::new();
        dialect::encode_post(self.kind, &mut request, post);
        let response = timeout(RESPONSE_TIMEOUT, exchange(stream, &request, &mut connection.inbox)).await;
        match response {
            Ok(Some((status, body))) if dialect::is_acknowledged(self.kind, status, body.as_bytes()) => {
                Attempt::Acknowledged
            }
            _ => Attempt::Unknown,
        }
    }
}

/// Sends a request, and returns the status and the body of the response.
async fn exchange(stream: &mut TcpStream, request: &[u8], inbox: &mut Vec<u8>) -> Option<(u16, String)> {
    stream.write_all(request).await.ok()?;
    let mut buffer = [0; 4096];
    loop {
        if let Some(response) = take_response(inbox) {
            return Some(response);
        }
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        inbox.extend_from_slice(&buffer[..length]);
    }
}
