//! A server that follows a script: a plain listener that answers each connection with given bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(super) const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

/// A server that gives each connection the next of its answers, and none after the last.
pub(super) struct Server {
    origin: String,
    requests: mpsc::UnboundedReceiver<String>,
    _serving: JoinHandle<()>,
}

/// Bytes to send, and whether the connection stays open after them.
pub(super) struct Script {
    pub(super) bytes: Vec<u8>,
    pub(super) stays_open: bool,
}

/// Returns a stream that stays open.
pub(super) fn open(body: impl AsRef<[u8]>) -> Script {
    Script { bytes: [STREAM.as_bytes(), body.as_ref()].concat(), stays_open: true }
}

/// Returns a stream that ends.
pub(super) fn ended(body: impl AsRef<[u8]>) -> Script {
    Script { stays_open: false, ..open(body) }
}

/// Returns an answer without a body.
pub(super) fn answer(status: u16, headers: &str) -> Script {
    let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n");
    Script { bytes: head.into_bytes(), stays_open: false }
}

pub(super) async fn read_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

impl Server {
    pub(super) async fn start(scripts: impl IntoIterator<Item = Script>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        let scripts: Vec<Script> = scripts.into_iter().collect();
        let serving = tokio::spawn(async move {
            let mut open = Vec::new();
            for script in scripts {
                let (mut socket, _) = listener.accept().await.unwrap();
                // The test may have ended, and the source may have closed the connection.
                let _ = sender.send(read_request(&mut socket).await);
                let _ = socket.write_all(&script.bytes).await;
                if script.stays_open {
                    open.push(socket);
                }
            }
            // Further connections are refused.
            drop(listener);
            std::future::pending::<()>().await;
        });
        Server { origin, requests, _serving: serving }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Returns the next request, which came already.
    pub(super) fn request(&mut self) -> String {
        self.requests.try_recv().expect("a request")
    }
}
