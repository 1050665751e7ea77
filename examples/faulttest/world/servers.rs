//! The servers of a run, in one of the forms of Redis.

use std::{net::SocketAddr, path::Path, time::Duration};

use clap::ValueEnum;
use futures_util::future::{join_all, try_join_all};
use tokio::time::{sleep, timeout};

use super::{
    cluster, sentinels,
    server::{POLL_INTERVAL, Server},
};
use crate::{Failure, isolation::Isolation};

/// How long servers may take to form what they are to be.
const FORM_LIMIT: Duration = Duration::from_secs(30);

/// A form of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// One server
    One,
    /// A master, two replicas and three Sentinels
    Sentinel,
    /// A cluster of three masters with a replica each
    Cluster,
}

impl Form {
    /// Returns the number of servers that have data.
    pub const fn servers(self) -> usize {
        match self {
            Self::One => 1,
            Self::Sentinel => 3,
            Self::Cluster => 6,
        }
    }

    /// Returns the command that announces.
    pub const fn publish_command(self) -> &'static str {
        match self {
            Self::One | Self::Sentinel => "PUBLISH",
            Self::Cluster => "SPUBLISH",
        }
    }

    /// Returns the number of servers that answer the nodes.
    pub const fn masters(self) -> usize {
        match self {
            Self::One | Self::Sentinel => 1,
            Self::Cluster => cluster::MASTERS,
        }
    }
}

pub struct Servers {
    pub form: Form,
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
}

impl Servers {
    /// Starts the servers of a form in a folder, and waits until they are one.
    pub async fn start(
        form: Form,
        folder: &Path,
        logs: Option<&Path>,
        isolation: &Isolation,
        ports: &mut impl Iterator<Item = u16>,
    ) -> Result<Self, Failure> {
        let mut port = || ports.next().ok_or("no free port");
        let mut servers = Vec::new();
        for number in 0..form.servers() {
            let bus = port()?.to_string();
            let options = match form {
                Form::Cluster => cluster::options(&bus),
                Form::One | Form::Sentinel => Vec::new(),
            };
            let name = format!("redis-{}", number + 1);
            let mut server = Server::durable(port()?, folder.join(&name), isolation, &options)?;
            server.log_to(logs, &name);
            servers.push(server);
        }
        try_join_all(servers.iter().map(Server::start)).await?;
        let sentinels = match form {
            Form::Sentinel => sentinels::start(&servers, folder, logs, &mut port).await?,
            Form::One => Vec::new(),
            Form::Cluster => {
                cluster::form(&servers).await?;
                Vec::new()
            }
        };
        let started = Self { form, servers, sentinels };
        started.wait_until_whole(FORM_LIMIT).await?;
        Ok(started)
    }

    /// Returns the URL at which the nodes find the servers.
    pub fn url(&self) -> String {
        let list = |servers: &[Server]| servers.iter().map(|server| server.address().to_string()).collect::<Vec<_>>();
        match self.form {
            Form::One => format!("redis://{}", self.servers[0].address()),
            Form::Sentinel => format!("redis-sentinel://{}/{}", list(&self.sentinels).join(","), sentinels::MASTER),
            Form::Cluster => format!("redis-cluster://{}", list(&self.servers).join(",")),
        }
    }

    /// Returns the masters as their form names them, which may be away.
    pub async fn masters(&self) -> Result<Vec<&Server>, Failure> {
        let addresses = match self.form {
            Form::One => vec![self.servers[0].address()],
            Form::Sentinel => sentinels::master(&self.sentinels).await.into_iter().collect(),
            Form::Cluster => cluster::masters(&self.servers).await,
        };
        let masters: Vec<_> = addresses.into_iter().filter_map(|address| self.at(address)).collect();
        if masters.is_empty() { Err("there is no master".into()) } else { Ok(masters) }
    }

    /// Returns the replicas of a master.
    pub async fn replicas_of(&self, master: &Server) -> Vec<&Server> {
        let is_replica = async |server| {
            let info = Server::info(server, "replication").await;
            info.contains(&format!("master_port:{}\r\n", master.port)).then_some(server)
        };
        join_all(self.servers.iter().map(is_replica)).await.into_iter().flatten().collect()
    }

    /// Returns true if every key has a master that answers as one.
    pub async fn has_masters(&self) -> bool {
        if self.form == Form::Cluster && !cluster::is_covered(&self.servers).await {
            return false;
        }
        let Ok(masters) = self.masters().await else {
            return false;
        };
        let answers = join_all(masters.iter().map(|master| master.is_master())).await;
        masters.len() == self.form.masters() && answers.into_iter().all(|is_master| is_master)
    }

    /// Returns true if every master has its replicas, in step with it, and every Sentinel knows them.
    pub async fn is_whole(&self) -> bool {
        let whole = match self.form {
            Form::One => true,
            Form::Sentinel => sentinels::are_agreed(&self.sentinels, self.servers.len() - 1).await,
            Form::Cluster => cluster::is_whole(&self.servers).await,
        };
        // A master that was replaced takes itself for one until it is told otherwise, 10 s later with Sentinels.
        let are_masters = join_all(self.servers.iter().map(Server::is_master)).await;
        let masters = are_masters.into_iter().filter(|is_master| *is_master).count();
        let in_step = join_all(self.servers.iter().map(Server::is_in_step)).await;
        whole && masters == self.form.masters() && self.has_masters().await && in_step.into_iter().all(|is| is)
    }

    /// Waits until every key has a master.
    pub async fn wait_for_masters(&self, limit: Duration) -> Result<(), Failure> {
        wait_until("masters", limit, async || self.has_masters().await).await
    }

    /// Waits until nothing is missing.
    pub async fn wait_until_whole(&self, limit: Duration) -> Result<(), Failure> {
        wait_until("servers that are whole", limit, async || self.is_whole().await).await
    }

    fn at(&self, address: SocketAddr) -> Option<&Server> {
        self.servers.iter().find(|server| server.address() == address)
    }
}

/// Waits until a condition holds.
pub async fn wait_until(what: &str, limit: Duration, condition: impl AsyncFn() -> bool) -> Result<(), Failure> {
    let holds = async {
        while !condition().await {
            sleep(POLL_INTERVAL).await;
        }
    };
    timeout(limit, holds)
        .await
        .map_err(|_| format!("{what} did not come within {} s", limit.as_secs()).into())
}
