//! What stands between two programs and can be cut: a TCP proxy.

use std::{io, net::SocketAddr};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Ends with its test. Every change of the way breaks all connections of before.
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

#[derive(Clone, Copy)]
enum Way {
    Open,
    Cut,
    Unavailable,
}

impl Proxy {
    /// An open way to a server.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (way, now) = watch::channel(Way::Open);
        tokio::spawn(serve(listener, server, now));
        Proxy { address, way }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whoever connects is hung up on.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Whoever asks is answered 503, as by a proxy whose server is away.
    pub fn unavailable(&self) {
        self.way.send_replace(Way::Unavailable);
    }

    pub fn restore(&self) {
        self.way.send_replace(Way::Open);
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, way: watch::Receiver<Way>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut way = way.clone();
        tokio::spawn(async move {
            let now = *way.borrow_and_update();
            tokio::select! {
                _ = pass(client, server, now) => {}
                _ = way.changed() => {}
            }
        });
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, way: Way) -> io::Result<()> {
    match way {
        Way::Open => {
            let mut server = TcpStream::connect(server).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        }
        Way::Cut => {}
        Way::Unavailable => {
            client.readable().await?;
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(())
}
