//! A run: starts a world and clients, lets fault after fault happen until the time is up, and judges what the clients saw.

use std::{fs, io::Write, path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::{Instant, sleep};

use crate::{
    Failure,
    faults::{
        self, Fault, FaultRecord, Outcome,
        schedule::{Schedule, Step},
        stage::{RECOVERY_LIMIT, Stage},
    },
    interrupted,
    isolation::Isolation,
    room::{Load, Room},
    world::{
        World,
        nodes::{NodeOptions, default_program},
        servers::Form,
    },
};

/// How long a node drains.
const DRAIN: Duration = Duration::from_secs(2);

/// The logs are kept whole, since they are held against what was received.
const HISTORY: &str = "10000000";

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
        let mut environment = vec![("HISTORY", HISTORY.to_owned()), ("MAX_STREAMS_PER_ADDRESS", "0".to_owned())];
        environment.extend(self.heal.iter().map(|heal| ("HEAL", heal.clone())));
        if let Some(logs) = &self.logs {
            fs::create_dir_all(logs)?;
        }
        Ok(NodeOptions { program, drain: DRAIN, environment, logs: self.logs.clone() })
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
    let world = World::start(options.redis, isolation, true, options.nodes()?).await?;
    let url = format!("http://{}/everyone", world.balancer.address).parse()?;
    let room = Room::open(&url, Load { readers: 24, chatters: 12, messages_per_second: 50.0 }).await?;
    let stage = Stage::new(world, options.seed);
    let mut run = Run { stage, room, records: Vec::new() };
    run.let_happen(Schedule::new(options.seed, faults), options.duration()).await?;
    records.append(&mut run.records);
    let flawless = run.room.close().await;
    run.stage.world.stop().await?;
    Ok(flawless)
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
    room: Room,
    records: Vec<FaultRecord>,
}

impl Run {
    /// Lets step after step happen until the time is up.
    async fn let_happen(&mut self, mut schedule: Schedule, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        while let Some(step) = schedule.next() {
            if Instant::now() + step.pause > end {
                break;
            }
            sleep(step.pause).await;
            self.happen(&step).await?;
            self.recover().await?;
        }
        Ok(())
    }

    /// Lets the faults of a step happen.
    async fn happen(&mut self, step: &Step) -> Result<(), Failure> {
        self.room.begin_act(&step.name());
        let stage = &self.stage;
        let running = step.entries.iter().map(async |entry| {
            sleep(entry.offset).await;
            entry.fault.happen(stage, entry.length).await
        });
        for record in futures_util::future::try_join_all(running).await? {
            let came = match &record.outcome {
                Outcome::Ran => "ran",
                Outcome::NotRun(reason) => reason,
            };
            let lasted = (record.ended - record.begun).as_secs_f64();
            let loses = if record.loses { ", Redis may lose" } else { "" };
            let _ = writeln!(std::io::stdout(), "{} {came}{loses}, {lasted:.1} s", record.name);
            self.records.push(record);
        }
        self.room.act_done();
        Ok(())
    }

    /// Waits until servers, nodes and clients are as before.
    async fn recover(&self) -> Result<(), Failure> {
        let began = Instant::now();
        self.stage.world.wait_for_nodes(RECOVERY_LIMIT).await?;
        let _ = self.room.wait_until("the readers", |ledger| ledger.has_recovered()).await;
        let readers = began.elapsed().as_secs_f64();
        self.stage.world.servers.wait_until_whole(RECOVERY_LIMIT).await?;
        let whole = began.elapsed().as_secs_f64();
        let _ = writeln!(std::io::stdout(), "  readers {readers:.1} s, whole {whole:.1} s");
        Ok(())
    }
}
