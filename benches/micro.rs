//! Micro-benchmarks of the steps of a message, in one thread and without Redis: parsing a post and an id, encoding a
//! frame, appending it to a room, and writing it to the sockets of subscribers.
//!
//!     cargo bench --bench micro              all of them, half a minute
//!     cargo bench --bench micro frame        those with `frame` in their names
//!
//! Compare the times with each other, or with those of another commit on the same machine in the same hour.
//! `benches/fanout` measures a delivery as a whole.

#![allow(clippy::expect_used)] // a benchmark that cannot begin has nothing to recover

#[path = "micro/node.rs"]
#[allow(dead_code, reason = "the counts of instructions use all of it")]
mod node;

use bytes::Bytes;
use divan::{Bencher, black_box};
use tiny_chat::{
    chat::{Cursor, Draft, Fields, Id, RoomName},
    sse::{Event, Form},
};

use node::{MESSAGE_TEXT, Node, ROOM, draft, encode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ID: &str = "1361572294000-42";

fn main() {
    divan::main();
}

#[divan::bench]
fn parse_post(bencher: Bencher) {
    let fields = Fields {
        sender: Some("mason".into()),
        message: Some(MESSAGE_TEXT.into()),
        key: Some("4711".into()),
        secret: None,
    };
    bencher.bench(|| Draft::new(black_box(&fields)));
}

#[divan::bench]
fn parse_id() -> Option<Id> {
    black_box(ID).parse().ok()
}

#[divan::bench]
fn format_id() -> String {
    black_box(Id { ms: 1_361_572_294_000, n: 42 }).to_string()
}

#[divan::bench]
fn encode_message_frame(bencher: Bencher) {
    let (id, data) = (Id { ms: 1_361_572_294_000, n: 42 }, draft().data().to_owned());
    bencher.bench(|| encode(&Event::entry(black_box(id), "", black_box(&data).clone()), &id.into(), None));
}

#[divan::bench]
fn encode_frame_for_merged_rooms(bencher: Bencher) {
    let id = Id { ms: 1_361_572_294_000, n: 42 };
    let (event, room) = (Event::entry(id, "", draft().data().to_owned()), RoomName::parse(ROOM).expect("a room"));
    let cursor: Cursor = [id; 8].into_iter().collect();
    bencher.bench(|| encode(black_box(&event), &cursor, Some(&room)));
}

#[divan::bench]
fn encode_foreign_frame() -> Bytes {
    Form::default().encode_event(&Event::foreign(black_box(b"first line\nsecond line"), 1))
}

/// Appends a message, which evicts the oldest one, and wakes the fan-out, which does not get to run.
#[divan::bench]
fn append_and_wake(bencher: Bencher) {
    let mut node = Node::start(1);
    bencher.bench_local(|| node.announce());
}

/// Appends a message, and runs the fan-out: one system call for each subscriber.
#[divan::bench(args = [1, 10, 100])]
fn append_and_fan_out(bencher: Bencher, readers: usize) {
    let mut node = Node::start(readers);
    bencher.bench_local(|| {
        node.announce();
        node.run_fanout();
    });
}
