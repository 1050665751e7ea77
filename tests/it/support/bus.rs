//! One rule, two buses: what the contract says of a room holds with and without Redis.

use super::{Node, Redis};

/// The bus a rule is tried on.
pub enum Bus {
    InProcess,
    Redis(Redis),
}

impl Bus {
    /// A node on this bus; on Redis a second call is a second node beside the first.
    pub async fn node(&self, environment: &[(&str, &str)]) -> Node {
        match self {
            Bus::InProcess => Node::start(environment).await,
            Bus::Redis(redis) => Node::on(redis, environment).await,
        }
    }
}

/// Makes each `async fn rule(bus: Bus)` two tests: `rule::in_process` and `rule::redis`.
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
