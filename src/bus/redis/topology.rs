//! Which servers hold the data at this time. One server always does; with Sentinel and on a cluster that changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::check::Check;
use super::connector::Connector;
use super::keys::Keys;
use super::masters::Masters;
use super::server_run::Runs;
use super::url::{Access, Address, Form, RedisServer, Target};

/// The servers of a store, and which of them are masters.
pub struct Topology {
    form: Form,
    access: Access,
    check: Arc<Check>,
    connectors: Mutex<HashMap<Address, Arc<Connector>>>,
    masters: watch::Sender<Arc<Masters>>,
    refresh: Notify,
    runs: Arc<Runs>,
    had_masters: AtomicBool,
    /// Why this node can never work with the store.
    unusable: watch::Sender<Option<String>>,
}

impl Topology {
    /// Prepares connections to a store. Masters that have to be asked for are unknown at first. `heal` is whether nodes restore
    /// what a server has lost.
    ///
    /// # Errors
    /// If the URL or the certificates cannot be understood.
    pub fn new(server: RedisServer<'_>, keys: Keys, heal: bool) -> Result<Arc<Self>, String> {
        let Target { form, access } = Target::parse(server)?;
        let topology = Self {
            check: Arc::new(Check::new(keys, &form)),
            form,
            access,
            connectors: Mutex::default(),
            masters: watch::Sender::default(),
            refresh: Notify::new(),
            runs: Runs::new(heal),
            had_masters: AtomicBool::new(false),
            unusable: watch::Sender::default(),
        };
        if let Form::One(address) = &topology.form {
            topology.set(Masters::one(Some(topology.connector(address)?)));
        }
        Ok(Arc::new(topology))
    }

    /// Returns the form of the store.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Returns how the servers with data are connected to.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Returns true if the keys are divided among several masters, by their slots.
    pub fn is_cluster(&self) -> bool {
        matches!(self.form, Form::Cluster { .. })
    }

    /// Returns the connector of a server, the same one each time.
    ///
    /// # Errors
    /// If there can be no connection to such an address.
    pub fn connector(&self, address: &Address) -> Result<Arc<Connector>, String> {
        let mut connectors = self.connectors.lock();
        if let Some(known) = connectors.get(address) {
            return Ok(known.clone());
        }
        let connector = Arc::new(Connector::new(&self.access, address.clone(), self.check.clone(), self.runs.clone())?);
        connectors.insert(address.clone(), connector.clone());
        Ok(connector)
    }

    /// Returns the masters as they are known now.
    pub fn masters(&self) -> Arc<Masters> {
        self.masters.borrow().clone()
    }

    /// Returns a receiver of all changes of the masters.
    pub fn changes(&self) -> watch::Receiver<Arc<Masters>> {
        self.masters.subscribe()
    }

    /// Returns true if what the server answers counts: it does not once another one is the only master.
    pub fn believes(&self, server: &Connector) -> bool {
        self.is_cluster() || self.masters.borrow().contains(server.address())
    }

    /// Notes the masters. What is connected to a server that is none of them ends.
    pub fn set(&self, masters: Masters) {
        self.change(|_| masters);
    }

    /// Notes what one server has said about one slot, and asks for the whole map.
    pub fn update(&self, update: impl FnOnce(&mut Masters)) {
        self.change(|known| {
            let mut masters = known.clone();
            update(&mut masters);
            masters
        });
        self.request_refresh();
    }

    fn change(&self, next: impl FnOnce(&Masters) -> Masters) {
        self.masters.send_if_modified(|known| {
            let next = next(known);
            let is_new = !known.is_same(&next);
            if is_new {
                self.prepare(known, &next);
                *known = Arc::new(next);
            }
            is_new
        });
        let masters = self.masters();
        // What is neither a master nor in use is forgotten, so that names which change do not pile up.
        self.connectors
            .lock()
            .retain(|address, connector| masters.contains(address) || Arc::strong_count(connector) > 1);
    }

    /// Tells the masters what their connections are checked for, before anything can connect to them.
    fn prepare(&self, known: &Masters, next: &Masters) {
        for server in next.servers() {
            server.set_slot(next.first_slot_of(server.address()));
        }
        // The first masters have lost nothing that this node knows of.
        if self.had_masters.swap(true, Ordering::Relaxed) {
            let others = next.servers().iter().filter(|server| !known.contains(server.address()));
            others.for_each(|server| server.run().on_becoming_master());
        }
    }

    /// Returns when a new run of a server was found.
    pub async fn run_found(&self) {
        self.runs.found().await;
    }

    /// Has the masters asked for again at once.
    pub fn request_refresh(&self) {
        self.refresh.notify_one();
    }

    /// Returns when the masters are to be asked for.
    pub async fn refresh_requested(&self) {
        self.refresh.notified().await;
    }

    /// Notes that this node can never work with the store, for those who wait for [`unusable`](Self::unusable).
    pub fn give_up(&self, why: &str) {
        self.unusable.send_replace(Some(why.to_owned()));
    }

    /// Returns why this node can never work with the store, as soon as that is known.
    pub async fn unusable(&self) -> String {
        let mut unusable = self.unusable.subscribe();
        let why = unusable.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_default()
    }
}
