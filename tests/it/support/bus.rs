//! One rule, two buses: what the contract promises holds with Redis and without it.

use std::sync::Arc;

use super::{Node, Redis};

/// The bus that a rule is tested on.
pub enum Bus {
    InProcess,
    Redis(Redis),
}

impl Bus {
    /// Starts a node on this bus. On Redis, every node of the test shares it.
    pub async fn node(&self, environment: &[(&str, &str)]) -> Node {
        match self {
            Bus::InProcess => Node::start(environment).await,
            Bus::Redis(redis) => Node::on(redis, environment).await,
        }
    }

    /// Starts a second node that shares this bus, which only Redis allows.
    pub async fn second_node(&self, environment: &[(&str, &str)]) -> Option<Node> {
        match self {
            Bus::InProcess => None,
            Bus::Redis(_) => Some(self.node(environment).await),
        }
    }

    /// Starts two nodes on Redis, or one node in process, which then stands for both.
    pub async fn two_nodes(&self, environment: &[(&str, &str)]) -> [Arc<Node>; 2] {
        let first = Arc::new(self.node(environment).await);
        let second = self.second_node(environment).await.map_or_else(|| Arc::clone(&first), Arc::new);
        [first, second]
    }
}

/// Turns each `async fn rule(bus: Bus)` into two tests, `rule::in_process` and `rule::redis`.
macro_rules! on_both_buses {
    ($($rule:ident),+ $(,)?) => {$(
        mod $rule {
            use crate::support::{Bus, Redis};

            #[tokio::test]
            async fn in_process() {
                super::$rule(Bus::InProcess).await;
            }

            #[tokio::test]
            async fn redis() {
                super::$rule(Bus::Redis(Redis::start().await)).await;
            }
        }
    )+};
}
pub(crate) use on_both_buses;
