//! Rolling restarts and upgrades: nodes are restarted one by one behind a load balancer, and subscribers lose nothing
//! (contract § 5 and § 7).

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    presence::wait_for_presence,
    support::{BINARY, DEADLINE, LoadBalancer, Node, Redis, Stream, Subscribers, eventually, free_port, key, within},
};

/// Returns the number of subscribers: 3000, or fewer if the limit of open files is low. Each takes three sockets here.
fn subscriber_count() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit of open files");
    3000.min(files as usize / 4)
}

/// Three nodes on fixed ports, so that each is restarted at the same address.
struct Cluster {
    redis: Redis,
    nodes: Vec<Node>,
    ports: Vec<u16>,
}

impl Cluster {
    async fn start(environment: &[(&str, &str)]) -> Cluster {
        let mut cluster = Cluster { redis: Redis::start().await, nodes: Vec::new(), ports: Vec::new() };
        for _ in 0..3 {
            let port = free_port();
            cluster.ports.push(port);
            cluster.nodes.push(cluster.start_node(port, environment).await);
        }
        cluster
    }

    async fn start_node(&self, port: u16, environment: &[(&str, &str)]) -> Node {
        self.start_binary(Path::new(BINARY), port, environment).await
    }

    async fn start_binary(&self, program: &Path, port: u16, environment: &[(&str, &str)]) -> Node {
        let bind = format!("127.0.0.1:{port}");
        let own = [("BIND", bind.as_str()), ("MAX_STREAMS_PER_ADDRESS", "0")];
        Node::start_binary(program, &self.redis, &[&own, environment].concat()).await
    }

    async fn load_balancer(&self) -> LoadBalancer {
        LoadBalancer::start(self.nodes.iter().map(Node::address).collect()).await
    }

    /// Returns how often each node has read the log, for a room or for a single subscriber.
    async fn log_reads(&self) -> Vec<f64> {
        let mut reads = Vec::new();
        for node in &self.nodes {
            let room = node.metric("tiny_chat_log_reads_total{purpose=\"room\"}").await;
            let single = node.metric("tiny_chat_log_reads_total{purpose=\"subscriber\"}").await;
            reads.push(room.unwrap_or_default() + single.unwrap_or_default());
        }
        reads
    }
}

/// The binary of a later version: it differs in a colour of the style sheet, and so in the hash of its assets.
struct NextVersion {
    program: PathBuf,
    _directory: TempDir,
}

impl NextVersion {
    fn build() -> NextVersion {
        let directory = TempDir::new().expect("a directory");
        let program = directory.path().join("tiny-chat");
        let mut bytes = fs::read(BINARY).expect("the program");
        let mut replace = |now: &[u8], then: &[u8]| {
            let at = bytes.windows(now.len()).position(|part| part == now).expect("the style sheet in the binary");
            bytes[at..at + then.len()].copy_from_slice(then);
        };
        replace(b"--accent:light-dark(#0d6e5f", b"--accent:light-dark(#0d6e5e");
        let hash = Sha256::digest(fs::read(concat!(env!("OUT_DIR"), "/assets/page.css")).expect("what is embedded"));
        replace(&hash, &Sha256::digest("another style sheet"));
        fs::write(&program, bytes).expect("a program");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a program that runs");
        NextVersion { program, _directory: directory }
    }
}

/// A client that keeps publishing, and repeats each message until it is acknowledged.
struct Publisher {
    stop: watch::Sender<bool>,
    task: JoinHandle<Vec<String>>,
}

impl Publisher {
    fn start(url: String, pause: Duration) -> Publisher {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let client = Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().expect("a client");
            let mut ids = Vec::new();
            while !*stopped.borrow() {
                let text = format!("message {}", ids.len());
                ids.push(publish_until_acknowledged(&client, &url, &text).await);
                tokio::time::sleep(pause).await; // between two messages
            }
            ids
        });
        Publisher { stop, task }
    }

    /// Stops publishing and returns the ids of all acknowledged messages.
    async fn finish(self) -> Vec<String> {
        self.stop.send_replace(true);
        self.task.await.expect("the publisher does not panic")
    }
}

/// Publishes a message until it is acknowledged, always with the same key, and returns its id.
async fn publish_until_acknowledged(client: &Client, url: &str, text: &str) -> String {
    let sent = async {
        loop {
            match publish(client, url, text).await {
                Some(id) => return id,
                None => tokio::time::sleep(Duration::from_millis(50)).await, // before the message is repeated
            }
        }
    };
    within(DEADLINE, "an acknowledgement", sent).await
}

async fn publish(client: &Client, url: &str, text: &str) -> Option<String> {
    let message = json!({ "message": text, "key": text.replace(' ', "-") });
    let answer = client.post(url).json(&message).send().await.ok()?.error_for_status().ok()?;
    let answer: Value = answer.json().await.ok()?;
    Some(answer["id"].as_str()?.to_owned())
}

/// Checks that no second has more than three times as many connection attempts as the mean second.
fn assert_spread_out(attempts: &[Instant]) {
    let (Some(first), Some(last)) = (attempts.iter().min(), attempts.iter().max()) else {
        panic!("no subscriber reconnected")
    };
    let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
    attempts.iter().for_each(|at| *seconds.entry((*at - *first).as_secs()).or_default() += 1);
    let mean = attempts.len() as f64 / (*last - *first).as_secs_f64().ceil();
    let most = *seconds.values().max().expect("a second");
    assert!(
        (most as f64) < 3.0 * mean,
        "{most} reconnected in one second, {mean:.0} in the mean one: {seconds:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_loses_nothing_and_spreads_reconnects() {
    let environment = [("DRAIN", "8")];
    let mut cluster = Cluster::start(&environment).await;
    let balancer = cluster.load_balancer().await;
    let mut subscribers = Subscribers::connect(balancer.address(), "/subscribe/lobby", subscriber_count()).await;
    let publisher = Publisher::start(balancer.url("/lobby"), Duration::from_millis(500));
    for index in 0..cluster.nodes.len() {
        let leaving = subscribers.live_count();
        subscribers.take_connection_attempts();
        let before = cluster.log_reads().await;
        cluster.nodes[index].terminate();
        assert_eq!(cluster.nodes[index].exit().await.code(), Some(0));
        cluster.nodes[index] = cluster.start_node(cluster.ports[index], &environment).await;
        subscribers.wait_until_live().await;
        let attempts = subscribers.take_connection_attempts();
        assert!(attempts.len() >= leaving / 5, "{} reconnected", attempts.len());
        assert_spread_out(&attempts);
        for (other, (after, before)) in cluster.log_reads().await.iter().zip(&before).enumerate() {
            let reads = if other == index { *after } else { after - before };
            assert!(reads <= 40.0, "{reads} reads of one log for {} reconnects", attempts.len());
        }
    }
    let ids = publisher.finish().await;
    subscribers.wait_until_received(ids.last().expect("an id")).await;
    assert!(ids.len() > 20, "{} messages were written", ids.len());
}

/// A crash disconnects all subscribers at the same moment; `retry:` spreads their reconnects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_of_a_killed_node_resume_on_the_others() {
    let mut cluster = Cluster::start(&[]).await;
    let balancer = cluster.load_balancer().await;
    let mut subscribers = Subscribers::connect(balancer.address(), "/subscribe/lobby", subscriber_count() / 5).await;
    let publisher = Publisher::start(balancer.url("/lobby"), Duration::from_millis(100));
    cluster.nodes[0].kill();
    eventually("disconnected subscribers", async || {
        (subscribers.live_count() < subscriber_count() / 5).then_some(())
    })
    .await;
    subscribers.wait_until_live().await;
    let ids = publisher.finish().await;
    subscribers.wait_until_received(ids.last().expect("an id")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_upgrade_between_two_versions_loses_nothing() {
    let next = NextVersion::build();
    let environment = [("DRAIN", "2")];
    let mut cluster = Cluster::start(&environment).await;
    let balancer = cluster.load_balancer().await;
    let mut subscribers =
        Subscribers::connect(balancer.address(), "/subscribe/lobby?name=mason", subscriber_count() / 10).await;
    let publisher = Publisher::start(balancer.url("/lobby"), Duration::from_millis(100));
    for index in 0..cluster.nodes.len() {
        cluster.nodes[index].terminate();
        assert_eq!(cluster.nodes[index].exit().await.code(), Some(0));
        cluster.nodes[index] = cluster.start_binary(&next.program, cluster.ports[index], &environment).await;
        subscribers.wait_until_live().await;
    }
    let ids = publisher.finish().await;
    subscribers.wait_until_received(ids.last().expect("an id")).await;
}

/// Returns the path of the style sheet that a page names.
async fn style_sheet_path(node: &Node) -> String {
    let page = node.page("/everyone").await.html(200);
    let (_, rest) = page.split_once("href=\"/assets/").expect("an asset");
    let version = rest.split('/').next().expect("a version");
    format!("/assets/{version}/page.css")
}

#[tokio::test]
async fn assets_of_another_version_are_served_but_not_cached() {
    let next = NextVersion::build();
    let redis = Redis::start().await;
    let (old, new) = (Node::on(&redis, &[]).await, Node::start_binary(&next.program, &redis, &[]).await);
    let (old_path, new_path) = (style_sheet_path(&old).await, style_sheet_path(&new).await);
    assert_ne!(old_path, new_path);
    for (node, own, others, colour) in
        [(&old, &old_path, &new_path, "#0d6e5f"), (&new, &new_path, &old_path, "#0d6e5e")]
    {
        let cached = node.get(own).await.expect(200);
        assert!(cached.header("cache-control").contains("immutable") && cached.text().contains(colour));
        let other = node.get(others).await.expect(200);
        assert_eq!(other.header("cache-control"), "no-store");
        assert!(other.text().contains(colour), "the file of this version");
    }
}

#[tokio::test]
async fn nodes_of_two_versions_share_messages_and_presence() {
    let next = NextVersion::build();
    let redis = Redis::start().await;
    let (old, new) = (Node::on(&redis, &[]).await, Node::start_binary(&next.program, &redis, &[]).await);
    let mut streams = [Stream::live(&old, "lobby?name=ada").await, Stream::live(&new, "lobby?name=mason").await];
    let posted = [old.post("lobby", "ada", "from the old").await, new.post("lobby", "mason", "from the new").await];
    for stream in &mut streams {
        assert_eq!(stream.next_ids(2).await, posted);
    }
    for node in [&old, &new] {
        wait_for_presence(node, json!({ "count": 2, "names": ["ada", "mason"] })).await;
    }
}

/// A later version may announce types, fields and members that this one does not know.
#[tokio::test]
async fn unknown_announcements_are_forwarded_or_ignored() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    redis.wait_for_subscriber("lobby").await;
    let id = "1999999999999-1";
    let _: String =
        redis.cmd(&["XADD", &key("lobby"), id, "data", "{\"to\":7}", "type", "reaction", "mood", "x"]).await;
    redis.publish("lobby", format!("\x1e{id} reaction {{\"to\":7}}")).await;
    let later = json!({ "process": "later~1", "version": 1, "count": 1, "names": ["zoe"], "mood": "x" });
    redis.publish("lobby", format!("\x1e0-0 presence {later}")).await;
    redis.publish("lobby", "\x1e0-0 mood {\"of\":\"zoe\"}").await;
    let block = subscriber.next_content().await;
    assert_eq!((block.event.as_deref(), block.id.as_deref()), (Some("reaction"), Some(id)));
    let after = node.post("lobby", "mason", "after").await;
    assert_eq!(subscriber.next_content().await.id, Some(after));
    subscriber = Stream::resume(&node, "lobby", "0-0").await;
    assert_eq!(subscriber.next_content().await.event.as_deref(), Some("reaction"), "replayed with its type");
}
