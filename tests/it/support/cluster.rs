//! A cluster of real servers, formed in a few seconds, whose slots can be moved and whose masters can be killed.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use redis::{FromRedisValue, ToRedisArgs};
use tokio::sync::OnceCell;

use super::{Program, Redis, eventually, free_port, key, process};

const SLOTS: u16 = 16384;

/// After how long a silent server is considered dead where a replica takes its place.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(2);

/// The same where there are no replicas: long enough that a busy machine is no outage.
const PATIENT_TIMEOUT: Duration = Duration::from_secs(15);

/// Masters, and behind them in the list their replicas in the same order.
pub struct Cluster {
    servers: Vec<Redis>,
    ids: Vec<String>,
}

impl Cluster {
    /// Starts a cluster of masters that share the slots evenly, with no replicas.
    pub async fn start(masters: usize) -> Cluster {
        Cluster::of(Program::Redis, masters, 0, &[]).await
    }

    /// Starts a cluster in which each master has a replica that takes its place.
    pub async fn with_replicas(masters: usize) -> Cluster {
        Cluster::of(Program::Redis, masters, 1, &[]).await
    }

    /// Starts a cluster of this program, with this number of replicas for each master and further options. Slots
    /// without a master are no outage of the others, unless the options say so.
    pub async fn of(program: Program, masters: usize, replicas: usize, options: &[&str]) -> Cluster {
        let timeout = if replicas > 0 { FAILOVER_TIMEOUT } else { PATIENT_TIMEOUT };
        let servers = join_all((0..masters * (1 + replicas)).map(|_| start_server(program, timeout, options))).await;
        let ids = join_all(servers.iter().map(|server| server.cmd(&["CLUSTER", "MYID"]))).await;
        let cluster = Cluster { servers, ids };
        cluster.assign_slots(masters).await;
        cluster.meet().await;
        for index in masters..cluster.servers.len() {
            cluster.replicate(index, index % masters).await;
        }
        cluster.wait_until_formed().await;
        cluster
    }

    /// Returns a cluster of three masters that all tests of this process share, each with a prefix of its own.
    pub async fn shared() -> &'static Cluster {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        let start = async || {
            let cluster = Cluster::start(3).await;
            let servers = || cluster.servers.iter();
            process::end_with_this_process(servers().map(Redis::pid), servers().map(Redis::directory));
            cluster
        };
        SHARED.get_or_init(start).await
    }

    /// Returns the URL of the cluster. It names two of the servers.
    pub fn url(&self) -> String {
        let seeds: Vec<String> = self.servers.iter().take(2).map(|server| server.address().to_string()).collect();
        format!("redis-cluster://{}", seeds.join(","))
    }

    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// Returns which server has the slot of a key, as those that live know it.
    pub async fn master_of(&self, key: &str) -> usize {
        self.owner_of(slot_of(key)).await
    }

    /// Returns a room whose log is at this master, another one for each number.
    pub async fn room_at(&self, master: usize, number: usize) -> String {
        let owners = self.owners().await;
        (0..)
            .map(|name| format!("room-{name}"))
            .filter(|room| owners.get(&slot_of(&key(room))) == Some(&master))
            .nth(number)
            .expect("some room is there")
    }

    /// Sends a command to the master of a key.
    pub async fn cmd<T: FromRedisValue>(&self, key: &str, words: &[impl ToRedisArgs]) -> T {
        self.cmd_at(self.master_of(key).await, words).await
    }

    /// Sends a command to one of the servers.
    pub async fn cmd_at<T: FromRedisValue>(&self, index: usize, words: &[impl ToRedisArgs]) -> T {
        self.servers[index].cmd(words).await
    }

    /// Returns the keys of all masters that match a pattern.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let words = ["KEYS", pattern];
        join_all(self.servers.iter().map(|server| server.cmd::<Vec<String>>(&words))).await.concat()
    }

    /// Sends a command to a server that is importing the slot of its key.
    pub async fn cmd_asking<T: FromRedisValue>(&self, index: usize, words: &[impl ToRedisArgs]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let mut connection = self.servers[index].connect().await.expect("a connection");
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").ignore().add_command(command);
        let (reply,): (T,) = pipeline.query_async(&mut connection).await.expect("redis answers");
        reply
    }

    /// Publishes on a room's channel as another program would, and returns how many subscribers of its master
    /// received it.
    pub async fn publish(&self, room: &str, payload: impl AsRef<[u8]>) -> u64 {
        let channel = key(room);
        self.cmd(&channel, &[b"SPUBLISH", channel.as_bytes(), payload.as_ref()]).await
    }

    /// Begins to move a slot: its keys are at both masters from now on, and new ones at the target.
    pub async fn begin_move(&self, slot: u16, to: usize) {
        let (from, slot) = (self.owner_of(slot).await, slot.to_string());
        let _: String = self.cmd_at(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.ids[from]]).await;
        let _: String = self.cmd_at(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.ids[to]]).await;
    }

    /// Moves the keys that a slot has.
    pub async fn move_keys(&self, slot: u16, to: usize) {
        let (from, slot) = (self.owner_of(slot).await, slot.to_string());
        let port = self.servers[to].port().to_string();
        loop {
            let keys: Vec<String> = self.cmd_at(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]).await;
            if keys.is_empty() {
                return;
            }
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let words: Vec<&str> = migrate.into_iter().chain(keys.iter().map(String::as_str)).collect();
            let _: String = self.cmd_at(from, &words).await;
        }
    }

    /// Ends the move of a slot: all masters are told its owner.
    pub async fn end_move(&self, slot: u16, to: usize) {
        let (from, text) = (self.owner_of(slot).await, slot.to_string());
        let words = ["CLUSTER", "SETSLOT", &text, "NODE", &self.ids[to]];
        // The target first: it is the one that takes a new epoch for it.
        let others = (0..self.servers.len()).filter(|index| ![to, from].contains(index));
        for index in [to, from].into_iter().chain(others) {
            if !self.is_replica(index).await {
                let _: String = self.cmd_at(index, &words).await;
            }
        }
    }

    /// Moves a slot with its keys.
    pub async fn move_slot(&self, slot: u16, to: usize) {
        self.begin_move(slot, to).await;
        self.move_keys(slot, to).await;
        self.end_move(slot, to).await;
    }

    /// Moves a slot at once, as only Valkey 9 can do: keys and all, without a moment in which both masters have it.
    pub async fn migrate_slot(&self, slot: u16, to: usize) {
        let (from, text) = (self.owner_of(slot).await, slot.to_string());
        let words = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &text, &text, "NODE", &self.ids[to]];
        let _: String = self.cmd_at(from, &words).await;
        eventually("the end of the migration", async || (self.owner_of(slot).await == to).then_some(())).await
    }

    /// Kills a master with SIGKILL.
    pub fn kill_master(&self, index: usize) {
        self.servers[index].crash();
    }

    /// Waits until another server has what a master had, and returns which.
    pub async fn wait_for_promotion(&self, killed: usize) -> usize {
        let promoted = killed + self.servers.len() / 2;
        let is_master = async || {
            let owners = self.owners().await;
            owners.values().any(|owner| *owner == promoted).then_some(promoted)
        };
        eventually("the promotion of a replica", is_master).await
    }

    async fn owner_of(&self, slot: u16) -> usize {
        *self.owners().await.get(&slot).unwrap_or_else(|| panic!("slot {slot} has no master"))
    }

    /// Returns the index of the master of each slot, as the first server that answers knows it.
    async fn owners(&self) -> HashMap<u16, usize> {
        let ports: HashMap<u16, usize> = self.servers.iter().map(Redis::port).zip(0..).collect();
        for server in &self.servers {
            let ranges: redis::RedisResult<Vec<Vec<redis::Value>>> = server.try_cmd(&["CLUSTER", "SLOTS"]).await;
            let Ok(ranges) = ranges else { continue };
            let slots = ranges.into_iter().flat_map(|range| {
                let bound = |index: usize| u16::from_redis_value(range[index].clone()).expect("a slot");
                let (_, port): (String, u16) = prefix_of(&range[2]);
                (bound(0)..=bound(1)).map(|slot| (slot, ports[&port])).collect::<Vec<_>>()
            });
            return slots.collect();
        }
        panic!("no server of the cluster answers")
    }

    async fn is_replica(&self, index: usize) -> bool {
        let info: String = self.cmd_at(index, &["INFO", "replication"]).await;
        info.contains("role:slave")
    }

    async fn assign_slots(&self, masters: usize) {
        let first = |master: usize| usize::from(SLOTS) * master / masters;
        for (index, server) in self.servers.iter().enumerate() {
            let _: String = server.cmd(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]).await;
            if index < masters {
                let slots = (first(index)..first(index + 1)).map(|slot| slot.to_string());
                let words: Vec<String> =
                    ["CLUSTER".to_owned(), "ADDSLOTS".to_owned()].into_iter().chain(slots).collect();
                let _: String = server.cmd(&words).await;
            }
        }
    }

    /// Introduces all servers to each other, which is faster than waiting for their gossip.
    async fn meet(&self) {
        for (index, server) in self.servers.iter().enumerate() {
            for other in &self.servers[..index] {
                let bus: Vec<String> = other.cmd(&["CONFIG", "GET", "cluster-port"]).await;
                let port = other.port().to_string();
                let words = ["CLUSTER", "MEET", "127.0.0.1", &port].into_iter();
                let words: Vec<&str> = words.chain(bus.get(1).map(String::as_str)).collect();
                let _: String = server.cmd(&words).await;
            }
        }
    }

    async fn replicate(&self, replica: usize, master: usize) {
        let words = ["CLUSTER", "REPLICATE", &self.ids[master]];
        let known = async || self.servers[replica].try_cmd::<String>(&words).await.ok();
        eventually("a master known to its replica", known).await;
    }

    /// Waits until every server knows all others, and every replica has what its master has.
    async fn wait_until_formed(&self) {
        let known = format!("cluster_known_nodes:{}\r\n", self.servers.len());
        for (index, server) in self.servers.iter().enumerate() {
            eventually("a formed cluster", async || {
                let info: String = server.cmd(&["CLUSTER", "INFO"]).await;
                let nodes: String = server.cmd(&["CLUSTER", "NODES"]).await;
                let formed = info.contains("cluster_state:ok") && info.contains(&known) && !nodes.contains("handshake");
                let replication: String = server.cmd(&["INFO", "replication"]).await;
                let synced = replication.contains("role:master") || replication.contains("master_link_status:up");
                (formed && synced && self.owners().await.len() == usize::from(SLOTS)).then_some(())
            })
            .await;
            assert_eq!(server.cmd::<String>(&["CLUSTER", "MYID"]).await, self.ids[index]);
        }
    }
}

/// Returns the slot of a key (XMODEM's CRC-16 of its hash tag, or of all of it).
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    crc % SLOTS
}

async fn start_server(program: Program, timeout: Duration, options: &[&str]) -> Redis {
    let [bus, tls] = [free_port(), free_port()].map(|port| port.to_string());
    let timeout = timeout.as_millis().to_string();
    let mut all = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
    all.extend(["--cluster-require-full-coverage", "no", "--cluster-announce-ip", "127.0.0.1"]);
    // Replicas are in sync sooner, and take their master's place however old their data is.
    all.extend(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
    if program.has_sharded_pubsub() {
        all.extend(["--cluster-port", &bus]); // Redis 6 has no such option
    }
    if options.contains(&"--tls-cluster") {
        all.extend(["--tls-port", &tls]);
    }
    Redis::of(program, &[&all, options].concat()).await
}

/// Returns the host and the port of an entry of `CLUSTER SLOTS`, which has more members in each version.
fn prefix_of(server: &redis::Value) -> (String, u16) {
    let redis::Value::Array(members) = server else {
        panic!("{server:?} is no server")
    };
    let member = |index: usize| members[index].clone();
    let host = String::from_redis_value(member(0)).expect("a host");
    (host, u16::from_redis_value(member(1)).expect("a port"))
}

#[tokio::test]
async fn slots_and_keys_move_between_masters() {
    assert_eq!([slot_of("123456789"), slot_of("a{b}c{d}")], [12739, slot_of("b")]);
    let cluster = Cluster::start(3).await;
    let room = cluster.room_at(0, 1).await;
    let (log, slot) = (key(&room), slot_of(&key(&room)));
    let _: String = cluster.cmd(&log, &["SET", &log, "one"]).await;
    cluster.begin_move(slot, 1).await;
    cluster.move_keys(slot, 1).await;
    assert_eq!(cluster.master_of(&log).await, 0);
    assert_eq!(cluster.cmd_asking::<String>(1, &["GET", &log]).await, "one");
    cluster.end_move(slot, 1).await;
    assert_eq!((cluster.master_of(&log).await, cluster.publish(&room, "hi").await), (1, 0));
    cluster.move_slot(slot, 2).await;
    assert_eq!(cluster.cmd::<String>(&log, &["GET", &log]).await, "one");
    assert_eq!(cluster.keys("*").await, [log]);
}

#[tokio::test]
async fn replicas_take_the_place_of_killed_masters() {
    let cluster = Cluster::with_replicas(3).await;
    assert_eq!(cluster.servers().len(), 6);
    cluster.kill_master(0);
    assert_eq!(cluster.wait_for_promotion(0).await, 3);
}
