//! The servers that are measured. Each trial starts new processes on free ports.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Failure,
    process::{Program, START_TIMEOUT, ends_with_us, free_address},
};

/// Paths of the nchan module in Debian's package, after that in `NCHAN_MODULE`.
const NCHAN_PATHS: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so"];

/// The kinds of servers, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Floor,
    Ours,
    Nchan,
    Node,
}

pub const KINDS: [Kind; 4] = [Kind::Floor, Kind::Ours, Kind::Nchan, Kind::Node];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Floor => "floor",
            Kind::Ours => "tiny-chat",
            Kind::Nchan => "nchan",
            Kind::Node => "node",
        }
    }

    /// Returns what is missing to run this server here, if anything is.
    pub fn missing(self) -> Option<&'static str> {
        let (is_available, requirement) = match self {
            Kind::Floor => (true, ""),
            Kind::Ours => (installed("redis-server"), "redis-server is not installed"),
            Kind::Nchan => (
                installed("nginx") && nchan().is_some() && installed("redis-server"),
                "nginx, redis-server or its module is missing (Debian: libnginx-mod-nchan; or NCHAN_MODULE=path of the .so)",
            ),
            Kind::Node => (
                installed("node") && ioredis().is_some() && installed("redis-server"),
                "node, redis-server or ioredis is missing (npm install ioredis somewhere; NODE_PATH=its node_modules)",
            ),
        };
        (!is_available).then_some(requirement)
    }

    /// Returns the path of a room's stream.
    pub fn subscribe(self, room: &str) -> String {
        match self {
            Kind::Floor | Kind::Node => format!("/{room}"),
            Kind::Ours => format!("/subscribe/{room}"),
            Kind::Nchan => format!("/sub/{room}"),
        }
    }

    /// Returns the path to post to a room.
    pub fn publish(self, room: &str) -> String {
        match self {
            Kind::Floor | Kind::Node | Kind::Ours => format!("/{room}"),
            Kind::Nchan => format!("/pub/{room}"),
        }
    }

    /// Returns the body of a post. The floor encodes nothing: it gets the chunk with the frame that other servers would
    /// make of the body.
    pub fn body(self, number: u64, json: &str) -> String {
        match self {
            Kind::Floor => {
                let frame = format!("id: 1700000000000-{number}\ndata: {json}\n\n");
                format!("{:x}\r\n{frame}\r\n", frame.len())
            }
            _ => json.to_owned(),
        }
    }

    /// Returns bytes that a stream contains as soon as it is live.
    pub fn opening(self) -> &'static [u8] {
        match self {
            Kind::Ours => br#""live":true"#,
            _ => b"\r\n\r\n",
        }
    }
}

/// A running server: its nodes, and the Redis that they share.
pub struct Server {
    pub kind: Kind,
    pub redis: Option<Redis>,
    nodes: Vec<(Program, SocketAddr)>,
    _directory: TempDir,
}

impl Server {
    pub fn start(kind: Kind, nodes: usize) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let redis = if kind == Kind::Floor { None } else { Some(Redis::start(directory.path())?) };
        let port = redis.as_ref().map_or(0, |redis| redis.address.port());
        let nodes = (0..nodes).map(|_| start(kind, port, directory.path())).collect::<Result<_, _>>()?;
        if let (Kind::Nchan, Some(redis)) = (kind, &redis) {
            redis.wait_for_nchan()?;
        }
        Ok(Self { kind, redis, nodes, _directory: directory })
    }

    /// Returns the address of a node, modulo the number of nodes.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.nodes[number % self.nodes.len()].1
    }

    /// Returns a node, modulo the number of nodes.
    pub fn node(&mut self, number: usize) -> &mut Program {
        let nodes = self.nodes.len();
        &mut self.nodes[number % nodes].0
    }

    /// Returns the CPU time of all nodes, without that of Redis.
    pub fn cpu_time(&self) -> Duration {
        self.cpu_time_except(None)
    }

    /// Returns the CPU time of all nodes but one.
    pub fn cpu_time_except(&self, excluded: Option<usize>) -> Duration {
        let counted = self.nodes.iter().enumerate().filter(|(number, _)| Some(*number) != excluded);
        counted.map(|(_, (program, _))| program.cpu_time()).sum()
    }

    /// Returns the memory of all nodes in KiB.
    pub fn memory_kib(&self) -> u64 {
        self.nodes.iter().map(|(program, _)| program.memory_kib()).sum()
    }
}

/// A Redis without persistence.
pub struct Redis {
    pub address: SocketAddr,
    _program: Program,
}

impl Redis {
    fn start(directory: &Path) -> Result<Self, Failure> {
        let address = free_address()?;
        let mut command = ends_with_us("redis-server", "KILL");
        command
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .arg("--dir")
            .arg(directory);
        Ok(Self { address, _program: Program::start(&mut command, address)? })
    }

    pub fn connect(&self) -> Result<redis::Connection, Failure> {
        Ok(redis::Client::open(format!("redis://{}", self.address))?.get_connection()?)
    }

    /// Waits until every worker of nginx subscribes here: nchan never delivers to readers that connected before that.
    fn wait_for_nchan(&self) -> Result<(), Failure> {
        let (workers, end) = (thread::available_parallelism()?.get(), Instant::now() + START_TIMEOUT);
        let mut connection = self.connect()?;
        while Instant::now() < end {
            let subscribed: Vec<String> =
                redis::cmd("PUBSUB").arg(&["CHANNELS", "nchan_worker:*"]).query(&mut connection)?;
            if subscribed.len() >= workers {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("nchan does not subscribe to Redis".into())
    }

    /// Returns how many commands Redis has run so far, without those that ask for this.
    pub fn commands(&self) -> Result<u64, Failure> {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut self.connect()?)?;
        let is_query = |line: &&str| line.starts_with("cmdstat_info") || line.starts_with("cmdstat_client");
        let calls = stats
            .lines()
            .filter(|line| !is_query(line))
            .filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok());
        Ok(calls.sum())
    }
}

fn start(kind: Kind, redis: u16, directory: &Path) -> Result<(Program, SocketAddr), Failure> {
    let address = free_address()?;
    let mut command = match kind {
        Kind::Floor => {
            let mut command = ends_with_us(env::current_exe()?, "KILL");
            command.args(["floor", &address.to_string()]);
            command
        }
        Kind::Ours => {
            let mut command = ends_with_us(env!("CARGO_BIN_EXE_tiny-chat"), "KILL");
            command
                .env_clear()
                .env("BIND", address.to_string())
                .env("REDIS_URL", format!("redis://127.0.0.1:{redis}"));
            command
                .env("NODE", "bench")
                .env("RATE_LIMIT", "0")
                .env("MAX_STREAMS_PER_ADDRESS", "0")
                .env("LOG", "warn");
            command
        }
        Kind::Nchan => {
            let file = directory.join("nginx.conf");
            fs::write(&file, nginx_config(address, redis, directory)?)?;
            let mut command = ends_with_us(on_path("nginx").ok_or("no nginx")?, "TERM");
            command.arg("-e").arg(directory.join("error.log")).arg("-p").arg(directory).arg("-c").arg(file);
            command
        }
        Kind::Node => {
            let mut command = ends_with_us("node", "KILL");
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fanout/eventemitter.cjs");
            command.arg(script).args([address.port().to_string(), redis.to_string()]);
            command.env("NODE_PATH", ioredis().ok_or("no ioredis")?).env("NODE_ENV", "production");
            command
        }
    };
    Ok((Program::start(&mut command, address)?, address))
}

/// Returns a configuration of nginx with nchan on Redis, after its manual, with a worker per core.
fn nginx_config(address: SocketAddr, redis: u16, directory: &Path) -> Result<String, Failure> {
    let module = nchan().ok_or("no nchan")?;
    let (module, directory) = (module.display(), directory.display());
    Ok(format!(
        "load_module {module};
daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
events {{ worker_connections 18000; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 100000000;
  nchan_shared_memory_size 256M;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 1h;
  upstream log {{ nchan_redis_server redis://127.0.0.1:{redis}; }}
  server {{
    listen {address} backlog=4096;
    location ~ ^/sub/(.+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_redis_pass log;
    }}
    location ~ ^/pub/(.+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_redis_pass log; }}
  }}
}}
"
    ))
}

/// Returns the path of the nchan module.
fn nchan() -> Option<PathBuf> {
    let chosen = env::var_os("NCHAN_MODULE").map(PathBuf::from);
    chosen.into_iter().chain(NCHAN_PATHS.map(PathBuf::from)).find(|path| path.exists())
}

/// Returns the `node_modules` that contains ioredis.
fn ioredis() -> Option<PathBuf> {
    let chosen = env::var_os("NODE_PATH").map(PathBuf::from);
    chosen
        .into_iter()
        .chain([PathBuf::from("/usr/share/nodejs")])
        .find(|path| path.join("ioredis").exists())
}

/// Returns the path of a program. Debian installs nginx in /usr/sbin, which is not in every user's PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
}

pub fn installed(program: &str) -> bool {
    on_path(program).is_some()
}
