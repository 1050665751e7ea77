//! A node for tests of single parts of the hub.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::catch_ups::CatchUps;
use super::context::Pace;
use super::node::Hub;
use super::source::Source;
use super::subscriber::Subscriber;
use super::subscriber::stream_writer::StreamWriter;
use crate::bus::{Listener, Retention, Stores};
use crate::chat::Rooms;
use crate::metrics::Metrics;
use crate::sse::Form;

/// A node on which nothing runs by itself: the runtime of a test runs other tasks only while the test waits.
pub struct Node {
    /// Its hub.
    pub hub: Arc<Hub>,
    _listener: Arc<dyn Listener>,
    _stores: Stores,
}

impl Node {
    /// Creates a node on a store in memory.
    pub fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let retention = Retention { messages: 5000, seconds: 60 };
        let stores = Stores::open(None, "chat", "node", retention, false, metrics.clone()).unwrap();
        let hub = Hub::new(&stores, "node", Pace { heartbeat: Duration::from_secs(15), max_age: None }, metrics);
        let listener: Arc<dyn Listener> = hub.clone();
        stores.bus.attach(Arc::downgrade(&listener));
        Self { hub, _listener: listener, _stores: stores }
    }

    /// Enters rooms as subscribers do, and waits until they are in sync with their logs.
    pub async fn enter(&self, rooms: &str) -> Source {
        let source = self.hub.enter(&Rooms::from_path(rooms).unwrap());
        for room in source.rooms() {
            room.in_sync_since(room.reads_started()).await;
        }
        source
    }

    /// Enters a room of its own for each number.
    pub async fn enter_many(&self, count: usize) -> Vec<Source> {
        let mut sources = Vec::new();
        for number in 0..count {
            sources.push(self.enter(&format!("room-{number}")).await);
        }
        sources
    }

    /// Returns a new subscriber of a source, whose socket takes little, and the client's end of that.
    pub async fn subscriber(&self, source: Source, catch_ups: Rc<CatchUps>) -> (Subscriber, std::net::TcpStream) {
        let (socket, client) = small_socket().await;
        let context = self.hub.stream_context().clone();
        let writer = StreamWriter::new(context.clone(), Form::default(), None, None, socket, Bytes::new());
        (Subscriber::new(context, catch_ups, source, writer, Box::new(())), client)
    }
}

/// Returns a socket that takes little, and the client's end of it.
pub async fn small_socket() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    SockRef::from(&client).set_recv_buffer_size(32 << 10).unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
    (socket, client)
}
