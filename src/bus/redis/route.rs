//! The way of a call to the server that has its key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisResult, ScriptInvocation};
use tokio::time::timeout;

use super::connector::Connector;
use super::error::{CallError, Redirect};
use super::topology::Topology;
use super::url::Address;

/// How long a call waits until the master of its slot is known.
const MASTER_WAIT: Duration = Duration::from_millis(500);

/// How many servers a call is sent on to: enough for a map that is out of date and a slot that is being moved.
const MAX_REDIRECTS: u32 = 4;

/// The way of one call.
pub struct Route<'a> {
    topology: &'a Topology,
    slot: u16,
    redirected: Option<Hop>,
    redirects: u32,
}

/// A server to send a call to.
#[derive(Clone)]
pub struct Hop {
    /// The server.
    pub server: Arc<Connector>,
    /// Whether it does not have the slot yet, so that ASKING has to go first.
    pub asking: bool,
}

/// What is sent.
#[derive(Clone, Copy)]
pub enum Call<'a> {
    /// A script.
    Script(&'a ScriptInvocation<'a>),
    /// A script on a log, which waits while the logs of the server are healed.
    OnLog(&'a ScriptInvocation<'a>),
    /// A script that only makes sense in the run of the server that was found then.
    InRun(&'a ScriptInvocation<'a>, Instant),
    /// A command.
    Command(&'a Cmd),
}

impl Call<'_> {
    /// Sends it, and returns the reply.
    pub async fn query<T: FromRedisValue>(self, connection: &mut MultiplexedConnection) -> RedisResult<T> {
        match self {
            Call::Script(script) | Call::OnLog(script) | Call::InRun(script, _) => {
                script.invoke_async(connection).await
            }
            Call::Command(command) => command.query_async(connection).await,
        }
    }
}

impl<'a> Route<'a> {
    /// Begins the way of a call about keys of a slot.
    pub fn new(topology: &'a Topology, slot: u16) -> Self {
        Self { topology, slot, redirected: None, redirects: 0 }
    }

    /// Returns the server to try next.
    ///
    /// # Errors
    /// If no master of the slot is known within [`MASTER_WAIT`].
    pub async fn next(&mut self) -> Result<Hop, CallError> {
        if let Some(hop) = self.redirected.take() {
            return Ok(hop);
        }
        if let Some(server) = self.topology.masters().of_slot(self.slot) {
            return Ok(Hop { server: server.clone(), asking: false });
        }
        let mut changes = self.topology.changes();
        let known = timeout(MASTER_WAIT, changes.wait_for(|masters| masters.of_slot(self.slot).is_some())).await;
        let server = known.ok().and_then(Result::ok).and_then(|masters| masters.of_slot(self.slot).cloned());
        server.map(|server| Hop { server, asking: false }).ok_or(CallError::Disconnected)
    }

    /// Takes the result of a call to a server. Returns `None` if the call goes on to another one.
    pub fn settle<T>(&mut self, hop: &Hop, result: Result<T, CallError>) -> Option<Result<T, CallError>> {
        match result {
            Err(error) if self.follow(hop, &error) => None,
            // What it has taken since then is lost.
            Ok(_) if !self.topology.believes(&hop.server) => {
                Some(Err(CallError::Away("another server has become the master".into())))
            }
            result => Some(result),
        }
    }

    /// Returns true if the call goes on to another server after this error, which a server has replied with. It was not
    /// executed then.
    fn follow(&mut self, from: &Hop, error: &CallError) -> bool {
        let CallError::Redirected(redirect) = error else {
            if error.may_concern_topology() {
                self.topology.request_refresh();
            }
            return false;
        };
        if !self.topology.is_cluster() {
            return false;
        }
        self.redirects += 1;
        let Some(server) = self.server_of(from, redirect) else {
            return false;
        };
        let (slot, to, masters) = (redirect.slot, server.clone(), self.topology.masters());
        let known = if redirect.asking { masters.importing(slot) } else { masters.of_slot(slot) };
        // Each call about a slot that is being moved comes here: the map is copied only for what is new.
        if known.is_none_or(|known| known.address() != to.address()) {
            self.topology.update(|masters| match redirect.asking {
                true => masters.import(slot, to),
                false => masters.give(slot, to),
            });
        }
        self.redirected = Some(Hop { server, asking: redirect.asking });
        self.redirects <= MAX_REDIRECTS
    }

    /// Returns the server that a redirection names. One that does not know its own name gives only the port.
    fn server_of(&self, from: &Hop, redirect: &Redirect) -> Option<Arc<Connector>> {
        let address = match redirect.address.strip_prefix(':').or_else(|| redirect.address.strip_prefix("?:")) {
            Some(port) => from.server.address().with_port(port.parse().ok()?),
            None => Address::parse(&redirect.address)?,
        };
        self.topology.connector(&address).ok()
    }
}
