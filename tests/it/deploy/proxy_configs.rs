//! The examples in deploy/, as they are, in front of two nodes on one Redis. Only addresses are written over.

use super::{nginx_config, with_nodes};
use crate::support::{Node, Redis, WebServer, eventually};

const HAPROXY_EXAMPLE: &str = include_str!("../../../deploy/haproxy.cfg");
const CADDY_EXAMPLE: &str = include_str!("../../../deploy/Caddyfile");

/// Two nodes behind a proxy on this host.
async fn start_nodes(redis: &Redis) -> [Node; 2] {
    let node = async |name| {
        let environment = [("NODE", name), ("TRUSTED_PROXIES", "127.0.0.1"), ("HEARTBEAT", "1")];
        Node::on(redis, &environment).await
    };
    [node("chat-1").await, node("chat-2").await]
}

/// The example with these nodes. A listener for redirects would need port 80, and nothing may be changed in this
/// machine's store of authorities.
async fn start_caddy(nodes: &[Node; 2], scheme: &str) -> WebServer {
    let upstreams = format!("{} {}", nodes[0].address(), nodes[1].address());
    let globals = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n";
    WebServer::start_caddy(&format!("{globals}{CADDY_EXAMPLE}"), |port| {
        vec![("SITE", format!("{scheme}:{port}")), ("NODES", upstreams.clone())]
    })
    .await
}

/// What everybody in front of the nodes has to do.
async fn assert_balances(proxy: &WebServer, nodes: &mut [Node; 2]) {
    let mut reader = proxy.subscribe("lobby", None).await;
    let first = proxy.post("lobby", "one").await;
    reader.read_until(&first).await;
    let second = proxy.post("lobby", "two").await;
    reader.read_until("event: heartbeat").await;

    let mut back = proxy.subscribe("lobby", Some(&first)).await;
    let said = back.read_until(&second).await;
    assert_eq!(said.matches(&second).count(), 1, "{said}");
    assert!(!said.contains("\"one\""), "{said}");

    for path in ["/metrics", "/readyz", "/%6detrics", "/%72eadyz"] {
        assert_eq!(proxy.get_status(path).await, 404, "{path}");
    }
    nodes[0].kill();
    for number in 0..20 {
        assert_eq!(proxy.get_status("/lobby").await, 200, "request {number} after a node was gone");
        proxy.post("lobby", &format!("after {number}")).await;
    }
    let mut last = proxy.subscribe("lobby", Some(&second)).await;
    let said = last.read_until("\"after 19\"").await;
    for number in 0..20 {
        assert_eq!(said.matches(&format!("\"after {number}\"")).count(), 1, "message {number} in {said}");
    }
}

#[tokio::test]
async fn nginx_example_balances_two_nodes_and_skips_a_dead_one() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let nginx = WebServer::start_nginx(|port| nginx_config([&nodes[0], &nodes[1]], port)).await;
    let sound = run_doctor(&nginx.url("/"), &[]).await;
    assert!(sound.contains("2 answered: chat-1, chat-2"), "{sound}");
    assert_balances(&nginx, &mut nodes).await;
    let log = nginx.log();
    assert!(log.contains("GET /subscribe/lobby 200"), "{log}");
}

#[tokio::test]
async fn haproxy_example_balances_two_nodes_and_skips_a_dead_one() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let example = with_nodes([&nodes[0], &nodes[1]], HAPROXY_EXAMPLE);
    let proxy =
        WebServer::start_haproxy(|port| example.replace("bind :80\n", &format!("bind 127.0.0.1:{port}\n"))).await;
    let sound = run_doctor(&proxy.url("/"), &[]).await;
    assert!(sound.contains("2 answered: chat-1, chat-2"), "{sound}");
    assert_balances(&proxy, &mut nodes).await;
}

#[tokio::test]
async fn caddy_example_balances_two_nodes_and_skips_a_dead_one() {
    let redis = Redis::start().await;
    let mut nodes = start_nodes(&redis).await;
    let caddy = start_caddy(&nodes, "").await;
    let sound = run_doctor(&caddy.url("/"), &[]).await;
    assert!(sound.contains("2 answered: chat-1, chat-2"), "{sound}");
    assert_balances(&caddy, &mut nodes).await;
}

/// Over TLS, with HTTP/2, and with an authority that only this test knows.
#[tokio::test]
async fn caddy_example_speaks_http_2_over_tls() {
    let redis = Redis::start().await;
    let nodes = start_nodes(&redis).await;
    let caddy = start_caddy(&nodes, "https://localhost").await;
    let root = caddy.directory().join("caddy/pki/authorities/local/root.crt");
    eventually("the authority", async || root.exists().then_some(())).await;
    let url = format!("https://localhost:{}/everyone?x=1", caddy.port());
    let sound = run_doctor(&url, &[("SSL_CERT_FILE", root.to_str().unwrap())]).await;
    assert!(sound.contains("HTTP/2.0: any number of tabs"), "{sound}");
    assert!(sound.contains("0 to note"), "{sound}");

    let stranger = Node::refused(&[], &["doctor", &url]).await;
    assert_eq!(stranger.status.code(), Some(2), "{}", stranger.output);
    assert!(stranger.output.contains("Could not examine it: no connection: "), "{}", stranger.output);
}

/// What the doctor says about an address at which nothing is broken.
async fn run_doctor(url: &str, environment: &[(&str, &str)]) -> String {
    let visit = Node::refused(environment, &["doctor", url]).await;
    assert_eq!(visit.status.code(), Some(0), "{}", visit.output);
    assert!(visit.output.contains("Nothing is broken"), "{}", visit.output);
    visit.output
}
