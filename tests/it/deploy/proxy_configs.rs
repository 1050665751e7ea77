//! The configurations in deploy/, as they are shipped but for their addresses, in front of two nodes on one Redis.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{CADDY_EXAMPLE, HAPROXY_EXAMPLE, nginx_config};
use crate::support::{DEADLINE, Node, Redis, WebServer, eventually, free_port, within};

/// Starts two nodes that trust a proxy on this host.
///
/// Their ports are none that the system gives out: the proxy would take another test's node for the one that was killed.
async fn start_nodes(redis: &Redis) -> [Node; 2] {
    let node = async |name| {
        let bind = format!("127.0.0.1:{}", free_port());
        let environment =
            [("NODE", name), ("BIND", bind.as_str()), ("TRUSTED_PROXIES", "127.0.0.1"), ("HEARTBEAT", "1")];
        Node::on(redis, &environment).await
    };
    [node("chat-1").await, node("chat-2").await]
}

async fn start_caddy(nodes: &[Node; 2], scheme: &str) -> WebServer {
    let upstreams = format!("{} {}", nodes[0].address(), nodes[1].address());
    WebServer::start_caddy(CADDY_EXAMPLE, |port| {
        vec![("SITE", format!("{scheme}:{port}")), ("NODES", upstreams.clone())]
    })
    .await
}

/// Checks that messages, resumes and posts pass through the proxy, also after one node is killed, and that it hides
/// `/metrics` and `/readyz`.
async fn assert_balances(proxy: &WebServer, nodes: &mut [Node; 2]) {
    let mut subscriber = proxy.subscribe("lobby", None).await;
    let first = proxy.post("lobby", "one").await;
    subscriber.read_until(&first).await;
    let second = proxy.post("lobby", "two").await;
    subscriber.read_until("event: heartbeat").await;

    let mut back = proxy.subscribe("lobby", Some(&first)).await;
    let text = back.read_until(&second).await;
    assert_eq!(text.matches(&second).count(), 1, "{text}");
    assert!(!text.contains("\"one\""), "{text}");

    for path in ["/metrics", "/readyz", "/%6detrics", "/%72eadyz"] {
        assert_eq!(proxy.get_status(path).await, 404, "{path}");
    }
    // The longest request line that a node takes.
    let (start, end) = ("GET /lobby?", " HTTP/1.1");
    let line = format!("{start}{}{end}", "x".repeat(65_534 - start.len() - end.len()));
    let mut connection = TcpStream::connect(("127.0.0.1", proxy.port())).await.expect("a connection");
    let head = format!("{line}\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", proxy.port());
    connection.write_all(head.as_bytes()).await.expect("a request");
    let mut status = [0; 12];
    connection.read_exact(&mut status).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200", "{}", proxy.log());

    nodes[0].kill();
    for number in 0..20 {
        assert_eq!(proxy.get_status("/lobby").await, 200, "request {number} after a node was killed");
        proxy.post("lobby", &format!("after {number}")).await;
    }
    let mut last = proxy.subscribe("lobby", Some(&second)).await;
    let text = last.read_until("\"after 19\"").await;
    for number in 0..20 {
        assert_eq!(text.matches(&format!("\"after {number}\"")).count(), 1, "message {number} in {text}");
    }
}

/// Checks that a message is passed on at once. Most of them are given time on a busy machine, but not each: what a proxy
/// or the kernel holds back comes late every time.
async fn assert_passes_on_at_once(proxy: &WebServer, node: &Node) {
    let mut subscriber = proxy.subscribe("prompt", None).await;
    let mut quickest = Duration::MAX;
    for number in 0..5 {
        sleep(Duration::from_millis(300)).await; // so that nothing else takes the message along
        let posted = Instant::now();
        let id = node.post("prompt", "mason", &format!("message {number}")).await;
        subscriber.read_until(&id).await;
        quickest = quickest.min(posted.elapsed());
    }
    assert!(quickest < Duration::from_millis(100), "the quickest message took {quickest:?}");
}

#[tokio::test]
async fn nginx_example_balances_two_nodes_and_skips_a_dead_one() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let nginx = WebServer::start_nginx(|port| nginx_config([&nodes[0], &nodes[1]], port)).await;
    let report = run_doctor(&nginx.url("/"), &[]).await;
    assert!(report.contains("2 answered: chat-1, chat-2"), "{report}");
    assert_passes_on_at_once(&nginx, &nodes[0]).await;
    assert_balances(&nginx, &mut nodes).await;
    let log = nginx.log();
    assert!(log.contains("GET /subscribe/lobby 200"), "{log}");
}

#[tokio::test]
async fn haproxy_example_balances_two_nodes_and_skips_a_dead_one() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let proxy = start_haproxy(nodes.each_ref().map(|node| node.address().to_string())).await;
    let report = run_doctor(&proxy.url("/"), &[]).await;
    assert!(report.contains("2 answered: chat-1, chat-2"), "{report}");
    assert_passes_on_at_once(&proxy, &nodes[0]).await;
    assert_balances(&proxy, &mut nodes).await;
}

#[tokio::test]
async fn caddy_example_balances_two_nodes_and_skips_a_dead_one() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let caddy = start_caddy(&nodes, "").await;
    let report = run_doctor(&caddy.url("/"), &[]).await;
    assert!(report.contains("2 answered: chat-1, chat-2"), "{report}");
    assert_passes_on_at_once(&caddy, &nodes[0]).await;
    assert_balances(&caddy, &mut nodes).await;
}

/// Starts HAProxy in front of nodes at these addresses.
async fn start_haproxy(nodes: [String; 2]) -> WebServer {
    let [first, second] = nodes;
    let example = HAPROXY_EXAMPLE.replace("127.0.0.1:8081", &first).replace("127.0.0.1:8082", &second);
    WebServer::start_haproxy(|port| example.replace("bind :80\n", &format!("bind 127.0.0.1:{port}\n"))).await
}

/// A retry that may repeat a request costs a buffer of 96 KiB for each stream.
#[tokio::test]
async fn haproxy_example_holds_no_buffer_for_an_idle_stream() {
    const STREAMS: u64 = 200;
    let redis = Redis::start().await;
    let nodes = start_nodes(&redis).await;
    let proxy = start_haproxy(nodes.each_ref().map(|node| node.address().to_string())).await;
    let mut streams = vec![proxy.subscribe("lobby", None).await];
    let before = proxy.memory_kib();
    for path in ["lobby", "other"].into_iter().cycle().take(STREAMS as usize) {
        streams.push(proxy.subscribe(path, None).await);
    }
    let each = (proxy.memory_kib() - before) / STREAMS;
    assert!(each < 40, "{each} KiB for each stream");
}

/// A browser's EventSource gives up after a 502, but connects again after a connection without an answer.
#[tokio::test]
async fn haproxy_example_ends_a_stream_silently_if_its_node_dies() {
    let listener = TcpListener::bind(("127.0.0.1", free_port())).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let dying = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap_or(0);
            if request[..length].starts_with(b"GET /readyz") {
                let _ =
                    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            }
        }
    });
    let proxy = start_haproxy([address.clone(), address]).await;
    for (path, accept, expected) in [
        ("/subscribe/lobby", "*/*", ""),
        ("/lobby", "text/event-stream", ""),
        ("/rooms/lobby/events", "*/*", ""),
        ("/lobby", "text/html", "HTTP/1.1 502"),
    ] {
        let mut connection = TcpStream::connect(("127.0.0.1", proxy.port())).await.expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
        connection.write_all(head.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        within(DEADLINE, "the end", connection.read_to_string(&mut answer)).await.expect("an orderly end");
        assert_eq!(answer.get(..expected.len()), Some(expected), "{path}: {answer}");
        assert_eq!(answer.is_empty(), expected.is_empty(), "{path}: {answer}");
    }
    dying.abort();
}

/// Caddy has no connection to a node yet, so the first posts find out that one of them is gone.
#[tokio::test]
async fn caddy_example_passes_a_post_on_if_its_node_is_gone() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let caddy = start_caddy(&nodes, "").await;
    nodes[0].kill();
    for number in 0..4 {
        caddy.post("lobby", &format!("message {number}")).await;
    }
}

/// The certificate is from Caddy's own authority, which only this test trusts.
#[tokio::test]
async fn caddy_example_speaks_http_2_over_tls() {
    let redis = Redis::start().await;
    let nodes = start_nodes(&redis).await;
    let caddy = start_caddy(&nodes, "https://localhost").await;
    let root = caddy.directory().join("caddy/pki/authorities/local/root.crt");
    eventually("the authority", async || root.exists().then_some(())).await;
    let url = format!("https://localhost:{}/everyone?x=1", caddy.port());
    let report = run_doctor(&url, &[("SSL_CERT_FILE", root.to_str().unwrap())]).await;
    assert!(report.contains("HTTP/2.0: any number of tabs"), "{report}");
    assert!(report.contains("0 to note"), "{report}");

    let untrusting = Node::run_to_exit(&[], &["doctor", &url]).await;
    assert_eq!(untrusting.status.code(), Some(2), "{}", untrusting.output);
    assert!(untrusting.output.contains("Could not examine it: no connection: "), "{}", untrusting.output);
}

/// Runs the doctor on an address where it must find nothing broken, and returns its output.
async fn run_doctor(url: &str, environment: &[(&str, &str)]) -> String {
    let run = Node::run_to_exit(environment, &["doctor", url]).await;
    assert_eq!(run.status.code(), Some(0), "{}", run.output);
    assert!(run.output.contains("Nothing is broken"), "{}", run.output);
    run.output
}
