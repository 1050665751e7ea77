//! One address in front of several nodes: a TCP load balancer that takes the nodes in turn, skips those that refuse
//! connections, and like most knows nothing of draining.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// A load balancer that runs until its test ends.
pub struct LoadBalancer {
    address: SocketAddr,
}

impl LoadBalancer {
    pub async fn start(nodes: Vec<SocketAddr>) -> LoadBalancer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, nodes.into()));
        LoadBalancer { address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn serve(listener: TcpListener, nodes: Arc<[SocketAddr]>) {
    let next = AtomicUsize::new(0);
    while let Ok((mut client, _)) = listener.accept().await {
        let (nodes, first) = (Arc::clone(&nodes), next.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(async move {
            for node in nodes.iter().cycle().skip(first % nodes.len()).take(nodes.len()) {
                if let Ok(mut server) = TcpStream::connect(node).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
            }
        });
    }
}
