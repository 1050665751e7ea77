//! The workloads of readers behind each proxy of `deploy/`, in turn, and of the same readers without one. They read at
//! two nodes, since the configurations name two. Posts go to the nodes, so that a proxy is measured for deliveries alone.

use std::time::{Duration, Instant};

use crate::{
    Failure,
    hubs::{kind::Kind, server::ServerOptions},
    proxy::{PROXY_KINDS, Proxy, ProxyKind},
    publisher::{PublishRate, Until},
    setup::{STEP_TIMEOUT, Setup, Size, latency, one_room},
    table::{self, Measure, Trial},
};

/// The subject of trials without a proxy.
pub const DIRECT: &str = "direct";

/// The silence before a heartbeat, shorter than the default of 15 s so that a trial does not take that long.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// The pause after which new readers have been announced to all others, at full size: a node announces them once a second,
/// and so does the other one.
const PRESENCE_SECONDS: f64 = 2.5;

/// 800 readers of one room, 10 messages a second: a rate at which no proxy needs a whole core.
pub fn deliveries(size: Size) -> Vec<Trial> {
    through_each(|proxy| {
        let mut setup = start(proxy, ServerOptions::default())?;
        add_readers(&mut setup, size.count(800));
        setup.warm_up()?;
        setup.readers.read_until_silent(size.time(PRESENCE_SECONDS), STEP_TIMEOUT)?;
        let before = CpuTime::of(&setup);
        let run = setup.run(PublishRate::PerSecond(10.0), Until::Over(size.time(4.0)))?;
        let spent = CpuTime::of(&setup).since(before);
        let per_delivery = |spent: Duration| micros(spent) / run.expected.max(1) as f64;
        let mut values = vec![
            (table::CPU, per_delivery(spent.nodes + spent.proxy)),
            (table::P50, latency(&setup.readers, 0.5)),
            (table::P99, latency(&setup.readers, 0.99)),
            (table::OF_NODES, per_delivery(spent.nodes)),
            (table::GENERATOR, run.generator()),
        ];
        if proxy.is_some() {
            values.push((table::OF_PROXY, per_delivery(spent.proxy)));
        }
        Ok(setup.trial(subject(proxy), &run.sent, &values))
    })
}

/// 4,000 readers of one room, each of whom has received a message: in silence, and while each gets a heartbeat.
pub fn waiting(size: Size) -> Vec<Trial> {
    // A stream needs two open files of a proxy.
    let readers = Size { max_readers: size.max_readers / 2, ..size }.count(4000);
    let heartbeat = if size.quick { HEARTBEAT_INTERVAL / 5 } else { HEARTBEAT_INTERVAL };
    through_each(|proxy| {
        let mut setup = start(proxy, ServerOptions { heartbeat, ..ServerOptions::default() })?;
        add_readers(&mut setup, 2); // a program allocates what it needs once
        setup.warm_up()?;
        let before = memory_kib(&setup);
        add_readers(&mut setup, readers);
        setup.warm_up()?;
        setup.readers.read_until_silent(size.time(PRESENCE_SECONDS), STEP_TIMEOUT)?;
        let after = memory_kib(&setup);

        let silence = heartbeat / 3;
        let (began, before_silence) = (Instant::now(), CpuTime::of(&setup));
        let heartbeats = setup.readers.progress().heartbeats;
        setup.readers.read_for(silence)?;
        let silent = CpuTime::of(&setup).since(before_silence);
        let took = began.elapsed();
        let was_silent = setup.readers.progress().heartbeats == heartbeats;

        let (began, before_heartbeats) = (Instant::now(), CpuTime::of(&setup));
        let expected = heartbeats + setup.readers.len() as u64;
        setup.readers.read_until("heartbeats", STEP_TIMEOUT, |progress| progress.heartbeats >= expected)?;
        setup.readers.read_for(heartbeat / 10)?; // a proxy may write on when the last byte is read
        let spent = CpuTime::of(&setup).since(before_heartbeats);
        let idle = began.elapsed().as_secs_f64() / took.as_secs_f64();

        let run = setup.run(PublishRate::PerSecond(10.0), Until::Posts(1))?;
        let values = |of: fn(CpuTime) -> Duration, memory: (u64, u64), measures: [Measure; 3]| {
            let heartbeat = of(spent).saturating_sub(of(silent).mul_f64(idle));
            let values = [
                memory.1.saturating_sub(memory.0) as f64 / readers as f64,
                of(silent).as_secs_f64() * 100.0 / took.as_secs_f64(),
                micros(heartbeat) / setup.readers.len() as f64,
            ];
            measures.into_iter().zip(values)
        };
        let of_nodes = [table::NODE_MEMORY, table::NODE_SILENT, table::NODE_HEARTBEAT];
        let of_proxy = [table::PROXY_MEMORY, table::PROXY_SILENT, table::PROXY_HEARTBEAT];
        let mut all: Vec<(Measure, f64)> = values(|cpu| cpu.nodes, (before.0, after.0), of_nodes).collect();
        if proxy.is_some() {
            all.extend(values(|cpu| cpu.proxy, (before.1, after.1), of_proxy));
        }
        let mut trial = setup.trial(subject(proxy), &run.sent, &all);
        if !was_silent {
            trial.void = Some("a heartbeat came in the silence".to_owned());
        }
        Ok(trial)
    })
}

/// Runs a trial without a proxy, and one with each that is installed here.
fn through_each(trial: impl Fn(Option<ProxyKind>) -> Result<Trial, Failure>) -> Vec<Trial> {
    let installed = PROXY_KINDS.into_iter().filter(|kind| kind.is_installed()).map(Some);
    let trials = [None].into_iter().chain(installed);
    let or_void = |proxy| trial(proxy).unwrap_or_else(|error| Trial::void(subject(proxy), error.to_string()));
    trials.map(or_void).collect()
}

fn subject(proxy: Option<ProxyKind>) -> &'static str {
    proxy.map_or(DIRECT, ProxyKind::name)
}

fn start(proxy: Option<ProxyKind>, options: ServerOptions) -> Result<Setup, Failure> {
    let mut setup = Setup::with_options(Kind::Ours, ServerOptions { nodes: 2, ..options }, 1, one_room(1))?;
    let nodes = [0, 1].map(|number| setup.server.address(number));
    setup.proxy = proxy.map(|kind| Proxy::start(kind, nodes)).transpose()?;
    Ok(setup)
}

/// Adds readers, half of them at each node. A proxy spreads them itself.
fn add_readers(setup: &mut Setup, count: usize) {
    setup.add_readers(count / 2, 0, 0, "bench");
    setup.add_readers(count - count / 2, 1, 0, "bench");
}

/// Returns the memory of the nodes and of the proxy.
fn memory_kib(setup: &Setup) -> (u64, u64) {
    (setup.server.memory_kib(), setup.proxy.as_ref().map_or(0, |proxy| proxy.program.memory_kib()))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The CPU time of the nodes and of the proxy.
#[derive(Clone, Copy)]
struct CpuTime {
    nodes: Duration,
    proxy: Duration,
}

impl CpuTime {
    fn of(setup: &Setup) -> Self {
        let proxy = setup.proxy.as_ref().map_or(Duration::ZERO, |proxy| proxy.program.exact_cpu_time());
        Self { nodes: setup.server.exact_cpu_time(), proxy }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_sub(earlier.nodes),
            proxy: self.proxy.saturating_sub(earlier.proxy),
        }
    }
}
