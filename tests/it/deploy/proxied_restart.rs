//! A rolling restart behind each proxy that the repository has a configuration for: no post fails, and readers are away
//! for well under a second (contract § 8, "The end of a node").

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use super::{CADDY_EXAMPLE, HAPROXY_EXAMPLE, NGINX_EXAMPLE};
use crate::support::{Answer, DnsServer, Node, Redis, WebServer, eventually, free_port, halves, load_per_core};

/// Readers of the room, and clients that post to it where it is not quiet.
const READERS: usize = 60;
const WRITERS: usize = 4;

/// How long a reader may be away, at the median and at the most, on a machine that is not busy.
const MEDIAN_AWAY: Duration = Duration::from_millis(700);
const LONGEST_AWAY: Duration = Duration::from_secs(2);

/// What the median may take longer for each process that waits for a core; the longest twice that.
const EXTRA_AWAY: Duration = Duration::from_millis(200);

/// The nodes behind a proxy, each of which is restarted at its address.
struct Cluster {
    redis: Redis,
    nodes: Vec<Node>,
    addresses: Vec<String>,
}

impl Cluster {
    /// Starts a node at each of these addresses.
    async fn start(addresses: Vec<String>) -> Cluster {
        let mut cluster = Cluster { redis: Redis::start().await, nodes: Vec::new(), addresses };
        for number in 0..cluster.addresses.len() {
            cluster.nodes.push(cluster.start_node(number).await);
        }
        cluster
    }

    /// Starts three nodes on this host.
    async fn on_localhost() -> Cluster {
        Cluster::start((0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect()).await
    }

    async fn start_node(&self, number: usize) -> Node {
        let name = format!("chat-{number}");
        let environment = [
            ("BIND", self.addresses[number].as_str()),
            ("NODE", name.as_str()),
            ("DRAIN", "3"),
            ("TRUSTED_PROXIES", "127.0.0.0/8"),
            ("MAX_STREAMS_PER_ADDRESS", "0"),
        ];
        Node::on(&self.redis, &environment).await
    }

    /// Replaces the nodes one after the other, as operations.md says.
    async fn restart_all(&mut self) {
        for number in 0..self.nodes.len() {
            self.nodes[number].terminate();
            assert_eq!(self.nodes[number].exit().await.code(), Some(0));
            self.nodes[number] = self.start_node(number).await;
        }
    }
}

/// What all readers of a proxy report.
#[derive(Default)]
struct Report {
    live: usize,
    /// How long a reader was away: from the end of a stream to the first byte of the next one.
    away: Vec<Duration>,
    /// The number of the last message that each reader has received.
    last: Vec<u64>,
    failures: Vec<String>,
}

/// A reader that does what an `EventSource` does.
struct Reader {
    number: usize,
    url: String,
    client: Client,
    report: Arc<Mutex<Report>>,
    last_id: String,
    retry: Duration,
    ended: Option<Instant>,
    /// The nodes that have sent this reader away.
    left: BTreeSet<String>,
}

impl Reader {
    /// Reads one stream after the other until something fails.
    async fn run(mut self) {
        loop {
            if let Err(failure) = self.read_stream().await {
                return self.report.lock().unwrap().failures.push(format!("reader {}: {failure}", self.number));
            }
            self.report.lock().unwrap().live -= 1;
            tokio::time::sleep(self.retry).await; // the delay that the stream asked for
        }
    }

    /// Reads a stream until its node sends the reader away.
    async fn read_stream(&mut self) -> Result<(), String> {
        let request = self.client.get(&self.url).header("Last-Event-ID", &self.last_id);
        let mut response = request.send().await.map_err(|error| format!("no stream: {error:?}"))?;
        if response.status() != 200 {
            return Err(format!("a stream with the status {}", response.status())); // ends an EventSource for good
        }
        let (mut unread, mut node) = (String::new(), String::new());
        while let Some(chunk) = next_chunk(&mut response).await {
            if let Some(ended) = self.ended.take() {
                self.report.lock().unwrap().away.push(ended.elapsed());
            }
            unread.push_str(&chunk);
            while let Some(end) = unread.find("\n\n") {
                let block: String = unread.drain(..end + 2).collect();
                self.handle_block(&block, &mut node)?;
            }
        }
        self.ended = Some(Instant::now());
        if self.left.contains(&node) {
            Ok(())
        } else {
            Err(format!("a stream of {node:?} ended without a reason"))
        }
    }

    fn handle_block(&mut self, block: &str, node: &mut String) -> Result<(), String> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        if let Some(retry) = field("retry:") {
            self.retry = Duration::from_millis(retry.parse().map_err(|_| block)?);
        }
        match field("event: ") {
            Some("status") => {
                let status: Value = serde_json::from_str(field("data: ").unwrap_or_default()).map_err(|_| block)?;
                *node = status["node"].as_str().unwrap_or_default().to_owned();
                self.report.lock().unwrap().live += 1;
            }
            Some("backoff") if !block.contains("draining") => return Err(block.to_owned()),
            Some("backoff") if !self.left.insert(node.clone()) => return Err(format!("sent away twice by {node:?}")),
            Some("gap") => return Err(format!("after {}: {block}", self.last_id)),
            _ => {}
        }
        if let Some(id) = field("id: ") {
            let (number, last) = (halves(id).1, halves(&self.last_id).1);
            if field("event: ").is_none() && number != last + 1 {
                return Err(format!("{id} does not follow {}", self.last_id));
            }
            self.last_id = id.to_owned();
            self.report.lock().unwrap().last[self.number] = number;
        }
        Ok(())
    }
}

/// Returns the next piece of a stream, or `None` at its end. The body of a stream is never finished: its last chunk would
/// mean that it is not to be resumed.
async fn next_chunk(response: &mut Response) -> Option<String> {
    let chunk = response.chunk().await.ok().flatten()?;
    Some(String::from_utf8(chunk.to_vec()).expect("pieces of whole characters"))
}

/// Posts again and again, each message once, until it is told to stop. Returns the ids.
fn start_writer(client: Client, url: String, stop: watch::Receiver<bool>) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut ids = Vec::new();
        while !*stop.borrow() {
            let request = client.post(&url).json(&json!({ "message": "hi" }));
            let answer = Answer::read(request.send().await.expect("every post is answered")).await;
            ids.push(answer.id());
            tokio::time::sleep(Duration::from_millis(50)).await; // between two messages
        }
        ids
    })
}

/// Restarts all nodes while clients read through the proxy, and so many write, and checks that no post fails, that no
/// reader loses a message, and how long readers are away.
#[expect(
    clippy::print_stdout,
    reason = "the figures are of interest also if they are within the bounds"
)]
async fn assert_hardly_notices_a_restart(proxy: &WebServer, mut cluster: Cluster, writers: usize) {
    let client = || Client::builder().no_proxy().build().expect("a client");
    let report = Arc::new(Mutex::new(Report { last: vec![0; READERS], ..Report::default() }));
    let readers_client = client();
    for number in 0..READERS {
        let reader = Reader {
            number,
            url: proxy.url("/subscribe/lobby"),
            client: readers_client.clone(),
            report: report.clone(),
            last_id: "0-0".to_owned(),
            retry: Duration::from_millis(100),
            ended: None,
            left: BTreeSet::new(),
        };
        tokio::spawn(reader.run());
    }
    let until = async |what: &str, holds: &dyn Fn(&Report) -> bool| {
        eventually(what, async || {
            let failures = report.lock().unwrap().failures.clone();
            assert_eq!(failures, [""; 0]); // not while the lock is held, or every reader panics
            holds(&report.lock().unwrap()).then_some(())
        })
        .await;
    };
    until("a live status at every reader", &|report| report.live == READERS).await;
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> = (0..writers).map(|_| start_writer(client(), proxy.url("/lobby"), stopped.clone())).collect();
    cluster.restart_all().await;
    until("a live status at every reader", &|report| report.live == READERS).await;
    stop.send_replace(true);
    let mut posts = 0;
    for writer in writers {
        posts += writer.await.expect("no post fails").len();
    }
    until("every message at every reader", &|report| report.last.iter().all(|last| *last == posts as u64)).await;
    let mut away = std::mem::take(&mut report.lock().unwrap().away);
    away.sort();
    let (median, longest) = (away[away.len() / 2], away[away.len() - 1]);
    // A process that waits for a core delays each step of coming back.
    let waiting = (load_per_core() - 1.0).max(0.0);
    println!("{posts} posts; readers away {} times, for {median:?} (median) to {longest:?}", away.len());
    assert!(away.len() >= READERS, "only {} were sent away", away.len());
    let extra = EXTRA_AWAY.mul_f64(waiting);
    assert!(
        median <= MEDIAN_AWAY + extra,
        "the median reader was away for {median:?}, {waiting} wait for a core"
    );
    assert!(longest <= LONGEST_AWAY + 2 * extra, "a reader was away for {longest:?}, {waiting} wait for a core");
}

/// Adds lines for the third node, after each of the second.
fn with_third_node(example: &str, addresses: &[String]) -> String {
    let with_third = |second: &str| {
        if !(second.trim_start().starts_with("server ") && second.contains(":8082")) {
            return format!("{second}\n");
        }
        let third = second.replace("chat-2", "chat-3").replace("127.0.0.1:8082", &addresses[2]);
        format!("{second}\n{third}\n")
    };
    let text: String = example.lines().map(with_third).collect();
    // The comments at the top mention the addresses, too.
    text.replace("127.0.0.1:8081", &addresses[0]).replace("127.0.0.1:8082", &addresses[1])
}

async fn start_nginx(cluster: &Cluster) -> WebServer {
    let example = with_third_node(NGINX_EXAMPLE, &cluster.addresses);
    WebServer::start_nginx(|port| example.replace("listen 80;", &format!("listen 127.0.0.1:{port};"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_behind_nginx_hardly_notice_a_rolling_restart() {
    let cluster = Cluster::on_localhost().await;
    assert_hardly_notices_a_restart(&start_nginx(&cluster).await, cluster, WRITERS).await;
}

/// No answer but those of streams tells nginx that a node is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_quiet_room_behind_nginx_do_not_either() {
    let cluster = Cluster::on_localhost().await;
    assert_hardly_notices_a_restart(&start_nginx(&cluster).await, cluster, 0).await;
}

async fn start_haproxy(cluster: &Cluster) -> WebServer {
    let example = with_third_node(HAPROXY_EXAMPLE, &cluster.addresses);
    WebServer::start_haproxy(|port| example.replace("bind :80\n", &format!("bind 127.0.0.1:{port}\n"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_behind_haproxy_hardly_notice_a_rolling_restart() {
    let cluster = Cluster::on_localhost().await;
    assert_hardly_notices_a_restart(&start_haproxy(&cluster).await, cluster, WRITERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_quiet_room_behind_haproxy_do_not_either() {
    let cluster = Cluster::on_localhost().await;
    assert_hardly_notices_a_restart(&start_haproxy(&cluster).await, cluster, 0).await;
}

async fn start_caddy(cluster: &Cluster) -> WebServer {
    let nodes = cluster.addresses.join(" ");
    WebServer::start_caddy(CADDY_EXAMPLE, |port| vec![("SITE", format!(":{port}")), ("NODES", nodes.clone())]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_behind_caddy_hardly_notice_a_rolling_restart() {
    let cluster = Cluster::on_localhost().await;
    assert_hardly_notices_a_restart(&start_caddy(&cluster).await, cluster, WRITERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_quiet_room_behind_caddy_do_not_either() {
    let cluster = Cluster::on_localhost().await;
    assert_hardly_notices_a_restart(&start_caddy(&cluster).await, cluster, 0).await;
}

/// The Caddyfile of docker-compose.yml, which finds the nodes by the name `chat`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_in_compose_hardly_notice_a_rolling_restart() {
    let port = free_port();
    let hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    let cluster = Cluster::start(hosts.map(|host| format!("{host}:{port}")).to_vec()).await;
    let dns = DnsServer::start(&hosts).await;
    let compose = include_str!("../../../Caddyfile")
        .replace("dynamic a chat 8080 {", &format!("dynamic a chat {port} {{\n\t\t\tresolvers udp/{}", dns.address()));
    let caddy = WebServer::start_caddy(&compose, |port| vec![("SITE", format!(":{port}"))]).await;
    assert_hardly_notices_a_restart(&caddy, cluster, WRITERS).await;
}
