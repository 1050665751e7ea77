//! A TCP proxy between two programs that simulates network failures.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy that runs until its test ends. Every change of its mode breaks the connections it has, unless its method
/// says otherwise.
pub struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Forwards both directions.
    Open,
    /// Closes new connections.
    Cut,
    /// Answers every request with 503.
    Unavailable,
    /// Accepts connections and forwards nothing.
    Silent,
    /// Forwards both directions until the next POST.
    CutAtNextPost,
}

impl Proxy {
    /// Starts a proxy that forwards to a server.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mode = Arc::new(watch::Sender::new(Mode::Open));
        tokio::spawn(serve(listener, server, Arc::clone(&mode)));
        Proxy { address, mode }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Closes every connection, old and new.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Answers every request with 503, like a proxy whose server is down.
    pub fn unavailable(&self) {
        self.mode.send_replace(Mode::Unavailable);
    }

    /// Keeps connections open and accepts new ones, but forwards nothing.
    pub fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Keeps forwarding until the next POST. That request reaches the server, and before its response or anything else
    /// is forwarded, every connection is closed.
    pub fn cut_at_the_next_post(&self) {
        self.mode.send_replace(Mode::CutAtNextPost);
    }

    /// Forwards new connections again.
    pub fn restore(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, mode: Arc<watch::Sender<Mode>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mode = Arc::clone(&mode);
        tokio::spawn(async move {
            let mut changes = mode.subscribe();
            let current = *changes.borrow_and_update();
            let broken = async {
                while changes.changed().await.is_ok() {
                    if *changes.borrow_and_update() != Mode::CutAtNextPost {
                        break;
                    }
                }
            };
            tokio::select! {
                biased;
                _ = broken => {}
                end = forward(&mut client, server, current, &mode) => {
                    if let Ok(Some(post)) = end {
                        discard_response(post, &mode).await;
                    }
                }
            }
            // Without a server behind it, the client is kept waiting.
            while *changes.borrow_and_update() == Mode::Silent && changes.changed().await.is_ok() {}
        });
    }
}

/// Forwards until one side closes. Returns the POST that the mode `CutAtNextPost` waits for, with the connection to the
/// server on which it has not been sent yet.
async fn forward(
    client: &mut TcpStream,
    server: SocketAddr,
    current: Mode,
    mode: &watch::Sender<Mode>,
) -> io::Result<Option<(Vec<u8>, TcpStream)>> {
    match current {
        Mode::Open | Mode::CutAtNextPost => {
            let mut server = TcpStream::connect(server).await?;
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            loop {
                tokio::select! {
                    count = client.read(&mut up) => {
                        let sent = &up[..count?];
                        if sent.starts_with(b"POST ") && *mode.borrow() == Mode::CutAtNextPost {
                            mode.send_replace(Mode::Silent);
                            return Ok(Some((sent.to_vec(), server)));
                        }
                        if sent.is_empty() {
                            return Ok(None);
                        }
                        server.write_all(sent).await?;
                    }
                    count = server.read(&mut down) => {
                        let sent = &down[..count?];
                        if sent.is_empty() {
                            return Ok(None);
                        }
                        client.write_all(sent).await?;
                    }
                }
            }
        }
        Mode::Cut => {}
        Mode::Silent => std::future::pending().await,
        Mode::Unavailable => {
            client.readable().await?;
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(None)
}

/// Sends the POST to the server, waits for the response, and closes every connection instead of forwarding it.
async fn discard_response((post, mut server): (Vec<u8>, TcpStream), mode: &watch::Sender<Mode>) {
    let _ = server.write_all(&post).await;
    let _ = server.read(&mut [0; 1024]).await;
    mode.send_replace(Mode::Cut);
}
