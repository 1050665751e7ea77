//! A new version goes out while everybody chats: nodes are restarted one after the other behind one address, and nobody
//! loses anything (contract 5 and 7; issue 4, "Deploys").

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    presence::{subscribe_as, wait_for_presence},
    support::{BINARY, DEADLINE, LoadBalancer, Node, Redis, Stream, Subscribers, eventually, free_port, key, within},
};

/// As many as the issue has it, where the system lets us have the sockets: each reader has three here.
fn readers() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit of open files");
    3000.min(files as usize / 4)
}

/// Three nodes on fixed ports, so that each comes back where it was.
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
            cluster.nodes.push(cluster.node(port, environment).await);
        }
        cluster
    }

    async fn node(&self, port: u16, environment: &[(&str, &str)]) -> Node {
        self.node_of(Path::new(BINARY), port, environment).await
    }

    async fn node_of(&self, program: &Path, port: u16, environment: &[(&str, &str)]) -> Node {
        let bind = format!("127.0.0.1:{port}");
        let own = [("BIND", bind.as_str()), ("MAX_STREAMS_PER_ADDRESS", "0")];
        Node::start_binary(program, &self.redis, &[&own, environment].concat()).await
    }

    async fn load_balancer(&self) -> LoadBalancer {
        LoadBalancer::start(self.nodes.iter().map(Node::address).collect()).await
    }

    /// Readings of logs, for rooms and for single readers, by node.
    async fn log_reads(&self) -> Vec<f64> {
        let mut reads = Vec::new();
        for node in &self.nodes {
            let room = node.metric("tiny_chat_log_reads_total{purpose=\"room\"}").await;
            let reader = node.metric("tiny_chat_log_reads_total{purpose=\"subscriber\"}").await;
            reads.push(room.unwrap_or_default() + reader.unwrap_or_default());
        }
        reads
    }
}

/// A later version of the program: another colour in its style sheet, and so other assets.
struct NextVersion {
    program: PathBuf,
    _directory: TempDir,
}

impl NextVersion {
    fn build() -> NextVersion {
        let directory = TempDir::new().expect("a directory");
        let program = directory.path().join("tiny-chat");
        let mut bytes = fs::read(BINARY).expect("the program");
        let (now, then) = (b"--accent: light-dark(#0d6e5f", b"--accent: light-dark(#0d6e5e");
        let at = bytes.windows(now.len()).position(|part| part == now).expect("the style sheet in the binary");
        bytes[at..at + then.len()].copy_from_slice(then);
        fs::write(&program, bytes).expect("a program");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a program that runs");
        NextVersion { program, _directory: directory }
    }
}

/// Somebody who writes without end, and sends again what was not acknowledged.
struct Writer {
    stop: watch::Sender<bool>,
    task: JoinHandle<Vec<String>>,
}

impl Writer {
    fn start(url: String, pause: Duration) -> Writer {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let client = Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().expect("a client");
            let mut ids = Vec::new();
            while !*stopped.borrow() {
                let text = format!("message {}", ids.len());
                ids.push(insist(&client, &url, &text).await);
                tokio::time::sleep(pause).await; // the rate at which people write
            }
            ids
        });
        Writer { stop, task }
    }

    /// The ids of all that was acknowledged.
    async fn finish(self) -> Vec<String> {
        self.stop.send_replace(true);
        self.task.await.expect("a writer that goes on")
    }
}

/// Sends a message until it is acknowledged, always with the same key.
async fn insist(client: &Client, url: &str, text: &str) -> String {
    let sent = async {
        loop {
            match acknowledged(client, url, text).await {
                Some(id) => return id,
                None => tokio::time::sleep(Duration::from_millis(50)).await, // before it is sent again
            }
        }
    };
    within(DEADLINE, "an acknowledgement", sent).await
}

async fn acknowledged(client: &Client, url: &str, text: &str) -> Option<String> {
    let message = json!({ "message": text, "key": text.replace(' ', "-") });
    let answer = client.post(url).json(&message).send().await.ok()?.error_for_status().ok()?;
    let answer: Value = answer.json().await.ok()?;
    Some(answer["id"].as_str()?.to_owned())
}

/// No second sees more than three times as many as the mean second.
fn are_spread_out(tries: &[Instant]) {
    let (Some(first), Some(last)) = (tries.iter().min(), tries.iter().max()) else {
        panic!("nobody came back")
    };
    let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
    tries.iter().for_each(|at| *seconds.entry((*at - *first).as_secs()).or_default() += 1);
    let mean = tries.len() as f64 / (*last - *first).as_secs_f64().ceil();
    let most = *seconds.values().max().expect("a second");
    assert!((most as f64) < 3.0 * mean, "{most} came back in one second, {mean:.0} in the mean one: {seconds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_loses_nothing_and_spreads_reconnects() {
    let environment = [("DRAIN", "8")];
    let mut cluster = Cluster::start(&environment).await;
    let balancer = cluster.load_balancer().await;
    let mut subscribers = Subscribers::connect(balancer.address(), "/subscribe/lobby", readers()).await;
    let writer = Writer::start(balancer.url("/lobby"), Duration::from_millis(500));
    for place in 0..cluster.nodes.len() {
        let leaving = subscribers.live_count();
        subscribers.take_connection_attempts();
        let before = cluster.log_reads().await;
        cluster.nodes[place].terminate();
        assert_eq!(cluster.nodes[place].exit().await.code(), Some(0));
        cluster.nodes[place] = cluster.node(cluster.ports[place], &environment).await;
        subscribers.wait_until_live().await;
        let tries = subscribers.take_connection_attempts();
        assert!(tries.len() >= leaving / 5, "{} came back", tries.len());
        are_spread_out(&tries);
        for (other, (after, before)) in cluster.log_reads().await.iter().zip(&before).enumerate() {
            let reads = if other == place { *after } else { after - before };
            assert!(reads <= 40.0, "{reads} readings of one log for {} who came back", tries.len());
        }
    }
    let ids = writer.finish().await;
    subscribers.wait_until_received(ids.last().expect("an id")).await;
    assert!(ids.len() > 20, "{} messages were written", ids.len());
}

/// A node that dies without a word cuts all its readers at once: they come back spread over what `retry:` drew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_of_a_killed_node_resume_on_the_others() {
    let mut cluster = Cluster::start(&[]).await;
    let balancer = cluster.load_balancer().await;
    let mut subscribers = Subscribers::connect(balancer.address(), "/subscribe/lobby", readers() / 5).await;
    let writer = Writer::start(balancer.url("/lobby"), Duration::from_millis(100));
    cluster.nodes[0].kill();
    eventually("a crowd that was cut", async || (subscribers.live_count() < readers() / 5).then_some(())).await;
    subscribers.wait_until_live().await;
    let ids = writer.finish().await;
    subscribers.wait_until_received(ids.last().expect("an id")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_upgrade_between_two_versions_loses_nothing() {
    let next = NextVersion::build();
    let environment = [("DRAIN", "2")];
    let mut cluster = Cluster::start(&environment).await;
    let balancer = cluster.load_balancer().await;
    let mut subscribers = Subscribers::connect(balancer.address(), "/subscribe/lobby?name=mason", readers() / 10).await;
    let writer = Writer::start(balancer.url("/lobby"), Duration::from_millis(100));
    for place in 0..cluster.nodes.len() {
        cluster.nodes[place].terminate();
        assert_eq!(cluster.nodes[place].exit().await.code(), Some(0));
        cluster.nodes[place] = cluster.node_of(&next.program, cluster.ports[place], &environment).await;
        subscribers.wait_until_live().await;
    }
    let ids = writer.finish().await;
    subscribers.wait_until_received(ids.last().expect("an id")).await;
}

/// The address of a page's style sheet.
async fn style_sheet(node: &Node) -> String {
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
    let (of_old, of_new) = (style_sheet(&old).await, style_sheet(&new).await);
    assert_ne!(of_old, of_new);
    for (node, own, others, colour) in [(&old, &of_old, &of_new, "#0d6e5f"), (&new, &of_new, &of_old, "#0d6e5e")] {
        let kept = node.get(own).await.expect(200);
        assert!(kept.header("cache-control").contains("immutable") && kept.text().contains(colour));
        let lent = node.get(others).await.expect(200);
        assert_eq!(lent.header("cache-control"), "no-store");
        assert!(lent.text().contains(colour), "what this version has");
    }
}

#[tokio::test]
async fn nodes_of_two_versions_share_messages_and_presence() {
    let next = NextVersion::build();
    let redis = Redis::start().await;
    let (old, new) = (Node::on(&redis, &[]).await, Node::start_binary(&next.program, &redis, &[]).await);
    let mut readers = [subscribe_as(&old, "ada").await, subscribe_as(&new, "mason").await];
    let posted = [old.post("lobby", "ada", "from the old").await, new.post("lobby", "mason", "from the new").await];
    for reader in &mut readers {
        assert_eq!(reader.next_ids(2).await, posted);
    }
    for node in [&old, &new] {
        wait_for_presence(node, json!({ "count": 2, "names": ["ada", "mason"] })).await;
    }
}

/// What a later version may announce: types, fields and members that this one does not know.
#[tokio::test]
async fn unknown_announcements_are_forwarded_or_ignored() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    redis.wait_for_subscriber("lobby").await;
    let id = "1999999999999-1";
    let _: String =
        redis.cmd(&["XADD", &key("lobby"), id, "data", "{\"to\":7}", "type", "reaction", "mood", "x"]).await;
    redis.publish("lobby", format!("\x1e{id} reaction {{\"to\":7}}")).await;
    let later = json!({ "process": "later~1", "version": 1, "count": 1, "names": ["zoe"], "mood": "x" });
    redis.publish("lobby", format!("\x1e0-0 presence {later}")).await;
    redis.publish("lobby", "\x1e0-0 mood {\"of\":\"zoe\"}").await;
    let block = reader.next_content().await;
    assert_eq!((block.event.as_deref(), block.id.as_deref()), (Some("reaction"), Some(id)));
    let after = node.post("lobby", "mason", "after").await;
    assert_eq!(reader.next_content().await.id, Some(after));
    reader = Stream::resume(&node, "lobby", "0-0").await;
    assert_eq!(reader.next_content().await.event.as_deref(), Some("reaction"), "it is replayed as it was told");
}
