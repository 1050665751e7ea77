//! What stands between two programs and can be cut: a TCP proxy.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Ends with its test. A change of the way breaks all connections of before, unless it is said to leave them.
pub struct Proxy {
    address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Open,
    Cut,
    Unavailable,
    Silent,
    Trap,
}

impl Proxy {
    /// An open way to a server.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let way = Arc::new(watch::Sender::new(Way::Open));
        tokio::spawn(serve(listener, server, Arc::clone(&way)));
        Proxy { address, way }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Whoever connects is hung up on.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Whoever asks is answered 503, as by a proxy whose server is away.
    pub fn unavailable(&self) {
        self.way.send_replace(Way::Unavailable);
    }

    /// Connections stay, and new ones are taken; nothing comes through, and nobody is told.
    pub fn silence(&self) {
        self.way.send_replace(Way::Silent);
    }

    /// Leaves everything as it is until somebody POSTs: that reaches the server, and before an answer or anything else
    /// comes back, all is cut.
    pub fn cut_at_the_next_post(&self) {
        self.way.send_replace(Way::Trap);
    }

    pub fn restore(&self) {
        self.way.send_replace(Way::Open);
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, way: Arc<watch::Sender<Way>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let way = Arc::clone(&way);
        tokio::spawn(async move {
            let mut changes = way.subscribe();
            let now = *changes.borrow_and_update();
            let broken = async {
                while changes.changed().await.is_ok() {
                    if *changes.borrow_and_update() != Way::Trap {
                        break;
                    }
                }
            };
            tokio::select! {
                biased;
                _ = broken => {}
                end = pass(&mut client, server, now, &way) => if let Ok(Some(sent)) = end { lose(sent, &way).await },
            }
            // with nobody behind it the client waits
            while *changes.borrow_and_update() == Way::Silent && changes.changed().await.is_ok() {}
        });
    }
}

/// Passes everything on; gives the request that sprang the trap, with its way to the server.
async fn pass(
    client: &mut TcpStream,
    server: SocketAddr,
    now: Way,
    way: &watch::Sender<Way>,
) -> io::Result<Option<(Vec<u8>, TcpStream)>> {
    match now {
        Way::Open | Way::Trap => {
            let mut server = TcpStream::connect(server).await?;
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            loop {
                tokio::select! {
                    count = client.read(&mut up) => {
                        let sent = &up[..count?];
                        if sent.starts_with(b"POST ") && *way.borrow() == Way::Trap {
                            way.send_replace(Way::Silent);
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
        Way::Cut => {}
        Way::Silent => std::future::pending().await,
        Way::Unavailable => {
            client.readable().await?;
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(None)
}

/// The server takes what was sent, and its answer gets nowhere.
async fn lose((sent, mut server): (Vec<u8>, TcpStream), way: &watch::Sender<Way>) {
    let _ = server.write_all(&sent).await;
    let _ = server.read(&mut [0; 1024]).await;
    way.send_replace(Way::Cut);
}
