//! A run: starts a world and clients, lets fault after fault happen until the time is up, and judges what the clients saw.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::{
    Failure,
    faults::{
        self, Fault, FaultRecord,
        schedule::{Schedule, Step},
        stage::{RECOVERY_LIMIT, Stage},
    },
    history::{FinalLogs, History},
    interrupted,
    isolation::Isolation,
    judge::judge,
    load::{Load, LoadOptions, Monitor},
    plot, report,
    world::{
        World,
        nodes::{NodeOptions, default_program},
        servers::Form,
    },
};

/// How long a node drains.
const DRAIN: Duration = Duration::from_secs(2);

/// How many messages a room keeps: all, since they are held against what was received.
const HISTORY: usize = 10_000_000;

/// The load of a run.
const ROOMS: usize = 12;
const READERS: usize = 130;
const POSTS_PER_SECOND: f64 = 200.0;

/// How long the readers may take in the end to have read everything.
const END_LIMIT: Duration = Duration::from_secs(60);

/// How often a line says how far the run is, and how often it is looked whether readers are back.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct Options {
    /// Seed of the schedule, of what each fault hits, and of the clients
    #[arg(long, default_value_t = 7)]
    seed: u64,

    /// Minutes for which faults happen
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,

    /// Form of Redis
    #[arg(long, value_enum, default_value = "one")]
    redis: Form,

    /// Faults that happen, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    faults: Vec<String>,

    /// Whether nodes put back what Redis has lost: on or off [default: what the nodes do by themselves]
    #[arg(long, value_name = "SWITCH")]
    heal: Option<String>,

    /// Run for two minutes
    #[arg(long)]
    quick: bool,

    /// Program of the nodes [default: the one built with this example]
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,

    /// Messages per second of all writers together
    #[arg(long, default_value_t = POSTS_PER_SECOND, value_name = "NUMBER")]
    rate: f64,

    /// Messages that a room keeps at least
    #[arg(long, default_value_t = HISTORY, value_name = "NUMBER")]
    history: usize,

    /// Number of readers
    #[arg(long, default_value_t = READERS, value_name = "NUMBER")]
    readers: usize,

    /// File for the plot of the run
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// File for the report as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Folder for what the nodes and the servers log
    #[arg(long, value_name = "PATH")]
    logs: Option<PathBuf>,
}

impl Options {
    fn duration(&self) -> Duration {
        if self.quick {
            Duration::from_secs(120)
        } else {
            Duration::from_secs_f64(self.minutes * 60.0)
        }
    }

    /// Returns the faults that are asked for.
    fn faults(&self) -> Result<Vec<Fault>, Failure> {
        let all = faults::all();
        if let Some(unknown) = self.faults.iter().find(|name| !all.iter().any(|fault| fault.name == **name)) {
            let names: Vec<&str> = all.iter().map(|fault| fault.name).collect();
            return Err(format!("{unknown} is no fault; these are: {}", names.join(", ")).into());
        }
        let is_asked_for = |fault: &Fault| self.faults.is_empty() || self.faults.iter().any(|name| name == fault.name);
        Ok(all.into_iter().filter(is_asked_for).collect())
    }

    fn nodes(&self) -> Result<NodeOptions, Failure> {
        let program = self.node.clone().map_or_else(default_program, Ok)?;
        let mut environment = vec![("HISTORY", self.history.to_string()), ("MAX_STREAMS_PER_ADDRESS", "0".to_owned())];
        environment.extend(self.heal.iter().map(|heal| ("HEAL", heal.clone())));
        if let Some(logs) = &self.logs {
            fs::create_dir_all(logs)?;
        }
        Ok(NodeOptions { program, drain: DRAIN, environment, logs: self.logs.clone() })
    }

    fn facts(&self, program: &Path) -> report::Run {
        let redis = version_of(Path::new("redis-server"));
        let redis = redis.split(' ').find_map(|word| word.strip_prefix("v=")).unwrap_or("of unknown version");
        report::Run {
            command: env::args().skip(1).collect::<Vec<_>>().join(" "),
            form: format!("{:?}, Redis {redis}", self.redis),
            seed: self.seed,
            date: OffsetDateTime::now_utc().date().to_string(),
            version: version_of(program),
        }
    }
}

/// Runs until the end or a signal, and returns whether everything was as promised.
pub async fn run(options: Options, isolation: Isolation) -> Result<bool, Failure> {
    tokio::select! {
        flawless = run_to_end(&options, isolation) => flawless,
        ended = interrupted() => ended.map(|()| false).map_err(Failure::from),
    }
}

async fn run_to_end(options: &Options, isolation: Isolation) -> Result<bool, Failure> {
    let (faults, mut records) = sort_out(options.faults()?, options.redis, &isolation);
    let nodes = options.nodes()?;
    let facts = options.facts(&nodes.program);
    let world = World::start(options.redis, isolation, true, nodes).await?;
    let load = Load::start(LoadOptions {
        front: world.balancer.address,
        seed: options.seed,
        rooms: ROOMS,
        posts_per_second: options.rate,
        readers: options.readers,
    })?;
    let mut run = Run { stage: Stage::new(world, load, options.seed), records: Vec::new(), now: Arc::default() };
    let monitor = run.stage.load.monitor();
    let now = Arc::clone(&run.now);
    tokio::select! {
        happened = run.let_happen(Schedule::new(options.seed, faults), options.duration()) => happened?,
        () = show_progress(monitor, now) => {}
    }
    records.append(&mut run.records);
    let (history, logs) = run.end(options.history).await?;
    let verdict = judge(&history, &records, &logs);
    print(&report::text(&verdict, &facts));
    if let Some(path) = &options.report {
        fs::write(path, report::markdown(&verdict, &facts))?;
    }
    if let Some(path) = &options.svg {
        plot::draw(path, &history, &records)?;
    }
    Ok(verdict.is_passed())
}

/// Prints to standard output; ignores errors, since a closed pipe must not end the run.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints how far the run is, for ever.
async fn show_progress(monitor: Monitor, now: Arc<Mutex<String>>) {
    let mut ticks = interval(PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        print(&(report::progress_line(&monitor.progress(), &now.lock()) + "\n"));
    }
}

/// Returns the first line that a program prints with `--version`.
fn version_of(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Returns the faults that can happen, and the records of the others.
fn sort_out(faults: Vec<Fault>, form: Form, isolation: &Isolation) -> (Vec<Fault>, Vec<FaultRecord>) {
    let (mut possible, mut not_run) = (Vec::new(), Vec::new());
    for fault in faults {
        match fault.obstacle(form, isolation) {
            Some(reason) => not_run.push(fault.not_run(form, reason)),
            None => possible.push(fault),
        }
    }
    (possible, not_run)
}

struct Run {
    stage: Stage,
    records: Vec<FaultRecord>,
    /// What happens now, in words.
    now: Arc<Mutex<String>>,
}

impl Run {
    /// Lets step after step happen until the time is up.
    async fn let_happen(&mut self, mut schedule: Schedule, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        while let Some(step) = schedule.next() {
            if Instant::now() + step.pause > end {
                let faults = step.entries.iter().map(|entry| &entry.fault).chain(schedule.outstanding());
                self.skip(faults);
                return Ok(());
            }
            sleep(step.pause).await;
            *self.now.lock() = step.name();
            self.happen(&step).await?;
            self.recover().await?;
            self.now.lock().clear();
        }
        sleep(end.saturating_duration_since(Instant::now())).await;
        Ok(())
    }

    /// Records the faults that have not happened when the time is up.
    fn skip<'a>(&mut self, faults: impl Iterator<Item = &'a Fault>) {
        for fault in faults {
            if !self.records.iter().any(|record| record.name == fault.name) {
                self.records.push(fault.not_run(self.stage.world.servers.form, "the time was up".to_owned()));
            }
        }
    }

    /// Lets the faults of a step happen. Two at once end together: from neither can be recovered during the other.
    async fn happen(&mut self, step: &Step) -> Result<(), Failure> {
        let stage = &self.stage;
        let running = step.entries.iter().map(async |entry| {
            sleep(entry.offset).await;
            entry.fault.happen(stage, entry.length).await
        });
        let mut records = futures_util::future::try_join_all(running).await?;
        let last = records.iter().map(|record| record.ended).max();
        records.iter_mut().for_each(|record| record.ended = last.unwrap_or(record.ended));
        self.records.append(&mut records);
        Ok(())
    }

    /// Waits until servers, nodes and readers are as before. Readers that are not have the judge to fear.
    async fn recover(&self) -> Result<(), Failure> {
        let ended = Instant::now();
        self.stage.world.wait_for_nodes(RECOVERY_LIMIT).await?;
        self.stage.world.servers.wait_until_whole(RECOVERY_LIMIT).await?;
        let readers = async {
            while !self.stage.load.recovered_since(ended) {
                sleep(POLL_INTERVAL).await;
            }
        };
        let _ = timeout(RECOVERY_LIMIT, readers).await;
        Ok(())
    }

    /// Waits until everything was read, and returns what the clients saw and what the logs have.
    async fn end(self, retention: usize) -> Result<(History, FinalLogs), Failure> {
        let Stage { world, mut load, .. } = self.stage;
        if let Err(missing) = load.all_caught_up(Instant::now() + END_LIMIT).await {
            print(&format!("  at the end {missing}\n"));
        }
        let logs = load.final_logs(retention).await?;
        let history = load.finish().await?;
        world.stop().await?;
        Ok((history, logs))
    }
}
