//! Clients that send a request and read nothing of the answer.

use futures_util::future::join_all;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use super::Node;

/// Requests a path over a connection with the smallest receive buffer, and waits until an answer begins.
pub async fn stalled(node: &Node, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut socket = socket.connect(node.address()).await.expect("the node accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the node reads");
    socket.readable().await.expect("an answer begins");
    socket
}

/// Requests a path over many such connections.
pub async fn stalled_many(node: &Node, path: &str, count: usize) -> Vec<TcpStream> {
    join_all((0..count).map(|_| stalled(node, path))).await
}
