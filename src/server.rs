//! A node: bus, hub and web, bound to an address, run until it is told to stop, and drained.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use tokio::time::timeout;

use crate::bus::{LimitStore, Listener, Retention, Stores};
use crate::config::Config;
use crate::hub::{Hub, Pace, Worker};
use crate::limits::{LimitSettings, Limits};
use crate::metrics::Metrics;
use crate::web::{AllowedOrigins, AppState, duplicate_connection, finish, routes};

/// Connections that wait to be accepted: after a restart everybody comes at once.
const BACKLOG: i32 = 4096;

/// Open files that are not streams: Redis, listeners, requests on their way.
const OTHER_FILES: u64 = 256;

/// How long a connection may take to send the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The part of the draining time that is left for requests that are under way.
const LAST_REQUESTS: f64 = 0.25;

/// A node that is bound, but does not run yet.
pub struct Server {
    listener: TcpListener,
    state: web::Data<AppState>,
}

/// How long to drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The time over which streams are sent away.
    pub drain: Duration,
}

impl Server {
    /// Binds the address and begins to look for the bus.
    ///
    /// # Errors
    /// When the address cannot be bound or the Redis URL cannot be understood.
    pub fn bind(config: &Config) -> io::Result<Self> {
        let streams = most_that_fit(config.max_streams);
        let listener = listen(config.address())
            .map_err(|error| io::Error::new(error.kind(), format!("BIND {}: {error}", config.address())))?;
        let metrics = Arc::new(Metrics::new().map_err(io::Error::other)?);
        let stores =
            stores(config, metrics.clone()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let hub = hub(config, &stores, metrics.clone());
        let limits = limits(config, streams, stores.limits);
        tokio::spawn(limits.run(hub.process()));
        let origins = config.allowed_origins.iter().flat_map(|list| &list.0).map(|origin| origin.0.clone());
        let state = AppState {
            hub,
            metrics,
            rooms: config.rooms.clone(),
            limits,
            trusted_proxies: config.trusted_proxies.iter().flat_map(|list| list.0.clone()).collect(),
            origins: AllowedOrigins::new(origins.collect()),
        };
        Ok(Self { listener, state: web::Data::new(state) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop, then sends the streams away and answers what is under way.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn run(self, stop: impl Future<Output = Stop>) -> io::Result<()> {
        let hub = self.state.hub.clone();
        let state = self.state;
        let server = HttpServer::new(move || {
            let worker = web::Data::new(Worker::new(state.hub.clone()));
            App::new().app_data(state.clone()).app_data(worker).wrap(from_fn(finish)).configure(routes)
        })
        .on_connect(duplicate_connection)
        .tcp_nodelay(true)
        .h1_allow_half_closed(false)
        .client_request_timeout(HEAD_DEADLINE)
        .keep_alive(KEEP_ALIVE)
        .max_connections(usize::MAX >> 8)
        .shutdown_timeout(u64::from(u16::MAX))
        .disable_signals()
        .listen(self.listener)?
        .run();
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        let Stop { drain } = tokio::select! {
            stop = stop => stop,
            ended = serving => return ended.map_err(io::Error::other)?,
        };
        hub.drain(drain.mul_f64(1.0 - LAST_REQUESTS)).await;
        let last_requests = timeout(drain.mul_f64(LAST_REQUESTS), handle.stop(true)).await;
        if last_requests.is_err() {
            tracing::warn!("requests were still under way at the end of the draining time");
        }
        Ok(())
    }
}

/// What this node shares with others, if it does.
fn stores(config: &Config, metrics: Arc<Metrics>) -> Result<Stores, String> {
    let retention = Retention { messages: config.history as usize, seconds: u64::from(config.history_ttl) };
    let (variable, url) = config.redis().unzip();
    Stores::open(url, &config.redis_prefix, &config.node(), retention, metrics)
        .map_err(|error| format!("{}: {error}", variable.unwrap_or_default()))
}

/// The hub, joined to its bus.
fn hub(config: &Config, stores: &Stores, metrics: Arc<Metrics>) -> Arc<Hub> {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let max_age = Some(config.max_age).filter(|age| *age > 0).map(seconds);
    let pace = Pace { heartbeat: seconds(config.heartbeat.into()), max_age };
    let hub = Hub::new(stores, &config.node(), pace, metrics);
    let listener: Arc<dyn Listener> = hub.clone();
    stores.bus.attach(Arc::downgrade(&listener));
    tokio::spawn(Hub::run_ticks(Arc::downgrade(&hub)));
    hub
}

fn limits(config: &Config, streams: u32, store: Option<Arc<dyn LimitStore>>) -> Limits {
    let settings = LimitSettings {
        rate: config.rate_limit,
        burst: config.rate_burst,
        streams,
        streams_per_address: config.max_streams_per_address,
    };
    Limits::new(store, settings)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Every stream is an open file. Gives how many fit beside what else the node has to open: one that could
/// not reach Redis again for its readers' sockets would be of no use to them. 0 asks for as many as fit.
fn most_that_fit(streams: u32) -> u32 {
    let Ok(files) = rlimit::increase_nofile_limit(u64::MAX) else {
        return streams;
    };
    let room = files.saturating_sub(OTHER_FILES.min(files / 2));
    let fitting = u32::try_from(room).unwrap_or(u32::MAX);
    if streams > fitting {
        tracing::warn!(
            max_streams = streams,
            open_files = files,
            "MAX_STREAMS does not fit into the limit of open files; this node takes {fitting} streams"
        );
    }
    if streams == 0 { fitting } else { streams.min(fitting) }
}
