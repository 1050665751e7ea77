//! Sentinels that watch a master and its replicas, all of them real.

use std::fs;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{Program, Redis, eventually, process};

/// The name of the master.
pub const MASTER: &str = "mymaster";

/// What each Sentinel is told about the master, besides its address.
const SETTINGS: [&str; 3] = [
    "down-after-milliseconds mymaster 1000",
    "failover-timeout mymaster 5000",
    "parallel-syncs mymaster 5",
];

/// A master, its replicas, and the Sentinels.
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
    directory: TempDir,
}

impl Sentinels {
    /// Starts a master with replicas, and Sentinels that know each other and all of them.
    pub async fn start(count: usize, replicas: usize) -> Sentinels {
        Sentinels::of(Program::Redis, count, replicas, &[]).await
    }

    /// Starts servers and Sentinels of this program, the servers with further options.
    pub async fn of(program: Program, count: usize, replicas: usize, options: &[&str]) -> Sentinels {
        let master = Redis::of(program, options).await;
        let port = master.port().to_string();
        let follow = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let options = [&follow[..], options].concat();
        let replicas = join_all((0..replicas).map(|_| Redis::of(program, &options))).await;
        let servers: Vec<Redis> = [master].into_iter().chain(replicas).collect();
        for replica in &servers[1..] {
            // A Sentinel that meets a replica too early looks at it again only after 10 s.
            let synced = async || info(replica).await.contains("master_link_status:up").then_some(());
            eventually("a replica in sync", synced).await;
        }
        let directory = tempfile::tempdir().expect("a directory for the configuration of the Sentinels");
        let quorum = count / 2 + 1;
        let monitor = format!("sentinel monitor {MASTER} 127.0.0.1 {port} {quorum}\n");
        let settings: String = SETTINGS.iter().map(|setting| format!("sentinel {setting}\n")).collect();
        let sentinels = join_all((0..count).map(async |index| {
            let file = directory.path().join(format!("{index}.conf"));
            fs::write(&file, format!("{monitor}{settings}")).expect("a file");
            Redis::sentinel_of(program, &file).await
        }));
        let sentinels = Sentinels { servers, sentinels: sentinels.await, directory };
        sentinels.wait_until_ready().await;
        sentinels
    }

    /// Returns three Sentinels over a master without replicas that all tests of this process share, each with a
    /// prefix of its own.
    pub async fn shared() -> &'static Sentinels {
        static SHARED: OnceCell<Sentinels> = OnceCell::const_new();
        let start = async || {
            let sentinels = Sentinels::start(3, 0).await;
            let all = || sentinels.servers.iter().chain(&sentinels.sentinels);
            let directories = all().map(Redis::directory).chain([sentinels.directory.path()]);
            process::end_with_this_process(all().map(Redis::pid), directories);
            sentinels
        };
        SHARED.get_or_init(start).await
    }

    /// Returns a URL with all Sentinels.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis-sentinel://{}/{MASTER}", addresses.join(","))
    }

    /// Returns the servers: the first master, and then its first replicas.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Returns the server that more than half of the Sentinels name.
    pub async fn master(&self) -> &Redis {
        eventually("a master that most Sentinels name", async || self.named_by_most().await).await
    }

    /// Has a replica take the place of the master, which lives, and returns it once all living Sentinels name it.
    pub async fn failover(&self) -> &Redis {
        let old = self.master().await.port();
        eventually("a failover that begins", async || {
            let sentinel = self.sentinels.first()?;
            sentinel.try_cmd::<String>(&["SENTINEL", "FAILOVER", MASTER]).await.ok()
        })
        .await;
        self.wait_for_switch(old).await
    }

    /// Kills the master with SIGKILL, and returns its port.
    pub async fn kill_master(&self) -> u16 {
        let master = self.master().await;
        master.crash();
        master.port()
    }

    /// Waits until all living Sentinels name another master than the one with this port, and returns it.
    pub async fn wait_for_switch(&self, old: u16) -> &Redis {
        eventually("another master", async || {
            let named = self.named().await;
            let first = *named.first()?;
            (first != old && named.iter().all(|port| *port == first)).then(|| self.server(first))?
        })
        .await
    }

    /// Waits until all Sentinels know each other and the replicas, before which there can be no failover.
    async fn wait_until_ready(&self) {
        let (others, replicas) = (self.sentinels.len() - 1, self.servers.len() - 1);
        for sentinel in &self.sentinels {
            eventually("Sentinels that know each other", async || {
                let known = info(sentinel).await;
                let expected = format!("slaves={replicas},sentinels={}", others + 1);
                known.contains(&format!("status=ok,address={},{expected}", self.servers[0].address())).then_some(())
            })
            .await;
        }
    }

    async fn named_by_most(&self) -> Option<&Redis> {
        let named = self.named().await;
        let is_most = |port: &&u16| named.iter().filter(|other| other == port).count() > self.sentinels.len() / 2;
        self.server(*named.iter().find(is_most)?)
    }

    /// Returns the ports that the living Sentinels name.
    async fn named(&self) -> Vec<u16> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
        let answers = self.sentinels.iter().map(|sentinel| sentinel.try_cmd::<(String, u16)>(&words));
        join_all(answers).await.into_iter().filter_map(|answer| Some(answer.ok()?.1)).collect()
    }

    fn server(&self, port: u16) -> Option<&Redis> {
        self.servers.iter().find(|server| server.port() == port)
    }
}

async fn info(server: &Redis) -> String {
    server.try_cmd(&["INFO"]).await.unwrap_or_default()
}

#[tokio::test]
async fn sentinels_replace_masters() {
    let sentinels = Sentinels::start(3, 2).await;
    assert_eq!((sentinels.servers().len(), sentinels.sentinels().len()), (3, 3));
    let first = sentinels.master().await.port();
    let second = sentinels.failover().await.port();
    assert_ne!(first, second);
    assert_eq!(sentinels.kill_master().await, second);
    assert_ne!(sentinels.wait_for_switch(second).await.port(), second);
}
