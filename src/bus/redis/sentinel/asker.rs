//! Asks one Sentinel, over a connection that is kept open and on which it tells of switches.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, RedisResult, Value, cmd, pipe};
use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::judge::{Judge, Named, Step};
use super::log::{Outage, SentinelLog};
use crate::backoff::Backoff;
use crate::bus::redis::failure::Failure;
use crate::bus::redis::masters::Masters;
use crate::bus::redis::topology::Topology;
use crate::bus::redis::url::{Access, Address};

/// The channel on which Sentinels tell of a new master.
const SWITCH_CHANNEL: &str = "+switch-master";

/// The channel on which a Sentinel tells that it is about to make a replica the master. That is a second before it knows of
/// its success, and until then the old one takes writes that are lost.
const PLAN_CHANNEL: &str = "+failover-state-send-slaveof-noone";

/// How often a Sentinel is asked.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is asked while there is no master.
const DOUBT_INTERVAL: Duration = Duration::from_millis(100);

/// The pause after a question, however often something asks for another.
const SHORTEST_PAUSE: Duration = Duration::from_millis(30);

/// How long a Sentinel may take to accept a connection, and to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a name may take to be resolved.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the addresses of a name are used.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(10);

/// The pauses between attempts to connect. A Sentinel that is back is asked soon.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);
const STABLE_AFTER: Duration = Duration::from_secs(3);

/// What all that ask have in common.
pub struct Shared {
    /// Which servers are connected to.
    pub topology: Arc<Topology>,
    /// Notified when something was said.
    pub changed: Notify,
    judge: Mutex<Judge>,
    asks: watch::Sender<u64>,
    log: SentinelLog,
    listed: usize,
}

impl Shared {
    /// Begins with no master, or with the one that was known before.
    pub fn new(topology: Arc<Topology>, listed: usize) -> Self {
        Self {
            topology,
            changed: Notify::new(),
            judge: Mutex::new(Judge::new(listed)),
            asks: watch::Sender::new(0),
            log: SentinelLog::default(),
            listed,
        }
    }

    /// Returns what is to be done. `follow` is called with the master if there is one again.
    pub fn step(&self, follow: impl FnOnce(&Topology, &Named)) -> Step {
        let mut judge = self.judge.lock();
        let step = judge.step(Instant::now());
        if let Step::Follow(master) | Step::FollowStill(master) = &step {
            follow(&self.topology, master);
        }
        step
    }

    /// Has all Sentinels asked at once.
    pub fn ask_now(&self) {
        self.asks.send_modify(|asks| *asks += 1);
    }

    /// Takes what a server has said of its role. Returns true if most Sentinels name it.
    pub fn on_role(&self, server: &Named, is_master: bool) -> bool {
        let mut judge = self.judge.lock();
        let is_named_by_most = judge.is_named_by_most(server);
        judge.on_role(server, is_master, Instant::now());
        drop(judge);
        self.ask_now();
        is_named_by_most
    }

    /// Says why there is no master at the start.
    pub fn log_start(&self) {
        let (answering, listed) = (self.judge.lock().answering(), self.listed);
        if answering > listed / 2 {
            tracing::warn!(
                "{answering} of {listed} Sentinels answer, and there is no master that more than half of them name and that says so, too; this node is not ready and keeps asking"
            );
        } else {
            tracing::warn!(
                "{answering} of {listed} Sentinels answer, and more than half of them have to name the master; this node is not ready and keeps asking"
            );
        }
    }

    /// Tells the judge something. Returns true if there is no master from now on.
    fn tell(&self, tell: impl FnOnce(&mut Judge) -> bool) -> bool {
        let mut judge = self.judge.lock();
        let round = judge.round();
        let ends = tell(&mut judge);
        if ends {
            self.topology.set(Masters::one(None));
        }
        if judge.round() != round {
            self.ask_now();
        }
        drop(judge);
        self.changed.notify_one();
        ends
    }
}

/// What asks one Sentinel.
pub struct Asker {
    index: usize,
    address: Address,
    access: Access,
    master: String,
    shared: Arc<Shared>,
    names: Mutex<HashMap<String, (Vec<IpAddr>, Instant)>>,
}

impl Asker {
    /// `index` is the Sentinel's place in the list, and `master` the name of what is asked for.
    pub fn new(index: usize, address: Address, access: Access, master: String, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { index, address, access, master, shared, names: Mutex::default() })
    }

    /// Asks without end.
    pub async fn run(self: &Arc<Self>) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, STABLE_AFTER);
        let mut outage = Outage::default();
        loop {
            let failure = match self.connect().await {
                Ok(connection) => self.converse(connection, &mut backoff, &mut outage).await,
                Err(failure) => failure,
            };
            self.shared.tell(|judge| judge.on_answer(self.index, judge.round(), None, Instant::now()));
            let log = self.shared.log.failed(&mut outage, failure, &self.access, &self.address);
            tokio::join!(log, backoff.wait());
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<MultiplexedConnection, Failure> {
        let asker = self.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_push_sender(move |push| {
                asker.on_push(&push);
                Ok::<_, std::convert::Infallible>(())
            });
        let client = self.access.client(&self.address).map_err(Failure::Refused)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(why)?;
        () = cmd("SUBSCRIBE").arg(SWITCH_CHANNEL).query_async(&mut connection).await.map_err(why)?;
        // Not every user may: then more writes are lost in a failover.
        let _: RedisResult<()> = cmd("SUBSCRIBE").arg(PLAN_CHANNEL).query_async(&mut connection).await;
        Ok(connection)
    }

    /// Asks until the connection is lost.
    async fn converse(
        &self,
        mut connection: MultiplexedConnection,
        backoff: &mut Backoff,
        outage: &mut Outage,
    ) -> Failure {
        let mut asks = self.shared.asks.subscribe();
        loop {
            asks.mark_unchanged();
            let round = self.shared.judge.lock().round();
            let named = match self.ask(&mut connection).await {
                Ok(named) => named,
                Err(failure) => return failure,
            };
            backoff.on_success();
            self.shared.log.answered(outage, &self.address);
            self.tell(&named.clone(), |judge| judge.on_answer(self.index, round, Some(named), Instant::now()));
            sleep(SHORTEST_PAUSE).await;
            let interval = if self.shared.judge.lock().is_sure() { ASK_INTERVAL } else { DOUBT_INTERVAL };
            let _ = timeout(interval, asks.changed()).await;
        }
    }

    /// Asks who is the master. During a failover the address is the new one first in the one answer, and the epoch in the
    /// other.
    async fn ask(&self, connection: &mut MultiplexedConnection) -> Result<Named, Failure> {
        let mut questions = pipe();
        questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        questions.cmd("SENTINEL").arg("MASTER").arg(&self.master);
        let replies: Vec<RedisResult<Value>> = questions.ignore_errors().query_async(connection).await.map_err(why)?;
        let mut replies = replies.into_iter();
        let (address, state) = (replies.next().transpose().map_err(why)?, replies.next());
        let address: Option<(String, u16)> = address.and_then(|reply| redis::from_redis_value(reply).ok()).flatten();
        let Some((host, port)) = address else {
            return Err(Failure::Refused(format!("it knows no master with the name in the URL, {:?}", self.master)));
        };
        let state = state.transpose().map_err(why)?;
        let state: HashMap<String, String> =
            state.and_then(|reply| redis::from_redis_value(reply).ok()).unwrap_or_default();
        let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        Ok(Named { ips: self.ips(&host, port).await, address: Address::tcp(&host, port), epoch })
    }

    /// Returns the addresses of a host, by which it is known under another name.
    async fn ips(&self, host: &str, port: u16) -> Vec<IpAddr> {
        if let Ok(ip) = host.parse() {
            return vec![ip];
        }
        let known = self.names.lock().get(host).cloned();
        if let Some((ips, _)) = known.as_ref().filter(|(_, at)| at.elapsed() < LOOKUP_INTERVAL) {
            return ips.clone();
        }
        let found = timeout(LOOKUP_TIMEOUT, lookup_host((host, port))).await;
        let ips = match found {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            _ => known.map(|(ips, _)| ips).unwrap_or_default(),
        };
        let mut names = self.names.lock();
        names.retain(|_, (_, at)| at.elapsed() < LOOKUP_INTERVAL);
        names.insert(host.to_owned(), (ips.clone(), Instant::now()));
        ips
    }

    /// Takes what a Sentinel tells without being asked.
    fn on_push(&self, push: &PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.shared.ask_now();
        }
        let [Value::BulkString(channel), Value::BulkString(text), ..] = push.data.as_slice() else {
            return;
        };
        let text = String::from_utf8_lossy(text);
        let (address, is_plan) = if push.kind != PushKind::Message {
            return;
        } else if channel == PLAN_CHANNEL.as_bytes() {
            (about_to_promote(&text, &self.master), true)
        } else {
            (switched_to(&text, &self.master), false)
        };
        let Some(address) = address else { return };
        let ips = match &address {
            Address::Tcp(host, _) => host.parse().into_iter().collect(),
            Address::Unix(_) => Vec::new(),
        };
        let (named, now) = (Named { address, ips, epoch: 0 }, Instant::now());
        if is_plan {
            self.tell(&named.clone(), |judge| judge.on_plan(self.index, named, now));
        } else {
            self.tell(&named.clone(), |judge| judge.on_switch(self.index, named, now));
        }
    }

    /// Tells the judge about a master that this Sentinel names. If there is no master after that, nothing more is sent to
    /// the old one.
    fn tell(&self, named: &Named, tell: impl FnOnce(&mut Judge) -> bool) {
        if self.shared.tell(tell) {
            tracing::info!(
                sentinel = %self.address,
                named = %named.address,
                "a Sentinel names another master; nothing is sent to the one before"
            );
        }
    }
}

/// Returns the replica in `slave name host port @ master-name master-host master-port`, if it is about this name.
fn about_to_promote(text: &str, name: &str) -> Option<Address> {
    let (replica, master) = text.split_once(" @ ")?;
    master.strip_prefix(name)?.strip_prefix(' ')?;
    let mut words = replica.split(' ');
    let (host, port) = (words.nth(2)?, words.next()?);
    Some(Address::tcp(host, port.parse().ok()?))
}

/// Returns the new master in `name old-host old-port new-host new-port`, if it is about this name.
fn switched_to(text: &str, name: &str) -> Option<Address> {
    let mut words = text.strip_prefix(name)?.strip_prefix(' ')?.split(' ');
    let (host, port) = (words.nth(2)?, words.next()?);
    Some(Address::tcp(host, port.parse().ok()?))
}

/// Returns why a Sentinel does not answer. Its user and password are others than those in the URL.
fn why(error: RedisError) -> Failure {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some(code @ ("WRONGPASS" | "NOAUTH")) => Failure::Refused(format!(
            "REDIS_SENTINEL_USER and REDIS_SENTINEL_PASSWORD are not what the Sentinels know ({code} {detail})"
        )),
        Some(code @ "NOPERM") => Failure::Refused(format!("the user at the Sentinels lacks a right ({code} {detail})")),
        _ if detail.to_ascii_lowercase().contains("unknown command")
            && detail.to_ascii_lowercase().contains("sentinel") =>
        {
            Failure::Refused("it is no Sentinel; the hosts in the URL must be Sentinels".into())
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switch_of_another_master_is_not_ours() {
        let to = |text: &str, name: &str| switched_to(text, name).map(|address| address.to_string());
        assert_eq!(to("m 10.0.0.1 7000 10.0.0.2 7001", "m").as_deref(), Some("10.0.0.2:7001"));
        assert_eq!(to("m ::1 7000 2001:DB8::1 7001", "m").as_deref(), Some("[2001:db8::1]:7001"));
        assert_eq!(to("mm 10.0.0.1 7000 10.0.0.2 7001", "m"), None);
        assert_eq!(to("m 10.0.0.1 7000 10.0.0.2", "m"), None);
        let planned = |text: &str, name: &str| about_to_promote(text, name).map(|address| address.to_string());
        let text = "slave 10.0.0.2:7001 10.0.0.2 7001 @ m 10.0.0.1 7000";
        assert_eq!(planned(text, "m").as_deref(), Some("10.0.0.2:7001"));
        assert_eq!(planned(text, "mm"), None);
    }
}
