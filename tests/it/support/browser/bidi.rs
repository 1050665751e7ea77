//! WebDriver BiDi (<https://w3c.github.io/webdriver-bidi/>): commands and events as JSON on one WebSocket.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::PAGE_TIMEOUT;
use crate::support::within;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection to a browser.
pub struct Connection {
    commands: mpsc::UnboundedSender<Message>,
    last_id: AtomicU64,
    received: Arc<Received>,
}

/// What the browser has sent and was not asked for yet.
#[derive(Default)]
struct Received {
    /// Who waits for the response to a command, by its id.
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    /// The parameters of events, by their method.
    events: Mutex<HashMap<String, Vec<Value>>>,
}

impl Connection {
    pub async fn open(url: &str) -> Connection {
        let (socket, _) = within(PAGE_TIMEOUT, "a WebSocket", connect_async(url)).await.expect("a WebSocket");
        let (mut sink, stream) = socket.split();
        let (commands, mut to_send) = mpsc::unbounded_channel();
        let received = Arc::<Received>::default();
        tokio::spawn(async move {
            while let Some(command) = to_send.recv().await {
                if sink.send(command).await.is_err() {
                    break;
                }
            }
        });
        tokio::spawn(receive(stream, Arc::clone(&received)));
        Connection { commands, last_id: AtomicU64::default(), received }
    }

    /// Sends a command and returns its result.
    ///
    /// # Panics
    ///
    /// If the browser answers with an error, or not in time.
    pub async fn send(&self, method: &str, parameters: Value) -> Value {
        self.try_send(method, parameters).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Sends a command and returns its result, or the error of the browser.
    pub async fn try_send(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (waiting, response) = oneshot::channel();
        self.received.waiting.lock().unwrap().insert(id, waiting);
        let command = json!({ "id": id, "method": method, "params": parameters });
        self.commands.send(Message::text(command.to_string())).map_err(|_| "the browser has gone")?;
        let mut response = within(PAGE_TIMEOUT, method, response).await.map_err(|_| "the browser has gone")?;
        if response["type"] == "error" {
            return Err(format!("{}: {}", response["error"], response["message"]));
        }
        Ok(response["result"].take())
    }

    /// Returns the parameters of all events of this kind since the last call.
    pub fn take_events(&self, method: &str) -> Vec<Value> {
        self.received.events.lock().unwrap().remove(method).unwrap_or_default()
    }
}

/// Receives until the browser or the test has ended.
async fn receive(mut stream: SplitStream<Socket>, received: Arc<Received>) {
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        let mut message: Value = serde_json::from_str(&text).expect("JSON");
        if message["type"] == "event" {
            let method = message["method"].as_str().expect("a method").to_owned();
            received.events.lock().unwrap().entry(method).or_default().push(message["params"].take());
        } else if let Some(waiting) = message["id"].as_u64().and_then(|id| received.waiting.lock().unwrap().remove(&id))
        {
            let _ = waiting.send(message);
        }
    }
    received.waiting.lock().unwrap().clear(); // ends their waits
}
