//! The kinds of servers, and whether what they need is installed here.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Paths of the nchan module in Debian's package, after that in `NCHAN_MODULE`.
const NCHAN_PATHS: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so"];

/// Where `scripts/bench` puts what it fetches.
const REFERENCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/references");

/// The kinds of servers, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Floor,
    Ours,
    Nchan,
    AnyCable,
    Centrifugo,
    Mercure,
    SocketIo,
    DurableStreams,
    Node,
}

pub const KINDS: [Kind; 9] = [
    Kind::Floor,
    Kind::Ours,
    Kind::Nchan,
    Kind::AnyCable,
    Kind::Centrifugo,
    Kind::Mercure,
    Kind::SocketIo,
    Kind::DurableStreams,
    Kind::Node,
];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Floor => "floor",
            Kind::Ours => "tiny-chat",
            Kind::Nchan => "nchan",
            Kind::AnyCable => "AnyCable",
            Kind::Centrifugo => "Centrifugo",
            Kind::Mercure => "Mercure",
            Kind::SocketIo => "Socket.IO",
            Kind::DurableStreams => "durable-streams",
            Kind::Node => "node",
        }
    }

    /// Returns whether its nodes share a Redis. Mercure and durable-streams keep files of their own, and
    /// AnyCable's broker for Redis is not part of its free edition.
    pub fn uses_redis(self) -> bool {
        matches!(self, Kind::Ours | Kind::Nchan | Kind::Centrifugo | Kind::SocketIo | Kind::Node)
    }

    /// Returns how many nodes can serve the same rooms.
    pub fn max_nodes(self) -> usize {
        match self {
            Kind::Floor | Kind::Mercure | Kind::DurableStreams | Kind::AnyCable => 1,
            Kind::Ours | Kind::Nchan | Kind::Centrifugo | Kind::SocketIo | Kind::Node => usize::MAX,
        }
    }

    /// Returns what is missing to run this server here, if anything is.
    pub fn missing(self) -> Option<&'static str> {
        let (is_available, requirement) = match self {
            Kind::Floor | Kind::Ours => (true, ""),
            Kind::Nchan => (
                installed("nginx") && nchan().is_some(),
                "nginx or its module is missing (Debian: libnginx-mod-nchan; or NCHAN_MODULE=path of the .so)",
            ),
            Kind::AnyCable => (installed("anycable-go"), "anycable-go is not on PATH"),
            Kind::Centrifugo => {
                (installed("centrifugo"), "no centrifugo (go install github.com/centrifugal/centrifugo/v6@v6.9.1)")
            }
            Kind::Mercure => (installed("mercure"), "mercure is not on PATH"),
            Kind::SocketIo => (
                installed("node") && node_modules("@socket.io/redis-streams-adapter").is_some(),
                "node or its modules are missing (npm install socket.io @socket.io/redis-streams-adapter redis)",
            ),
            Kind::DurableStreams => {
                (installed("durable-streams-server"), "no durable-streams-server (cargo install durable-streams)")
            }
            Kind::Node => (
                installed("node") && node_modules("ioredis").is_some(),
                "node or ioredis is missing (npm install ioredis somewhere; NODE_PATH=its node_modules)",
            ),
        };
        if self.uses_redis() && !installed("redis-server") {
            return Some("redis-server is not installed");
        }
        (!is_available).then_some(requirement)
    }
}

/// Returns the path of the nchan module.
pub fn nchan() -> Option<PathBuf> {
    let fetched = Path::new(REFERENCES).join("nchan/usr/lib/nginx/modules/ngx_nchan_module.so");
    let chosen = env::var_os("NCHAN_MODULE").map(PathBuf::from);
    chosen.into_iter().chain([fetched]).chain(NCHAN_PATHS.map(PathBuf::from)).find(|path| path.exists())
}

/// Returns the `node_modules` that contains a package.
pub fn node_modules(package: &str) -> Option<PathBuf> {
    let chosen = env::var_os("NODE_PATH").map(PathBuf::from);
    chosen
        .into_iter()
        .chain([Path::new(REFERENCES).join("node_modules"), PathBuf::from("/usr/share/nodejs")])
        .find(|path| path.join(package).exists())
}

/// Returns the path of a program. Debian installs nginx in /usr/sbin, which is not in every user's PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([Path::new(REFERENCES).join("bin"), PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
}

pub fn installed(program: &str) -> bool {
    on_path(program).is_some()
}
