//! A node: message store, hub and HTTP server, from binding its address to draining its streams.

mod key_reload;
mod listener;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tokio::signal::unix::Signal;
use tokio::time::{sleep, timeout};

use crate::apps::{Apps, HashedRooms, LiveSockets};
use crate::bus::{LimitStore, Listener, Retention, Stores};
use crate::config::{Config, Switch};
use crate::hub::{Hub, Pace, Worker};
use crate::limits::{LimitSettings, Limits};
use crate::metrics::Metrics;
use crate::summary;
use crate::web::{AdminPassword, AllowedOrigins, AppState, ConnectionLimiter, finish, routes, serve};

/// Open streams of the node if `MAX_STREAMS` is not set.
const DEFAULT_MAX_STREAMS: u32 = 20_000;

/// Open files that are reserved for anything but streams: Redis connections, listeners, requests.
const RESERVED_FILES: u64 = 256;

/// Open files that are reserved for anything but connections: those to Redis, and what has ended but is not closed yet.
const FILES_BESIDE_CONNECTIONS: u64 = 128;

/// How many connections a client address may have beyond those of its streams.
const CONNECTIONS_BESIDE_STREAMS: u32 = 100;

/// The share of the drain time, from 0 to 1, that is left for requests in flight after all streams
/// have ended.
const REQUESTS_SHARE_OF_DRAIN: f64 = 0.25;

/// How long workers have to take the connections that were accepted last: those that wait for it when the server stops
/// are dropped without an answer.
const PICK_UP_TIME: Duration = Duration::from_millis(500);

/// How many cores there are for each worker if `WORKERS` is not set. The others are left to Redis, a proxy and the kernel:
/// a worker that is not needed only passes on what another could have done at once.
const CORES_PER_WORKER: usize = 2;

/// How a node stops.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// How long the node still serves as before, though it is not ready: until proxies have noticed.
    pub grace: Duration,
    /// How long it then takes to end all streams and requests.
    pub drain: Duration,
}

/// A node that has bound its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    connections: Arc<ConnectionLimiter>,
    workers: usize,
    state: web::Data<AppState>,
    with_rooms_api: bool,
}

impl Server {
    /// Binds the address and spawns the node's background tasks.
    ///
    /// # Errors
    /// If the address cannot be bound or the Redis URL is invalid. An unreachable Redis is no error.
    pub fn bind(config: &Config, metrics: Arc<Metrics>) -> io::Result<Self> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let apps = open_apps(config).map_err(invalid)?;
        let max_streams = max_streams_that_fit(config.max_streams);
        let admin_password = AdminPassword::new(config.admin_password.as_deref());
        let admin_password = admin_password.map_err(|error| invalid(format!("ADMIN_PASSWORD: {error}")))?;
        let listener = listener::listen(config.listen.address())
            .map_err(|error| io::Error::new(error.kind(), format!("BIND {}: {error}", config.listen.address())))?;
        let retention = retention(config);
        let stores = open_stores(config, retention.clone(), metrics.clone()).map_err(invalid)?;
        let hub = start_hub(config, &stores, metrics.clone());
        let limits = new_limits(config, max_streams, stores.limits);
        let connections = limit_connections(config.max_streams_per_address, &metrics);
        if config.admin_password.is_some() {
            // Without a dashboard they have no reader.
            tokio::spawn(summary::run(&hub, stores.summaries.clone(), metrics.clone()));
        }
        tokio::spawn(limits.run(hub.process(), metrics.clone()));
        let sockets = LiveSockets::new(stores.sockets);
        tokio::spawn(sockets.run(metrics.clone()));
        let origins = config.allowed_origins.iter().flat_map(|list| &list.0).cloned();
        let state = AppState {
            hub,
            metrics,
            rooms: config.rooms.clone(),
            user_ids: stores.user_ids,
            salt: stores.salt,
            retention,
            apps: Arc::new(apps),
            sockets,
            hashed_rooms: HashedRooms::new(stores.hashed_rooms),
            limits,
            summaries: stores.summaries,
            admin_password,
            trusted_proxies: config.trusted_proxies.iter().flat_map(|list| list.0.clone()).collect(),
            origins: AllowedOrigins::new(origins.collect()),
        };
        Ok(Self {
            listener,
            connections,
            workers: config.workers.map_or_else(default_workers, usize::from),
            state: web::Data::new(state),
            with_rooms_api: config.rooms_api == Switch::On,
        })
    }

    /// Returns true if apps have keys, or may get some while the node runs.
    pub fn has_keys(&self) -> bool {
        self.state.apps.are_enabled() || self.state.apps.can_change()
    }

    /// Spawns a task that reads the list of keys again at each signal.
    pub fn reload_keys_at(&self, signal: Signal) {
        actix_web::rt::spawn(key_reload::reload_keys_at(signal, self.state.apps.clone(), self.state.metrics.clone()));
    }

    /// Returns the address that the node listens on.
    ///
    /// # Errors
    /// If the operating system cannot tell.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves, then closes the listening socket, ends all streams and waits for requests in flight.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub async fn run(self, stop: impl Future<Output = Shutdown>) -> io::Result<()> {
        let hub = self.state.hub.clone();
        let listener = self.listener.try_clone()?;
        let (state, with_rooms_api) = (self.state, self.with_rooms_api);
        let trusted_proxies = state.trusted_proxies.clone();
        let server = serve(self.listener, self.workers, self.connections, trusted_proxies, move || {
            let worker = web::Data::new(Worker::new(state.hub.clone()));
            let routes = |app: &mut web::ServiceConfig| routes(app, with_rooms_api);
            App::new().app_data(state.clone()).app_data(worker).wrap(from_fn(finish)).configure(routes)
        })?;
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        let Shutdown { grace, drain } = tokio::select! {
            shutdown = stop => shutdown,
            why = hub.unusable() => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("REDIS_URL: {why}"))),
            ended = serving => return ended.map_err(io::Error::other)?,
        };
        hub.announce_drain();
        sleep(grace).await;
        // Before the first stream ends: a client that is sent away must not come back to this node.
        listener::close(&listener, handle.pause()).await;
        // Streams before requests: stopping the server ends its workers, and with them their streams.
        let time_for_streams = drain.mul_f64(1.0 - REQUESTS_SHARE_OF_DRAIN);
        tokio::join!(hub.drain(time_for_streams), sleep(PICK_UP_TIME.min(time_for_streams)));
        let stopped = timeout(drain.mul_f64(REQUESTS_SHARE_OF_DRAIN), handle.stop(true)).await;
        if stopped.is_err() {
            tracing::warn!("requests were still in flight at the end of the drain time");
        }
        Ok(())
    }
}

/// Reads the keys of the apps, and checks that no page is of a room that they close.
fn open_apps(config: &Config) -> Result<Apps, String> {
    let apps = Apps::open(config.keys.sources())?;
    match config.rooms.iter().find(|room| apps.is_private(room)) {
        Some(room) => {
            Err(format!("ROOMS: {room} is private, as all rooms that begin with private- are where apps have keys"))
        }
        None => Ok(apps),
    }
}

fn retention(config: &Config) -> Retention {
    Retention { messages: config.history as usize, seconds: u64::from(config.history_ttl) }
}

/// Opens the message store. An error names the variable that is not valid.
fn open_stores(config: &Config, retention: Retention, metrics: Arc<Metrics>) -> Result<Stores, String> {
    let (server, prefix) = (config.redis.server()?, &config.redis.redis_prefix);
    Stores::open(server, prefix, &config.node(), retention, config.heal == Switch::On, metrics)
}

/// Creates the hub, attaches it to the bus and spawns its ticks.
fn start_hub(config: &Config, stores: &Stores, metrics: Arc<Metrics>) -> Arc<Hub> {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let max_age = Some(config.max_age).filter(|age| *age > 0).map(seconds);
    let pace = Pace { heartbeat: seconds(config.heartbeat.into()), max_age };
    let hub = Hub::new(stores, &config.node(), pace, metrics);
    let listener: Arc<dyn Listener> = hub.clone();
    stores.bus.attach(Arc::downgrade(&listener));
    tokio::spawn(hub.clone().run_ticks());
    hub
}

fn new_limits(config: &Config, max_streams: u32, store: Option<Arc<dyn LimitStore>>) -> Limits {
    let settings = LimitSettings {
        rate: config.rate_limit,
        burst: config.rate_burst,
        streams: max_streams,
        streams_per_address: config.max_streams_per_address,
    };
    Limits::new(store, settings)
}

/// Creates the limits of connections: of a client address, and such that a health check still finds an open file.
fn limit_connections(max_streams_per_address: u32, metrics: &Metrics) -> Arc<ConnectionLimiter> {
    let open_files = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let available = open_files.saturating_sub(FILES_BESIDE_CONNECTIONS.min(open_files / 4));
    let max = usize::try_from(available).unwrap_or(usize::MAX);
    let per_address = (max_streams_per_address > 0)
        .then(|| max_streams_per_address.saturating_add(CONNECTIONS_BESIDE_STREAMS) as usize);
    ConnectionLimiter::new(max, per_address, metrics.connections_refused.clone())
}

fn default_workers() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (cores / CORES_PER_WORKER).max(1)
}

/// Raises the limit of open files as far as possible and returns how many of the wanted streams fit into it. 0 stands for
/// as many as fit. A wish that does not fit is warned of, a default only said.
fn max_streams_that_fit(wanted: Option<u32>) -> u32 {
    let max_streams = wanted.unwrap_or(DEFAULT_MAX_STREAMS);
    let Ok(open_files) = rlimit::increase_nofile_limit(u64::MAX) else {
        return max_streams;
    };
    // Each stream is an open file. Without a reserve a full node could not reconnect to Redis.
    let available = open_files.saturating_sub(RESERVED_FILES.min(open_files / 2));
    let fitting = u32::try_from(available).unwrap_or(u32::MAX);
    match wanted {
        Some(wanted) if wanted > fitting => tracing::warn!(
            max_streams,
            open_files,
            "the limit of open files is too low for MAX_STREAMS; this node accepts {fitting} streams"
        ),
        None if max_streams > fitting => {
            tracing::info!(open_files, "accepting {fitting} streams, as many as the limit of open files allows");
        }
        _ => {}
    }
    if max_streams == 0 { fitting } else { max_streams.min(fitting) }
}
