//! The commands and configurations with which nodes are started.

use std::{env, fs, net::SocketAddr, path::Path, process::Command, thread};

use crate::hubs::{
    kind::{Kind, nchan, node_modules, on_path},
    mercure,
    process::{Failure, Program, ends_with_us},
    server::{Node, ServerOptions},
};

/// What a client address may do at a tiny-chat; the other servers count nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    Off,
    /// The limits of a node without options, which takes the address of a client from X-Forwarded-For.
    Default,
}

/// Starts a node on an address. It keeps its files in a folder, and finds there those of the node before it.
pub fn node(
    kind: Kind,
    address: SocketAddr,
    redis: &str,
    folder: &Path,
    options: ServerOptions,
) -> Result<Node, Failure> {
    let mut command = match kind {
        Kind::Floor => {
            let mut command = ends_with_us(env::current_exe()?, "KILL");
            command.args(["floor", &address.to_string()]);
            command
        }
        Kind::Ours => ours(address, redis, options),
        Kind::Nchan => {
            let file = folder.join("nginx.conf");
            fs::write(&file, nginx_config(address, redis, folder)?)?;
            let mut command = program("nginx", "TERM")?;
            command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(file);
            command
        }
        Kind::Centrifugo => {
            let file = folder.join("centrifugo.json");
            fs::write(&file, centrifugo_config(address, redis).to_string())?;
            let mut command = program("centrifugo", "KILL")?;
            command.arg("--config").arg(file);
            command
        }
        Kind::SocketIo => node_script("socketio.cjs", "@socket.io/redis-streams-adapter", address, redis)?,
        Kind::Node => node_script("eventemitter.cjs", "ioredis", address, redis)?,
        Kind::DurableStreams => {
            let mut command = program("durable-streams-server", "KILL")?;
            command
                .args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--data-dir"])
                .arg(folder);
            command
        }
        Kind::AnyCable => {
            let mut command = program("anycable-go", "KILL")?;
            command.args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--public", "--sse"]);
            command.args(["--broadcast_adapter", "http", "--broadcast_key", "none", "--broker", "memory"]);
            command.args(["--history_limit", "1000", "--history_ttl", "3600", "--log_level", "error"]);
            command
        }
        Kind::Mercure => {
            let file = folder.join("Caddyfile");
            fs::write(&file, mercure::config(address, folder))?;
            let mut command = program("mercure", "KILL")?;
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
            command
        }
    };
    let program = Program::start_with_log(&mut command, address, &folder.join("log"))?;
    Ok(Node { program, address, post_address: address })
}

/// Returns the command of an installed program, which gets `signal` when the benchmark dies.
fn program(name: &str, signal: &str) -> Result<Command, Failure> {
    Ok(ends_with_us(on_path(name).ok_or_else(|| format!("no {name}"))?, signal))
}

fn ours(address: SocketAddr, redis: &str, ServerOptions { limits, heartbeat, .. }: ServerOptions) -> Command {
    let mut command = ends_with_us(env!("CARGO_BIN_EXE_tiny-chat"), "KILL");
    command
        .env_clear()
        .env("BIND", address.to_string())
        .env("REDIS_URL", redis)
        .env("LOG", "warn")
        .env("HEARTBEAT", heartbeat.as_secs().to_string());
    match limits {
        Limits::Off => command.env("RATE_LIMIT", "0").env("MAX_STREAMS_PER_ADDRESS", "0"),
        Limits::Default => command.env("TRUSTED_PROXIES", "127.0.0.1"),
    };
    command
}

/// Returns the command of a script beside this file.
fn node_script(script: &str, package: &str, address: SocketAddr, redis: &str) -> Result<Command, Failure> {
    let mut command = program("node", "KILL")?;
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/hubs").join(script))
        .args([&address.port().to_string(), redis])
        .env("NODE_PATH", node_modules(package).ok_or_else(|| format!("no {package}"))?)
        .env("NODE_ENV", "production");
    Ok(command)
}

/// Returns how many workers nginx has: `NCHAN_WORKERS`, or one per core as its manual has it.
pub fn nchan_workers() -> Result<usize, Failure> {
    match env::var("NCHAN_WORKERS") {
        Ok(number) => Ok(number.parse().map_err(|_| format!("NCHAN_WORKERS is no number: {number}"))?),
        Err(_) => Ok(thread::available_parallelism()?.get()),
    }
}

/// Returns a configuration of nginx with nchan on Redis, after its manual. The timeouts for Redis are shorter than its
/// own, with which a restart of Redis holds posts for 13 s.
fn nginx_config(address: SocketAddr, redis: &str, folder: &Path) -> Result<String, Failure> {
    let module = nchan().ok_or("no nchan")?;
    let (module, folder, workers) = (module.display(), folder.display(), nchan_workers()?);
    Ok(format!(
        "load_module {module};
daemon off;
worker_processes {workers};
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
events {{ worker_connections 18000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  nchan_shared_memory_size 256M;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 1h;
  upstream log {{
    nchan_redis_server {redis};
    nchan_redis_connect_timeout 1s;
    nchan_redis_command_timeout 1s;
    nchan_redis_reconnect_delay 100ms;
    nchan_redis_reconnect_delay_max 1s;
    nchan_redis_ping_interval 1s;
    nchan_redis_retry_commands_max_wait 5s;
  }}
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

/// Returns a configuration of Centrifugo on Redis with a history from which clients recover. Its checks of a client's
/// position come every 5 s, not every 40 s, since they find what a lost announcement has left out.
fn centrifugo_config(address: SocketAddr, redis: &str) -> serde_json::Value {
    serde_json::json!({
        "http_server": { "address": address.ip().to_string(), "port": address.port() },
        "engine": { "type": "redis", "redis": { "address": [redis] } },
        "client": {
            "insecure": true,
            "allowed_origins": ["*"],
            "channel_position_check_delay": "5s",
            "recovery_max_publication_limit": 1000,
            "history_max_publication_limit": 1000,
        },
        "channel": { "without_namespace": {
            "history_size": 1000,
            "history_ttl": "1h",
            "force_recovery": true,
            "force_positioning": true,
            "allow_subscribe_for_client": true,
            "allow_subscribe_for_anonymous": true,
        } },
        "http_api": { "insecure": true },
        "uni_sse": { "enabled": true },
        "log": { "level": "error" },
    })
}
