//! A hub on the in-process bus, with subscribers on real sockets, all in one thread.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tiny_chat::{
    bus::{self, Entry, Listener, Retention, Stores},
    chat::{Cursor, Draft, Fields, Id, RoomName, Rooms},
    hub::{Hub, Pace, PresenceRequest, RequestedCursor, Start, SubscribeRequest, Worker},
    metrics::Metrics,
    sse::{Block, Event, Form},
};
use tokio::{
    io::AsyncReadExt,
    runtime::{Builder, Runtime},
    task::{LocalSet, yield_now},
};

pub const MESSAGE_TEXT: &str = "it is about as long as what people write to each other in a room on a working day";

pub const ROOM: &str = "bench";

/// Returns a message that is not stored yet.
pub fn draft() -> Draft {
    let fields = Fields { sender: Some("mason".into()), message: Some(MESSAGE_TEXT.into()), ..Fields::default() };
    Draft::new(&fields).expect("a message")
}

/// Returns the bytes of an event in the form that most subscribers read.
pub fn encode(event: &Event, cursor: &Cursor, room: Option<&RoomName>) -> Bytes {
    Form::default().encode(&Block { retry_ms: None, cursor: Some(cursor), room, event })
}

/// A hub on the in-process bus, with readers on real sockets, all in this thread.
pub struct Node {
    runtime: Runtime,
    tasks: LocalSet,
    hub: Arc<Hub>,
    worker: Rc<Worker>,
    data: String,
    last: Id,
    metrics: Arc<Metrics>,
    readers: Vec<TcpStream>,
    _stores: Stores,
}

impl Node {
    pub fn start(readers: usize) -> Self {
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
        let worker = tasks.block_on(&runtime, async { Worker::new(hub.clone()) });
        let data = draft().data().to_owned();
        let mut node = Self { runtime, tasks, hub, worker, data, last, metrics, readers: Vec::new(), _stores: stores };
        for _ in 0..readers {
            let reader = node.subscribe(Start::Live, br#""live":true"#);
            node.readers.push(reader);
        }
        node
    }

    /// Opens a stream, and returns its other end once it has received `last`.
    pub fn subscribe(&mut self, start: Start, last: &[u8]) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let reader = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (socket, _) = listener.accept().expect("its other end");
        socket.set_nonblocking(true).and(socket.set_nodelay(true)).expect("a socket");
        let rooms: Rooms = RoomName::parse(ROOM).expect("a room").into();
        let subscribe = async {
            self.worker.subscribe(SubscribeRequest {
                rooms,
                start,
                presence: PresenceRequest::default(),
                form: Form::default(),
                pass: None,
                socket: tokio::net::TcpStream::from_std(socket).expect("a stream"),
                head: Bytes::new(),
                permit: Box::new(()),
            });
        };
        self.tasks.block_on(&self.runtime, subscribe);
        reader.set_nonblocking(true).expect("a socket");
        // Waits without polling, so that what is counted does not depend on how long it takes.
        let read = async {
            let mut reader = tokio::net::TcpStream::from_std(reader).expect("a stream");
            let mut received = Vec::with_capacity(64 << 10);
            while memchr::memmem::find(&received, last).is_none() {
                let length = reader.read_buf(&mut received).await.expect("a stream that goes on");
                assert_ne!(length, 0, "the stream ended");
            }
            reader.into_std().expect("a socket")
        };
        self.tasks.block_on(&self.runtime, read)
    }

    /// Publishes a message through the hub, and returns its id.
    pub fn publish(&mut self) -> Id {
        let (room, draft) = (RoomName::parse(ROOM).expect("a room"), draft());
        let publish = async { self.hub.publish(&room, &draft, None, Instant::now()).await };
        self.tasks.block_on(&self.runtime, publish).expect("a receipt").id
    }

    /// Resumes after a message, and reads until its stream has the one with the id `last`.
    pub fn resume(&mut self, after: Id, last: Id) {
        let start = Start::After(vec![RequestedCursor::Id(after)]);
        drop(self.subscribe(start, format!("id: {last}\n").as_bytes()));
    }

    /// Announces the next message to the hub, as the bus does.
    pub fn announce(&mut self) {
        self.last = self.last.next(self.last.ms);
        let entry = Entry { id: self.last, prev: None, kind: String::new(), data: self.data.clone(), node: None };
        self.hub.on_entry(ROOM, entry);
    }

    /// Runs the fan-out until it has written to all readers, and empties their sockets.
    pub fn run_fanout(&mut self) {
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
