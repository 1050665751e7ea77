//! Micro-benchmarks of the steps of a message, in one thread and without Redis: parsing a post and an id, encoding a
//! frame, appending it to a room, and writing it to the sockets of subscribers.
//!
//!     cargo bench --bench micro              all of them, half a minute
//!     cargo bench --bench micro frame        those with `frame` in their names
//!
//! Compare the times with each other, or with those of another commit on the same machine in the same hour.
//! `benches/fanout` measures a delivery as a whole.

#![allow(clippy::expect_used)] // a benchmark that cannot begin has nothing to recover

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use divan::{Bencher, black_box};
use tiny_chat::{
    bus::{self, Entry, Listener, Retention, Stores},
    chat::{Cursor, Draft, Fields, Id, RoomName, Rooms},
    hub::{Hub, Pace, PresenceRequest, Start, SubscribeRequest, Worker},
    metrics::Metrics,
    sse::{Block, Event, Form},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::{LocalSet, yield_now},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGE_TEXT: &str = "it is about as long as what people write to each other in a room on a working day";

const ID: &str = "1361572294000-42";

const ROOM: &str = "bench";

fn main() {
    divan::main();
}

fn data() -> String {
    let fields = Fields { sender: Some("mason".into()), message: Some(MESSAGE_TEXT.into()), ..Fields::default() };
    Draft::new(&fields).expect("a message").data().to_owned()
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
    let (id, data) = (Id { ms: 1_361_572_294_000, n: 42 }, data());
    bencher.bench(|| encode(&Event::entry(black_box(id), "", black_box(&data).clone()), &id.into(), None));
}

#[divan::bench]
fn encode_frame_for_merged_rooms(bencher: Bencher) {
    let id = Id { ms: 1_361_572_294_000, n: 42 };
    let (event, room) = (Event::entry(id, "", data()), RoomName::parse(ROOM).expect("a room"));
    let cursor: Cursor = [id; 8].into_iter().collect();
    bencher.bench(|| encode(black_box(&event), &cursor, Some(&room)));
}

#[divan::bench]
fn encode_foreign_frame() -> Bytes {
    Form::default().encode_event(&Event::foreign(black_box(b"first line\nsecond line"), 1))
}

fn encode(event: &Event, cursor: &Cursor, room: Option<&RoomName>) -> Bytes {
    Form::default().encode(&Block { retry_ms: None, cursor: Some(cursor), room, event })
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

/// A hub on the in-process bus, with readers on real sockets, all in this thread.
struct Node {
    runtime: Runtime,
    tasks: LocalSet,
    hub: Arc<Hub>,
    data: String,
    last: Id,
    metrics: Arc<Metrics>,
    readers: Vec<TcpStream>,
    _stores: Stores,
}

impl Node {
    fn start(readers: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (tasks, metrics) = (LocalSet::new(), Arc::new(Metrics::new().expect("metrics")));
        let retention = Retention { messages: 1000, seconds: 60 };
        let entered = runtime.enter();
        let stores = Stores::open(None, "chat", "bench", retention, false, metrics.clone()).expect("a store");
        let hub =
            Hub::new(&stores, "bench", Pace { heartbeat: Duration::from_secs(60), max_age: None }, metrics.clone());
        let listener: Arc<dyn Listener> = hub.clone();
        stores.bus.attach(Arc::downgrade(&listener));
        drop(entered);
        let last = Id { ms: bus::unix_ms(), n: 0 };
        let mut node = Self { runtime, tasks, hub, data: data(), last, metrics, readers: Vec::new(), _stores: stores };
        let worker = node.tasks.block_on(&node.runtime, async { Worker::new(node.hub.clone()) });
        for _ in 0..readers {
            node.add_reader(&worker);
        }
        node
    }

    /// Adds a reader, and waits until it is live.
    fn add_reader(&mut self, worker: &Rc<Worker>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut reader = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (socket, _) = listener.accept().expect("its other end");
        socket.set_nonblocking(true).and(socket.set_nodelay(true)).expect("a socket");
        let rooms: Rooms = RoomName::parse(ROOM).expect("a room").into();
        let arrival = SubscribeRequest {
            rooms,
            start: Start::Live,
            presence: PresenceRequest::default(),
            form: Form::default(),
            pass: None,
            socket,
            head: Bytes::new(),
            permit: Box::new(()),
        };
        self.tasks.block_on(&self.runtime, async { worker.subscribe(arrival) });
        reader.set_nonblocking(true).expect("a socket");
        let mut received = Vec::new();
        while !String::from_utf8_lossy(&received).contains(r#""live":true"#) {
            let mut buffer = [0; 1024];
            self.tasks.block_on(&self.runtime, async { tokio::time::sleep(Duration::from_millis(1)).await });
            let length = reader.read(&mut buffer).unwrap_or(0);
            received.extend_from_slice(&buffer[..length]);
        }
        self.readers.push(reader);
    }

    /// Announces the next message to the hub, as the bus does.
    fn announce(&mut self) {
        self.last = self.last.next(self.last.ms);
        let entry = Entry { id: self.last, prev: None, kind: String::new(), data: self.data.clone(), node: None };
        self.hub.on_entry(ROOM, entry);
    }

    /// Runs the fan-out until it has written to all readers, and empties their sockets.
    fn run_fanout(&mut self) {
        let expected = self.metrics.delivered.get() + self.readers.len() as u64;
        while self.metrics.delivered.get() < expected {
            self.tasks.block_on(&self.runtime, yield_now());
        }
        let mut buffer = [0; 4096];
        for reader in &mut self.readers {
            while reader.read(&mut buffer).is_ok_and(|length| length == buffer.len()) {}
        }
    }
}
