//! The faults of a run: what each is called, what it disturbs and needs, and what came of it.
//!
//! - `list`: all of them; `schedule`: which comes when; `stage`: what they act on
//! - `servers`, `data`, `failovers`, `links`, `nodes`, `clients`: how each is done and undone

mod clients;
mod data;
mod failovers;
mod links;
mod list;
mod nodes;
pub mod schedule;
mod servers;
pub mod stage;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

pub use self::list::all;
use self::stage::Stage;
use crate::{
    Failure,
    isolation::Isolation,
    world::{process, servers::Form},
};

/// What came of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ran,
    /// It did not happen, for this reason, and shows nothing.
    NotRun(String),
}

/// A fault that was to happen.
#[derive(Clone, Debug)]
pub struct FaultRecord {
    pub name: &'static str,
    pub begun: Instant,
    /// When it was undone and every key had a master again.
    pub ended: Instant,
    /// Whether Redis alone may lose acknowledged messages: after a crash before a sync, an empty restart, a failover.
    pub loses: bool,
    /// Whether Redis alone may forget idempotency keys before their time: when its clock is put forward.
    pub forgets_keys: bool,
    pub outcome: Outcome,
}

/// A part of the world. Faults that disturb the same one are not run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Servers,
    Nodes,
    Links,
    Clients,
}

/// What a fault needs that not every run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// A network and mounts of the run's own.
    Isolation,
    /// Proxies between nodes and servers.
    Links,
    Faketime,
    /// Replicas.
    Replicas,
    Slots,
}

/// In which forms Redis alone may lose acknowledged messages because of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loses {
    Never,
    /// No messages, but the keys by which it knows those that are posted again.
    Keys,
    /// Where a replica may take the master's place.
    WithReplicas,
    Always,
}

type Run = for<'a> fn(&'a Stage, Duration) -> LocalBoxFuture<'a, Result<Outcome, Failure>>;

/// A fault: it begins, lasts, and is undone.
#[derive(Clone)]
pub struct Fault {
    pub name: &'static str,
    parts: &'static [Part],
    needs: &'static [Need],
    loses: Loses,
    /// The shortest and the longest time for which it lasts, in seconds.
    pub seconds: (f64, f64),
    run: Run,
}

impl Fault {
    /// Returns true if the two disturb nothing in common.
    pub fn is_compatible(&self, other: &Self) -> bool {
        !self.parts.iter().any(|part| other.parts.contains(part))
    }

    /// Returns why the fault cannot happen in such a run, if so.
    pub fn obstacle(&self, form: Form, isolation: &Isolation) -> Option<String> {
        self.needs.iter().find_map(|need| need.obstacle(form, isolation))
    }

    /// Lets the fault happen for this long, and returns its record when it is undone and every key has a master.
    pub async fn happen(&self, stage: &Stage, length: Duration) -> Result<FaultRecord, Failure> {
        let begun = Instant::now();
        let outcome = (self.run)(stage, length).await.map_err(|error| format!("{}: {error}", self.name))?;
        stage.world.servers.wait_for_masters(stage::RECOVERY_LIMIT).await?;
        Ok(FaultRecord {
            name: self.name,
            begun,
            ended: Instant::now(),
            loses: self.loses(stage.world.servers.form),
            forgets_keys: self.loses == Loses::Keys,
            outcome,
        })
    }

    /// Returns the record of a fault that cannot happen.
    pub fn not_run(&self, form: Form, reason: String) -> FaultRecord {
        let now = Instant::now();
        FaultRecord {
            name: self.name,
            begun: now,
            ended: now,
            loses: self.loses(form),
            forgets_keys: self.loses == Loses::Keys,
            outcome: Outcome::NotRun(reason),
        }
    }

    fn loses(&self, form: Form) -> bool {
        match self.loses {
            Loses::Never | Loses::Keys => false,
            Loses::WithReplicas => form != Form::One,
            Loses::Always => true,
        }
    }
}

impl Need {
    fn obstacle(self, form: Form, isolation: &Isolation) -> Option<String> {
        match (self, isolation) {
            (Self::Isolation, Isolation::None(reason)) => Some(reason.clone()),
            (Self::Links, Isolation::None(reason)) if form != Form::One => Some(reason.clone()),
            (Self::Faketime, Isolation::None(reason)) => Some(reason.clone()),
            (Self::Faketime, Isolation::Full) if process::library().is_none() => {
                Some("libfaketime is not installed".to_owned())
            }
            (Self::Replicas, _) if form == Form::One => Some("one server has no replica".to_owned()),
            (Self::Slots, _) if form != Form::Cluster => Some("only a cluster moves slots".to_owned()),
            _ => None,
        }
    }
}
