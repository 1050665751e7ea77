//! A server of pages and scripts in front of a node, so that both have one origin: what is not a page goes to the node.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A page or a script: its path and its text.
pub type SiteFile = (&'static str, String);

/// A site that runs until its test ends.
pub struct Site {
    address: SocketAddr,
}

impl Site {
    /// Starts a site with these files, whose other paths are those of the node.
    pub async fn start(files: Vec<SiteFile>, node: SocketAddr) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let files = Arc::new(files);
            while let Ok((client, _)) = listener.accept().await {
                let files = Arc::clone(&files);
                tokio::spawn(async move { answer(client, &files, node).await });
            }
        });
        Site { address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Answers with a file, or leads the connection to the node, whatever is requested on it later.
async fn answer(mut client: TcpStream, files: &[SiteFile], node: SocketAddr) -> io::Result<()> {
    let path = requested_path(&client).await?;
    let Some((path, text)) = files.iter().find(|(known, _)| *known == path) else {
        // Without a node the connection is closed, as if it had been refused.
        let mut server = TcpStream::connect(node).await?;
        return copy_bidirectional(&mut client, &mut server).await.map(drop);
    };
    let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html" };
    let (kind, length) = (format!("{kind}; charset=utf-8"), text.len());
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await?;
    client.write_all(text.as_bytes()).await?;
    // A connection that is closed with something unread is reset, and may take the answer with it.
    let mut rest = [0; 4096];
    client.shutdown().await?;
    while client.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Returns the path that a client requests first, and leaves the request to be read.
async fn requested_path(client: &TcpStream) -> io::Result<String> {
    let mut head = [0; 2048];
    loop {
        let count = client.peek(&mut head).await?;
        let line = String::from_utf8_lossy(&head[..count]);
        if count == 0 || line.contains("\r\n") {
            return Ok(line.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        tokio::task::yield_now().await; // half a line: rare, and complete in a moment
    }
}
