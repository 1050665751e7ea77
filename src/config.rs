//! The options of a node. Each is a flag and an environment variable, and one that is a secret, whose value is hidden, can
//! be in a file as well; an invalid value ends the start with a message that names it. The doc comments of the fields are
//! the text of `--help`.

mod arguments;
mod groups;
mod listen;
mod secret_files;

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use ipnet::{IpNet, Ipv4Net};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::chat::RoomName;

pub use arguments::{Parsed, parse};
pub use groups::{KeyOptions, RedisOptions};
pub use listen::ListenOptions;

/// The longest name of a node that is accepted.
const MAX_NODE_NAME_CHARS: usize = 64;

/// The options of a node.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Where the node listens.
    #[command(flatten)]
    pub listen: ListenOptions,

    /// Where the Redis is.
    #[command(flatten)]
    pub redis: RedisOptions,

    /// Rooms that the page lists, separated by commas; the first is the default
    #[arg(long, env = "ROOMS", value_name = "ROOMS", default_value = "everyone,random", value_delimiter = ',', value_parser = parse_room)]
    pub rooms: Vec<RoomName>,

    /// Minimum number of messages kept per room
    #[arg(long, env = "HISTORY", value_name = "HISTORY", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub history: u32,

    /// Seconds that a room's log is kept after its last message
    #[arg(long, env = "HISTORY_TTL", value_name = "HISTORY_TTL", default_value_t = 604_800, value_parser = clap::value_parser!(u32).range(1..))]
    pub history_ttl: u32,

    /// Seconds without an event after which a stream sends a heartbeat, 1 to 60; proxies close idle streams
    #[arg(long, env = "HEARTBEAT", value_name = "HEARTBEAT", default_value_t = 15, value_parser = clap::value_parser!(u8).range(1..=60))]
    pub heartbeat: u8,

    /// Messages per second from one client address, counted over all nodes; 0 turns the limit off
    #[arg(long, env = "RATE_LIMIT", value_name = "RATE_LIMIT", default_value_t = 5)]
    pub rate_limit: u32,

    /// Messages that one client address may send at once, counted over all nodes; 0 turns the limit off
    #[arg(long, env = "RATE_BURST", value_name = "RATE_BURST", default_value_t = 20)]
    pub rate_burst: u32,

    /// Open streams of this node, as far as the limit of open files allows; 0 turns this limit off [default: 20000]
    #[arg(long, env = "MAX_STREAMS", value_name = "MAX_STREAMS")]
    pub max_streams: Option<u32>,

    /// Open streams of one client address, counted over all nodes; 0 turns the limit off
    #[arg(
        long,
        env = "MAX_STREAMS_PER_ADDRESS",
        value_name = "MAX_STREAMS_PER_ADDRESS",
        default_value_t = 500
    )]
    pub max_streams_per_address: u32,

    /// Seconds after which a stream is closed, at a random age from 80 to 100 % of it, so that clients spread to new nodes; 0 turns it off
    #[arg(long, env = "MAX_AGE", value_name = "MAX_AGE", default_value_t = 0)]
    pub max_age: u32,

    /// Addresses or CIDR blocks of proxies whose X-Forwarded-For is trusted, separated by commas
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "TRUSTED_PROXIES", value_parser = parse_proxies)]
    pub trusted_proxies: Option<List<IpNet>>,

    /// Origins of other sites whose pages may subscribe and publish, separated by commas, such as `https://app.example`
    #[arg(long, env = "ALLOWED_ORIGINS", value_name = "ALLOWED_ORIGINS", value_parser = parse_origins)]
    pub allowed_origins: Option<List<String>>,

    /// Password of the operator for /dashboard and for deleting messages (HTTP Basic, any user); without one there is neither
    #[arg(long, env = "ADMIN_PASSWORD", value_name = "ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,

    /// The keys of the apps.
    #[command(flatten)]
    pub keys: KeyOptions,

    /// Whether the API of the chat article (/rooms/…, /users) and of the tutorial (/api/…) is served
    #[arg(long, env = "ROOMS_API", value_name = "ROOMS_API", default_value = "on")]
    pub rooms_api: Switch,

    /// Whether this node restores messages that Redis has lost in a restart or a failover, as far as it has them in memory
    #[arg(long, env = "HEAL", value_name = "HEAL", default_value = "on")]
    pub heal: Switch,

    /// Threads that serve clients, 1 to 256 [default: one for every two cores]
    #[arg(long, env = "WORKERS", value_name = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,

    /// Name of this node [default: the host name]
    #[arg(long, env = "NODE", value_name = "NODE", value_parser = parse_node)]
    pub node: Option<String>,

    /// Seconds from SIGTERM until no more connections are accepted, in which proxies notice that this node is not ready; none after SIGINT
    #[arg(long, env = "DRAIN_GRACE", value_name = "DRAIN_GRACE", default_value_t = 1)]
    pub drain_grace: u16,

    /// Seconds over which streams are closed after that; at most 1 after SIGINT
    #[arg(long, env = "DRAIN", value_name = "DRAIN", default_value_t = 8)]
    pub drain: u16,

    /// Log level: off, error, warn, info, debug or trace; or levels by module, such as info,hyper=warn
    #[arg(long, env = "LOG", value_name = "LOG", default_value = "info", value_parser = parse_log)]
    pub log: String,

    /// Format of the log
    #[arg(long, env = "LOG_FORMAT", value_name = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines to read in a terminal
    Text,
    /// One JSON object per line
    Json,
}

/// Whether a part of the server is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is in use
    On,
    /// It is not
    Off,
}

/// The items of an option that are separated by commas, where spaces and empty items do not count.
#[derive(Clone, Debug)]
pub struct List<T>(pub Vec<T>);

impl Config {
    /// Returns the name of this node.
    pub fn node(&self) -> String {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        self.node.clone().unwrap_or_else(host)
    }
}

fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<List<T>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(parse).collect::<Result<_, _>>().map(List)
}

fn parse_proxies(text: &str) -> Result<List<IpNet>, String> {
    parse_list(text, |item| {
        // Client addresses are compared in their canonical form: ::ffff:10.0.0.1 is 10.0.0.1.
        let address = item.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
        address
            .or_else(|_| item.parse().map(canonical_block))
            .map_err(|_| format!("{item:?} is not an address or a CIDR block, such as 10.0.0.0/8"))
    })
}

/// Returns a block of IPv4 addresses that is written as one of IPv6 in its own form.
fn canonical_block(block: IpNet) -> IpNet {
    let IpNet::V6(v6) = block else { return block };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(block, IpNet::V4)
}

/// Parses origins as browsers serialize them (WHATWG HTML § 7.1.1): scheme, host and, if it is not the default, port.
fn parse_origins(text: &str) -> Result<List<String>, String> {
    parse_list(text, |item| {
        let host = item.strip_prefix("https://").or_else(|| item.strip_prefix("http://"));
        let is_host =
            |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@*".contains(&b));
        if host.is_some_and(is_host) {
            Ok(item.to_owned())
        } else {
            Err(format!("{item:?} is not an origin; write it as https://app.example, with the port if it has one"))
        }
    })
}

fn parse_room(text: &str) -> Result<RoomName, String> {
    RoomName::parse(text.trim()).map_err(|error| error.to_string())
}

fn parse_node(text: &str) -> Result<String, String> {
    let is_valid = text.chars().count() <= MAX_NODE_NAME_CHARS && !text.chars().any(char::is_control);
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(format!("the name of a node has at most {MAX_NODE_NAME_CHARS} characters and no control characters"))
    }
}

fn parse_log(text: &str) -> Result<String, String> {
    // EnvFilter takes a word that is no level for the name of a module, and then logs nothing else.
    let bare_words = text.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[']));
    for word in bare_words {
        word.parse::<LevelFilter>().map_err(|_| {
            format!("{word:?} is not a level: use off, error, warn, info, debug, trace, or module=level for a module")
        })?;
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}
