//! What a plain `EventSource` keeps of the guarantees through nginx, Caddy and HAProxy as the repository configures them,
//! over HTTP/1.1 and over HTTP/2, in both browsers.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use tempfile::TempDir;

use super::post_until;
use crate::{
    deploy::{CADDY_EXAMPLE, HAPROXY_EXAMPLE, NGINX_EXAMPLE},
    support::{
        BarePage, BareStream, BrowserKind, Node, Redis, WebServer, eventually, free_port, in_both_browsers, key,
    },
};

in_both_browsers!(proxies_keep_what_an_event_source_is_promised);

/// The addresses of two nodes, which are started there again and again.
struct Cluster {
    redis: Redis,
    addresses: [String; 2],
}

impl Cluster {
    async fn start_node(&self, number: usize, name: &str) -> Node {
        let environment = [
            ("BIND", self.addresses[number].as_str()),
            ("NODE", name),
            ("DRAIN", "2"),
            ("TRUSTED_PROXIES", "127.0.0.1"),
            ("HEARTBEAT", "5"),
        ];
        Node::on(&self.redis, &environment).await
    }

    /// Returns an example with these addresses.
    fn configuration(&self, example: &str) -> String {
        example.replace("127.0.0.1:8081", &self.addresses[0]).replace("127.0.0.1:8082", &self.addresses[1])
    }
}

/// A proxy that listens on two ports.
struct BothProtocols {
    server: WebServer,
    tls_port: u16,
}

/// A certificate for `localhost` that no browser trusts, with its key in the same file.
struct Certificate {
    file: PathBuf,
    _directory: TempDir,
}

impl Certificate {
    fn create() -> Certificate {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("chat.pem");
        fs::write(&file, signed.cert.pem() + &signed.signing_key.serialize_pem()).expect("a file");
        Certificate { file, _directory: directory }
    }
}

/// Starts the three proxies with the lines for TLS that their examples have as comments.
async fn start_proxies(cluster: &Cluster, certificate: &Path) -> [(&'static str, BothProtocols); 3] {
    let (pem, tls_port) = (certificate.display().to_string(), Cell::new(0));
    let nginx = WebServer::start_nginx(|port| {
        tls_port.set(free_port());
        cluster
            .configuration(NGINX_EXAMPLE)
            .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
            .replace("# listen 443 ssl", &format!("listen 127.0.0.1:{} ssl", tls_port.get()))
            .replace("# ssl_certificate", "ssl_certificate")
            .replace("/etc/ssl/chat.pem", &pem)
            .replace("/etc/ssl/chat.key", &pem)
    })
    .await;
    let nginx = BothProtocols { server: nginx, tls_port: tls_port.get() };
    let haproxy = WebServer::start_haproxy(|port| {
        tls_port.set(free_port());
        cluster
            .configuration(HAPROXY_EXAMPLE)
            .replace("bind :80\n", &format!("bind 127.0.0.1:{port}\n"))
            .replace("# bind :443", &format!("bind 127.0.0.1:{}", tls_port.get()))
            .replace("/etc/ssl/chat.pem", &pem)
    })
    .await;
    let haproxy = BothProtocols { server: haproxy, tls_port: tls_port.get() };
    // Caddy makes a certificate by itself.
    let caddy = WebServer::start_caddy(CADDY_EXAMPLE, |port| {
        tls_port.set(free_port());
        let sites = format!("http://127.0.0.1:{port}, https://localhost:{}", tls_port.get());
        vec![("SITE", sites), ("NODES", cluster.addresses.join(" "))]
    })
    .await;
    let caddy = BothProtocols { server: caddy, tls_port: tls_port.get() };
    [("nginx", nginx), ("HAProxy", haproxy), ("Caddy", caddy)]
}

/// Waits until each proxy sends new streams to a node that was just started, and therefore has the fewest.
async fn wait_until_reached(proxies: &[(&str, BothProtocols)], node: &str) {
    for (name, proxy) in proxies {
        eventually(&format!("{node} behind {name}"), async || {
            let mut stream = proxy.server.subscribe("probe", None).await;
            stream.read_until("\"heartbeat\"").await.contains(node).then_some(())
        })
        .await;
    }
}

/// The streams of a page.
struct Streams<'p> {
    busy: BareStream<'p>,
    quiet: BareStream<'p>,
    gap: BareStream<'p>,
}

/// In the middle of a burst of messages the only node is killed, and the one that all have moved to is drained. Each page
/// has a second stream that had no message when it was cut, and a third one whose last event was a gap.
async fn proxies_keep_what_an_event_source_is_promised(kind: BrowserKind) {
    let redis = Redis::start().await;
    let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let cluster = Cluster { redis, addresses };
    let certificate = Certificate::create();
    let writer = Node::on(&cluster.redis, &[]).await;
    let trimmed = writer.fill("trimmed", 2).await;
    let _: u64 = cluster.redis.cmd(&["XTRIM", &key("trimmed"), "MAXLEN", "0"]).await;
    let mut first = cluster.start_node(0, "first").await;
    let proxies = start_proxies(&cluster, &certificate.file).await;
    let browser = kind.start().await;
    let mut pages = Vec::new();
    for (_, proxy) in &proxies {
        let origins = [proxy.server.url(""), format!("https://localhost:{}", proxy.tls_port)];
        for (origin, protocol) in origins.iter().zip(["http/1.1", "h2"]) {
            let page = BarePage::open(&browser, origin).await;
            assert_eq!(page.protocol().await, protocol, "{origin}");
            pages.push(page);
        }
    }
    let resumed = format!("/subscribe/trimmed?lastEventId={}", trimmed[0]);
    let streams = join_all(pages.iter().map(async |page| Streams {
        busy: page.listen("busy", "/subscribe/busy").await,
        quiet: page.listen("quiet", "/subscribe/quiet").await,
        gap: page.listen("gap", &resumed).await,
    }))
    .await;

    let stop = AtomicBool::new(false);
    let faults = async {
        let second = cluster.start_node(1, "second").await;
        wait_until_reached(&proxies, "second").await;
        first.kill();
        let missed = [writer.fill("quiet", 3).await, writer.fill("trimmed", 3).await];
        join_all(pages.iter().map(|page| page.all_from("second"))).await;
        let third = cluster.start_node(0, "third").await;
        wait_until_reached(&proxies, "third").await;
        second.terminate();
        join_all(pages.iter().map(|page| page.all_from("third"))).await;
        stop.store(true, Ordering::Relaxed);
        (third, missed)
    };
    let (mut busy, (_third, [mut quiet, mut after_gap])) = tokio::join!(post_until(&writer, "busy", &stop), faults);
    for (room, ids) in [("busy", &mut busy), ("quiet", &mut quiet), ("trimmed", &mut after_gap)] {
        ids.push(writer.post(room, "mason", "last").await);
    }
    for page in &streams {
        page.busy.received_exactly(&busy).await;
        page.quiet.received_exactly(&quiet).await;
        page.gap.received_exactly(&after_gap).await;
        let gaps = page.gap.received().await.iter().filter(|event| event.event == "gap").count();
        assert_eq!(gaps, 1, "the cursor after a gap is kept, so that it is told once");
    }
}
