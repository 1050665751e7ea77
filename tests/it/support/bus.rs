//! One rule, every bus: what the contract promises holds in process and on every form of Redis.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use redis::FromRedisValue;

use super::{Cluster, Node, Program, Redis, Sentinels, TlsRedis};

/// The bus that a rule is tested on.
pub enum Bus {
    InProcess,
    Store(Store),
}

/// A Redis in one of its forms, and the prefix with which the nodes of one test use it.
pub struct Store {
    servers: Servers,
    prefix: String,
}

enum Servers {
    One(Redis),
    Tls(TlsRedis),
    Sentinels(&'static Sentinels),
    Cluster(&'static Cluster),
}

impl Bus {
    /// Starts a server for this test alone.
    pub async fn redis() -> Bus {
        Bus::one(Program::Redis).await
    }

    /// Starts this program for this test alone.
    pub async fn one(program: Program) -> Bus {
        Bus::Store(Store { servers: Servers::One(Redis::of(program, &[]).await), prefix: "chat".into() })
    }

    /// Starts a server behind TLS for this test alone.
    pub async fn tls() -> Bus {
        Bus::Store(Store { servers: Servers::Tls(TlsRedis::start().await), prefix: "chat".into() })
    }

    /// Returns a prefix of this test's own on the Sentinels' master that all tests share.
    pub async fn sentinel() -> Bus {
        Bus::Store(Store { servers: Servers::Sentinels(Sentinels::shared().await), prefix: unused_prefix() })
    }

    /// Returns a prefix of this test's own on the cluster that all tests share.
    pub async fn cluster() -> Bus {
        Bus::Store(Store { servers: Servers::Cluster(Cluster::shared().await), prefix: unused_prefix() })
    }

    /// Returns what the nodes share, unless this bus is in process.
    pub fn store(&self) -> Option<&Store> {
        match self {
            Bus::InProcess => None,
            Bus::Store(store) => Some(store),
        }
    }

    /// Starts a node on this bus. In a store, every node of the test shares it.
    pub async fn node(&self, environment: &[(&str, &str)]) -> Node {
        let Some(store) = self.store() else {
            return Node::start(environment).await;
        };
        let url = store.url();
        let authority = store.authority();
        let trust = authority.as_ref().map(|file| ("REDIS_CA", file.as_str()));
        let of_store = [("REDIS_URL", url.as_str()), ("REDIS_PREFIX", &store.prefix)].into_iter().chain(trust);
        Node::start(&of_store.chain(environment.iter().copied()).collect::<Vec<_>>()).await
    }

    /// Starts a second node that shares this bus, which only a store allows.
    pub async fn second_node(&self, environment: &[(&str, &str)]) -> Option<Node> {
        self.store()?;
        Some(self.node(environment).await)
    }

    /// Starts two nodes on a store, or one node in process, which then stands for both.
    pub async fn two_nodes(&self, environment: &[(&str, &str)]) -> [Arc<Node>; 2] {
        self.nodes(environment).await
    }

    /// The same with any number of nodes.
    pub async fn nodes<const N: usize>(&self, environment: &[(&str, &str)]) -> [Arc<Node>; N] {
        let mut nodes = vec![Arc::new(self.node(environment).await)];
        while nodes.len() < N {
            let further = self.second_node(environment).await;
            nodes.push(further.map_or_else(|| Arc::clone(&nodes[0]), Arc::new));
        }
        nodes.try_into().unwrap_or_else(|_| panic!("{N} nodes"))
    }
}

impl Store {
    /// Returns the key of a room's log.
    pub fn key(&self, room: &str) -> String {
        format!("{}:{{{room}}}", self.prefix)
    }

    /// Sends a command whose first argument is a key to the server that has it.
    pub async fn cmd<T: FromRedisValue>(&self, words: &[&str]) -> T {
        match &self.servers {
            Servers::One(redis) => redis.cmd(words).await,
            Servers::Tls(server) => server.cmd(words).await,
            Servers::Sentinels(sentinels) => sentinels.master().await.cmd(words).await,
            Servers::Cluster(cluster) => cluster.cmd(words[1], words).await,
        }
    }

    /// Returns all keys of the nodes of this test.
    pub async fn keys(&self) -> Vec<String> {
        let words = ["KEYS", &format!("{}:*", self.prefix)];
        match &self.servers {
            Servers::One(redis) => redis.cmd(&words).await,
            Servers::Tls(server) => server.cmd(&words).await,
            Servers::Sentinels(sentinels) => sentinels.master().await.cmd(&words).await,
            Servers::Cluster(cluster) => cluster.keys(words[1]).await,
        }
    }

    /// Returns the file with the authority to trust, if there is TLS.
    fn authority(&self) -> Option<String> {
        match &self.servers {
            Servers::Tls(server) => Some(server.file("ca.pem")),
            _ => None,
        }
    }

    fn url(&self) -> String {
        match &self.servers {
            Servers::One(redis) => redis.url(),
            Servers::Tls(server) => server.url(),
            Servers::Sentinels(sentinels) => sentinels.url(),
            Servers::Cluster(cluster) => cluster.url(),
        }
    }
}

/// Returns a prefix that no other test of this process uses.
fn unused_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Turns each `async fn rule(bus: Bus)` into a test for each bus: `rule::in_process`, `rule::redis`, and others that only
/// `scripts/test all` runs.
macro_rules! on_every_bus {
    ($($rule:ident),+ $(,)?) => {
        $crate::support::on_buses! { #[ignore = "takes minutes: every rule on every form of Redis"] $($rule),+ }
    };
}
pub(crate) use on_every_bus;

/// The same for rules that every run of the tests tries on every form of Redis.
macro_rules! on_every_form {
    ($($rule:ident),+ $(,)?) => {
        $crate::support::on_buses! { #[doc = "runs always"] $($rule),+ }
    };
}
pub(crate) use on_every_form;

/// Defines the tests of the two above. The attribute is that of the forms that are not always tried.
macro_rules! on_buses {
    (#[$rare:meta] $rule:ident) => {
        mod $rule {
            use crate::support::{Bus, Program};

            #[tokio::test]
            async fn in_process() {
                super::$rule(Bus::InProcess).await;
            }

            #[tokio::test]
            async fn redis() {
                super::$rule(Bus::redis().await).await;
            }

            #[$rare]
            #[tokio::test]
            async fn cluster() {
                super::$rule(Bus::cluster().await).await;
            }

            #[$rare]
            #[tokio::test]
            async fn sentinel() {
                super::$rule(Bus::sentinel().await).await;
            }

            #[$rare]
            #[tokio::test]
            async fn tls() {
                super::$rule(Bus::tls().await).await;
            }

            #[$rare]
            #[tokio::test]
            async fn redis_6() {
                super::$rule(Bus::one(Program::Redis6).await).await;
            }

            #[$rare]
            #[tokio::test]
            async fn redis_8() {
                super::$rule(Bus::one(Program::Redis8).await).await;
            }

            #[$rare]
            #[tokio::test]
            async fn valkey() {
                super::$rule(Bus::one(Program::Valkey).await).await;
            }
        }
    };
    (#[$rare:meta] $($rule:ident),+) => {
        $($crate::support::on_buses! { #[$rare] $rule })+
    };
}
pub(crate) use on_buses;
