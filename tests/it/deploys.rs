//! A new version goes out while everybody chats: nodes are restarted one after the other behind one address, and nobody
//! loses anything (contract 5 and 7; issue 4, "Deploys").

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::support::{Crowd, DEADLINE, Front, Node, Redis, eventually, free_port, within};

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
        let bind = format!("127.0.0.1:{port}");
        let own = [("BIND", bind.as_str()), ("MAX_STREAMS_PER_ADDRESS", "0"), ("NODE", "chat")];
        Node::on(&self.redis, &[&own, environment].concat()).await
    }

    async fn front(&self) -> Front {
        Front::of(self.nodes.iter().map(Node::address).collect()).await
    }

    /// Readings of logs, for rooms and for single readers, by node.
    async fn log_reads(&self) -> Vec<f64> {
        let mut reads = Vec::new();
        for node in &self.nodes {
            let room = node.metric("tinychat_log_reads_total{for=\"room\"}").await;
            let reader = node.metric("tinychat_log_reads_total{for=\"reader\"}").await;
            reads.push(room.unwrap_or_default() + reader.unwrap_or_default());
        }
        reads
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
async fn a_rolling_restart_under_load_loses_nothing_doubles_nothing_and_spreads_who_comes_back() {
    let environment = [("DRAIN", "8")];
    let mut cluster = Cluster::start(&environment).await;
    let front = cluster.front().await;
    let mut crowd = Crowd::gather(front.address(), "/subscribe/lobby", readers()).await;
    let writer = Writer::start(front.url("/lobby"), Duration::from_millis(500));
    for place in 0..cluster.nodes.len() {
        let leaving = crowd.live();
        crowd.tries();
        let before = cluster.log_reads().await;
        cluster.nodes[place].terminate();
        assert_eq!(cluster.nodes[place].exit().await.code(), Some(0));
        cluster.nodes[place] = cluster.node(cluster.ports[place], &environment).await;
        crowd.all_live().await;
        let tries = crowd.tries();
        assert!(tries.len() >= leaving / 5, "{} came back", tries.len());
        are_spread_out(&tries);
        for (other, (after, before)) in cluster.log_reads().await.iter().zip(&before).enumerate() {
            let reads = if other == place { *after } else { after - before };
            assert!(reads <= 40.0, "{reads} readings of one log for {} who came back", tries.len());
        }
    }
    let ids = writer.finish().await;
    crowd.all_saw(ids.last().expect("an id")).await;
    assert!(ids.len() > 20, "{} messages were written", ids.len());
}

/// A node that dies without a word cuts all its readers at once: they come back spread over what `retry:` drew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readers_of_a_node_that_is_killed_go_on_at_the_others() {
    let mut cluster = Cluster::start(&[]).await;
    let front = cluster.front().await;
    let mut crowd = Crowd::gather(front.address(), "/subscribe/lobby", readers() / 5).await;
    let writer = Writer::start(front.url("/lobby"), Duration::from_millis(100));
    cluster.nodes[0].kill();
    eventually("a crowd that was cut", async || (crowd.live() < readers() / 5).then_some(())).await;
    crowd.all_live().await;
    let ids = writer.finish().await;
    crowd.all_saw(ids.last().expect("an id")).await;
}
