//! What a message costs on a cluster of 1, 3 and 6 masters: CPU time of the servers and of the nodes. Beside the nodes,
//! which announce with `SPUBLISH`, the same commands run with `PUBLISH`, which each master passes on to all others.
//!
//!     cargo bench --bench cluster                 three rounds, about five minutes
//!     cargo bench --bench cluster -- --quick      a short one, to see that it works

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the result, and how far it is")]

#[path = "hubs/process.rs"]
#[allow(dead_code, reason = "the other benchmarks use all of it")]
mod process;

use std::{
    collections::BTreeMap,
    error::Error,
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use redis::{Client, Script, Value, aio::MultiplexedConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{interval, sleep, timeout},
};

use process::{Program, ends_with_us, free_address};

type Failure = Box<dyn Error + Send + Sync>;

const MASTERS: [usize; 3] = [1, 3, 6];
const SLOTS: usize = 16384;

/// Rooms over all masters. Each has a reader at each node.
const ROOMS: usize = 60;
const NODES: usize = 2;
const MESSAGES_PER_SECOND: u64 = 1000;

/// As long as what people write.
const DATA: &str =
    r#"{"sender":"mason","message":"it is about as long as what people write to each other on a working day"}"#;

/// What a post does at least: it appends to a log and announces that. The command that announces is an argument.
const SCRIPT: &str = "redis.call('XADD', KEYS[1], 'MAXLEN', '~', 1000, '*', 'data', ARGV[1]) \
                      return redis.call(ARGV[2], KEYS[1], ARGV[1])";

/// How long a cluster takes at most to form, and a message to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
#[command(about = "Measures what a message costs on a cluster, by the number of masters")]
struct Arguments {
    /// Number of rounds; each measures every size once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A short round, to see that the benchmark works
    #[arg(long)]
    quick: bool,
    /// Passed by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a message costs, in microseconds of CPU time.
#[derive(Clone, Copy)]
struct Cost {
    servers: f64,
    nodes: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // For the HTTP client: TLS has no default provider here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let (rounds, watched) = if arguments.quick { (1, 1) } else { (arguments.rounds, 5) };
    match measure(rounds, Duration::from_secs(watched)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(rounds: usize, watched: Duration) -> Result<(), Failure> {
    let mut costs: BTreeMap<(usize, usize), Vec<Cost>> = BTreeMap::new();
    for round in 0..rounds {
        for masters in MASTERS {
            eprintln!("round {} of {rounds}: {masters} masters", round + 1);
            let cluster = Cluster::start(masters).await?;
            let measured = [
                cluster.measure_nodes(watched).await?,
                cluster.measure_commands("SPUBLISH", watched).await?,
                cluster.measure_commands("PUBLISH", watched).await?,
            ];
            for (column, cost) in measured.into_iter().enumerate() {
                costs.entry((masters, column)).or_default().push(cost);
            }
        }
    }
    println!("| masters | nodes, µs | their servers, µs | servers with SPUBLISH, µs | servers with PUBLISH, µs |");
    println!("| ------- | --------- | ----------------- | ------------------------- | ------------------------ |");
    for masters in MASTERS {
        let column =
            |column: usize, part: fn(&Cost) -> f64| range(costs[&(masters, column)].iter().map(part).collect());
        println!(
            "| {masters} | {} | {} | {} | {} |",
            column(0, |cost| cost.nodes),
            column(0, |cost| cost.servers),
            column(1, |cost| cost.servers),
            column(2, |cost| cost.servers),
        );
    }
    Ok(())
}

/// Returns the median of some values, and between which they are.
fn range(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    format!("{:.0} ({:.0}–{:.0})", values[values.len() / 2], values[0], values[values.len() - 1])
}

/// Masters that share the slots evenly.
struct Cluster {
    servers: Vec<Program>,
    addresses: Vec<SocketAddr>,
    connections: Vec<MultiplexedConnection>,
    _directory: TempDir,
}

impl Cluster {
    async fn start(masters: usize) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let (mut servers, mut addresses, mut connections) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..masters {
            let (address, bus) = (free_address(), free_address());
            let mut command = ends_with_us("redis-server", "KILL");
            command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
            command
                .arg(directory.path())
                .args(["--cluster-enabled", "yes", "--cluster-port", &bus.port().to_string()]);
            command.args(["--cluster-config-file", &format!("{index}.conf")]);
            servers.push(Program::start(&mut command, address)?);
            connections.push(connect(address).await?);
            addresses.push(address);
            let slots: Vec<usize> = (SLOTS * index / masters..SLOTS * (index + 1) / masters).collect();
            let connection = connections.last_mut().ok_or("no connection")?;
            let _: Value = redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots).query_async(connection).await?;
            for (other, bus) in addresses.iter().zip(bus_ports(&mut connections).await?).take(index) {
                let mut meet = redis::cmd("CLUSTER");
                meet.arg(&["MEET", "127.0.0.1", &other.port().to_string(), &bus]);
                let _: Value = meet.query_async(&mut connections[index]).await?;
            }
        }
        let mut cluster = Self { servers, addresses, connections, _directory: directory };
        timeout(PATIENCE, cluster.wait_until_formed()).await.map_err(|_| "the cluster does not form")??;
        Ok(cluster)
    }

    async fn wait_until_formed(&mut self) -> Result<(), Failure> {
        let known = format!("cluster_known_nodes:{}\r\n", self.addresses.len());
        for connection in &mut self.connections {
            loop {
                let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(connection).await?;
                if info.contains("cluster_state:ok") && info.contains(&known) {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Returns the CPU time of all servers.
    fn cpu_time(&self) -> Duration {
        self.servers.iter().map(Program::cpu_time).sum()
    }

    /// Posts over one node and reads at all of them.
    async fn measure_nodes(&self, watched: Duration) -> Result<Cost, Failure> {
        let seeds: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let url = format!("redis-cluster://{}", seeds.join(","));
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let address = free_address();
            let mut command = ends_with_us(env!("CARGO_BIN_EXE_tiny-chat"), "TERM");
            command.env_clear().env("REDIS_URL", &url).env("BIND", address.to_string());
            command.env("RATE_LIMIT", "0").env("MAX_STREAMS_PER_ADDRESS", "0").env("LOG", "error");
            nodes.push((Program::start(&mut command, address)?, address));
        }
        let (sender, mut arrived) = mpsc::unbounded_channel();
        for (_, address) in &nodes {
            wait_until_ready(*address).await?;
            for number in 0..ROOMS {
                tokio::spawn(read_stream(open_stream(*address, &room(number)).await?, sender.clone()));
            }
        }
        let client = reqwest::Client::builder().no_proxy().build()?;
        let target = nodes[0].1;
        let post = async |number: u64| {
            let url = format!("http://{target}/{}", room(number as usize % ROOMS));
            let request = client.post(url).header("Content-Type", "application/json").body(DATA);
            request.send().await?.error_for_status()?;
            Ok(())
        };
        let cpu_time = || {
            let nodes: Duration = nodes.iter().map(|(node, _)| node.cpu_time()).sum();
            (self.cpu_time(), nodes)
        };
        measure_paced(watched, post, &mut arrived, cpu_time).await
    }

    /// Runs the commands of a post at the master of each room, with subscribers that take what is announced.
    async fn measure_commands(&self, announce: &'static str, watched: Duration) -> Result<Cost, Failure> {
        let script = Script::new(SCRIPT);
        for connection in &self.connections {
            script.prepare_invoke().load_async(&mut connection.clone()).await?;
        }
        let masters: Vec<usize> = join_all((0..ROOMS).map(|number| self.master_of(number)))
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        let (sender, mut arrived) = mpsc::unbounded_channel();
        let mut subscribers = Vec::new();
        for node in 0..NODES {
            // With SPUBLISH one has to ask the master of the room; with PUBLISH any server hears all.
            for (index, address) in self.addresses.iter().enumerate() {
                let is_here = |number: &usize| match announce {
                    "SPUBLISH" => masters[*number] == index,
                    _ => node % self.addresses.len() == index,
                };
                let rooms: Vec<usize> = (0..ROOMS).filter(is_here).collect();
                if !rooms.is_empty() {
                    subscribers.push(subscribe(*address, announce, &rooms, sender.clone()).await?);
                }
            }
        }
        let post = async |number: u64| {
            let number = number as usize % ROOMS;
            let mut connection = self.connections[masters[number]].clone();
            let mut call = script.key(channel(number));
            let _: Value = call.arg(DATA).arg(announce).invoke_async(&mut connection).await?;
            Ok(())
        };
        measure_paced(watched, post, &mut arrived, || (self.cpu_time(), Duration::ZERO)).await
    }

    async fn master_of(&self, number: usize) -> Result<usize, Failure> {
        let mut connection = self.connections[0].clone();
        let slot: usize =
            redis::cmd("CLUSTER").arg("KEYSLOT").arg(channel(number)).query_async(&mut connection).await?;
        let count = self.addresses.len();
        (0..count).find(|index| slot < SLOTS * (index + 1) / count).ok_or_else(|| "no master".into())
    }
}

/// Sends messages at a steady rate, waits until each has arrived at every node, and returns what one costs. What the
/// servers and nodes need while nothing happens is subtracted.
async fn measure_paced(
    watched: Duration,
    post: impl AsyncFn(u64) -> Result<(), Failure>,
    arrived: &mut mpsc::UnboundedReceiver<()>,
    cpu_time: impl Fn() -> (Duration, Duration),
) -> Result<Cost, Failure> {
    sleep(Duration::from_millis(500)).await; // after the work of the start
    let idle_since = cpu_time();
    sleep(watched).await;
    let before = cpu_time();
    let idle = (before.0 - idle_since.0, before.1 - idle_since.1);
    let count = MESSAGES_PER_SECOND * watched.as_secs();
    let (started, mut ticks) = (Instant::now(), interval(Duration::from_secs(1) / MESSAGES_PER_SECOND as u32));
    let mut pending = FuturesUnordered::new();
    for number in 0..count {
        ticks.tick().await;
        pending.push(post(number));
        while let Some(Some(result)) = futures_util::FutureExt::now_or_never(pending.next()) {
            result?;
        }
    }
    while let Some(result) = pending.next().await {
        result?;
    }
    for number in 0..count * NODES as u64 {
        timeout(PATIENCE, arrived.recv()).await.map_err(|_| format!("only {number} arrived"))?;
    }
    let (after, share) = (cpu_time(), started.elapsed().as_secs_f64() / watched.as_secs_f64());
    let per_message = |before: Duration, after: Duration, idle: Duration| {
        ((after - before).as_secs_f64() - idle.as_secs_f64() * share) * 1e6 / count as f64
    };
    Ok(Cost {
        servers: per_message(before.0, after.0, idle.0),
        nodes: per_message(before.1, after.1, idle.1),
    })
}

fn room(number: usize) -> String {
    format!("room-{number}")
}

fn channel(number: usize) -> String {
    format!("bench:{{{}}}", room(number))
}

async fn connect(address: SocketAddr) -> Result<MultiplexedConnection, Failure> {
    Ok(Client::open(format!("redis://{address}"))?.get_multiplexed_async_connection().await?)
}

async fn bus_ports(connections: &mut [MultiplexedConnection]) -> Result<Vec<String>, Failure> {
    let mut ports = Vec::new();
    for connection in connections {
        let (_, port): (String, String) =
            redis::cmd("CONFIG").arg(&["GET", "cluster-port"]).query_async(connection).await?;
        ports.push(port);
    }
    Ok(ports)
}

/// Subscribes to rooms at a server, and sends an empty word for each announcement.
async fn subscribe(
    address: SocketAddr,
    announce: &str,
    rooms: &[usize],
    arrived: mpsc::UnboundedSender<()>,
) -> Result<MultiplexedConnection, Failure> {
    let (command, kind) = match announce {
        "SPUBLISH" => ("SSUBSCRIBE", redis::PushKind::SMessage),
        _ => ("SUBSCRIBE", redis::PushKind::Message),
    };
    let client = Client::open(format!("redis://{address}/?protocol=resp3"))?;
    let push = move |push: redis::PushInfo| {
        if push.kind == kind {
            let _ = arrived.send(());
        }
        Ok::<(), redis::aio::SendError>(())
    };
    let config = redis::AsyncConnectionConfig::new().set_push_sender(push);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    for number in rooms {
        let _: Value = redis::cmd(command).arg(channel(*number)).query_async(&mut connection).await?;
    }
    Ok(connection)
}

async fn wait_until_ready(address: SocketAddr) -> Result<(), Failure> {
    let ready = async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        while client.get(format!("http://{address}/readyz")).send().await?.status() != 200 {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    timeout(PATIENCE, ready).await.map_err(|_| "the node does not become ready")?
}

/// Opens a stream and reads until it is live.
async fn open_stream(address: SocketAddr, room: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET /subscribe/{room} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .await?;
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains(r#""live":true"#) {
        let read = timeout(PATIENCE, stream.read_buf(&mut received)).await.map_err(|_| "no stream")??;
        if read == 0 {
            return Err("the stream ended".into());
        }
    }
    Ok(stream)
}

/// Sends an empty word for each message of a stream.
async fn read_stream(mut stream: TcpStream, arrived: mpsc::UnboundedSender<()>) {
    let (mut received, text) = (Vec::new(), b"working day");
    while let Ok(1..) = stream.read_buf(&mut received).await {
        while let Some(at) = received.windows(text.len()).position(|window| window == text) {
            received.drain(..at + text.len());
            let _ = arrived.send(());
        }
    }
}
