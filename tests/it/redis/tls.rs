//! A Redis behind TLS whose certificates an authority of one's own has signed.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    thread,
};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::support::{Certificates, MASTER, Node, Proxy, Redis, Stream, TlsRedis, eventually, free_port};

/// What the log says of a server that wants a certificate and gets none.
const WANTED: &str = "client certificate wanted";

#[tokio::test]
async fn redis_ca_is_trusted_by_every_connection() {
    let server = TlsRedis::start().await;
    let node = server.launch(&server.url(), "").await;
    let mut reader = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "over TLS").await;
    assert_eq!(reader.next_message().await.id, id);
    assert_eq!(node.stored("lobby").await.len(), 1);
    let plain = format!("redis://localhost:{}", server.port());
    let line = Node::launch(&[("REDIS_URL", &plain)]).await.logged("Redis refuses this node").await;
    assert!(line.contains("use rediss://"), "{line}");
}

/// Starts a proxy to a server: Redis itself does not count connections whose handshake fails.
async fn proxy_to(server: &TlsRedis) -> Proxy {
    Proxy::to(SocketAddr::from(([127, 0, 0, 1], server.port()))).await
}

/// Waits until clients have connected this many times more.
async fn wait_for_connections(proxy: &Proxy, count: usize) {
    let so_far = proxy.connections();
    eventually("further connections", async || (proxy.connections() >= so_far + count).then_some(())).await;
}

#[tokio::test]
async fn certificate_that_is_not_accepted_is_said_once() {
    let server = TlsRedis::start().await;
    let proxy = proxy_to(&server).await;
    for (shown, host, why, advice) in [
        ("other-redis", "localhost", "unknown issuer", "REDIS_CA"),
        ("expired", "localhost", "expired", "give the server a new one"),
        ("future", "localhost", "not valid yet", "clock"),
        ("elsewhere", "localhost", "not valid for this host, localhost, only for", "redis.example"),
        ("redis", "127.0.0.1", "not valid for this host, 127.0.0.1, only for", "localhost"),
    ] {
        server.show(shown).await;
        let node = server.launch(&format!("rediss://{host}:{}", proxy.address().port()), "").await;
        let line = node.logged("Redis refuses this node").await;
        assert!(line.contains(why) && line.contains(advice), "{shown}: {line}");
        wait_for_connections(&proxy, 6).await;
        assert_eq!(node.log().matches("Redis refuses").count(), 1, "{shown}: {}", node.log());
        assert!(!node.log().contains("cannot be reached"), "{shown}: {}", node.log());
        node.get("/readyz").await.expect(503);
    }
    server.show("other-redis").await;
    let line = Node::launch(&[("REDIS_URL", &server.url())]).await.logged("Redis refuses this node").await;
    assert!(line.contains("unknown issuer"), "the public authorities: {line}");
    server.show("redis").await;
    server.launch(&server.url(), "").await.ready().await;
}

#[tokio::test]
async fn wanted_client_certificate_is_said_once() {
    let server = TlsRedis::start().await;
    let proxy = proxy_to(&server).await;
    let url = format!("rediss://localhost:{}", proxy.address().port());
    let _: String = server.cmd(&["CONFIG", "SET", "tls-auth-clients", "yes"]).await;
    for protocol in ["TLSv1.3", "TLSv1.2"] {
        let _: String = server.cmd(&["CONFIG", "SET", "tls-protocols", protocol]).await;
        for (identity, why) in [
            ("", WANTED),
            ("other-redis", "client certificate not accepted"),
            ("expired", "client certificate not accepted"),
        ] {
            let node = server.launch(&url, identity).await;
            let line = node.logged("Redis refuses this node").await;
            assert!(line.contains(why) && line.contains("REDIS_CERT"), "{protocol} {identity}: {line}");
            wait_for_connections(&proxy, 6).await;
            assert_eq!(node.log().matches("Redis refuses").count(), 1, "{protocol} {identity}: {}", node.log());
            node.get("/readyz").await.expect(503);
        }
        let node = server.launch(&server.url(), "redis").await;
        let mut reader = Stream::live(&node, "lobby").await;
        let id = node.post("lobby", "mason", "known by a certificate").await;
        assert_eq!(reader.next_message().await.id, id);
        let plain = format!("redis://localhost:{}", server.port());
        let line = Node::launch(&[("REDIS_URL", &plain)]).await.logged("Redis refuses this node").await;
        assert!(line.contains("use rediss://"), "{protocol}: {line}");
    }
}

/// The connections of a node that worked before.
#[tokio::test]
async fn client_certificate_that_is_wanted_later_is_said() {
    let server = TlsRedis::start().await;
    let node = server.launch(&server.url(), "").await;
    node.post("lobby", "mason", "without a certificate").await;
    let _: String = server.cmd(&["CONFIG", "SET", "tls-auth-clients", "yes"]).await;
    for kind in ["normal", "pubsub"] {
        let _: u64 = server.cmd(&["CLIENT", "KILL", "TYPE", kind]).await;
    }
    let line = node.logged("Redis refuses this node").await;
    assert!(line.contains(WANTED), "{line}");
    let _: String = server.cmd(&["CONFIG", "SET", "tls-auth-clients", "no"]).await;
    node.logged("connected to Redis again").await;
    node.post("lobby", "mason", "again without a certificate").await;
}

/// Without an alert, after the handshake.
#[tokio::test]
async fn server_that_closes_for_want_of_a_certificate_is_understood() {
    let server = TlsRedis::start().await;
    let (trust, config) = (server.file("ca.pem"), server_config(&server));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rediss://localhost:{}", listener.local_addr().expect("an address").port());
    thread::spawn(move || close_after_handshakes(&listener, &config));
    let node = Node::launch(&[("REDIS_URL", &url), ("REDIS_CA", &trust)]).await;
    let line = node.logged("Redis refuses this node").await;
    assert!(line.contains(WANTED), "{line}");
    let line = server.launch(&url, "other-redis").await.logged("Redis refuses this node").await;
    assert!(line.contains("client certificate not accepted"), "{line}");
}

/// Returns the configuration of a server that asks for certificates and completes the handshake without one.
fn server_config(server: &TlsRedis) -> Arc<ServerConfig> {
    let certificate = |name: &str| CertificateDer::from_pem_file(server.file(name)).expect("a certificate");
    let mut roots = RootCertStore::empty();
    for name in ["ca.pem", "other-ca.pem"] {
        roots.add(certificate(name)).expect("an authority");
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().expect("a verifier");
    let key = PrivateKeyDer::from_pem_file(server.file("redis.key")).expect("a key");
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    Arc::new(config.with_single_cert(vec![certificate("redis.pem")], key).expect("a configuration"))
}

fn close_after_handshakes(listener: &TcpListener, config: &Arc<ServerConfig>) {
    for socket in listener.incoming() {
        let Ok(socket) = socket else { return };
        let session = ServerConnection::new(config.clone()).expect("a session");
        let mut stream = StreamOwned::new(session, socket);
        let _ = stream.conn.complete_io(&mut stream.sock);
        // What the client has sent until then is not read, so that the kernel resets the connection.
        let _ = stream.sock.set_nonblocking(true);
        let _ = stream.sock.read(&mut [0; 1]);
    }
}

/// The Sentinel and the master want a certificate of each other and of this node.
#[tokio::test]
async fn sentinels_and_their_master_are_reached_over_tls() {
    let server = TlsRedis::start().await;
    let port = free_port();
    let (certificate, key, ca) = (server.file("redis.pem"), server.file("redis.key"), server.file("ca.pem"));
    let configuration = Path::new(&server.file("sentinel.conf")).to_owned();
    let text = format!(
        "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel monitor {MASTER} localhost {} 1\n\
         tls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {ca}\ntls-replication yes\n",
        server.port()
    );
    fs::write(&configuration, text).expect("a file");
    let sentinel = Redis::sentinel(&configuration).await;
    let _: String = server.cmd(&["CONFIG", "SET", "tls-auth-clients", "yes"]).await;
    let url = format!("rediss-sentinel://localhost:{port}/{MASTER}");
    let node = server.launch(&url, "redis").await;
    let mut reader = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "over TLS").await;
    assert_eq!(reader.next_message().await.id, id);

    for (identity, why) in [("", WANTED), ("other-redis", "client certificate not accepted")] {
        let line = server.launch(&url, identity).await.logged("a Sentinel refuses this node").await;
        assert!(line.contains(why), "{line}");
    }
    let line = Node::launch(&[("REDIS_URL", &url)]).await.logged("a Sentinel refuses this node").await;
    assert!(line.contains("unknown issuer"), "{line}");
    let plain = format!("redis-sentinel://localhost:{port}/{MASTER}");
    let line = Node::launch(&[("REDIS_URL", &plain)]).await.logged("a Sentinel refuses this node").await;
    assert!(line.contains("the port expects TLS"), "{line}");
    drop(sentinel);
}

#[tokio::test]
async fn cluster_is_reached_over_tls() {
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", &bus];
    let name = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
    let server = TlsRedis::with(&[&cluster[..], &name].concat()).await;
    let _: String = server.cmd(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    let url = format!("rediss-cluster://localhost:{}", server.port());
    let node = server.launch(&url, "").await;
    let mut reader = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "over TLS").await;
    assert_eq!(reader.next_message().await.id, id);
    assert_eq!(node.stored("lobby").await.len(), 1);

    let line = Node::launch(&[("REDIS_URL", &url)]).await.logged("unknown issuer").await;
    assert!(line.contains("Redis refuses this node"), "{line}");
}

/// Runs a node that does not start, and returns what it says.
async fn refusal(environment: &[(&str, &str)]) -> String {
    let refusal = Node::run_to_exit(environment, &[]).await;
    assert!(!refusal.status.success(), "{environment:?}");
    refusal.output
}

#[tokio::test]
async fn files_that_cannot_be_used_end_the_start_by_name() {
    let certificates = Certificates::write();
    let file = |name: &str| certificates.file(name);
    fs::write(file("text"), "this is no certificate").expect("a file");
    let schemes = [
        "rediss://localhost",
        "valkeys://localhost",
        "rediss-sentinel://localhost/m",
        "valkeys-cluster://localhost",
    ];
    for url in schemes {
        for (variable, name, other) in [
            ("REDIS_CA", "missing", None),
            ("REDIS_CA", "text", None),
            ("REDIS_CA", "redis.key", None),
            ("REDIS_CA", "", None),
            ("REDIS_CERT", "missing", Some(("REDIS_KEY", "redis.key"))),
            ("REDIS_CERT", "text", Some(("REDIS_KEY", "redis.key"))),
            ("REDIS_CERT", "redis.pem", None),
            ("REDIS_KEY", "missing", Some(("REDIS_CERT", "redis.pem"))),
            ("REDIS_KEY", "text", Some(("REDIS_CERT", "redis.pem"))),
            ("REDIS_KEY", "redis.key", None),
            ("REDIS_KEY", "redis.key", Some(("REDIS_CERT", "ca.pem"))),
        ] {
            let (path, beside) = (file(name), other.map(|(variable, name)| (variable, file(name))));
            let beside = beside.iter().map(|(variable, path)| (*variable, path.as_str()));
            let environment: Vec<_> =
                [("REDIS_URL", url), (variable, path.as_str())].into_iter().chain(beside).collect();
            let said = refusal(&environment).await;
            assert!(said.contains(&format!("ERROR {variable}: ")), "{environment:?}: {said}");
        }
    }
    for url in ["redis://localhost", "unix:///socket", "redis-sentinel://localhost/m", "valkey-cluster://localhost"] {
        for (variable, name) in [("REDIS_CA", "ca.pem"), ("REDIS_CERT", "redis.pem"), ("REDIS_KEY", "redis.key")] {
            let said = refusal(&[("REDIS_URL", url), (variable, &file(name))]).await;
            assert!(said.contains(&format!("ERROR {variable}: ")) && said.contains("TLS"), "{url} {variable}: {said}");
        }
    }
}

#[tokio::test]
async fn passwords_of_redis_are_in_no_output() {
    let values = [("REDIS_URL", "redis-sentinel://u:hunter2@127.0.0.1:1/m"), ("REDIS_SENTINEL_PASSWORD", "hunter3")];
    for arguments in [&["--help"][..], &["--heartbeat", "x"]] {
        let output = Node::run_to_exit(&values, arguments).await.output;
        assert!(!output.contains("hunter"), "{output}");
    }
    let said = refusal(&[values[1], ("REDIS_URL", "redis://127.0.0.1:1")]).await;
    assert!(said.contains("ERROR REDIS_SENTINEL_PASSWORD: ") && !said.contains("hunter"), "{said}");
}
