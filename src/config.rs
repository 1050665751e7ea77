//! Every option, once. Each is a flag and an environment variable; a bad value ends the start with
//! a message that names it.

use std::net::{SocketAddr, ToSocketAddrs};

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::chat::RoomName;

/// The log filter where `LOG` is not set or empty.
const DEFAULT_LOG: &str = "info";

/// What a node can be told.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080, or 0.0.0.0:PORT if only PORT is set]
    #[arg(long, env = "BIND", value_name = "BIND", value_parser = address)]
    pub bind: Option<SocketAddr>,

    /// Port to listen on at all addresses, where BIND is not set
    #[arg(long, env = "PORT", value_name = "PORT")]
    pub port: Option<u16>,

    /// The Redis that the nodes share: redis:// or rediss://; without one this node runs alone and keeps messages in memory
    #[arg(long, env = "REDIS_URL", value_name = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// Used where REDIS_URL is not set
    #[arg(long, env = "REDISTOGO_URL", value_name = "REDISTOGO_URL", hide_env_values = true)]
    pub redistogo_url: Option<String>,

    /// First part of every key and channel, since Redis' Pub/Sub ignores the database number
    #[arg(long, env = "REDIS_PREFIX", value_name = "REDIS_PREFIX", default_value = "chat", value_parser = prefix)]
    pub redis_prefix: String,

    /// Rooms that the page offers, separated by commas; the first is the default
    #[arg(long, env = "ROOMS", value_name = "ROOMS", default_value = "everyone,random", value_delimiter = ',', value_parser = room)]
    pub rooms: Vec<RoomName>,

    /// Messages kept per room, at least that many
    #[arg(long, env = "HISTORY", value_name = "HISTORY", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub history: u32,

    /// Seconds after its last message that a room's log is kept
    #[arg(long, env = "HISTORY_TTL", value_name = "HISTORY_TTL", default_value_t = 604_800, value_parser = clap::value_parser!(u32).range(1..))]
    pub history_ttl: u32,

    /// Seconds of silence after which a stream says that it lives, 1 to 60: proxies cut silent streams
    #[arg(long, env = "HEARTBEAT", value_name = "HEARTBEAT", default_value_t = 15, value_parser = clap::value_parser!(u8).range(1..=60))]
    pub heartbeat: u8,

    /// Messages per second and client address, counted over all nodes; 0 turns the limit off
    #[arg(long, env = "RATE_LIMIT", value_name = "RATE_LIMIT", default_value_t = 5)]
    pub rate_limit: u32,

    /// Messages that a client address may send at once; 0 turns the limit off
    #[arg(long, env = "RATE_BURST", value_name = "RATE_BURST", default_value_t = 20)]
    pub rate_burst: u32,

    /// Open streams per node; 0 turns the limit off
    #[arg(long, env = "MAX_STREAMS", value_name = "MAX_STREAMS", default_value_t = 20_000)]
    pub max_streams: u32,

    /// Open streams per client address, counted over all nodes; 0 turns the limit off
    #[arg(
        long,
        env = "MAX_STREAMS_PER_ADDRESS",
        value_name = "MAX_STREAMS_PER_ADDRESS",
        default_value_t = 500
    )]
    pub max_streams_per_address: u32,

    /// Seconds after which a stream is sent away, at a random age between 80 and 100 % of it, so that new nodes fill up; 0 turns it off
    #[arg(long, env = "MAX_AGE", value_name = "MAX_AGE", default_value_t = 0)]
    pub max_age: u32,

    /// Addresses or CIDRs of proxies whose X-Forwarded-For counts, separated by commas
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "TRUSTED_PROXIES", value_parser = list::<IpNet>)]
    pub trusted_proxies: Option<List<IpNet>>,

    /// Origins that may subscribe and publish from another site, separated by commas, such as `https://app.example`
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ALLOWED_ORIGINS", value_parser = list::<Origin>)]
    pub allowed_origins: Option<List<Origin>>,

    /// This node's name [default: the host's name]
    #[arg(long, env = "NODE", value_name = "NODE", value_parser = node)]
    pub node: Option<String>,

    /// Seconds over which streams are sent away at SIGTERM; SIGINT takes 1
    #[arg(long, env = "DRAIN", value_name = "DRAIN", default_value_t = 8)]
    pub drain: u16,

    /// What is logged: off, error, warn, info, debug, trace, or levels by module, such as info,hyper=warn
    #[arg(long, env = "LOG", value_name = "LOG", default_value = DEFAULT_LOG, value_parser = log_filter)]
    pub log: String,

    /// How it is logged
    #[arg(long, env = "LOG_FORMAT", value_name = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The items of an option that lists some, separated by commas; none where it is empty.
#[derive(Clone, Debug)]
pub struct List<T>(pub Vec<T>);

/// The origin of a site, as browsers write it: scheme, host and, if it is not the default, port.
#[derive(Clone, Debug)]
pub struct Origin(pub String);

impl Config {
    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        match (self.bind, self.port) {
            (Some(bind), _) => bind,
            (None, Some(port)) => SocketAddr::from(([0, 0, 0, 0], port)),
            (None, None) => SocketAddr::from(([127, 0, 0, 1], 8080)),
        }
    }

    /// The Redis to use, if any, and the variable that names it.
    pub fn redis(&self) -> Option<(&'static str, &str)> {
        let urls = [("REDIS_URL", &self.redis_url), ("REDISTOGO_URL", &self.redistogo_url)];
        urls.into_iter().find_map(|(name, url)| Some((name, url.as_deref().filter(|url| !url.is_empty())?)))
    }

    /// This node's name.
    pub fn node(&self) -> String {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        self.node.clone().filter(|node| !node.is_empty()).unwrap_or_else(host)
    }
}

impl std::str::FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain =
            |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@*".contains(&b));
        match host.is_some_and(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("{text:?} is no origin; write it as https://app.example, with a port if it has one")),
        }
    }
}

fn list<T: Item>(text: &str) -> Result<List<T>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(T::item).collect::<Result<_, _>>().map(List)
}

/// What may stand in a list.
trait Item: Sized {
    fn item(text: &str) -> Result<Self, String>;
}

impl Item for IpNet {
    fn item(text: &str) -> Result<Self, String> {
        let address = text.parse().map(|address: std::net::IpAddr| IpNet::from(address.to_canonical()));
        address
            .or_else(|_| text.parse())
            .map_err(|_| format!("{text:?} is no address or CIDR, such as 10.0.0.0/8"))
    }
}

impl Item for Origin {
    fn item(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

/// An address, or a name that stands for one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; write it as 127.0.0.1:8080"))?;
    found.next().ok_or_else(|| "this name has no address".to_owned())
}

fn room(text: &str) -> Result<RoomName, String> {
    RoomName::parse(text.trim()).map_err(|why| why.to_string())
}

fn prefix(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'{' && b != b'}');
    if plain {
        Ok(text.to_owned())
    } else {
        Err("a prefix has visible ASCII characters other than { and }, at least one".to_owned())
    }
}

fn node(text: &str) -> Result<String, String> {
    let plain = text.chars().count() <= 64 && !text.chars().any(char::is_control);
    if plain {
        Ok(text.to_owned())
    } else {
        Err("a node's name has at most 64 characters, none of them control characters".to_owned())
    }
}

/// Checks a filter of [`EnvFilter`], which takes a bare word that is no level for a module's name and then logs nothing else.
fn log_filter(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok(DEFAULT_LOG.to_owned());
    }
    let bare_words = text.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[']));
    for word in bare_words {
        word.parse::<LevelFilter>().map_err(|_| {
            format!("{word:?} is not a level: use off, error, warn, info, debug, trace, or module=level for a module")
        })?;
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}
