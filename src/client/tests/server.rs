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
    json(status, headers, "")
}

/// Returns an answer with a body, after which the connection is closed.
pub(super) fn json(status: u16, headers: &str, body: &str) -> Script {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    Script { bytes: text.into_bytes(), stays_open: false }
}

/// Reads the head and the body of a request.
pub(super) async fn read_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    socket.read_exact(&mut body).await.unwrap();
    head + std::str::from_utf8(&body).unwrap()
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

    /// Returns all requests that came.
    pub(super) fn requests_so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}
