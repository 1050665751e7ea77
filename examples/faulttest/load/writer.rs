//! Clients that post. Each message is posted with a key until it is acknowledged, over a connection that is kept or a
//! new one. Some requests are broken off before the answer, and some messages posted again after it.

use std::{io, sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    http::{Connection, Head, RESPONSE_TIMEOUT},
    message,
    shared::{Orders, Phase, Shared, add},
};
use crate::{
    history::{FailedAttempt, Outcome, Post},
    sse::Id,
};

/// The share of attempts over a new connection, of those broken off, and of messages that are posted again.
const FRESH: f64 = 0.2;
const BROKEN_OFF: f64 = 0.02;
const POSTED_AGAIN: f64 = 0.01;

/// The longest wait before a post is repeated, even if `Retry-After` asks for more.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How often a busy room is chosen, and a quiet one.
const WEIGHTS: [u32; 2] = [50, 1];

pub struct Writer {
    shared: Arc<Shared>,
    orders: watch::Receiver<Orders>,
    random: StdRng,
    name: String,
    connection: Option<Connection>,
    pub written: Written,
}

/// What a writer did.
#[derive(Default)]
pub struct Written {
    pub posts: Vec<(u32, Post)>,
    pub failed_attempts: Vec<FailedAttempt>,
}

#[derive(Deserialize)]
struct Acknowledgement {
    id: String,
}

impl Writer {
    pub fn new(shared: &Arc<Shared>, orders: watch::Receiver<Orders>, random: StdRng, number: usize) -> Self {
        let name = format!("writer {number}");
        Self {
            shared: Arc::clone(shared),
            orders,
            random,
            name,
            connection: None,
            written: Written::default(),
        }
    }

    /// Posts at random times, `pause` apart on average, until the load is closing.
    pub async fn run(mut self, pause: Duration) -> Written {
        while self.phase() == Phase::Running {
            let pause = pause.mul_f64(-self.random.random_range(0.02_f64..1.0).ln());
            let mut orders = self.orders.clone();
            let closing = orders.wait_for(|orders| orders.phase != Phase::Running);
            if timeout(pause, closing).await.is_err() {
                let room = self.choose_room();
                self.post(room).await;
            }
        }
        self.written
    }

    fn phase(&self) -> Phase {
        self.orders.borrow().phase
    }

    fn choose_room(&mut self) -> usize {
        let weight = |room: usize| WEIGHTS[usize::from(!self.shared.rooms[room].is_busy)];
        let total: u32 = (0..self.shared.rooms.len()).map(weight).sum();
        let mut left = self.random.random_range(0..total.max(1));
        for room in 0..self.shared.rooms.len() {
            match left.checked_sub(weight(room)) {
                Some(rest) => left = rest,
                None => return room,
            }
        }
        0
    }

    /// Posts a message until it is acknowledged, or the load is over.
    pub async fn post(&mut self, room: usize) {
        let (number, begun) = (self.shared.take_number(), self.shared.clock.now());
        let request = self.request(room, number, begun);
        let mut is_refused = true;
        let outcome = loop {
            match self.attempt(&request).await {
                Ok((_, Some(id))) => break Outcome::Acknowledged(id),
                Ok((head, None)) => {
                    is_refused &= (400..500).contains(&head.status);
                    self.failed(Some(head.status), head.retry_after).await;
                }
                Err(_) => {
                    is_refused = false;
                    self.failed(None, None).await;
                }
            }
            if self.phase() == Phase::Over {
                break if is_refused { Outcome::Refused } else { Outcome::Unknown };
            }
        };
        let room = room.try_into().unwrap_or(u16::MAX);
        self.written.posts.push((number, Post { room, begun, ended: self.shared.clock.now(), outcome }));
        if matches!(outcome, Outcome::Acknowledged(_)) {
            add(&self.shared.counters.acknowledged);
            if self.random.random_bool(POSTED_AGAIN) {
                let _ = self.attempt(&request).await;
            }
        }
    }

    fn request(&self, room: usize, number: u32, begun: u32) -> Vec<u8> {
        let (key, text) = (message::key(&self.shared.tag, number), message::text(number, begun));
        let body = json!({ "sender": self.name, "message": text, "key": key }).to_string();
        let name = &self.shared.rooms[room].name;
        let front = self.shared.front;
        let length = body.len();
        format!(
            "POST /{name} HTTP/1.1\r\nHost: {front}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// Sends a request once, and returns the head of the answer with the id of the message, if it was acknowledged.
    async fn attempt(&mut self, request: &[u8]) -> io::Result<(Head, Option<Id>)> {
        if self.random.random_bool(BROKEN_OFF) {
            self.break_off(request).await;
        }
        let kept = self.connection.take().filter(|_| !self.random.random_bool(FRESH));
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(self.shared.front, None).await?,
        };
        let head = timeout(RESPONSE_TIMEOUT, connection.send(request)).await??;
        let body = connection.body(&head).await?;
        if !head.closes {
            self.connection = Some(connection);
        }
        let id = (head.status == 200).then(|| serde_json::from_slice(&body).ok()).flatten();
        Ok((head, id.and_then(|Acknowledgement { id }| Id::parse(&id))))
    }

    /// Sends a request, and closes the connection before the answer comes, or just after.
    async fn break_off(&mut self, request: &[u8]) {
        let patience = Duration::from_micros(self.random.random_range(0..5_000));
        if let Ok(mut connection) = Connection::open(self.shared.front, None).await {
            let _ = timeout(patience, connection.send(request)).await;
        }
    }

    /// Records an attempt that failed, and waits before the next one.
    async fn failed(&mut self, status: Option<u16>, retry_after: Option<f64>) {
        let counters = &self.shared.counters;
        add(if status.is_some() { &counters.refused } else { &counters.unanswered });
        self.written.failed_attempts.push(FailedAttempt { at: self.shared.clock.now(), status });
        let asked = retry_after.map_or(MAX_WAIT / 2, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, 60.0)));
        sleep(asked.min(MAX_WAIT).mul_f64(self.random.random_range(0.3..1.0))).await;
    }
}
