//! A master whose place another server takes, as Sentinels decide it (contract 6).

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use tokio::time::sleep;

use super::{
    assert_post_unavailable,
    load::{Collected, Load, assert_none_lost_silently, ids_in_log, lost},
    post_until_accepted,
};
use crate::support::{FakeSentinel, MASTER, Node, Proxy, Redis, Sentinels, Stream, eventually, free_port, within};

/// The time within which posts are taken again after Sentinel has decided.
const MAX_RECOVERY: Duration = Duration::from_secs(5);

/// Starts two nodes on the same Sentinels.
async fn two_nodes(url: &str) -> [Arc<Node>; 2] {
    let start = async || Arc::new(Node::start(&[("REDIS_URL", url), ("HEARTBEAT", "1")]).await);
    [start().await, start().await]
}

/// Returns how many scripts and writes to logs a server has executed.
async fn calls(server: &Redis) -> u64 {
    let stats: String = server.cmd(&["INFO", "commandstats"]).await;
    let count = |name: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    count("evalsha") + count("eval")
}

/// Waits until a Sentinel says that another server is the master.
async fn switch(sentinel: &Redis) -> impl Future<Output = Instant> + use<> {
    let client = redis::Client::open(sentinel.url()).expect("a URL");
    let mut events = client.get_async_pubsub().await.expect("a connection");
    events.subscribe("+switch-master").await.expect("a subscription");
    async move {
        let mut events = events.into_on_message();
        within(Duration::from_secs(30), "a switch", events.next()).await.expect("a message");
        Instant::now()
    }
}

#[tokio::test]
async fn nodes_share_rooms_on_the_master() {
    let sentinels = Sentinels::start(3, 1).await;
    let [here, there] = two_nodes(&sentinels.url()).await;
    let mut reader = Stream::live(&here, "lobby").await;
    let ids = there.fill("lobby", 3).await;
    assert_eq!(reader.next_ids(3).await, ids);
    assert_eq!(here.stored("lobby").await.len(), 3);
    assert_eq!(Stream::resume(&there, "lobby", &ids[0]).await.next_ids(2).await, ids[1..]);
    assert_eq!(ids_in_log(&sentinels.servers()[0], "lobby").await.len(), 3);
}

/// Nodes under load, each with a stream whose content is collected.
struct Trial {
    sentinels: Sentinels,
    nodes: [Arc<Node>; 2],
    load: Load,
    streams: Vec<Collected>,
}

impl Trial {
    async fn start(replicas: usize) -> Trial {
        let sentinels = Sentinels::start(3, replicas).await;
        let nodes = two_nodes(&sentinels.url()).await;
        let mut streams = Vec::new();
        for node in &nodes {
            streams.push(Collected::start(node, "lobby").await);
        }
        let load = Load::start(&nodes, "lobby");
        load.wait_for(100).await;
        Trial { sentinels, nodes, load, streams }
    }

    fn old(&self) -> &Redis {
        &self.sentinels.servers()[0]
    }

    /// Checks that the old master is sent nothing while posts go on.
    async fn assert_old_is_left_alone(&self) {
        // What was sent before the nodes heard of the switch has been answered by then.
        sleep(Duration::from_millis(300)).await;
        let calls_then = calls(self.old()).await;
        self.load.wait_for(200).await;
        assert_eq!(calls(self.old()).await, calls_then, "nothing is sent to the old master");
    }

    /// Checks how soon posts were taken after the switch, and that the streams have stayed open and miss nothing silently.
    /// Returns how many posts were lost.
    async fn assert_recovered(self, switched: Instant, new: u16) -> usize {
        let Trial { sentinels, nodes, load, streams } = self;
        load.wait_for(20).await;
        let taken = load.stop().await;
        let recovered = taken.iter().map(|(_, at)| *at).find(|at| *at > switched + Duration::from_millis(50));
        let recovery = recovered.expect("a post") - switched;
        assert!(recovery < MAX_RECOVERY, "a post was taken after {recovery:?}");
        let new = sentinels.servers().iter().find(|server| server.port() == new).expect("the new master");
        let last = post_until_accepted(&nodes[0], "the last one").await;
        let stored = ids_in_log(new, "lobby").await;
        for stream in streams {
            assert_none_lost_silently(&taken, &stored, &stream.until(&last).await);
        }
        lost(&taken, &stored).len()
    }
}

#[tokio::test]
async fn planned_failover_loses_nothing_silently() {
    let trial = Trial::start(2).await;
    let switched = switch(&trial.sentinels.sentinels()[0]).await;
    let (switched, new) = tokio::join!(switched, trial.sentinels.failover());
    let new = new.port();
    trial.assert_old_is_left_alone().await;
    let lost = trial.assert_recovered(switched, new).await;
    // The nodes stop before the replica is promoted, and not when that is known, a second later.
    assert!(lost < 20, "{lost} posts were lost");
}

#[tokio::test]
async fn killed_master_is_replaced() {
    let trial = Trial::start(1).await;
    let switched = switch(&trial.sentinels.sentinels()[0]).await;
    let old = trial.sentinels.kill_master().await;
    let (switched, new) = tokio::join!(switched, trial.sentinels.wait_for_switch(old));
    let new = new.port();
    trial.assert_recovered(switched, new).await;
}

/// It says for 10 s that it is a master.
#[tokio::test]
async fn master_that_was_stopped_and_goes_on_is_left_alone() {
    let trial = Trial::start(1).await;
    let (old, switched) = (trial.old().port(), switch(&trial.sentinels.sentinels()[0]).await);
    trial.old().pause();
    let (switched, new) = tokio::join!(switched, trial.sentinels.wait_for_switch(old));
    let new = new.port();
    trial.load.wait_for(20).await;
    trial.old().unpause();
    trial.assert_old_is_left_alone().await;
    let role: Vec<redis::Value> = trial.old().cmd(&["ROLE"]).await;
    assert_eq!(role[0], redis::Value::BulkString(b"master".to_vec()), "it would take writes");
    trial.assert_recovered(switched, new).await;
}

/// Posts every 50 ms for a while, all of which must be taken.
async fn assert_posts_go_on(node: &Node, time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        node.post("lobby", "mason", "on and on").await;
        sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the URL of these Sentinels.
fn url_of(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!("redis-sentinel://{}/{MASTER}", addresses.join(","))
}

/// Starts two Sentinels that watch a master without replicas, and a third one that is none and names the same master.
async fn two_and_a_fake() -> (Sentinels, FakeSentinel, String) {
    let sentinels = Sentinels::start(2, 0).await;
    let fake = FakeSentinel::start(sentinels.servers()[0].address(), 0).await;
    let addresses = sentinels.sentinels().iter().map(Redis::address).chain([fake.address()]);
    let url = url_of(&addresses.collect::<Vec<_>>());
    (sentinels, fake, url)
}

#[tokio::test]
async fn sentinel_that_names_another_master_is_outvoted() {
    let (sentinels, fake, url) = two_and_a_fake().await;
    let (master, other) = (&sentinels.servers()[0], Redis::start().await);
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let before = node.post("lobby", "mason", "hi").await;
    fake.name(other.address(), 99);
    fake.tell_switch(master.address(), other.address());
    let told = Instant::now();
    node.logged("nothing is sent to the one before").await;
    let calls_then = calls(master).await;
    assert_post_unavailable(&node).await;
    assert_eq!(calls(master).await, calls_then, "nothing is sent while it is not clear");
    let after = post_until_accepted(&node, "again").await;
    assert!(told.elapsed() < MAX_RECOVERY, "a post was taken after {:?}", told.elapsed());
    fake.tell_switch(master.address(), other.address());
    assert_posts_go_on(&node, Duration::from_secs(3)).await;
    assert_eq!(reader.next_ids(2).await, [before, after]);
    assert_eq!(other.cmd::<u64>(&["DBSIZE"]).await, 0, "nothing was written there");
    assert_eq!(calls(&other).await, 0);
    assert_eq!(node.log().matches("is not believed").count(), 1, "{}", node.log());
}

/// The claim ends as soon as the server that it names is found to be no master.
#[tokio::test]
async fn sentinel_that_names_no_master_costs_no_time() {
    let (sentinels, fake, url) = two_and_a_fake().await;
    let (master, nothing) = (&sentinels.servers()[0], SocketAddr::from(([127, 0, 0, 1], free_port())));
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    fake.tell_switch(master.address(), nothing);
    let told = Instant::now();
    node.logged("is not believed").await;
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    node.post("lobby", "mason", "hi").await;
}

#[tokio::test]
async fn known_master_is_kept_without_sentinels() {
    let sentinels = Sentinels::start(3, 1).await;
    let [here, there] = two_nodes(&sentinels.url()).await;
    let mut reader = Stream::live(&here, "lobby").await;
    sentinels.sentinels().iter().for_each(Redis::crash);
    here.logged("a Sentinel cannot be asked").await;
    let first = there.post("lobby", "mason", "without Sentinels").await;
    assert_posts_go_on(&here, Duration::from_secs(3)).await;
    assert_eq!(reader.next_message().await.id, first);
    for kind in ["normal", "pubsub"] {
        let _: u64 = sentinels.servers()[0].cmd(&["CLIENT", "KILL", "TYPE", kind]).await;
    }
    post_until_accepted(&here, "over new connections").await;
    assert_eq!(here.log().matches("a Sentinel cannot be asked").count(), 3, "{}", here.log());
}

#[tokio::test]
async fn servers_and_sentinels_have_users_of_their_own() {
    let sentinels = Sentinels::start(3, 1).await;
    for server in sentinels.servers() {
        let _: String = server.cmd(&["ACL", "SETUSER", "chat-user", "on", ">p@ss", "~*", "&*", "+@all"]).await;
    }
    for sentinel in sentinels.sentinels() {
        let user = ["ACL", "SETUSER", "watcher", "on", ">hunter2", "resetchannels", "&+switch-master"];
        let rights = ["+subscribe", "+sentinel|get-master-addr-by-name", "+sentinel|master"];
        let _: String = sentinel.cmd(&[&user[..], &rights].concat()).await;
    }
    let url = sentinels.url().replace("://", "://chat-user:p%40ss@");
    let of_sentinel = [("REDIS_SENTINEL_USER", "watcher"), ("REDIS_SENTINEL_PASSWORD", "hunter2")];
    let environment = [&[("REDIS_URL", url.as_str())], &of_sentinel[..]].concat();
    let node = Node::start(&environment).await;
    node.post("lobby", "mason", "hi").await;
    let users = async |server: &Redis| -> String { server.cmd(&["CLIENT", "LIST"]).await };
    assert!(users(&sentinels.servers()[0]).await.contains("user=chat-user"));
    assert!(users(&sentinels.sentinels()[0]).await.contains("user=watcher"));
    let new = sentinels.failover().await;
    post_until_accepted(&node, "after the failover").await;
    assert!(users(new).await.contains("user=chat-user"));
    assert!(!node.log().contains("hunter2") && !node.log().contains("p@ss"), "{}", node.log());

    let wrong = [environment[0], environment[1], ("REDIS_SENTINEL_PASSWORD", "hunter3")];
    let node = Node::launch(&wrong).await;
    let line = node.logged("a Sentinel refuses this node").await;
    assert!(line.contains("REDIS_SENTINEL_PASSWORD") && line.contains("WRONGPASS"), "{line}");
    node.logged("0 of 3 Sentinels answer").await;
    assert_eq!(node.log().matches("a Sentinel refuses").count(), 1, "{}", node.log());
    node.get("/readyz").await.expect(503);
}

#[tokio::test]
async fn database_of_the_url_is_used_on_every_master() {
    let sentinels = Sentinels::start(3, 1).await;
    let url = format!("{}/3", sentinels.url());
    let node = Node::start(&[("REDIS_URL", &url), ("REDIS_PREFIX", "staging")]).await;
    node.post("lobby", "mason", "hi").await;
    let databases = async |server: &Redis| -> String { server.cmd(&["INFO", "keyspace"]).await };
    assert!(databases(&sentinels.servers()[0]).await.contains("db3:"));
    let new = sentinels.failover().await;
    post_until_accepted(&node, "after the failover").await;
    let databases = databases(new).await;
    assert!(databases.contains("db3:") && !databases.contains("db0:"), "{databases}");
}

#[tokio::test]
async fn announced_host_names_are_followed() {
    let sentinels = Sentinels::start(3, 1).await;
    let (master, port) = (&sentinels.servers()[0], sentinels.servers()[0].port().to_string());
    for server in sentinels.servers() {
        let _: String = server.cmd(&["CONFIG", "SET", "replica-announce-ip", "localhost"]).await;
    }
    let _: u64 = master.cmd(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    eventually("a replica that says its name", async || {
        let info: String = master.cmd(&["INFO", "replication"]).await;
        info.contains("slave0:ip=localhost").then_some(())
    })
    .await;
    for sentinel in sentinels.sentinels() {
        for option in ["resolve-hostnames", "announce-hostnames"] {
            let _: String = sentinel.cmd(&["SENTINEL", "CONFIG", "SET", option, "yes"]).await;
        }
        let _: String = sentinel.cmd(&["SENTINEL", "REMOVE", MASTER]).await;
        let _: String = sentinel.cmd(&["SENTINEL", "MONITOR", MASTER, "localhost", &port, "2"]).await;
    }
    let node = Node::start(&[("REDIS_URL", &sentinels.url())]).await;
    node.logged(&format!("master=localhost:{port}")).await;
    node.post("lobby", "mason", "hi").await;
    let first = &sentinels.sentinels()[0];
    eventually("a failover that begins", async || {
        let state: String = first.cmd(&["INFO", "sentinel"]).await;
        if !state.contains("slaves=1,sentinels=3") {
            return None;
        }
        first.try_cmd::<String>(&["SENTINEL", "FAILOVER", MASTER]).await.ok()
    })
    .await;
    let new = sentinels.servers()[1].port();
    node.logged(&format!("master=localhost:{new}")).await;
    post_until_accepted(&node, "by name").await;
}

#[tokio::test]
async fn what_is_wrong_with_the_sentinels_is_said_once() {
    let sentinels = Sentinels::start(3, 0).await;
    let server = Redis::start().await;
    let dead = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let one = sentinels.sentinels()[0].address();
    for (url, line, why) in [
        (url_of(&[one, dead(), dead()]), "this node is not ready", "1 of 3 Sentinels answer"),
        (url_of(&[dead(), dead(), dead()]), "this node is not ready", "0 of 3 Sentinels answer"),
        (
            sentinels.url().replace(MASTER, "another"),
            "refuses this node",
            "no master with the name in the URL, \\\"another\\\"",
        ),
        (url_of(&[server.address()]), "refuses this node", "it is no Sentinel"),
    ] {
        let node = Node::launch(&[("REDIS_URL", &url)]).await;
        let said = node.logged(line).await;
        assert!(said.contains(why), "{url}: {said}");
        node.logged("this node is not ready").await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(node.log().matches(line).count(), 1, "{url}: {}", node.log());
        node.get("/readyz").await.expect(503);
    }
}

/// A server behind a Sentinel's word that is no master: its role is asked for.
#[tokio::test]
async fn replica_that_most_sentinels_name_is_not_followed() {
    let sentinels = Sentinels::start(1, 1).await;
    let fakes = [
        FakeSentinel::start(sentinels.servers()[1].address(), 1).await,
        FakeSentinel::start(sentinels.servers()[1].address(), 1).await,
    ];
    let node = Node::launch(&[("REDIS_URL", &url_of(&fakes.each_ref().map(FakeSentinel::address)))]).await;
    let line = node.logged("Redis refuses this node").await;
    assert!(line.contains("it is a replica"), "{line}");
    node.get("/readyz").await.expect(503);
    assert!(!node.log().contains("the Sentinels name the master"), "{}", node.log());
    for fake in &fakes {
        fake.name(sentinels.servers()[0].address(), 1);
    }
    node.ready().await;
    node.post("lobby", "mason", "to the master").await;
}

/// The rules of a connection to one server hold for the master, too.
#[tokio::test]
async fn deaf_connection_to_the_master_is_renewed() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let fake = FakeSentinel::start(proxy.address(), 1).await;
    let node = Node::start(&[("REDIS_URL", &url_of(&[fake.address()])), ("HEARTBEAT", "1")]).await;
    let other = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    proxy.lose_announcements();
    let ids = other.fill("lobby", 3).await;
    assert_eq!(within(Duration::from_secs(13), "what was missed", reader.next_ids(3)).await, ids);
    node.logged("sends no announcements").await;
}

#[tokio::test]
async fn master_that_becomes_a_replica_is_sent_nothing() {
    let (old, new) = (Redis::start().await, Redis::start().await);
    let fake = FakeSentinel::start(old.address(), 1).await;
    let node = Node::start(&[("REDIS_URL", &url_of(&[fake.address()])), ("HEARTBEAT", "1")]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let before = node.post("lobby", "mason", "hi").await;
    assert_eq!(reader.next_message().await.id, before);
    let _: String = old.cmd(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await;
    node.logged("it is a replica").await;
    assert_post_unavailable(&node).await;
    fake.name(new.address(), 2);
    let after = post_until_accepted(&node, "on the new one").await;
    let expected = HashSet::from([before, after]);
    assert_eq!(ids_in_log(&new, "lobby").await, expected, "what the old one had was restored");
}
