//! The processes that hold the readers: starting them, and adding up what they report.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{Failure, hubs::process::ends_with_us};

/// What readers have in all, or those of one process.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub live: usize,
    /// Streams that ended.
    pub ended: usize,
    pub twice: usize,
    pub disordered: usize,
    /// Readers that were told of a gap.
    pub gaps: usize,
    /// How many readers have each message, counted from 1, and when the last of them received it.
    messages: Vec<(usize, u64)>,
}

impl Tally {
    /// Returns how many readers have a message.
    pub fn have(&self, number: u32) -> usize {
        self.messages.get(number as usize).map_or(0, |(readers, _)| *readers)
    }

    /// Returns when the last reader received a message, in microseconds since 1970.
    pub fn last(&self, number: u32) -> u64 {
        self.messages.get(number as usize).map_or(0, |(_, last)| *last)
    }

    /// Notes that one more reader has received a message.
    pub fn receive(&mut self, number: u32, now: u64) {
        let number = number as usize;
        if self.messages.len() <= number {
            self.messages.resize(number + 1, (0, 0));
        }
        if let Some((readers, last)) = self.messages.get_mut(number) {
            *readers += 1;
            *last = now;
        }
    }

    fn add(&mut self, other: &Self) {
        self.live += other.live;
        self.ended += other.ended;
        self.twice += other.twice;
        self.disordered += other.disordered;
        self.gaps += other.gaps;
        self.messages.resize(self.messages.len().max(other.messages.len()), (0, 0));
        for ((readers, last), (more, later)) in self.messages.iter_mut().zip(&other.messages) {
            *readers += more;
            *last = (*last).max(*later);
        }
    }

    /// Returns the line by which a process reports it.
    pub fn line(&self) -> String {
        let Self { live, ended, twice, disordered, gaps, messages } = self;
        let messages: String = messages.iter().map(|(readers, last)| format!(" {readers} {last}")).collect();
        format!("{live} {ended} {twice} {disordered} {gaps}{messages}")
    }

    fn parse(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let count = |at: usize| usize::try_from(*numbers.get(at)?).ok();
        let messages = numbers.get(5..)?.chunks_exact(2);
        Some(Self {
            live: count(0)?,
            ended: count(1)?,
            twice: count(2)?,
            disordered: count(3)?,
            gaps: count(4)?,
            messages: messages.map(|pair| (usize::try_from(pair[0]).unwrap_or_default(), pair[1])).collect(),
        })
    }
}

/// The last report of each process. The condition is signalled with each of them.
type Reports = Arc<(Mutex<Vec<Tally>>, Condvar)>;

/// All processes with readers.
pub struct Crowd {
    children: Vec<(Child, ChildStdin)>,
    reports: Reports,
}

impl Crowd {
    /// Starts the processes. Their readers wait until they are let in.
    pub fn start(readers: usize, processes: usize, nodes: &[SocketAddr]) -> Result<Self, Failure> {
        let reports: Reports = Arc::new((Mutex::new(vec![Tally::default(); processes]), Condvar::new()));
        let mut children = Vec::new();
        for process in 0..processes {
            let (first, end) = (readers * process / processes, readers * (process + 1) / processes);
            let mut command: Command = ends_with_us(env::current_exe()?, "KILL");
            command.arg("readers").args(["--process", &process.to_string(), "--first", &first.to_string()]);
            command.args(["--count", &(end - first).to_string()]);
            command.args(nodes.iter().map(SocketAddr::to_string));
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
            let (stdin, stdout) = stdin.zip(stdout).ok_or("a process without pipes")?;
            let reports = Arc::clone(&reports);
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let Some(tally) = Tally::parse(&line) else { continue };
                    reports.0.lock().unwrap_or_else(PoisonError::into_inner)[process] = tally;
                    reports.1.notify_all();
                }
            });
            children.push((child, stdin));
        }
        Ok(Self { children, reports })
    }

    /// Lets the readers connect.
    pub fn let_in(&mut self) -> Result<(), Failure> {
        self.children.iter_mut().try_for_each(|(_, stdin)| Ok(writeln!(stdin)?))
    }

    /// Returns what all readers have.
    pub fn sum(&self) -> Tally {
        sum(&self.reports.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `done` returns true of the sum.
    ///
    /// # Errors
    /// When that takes longer than `limit`; the error names `what`.
    pub fn wait(&self, what: &str, limit: Duration, done: impl Fn(&Tally) -> bool) -> Result<Tally, Failure> {
        let end = Instant::now() + limit;
        let mut reports = self.reports.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let sum = sum(&reports);
            if done(&sum) {
                return Ok(sum);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{what}: not within {} s: {sum:?}", limit.as_secs()).into());
            }
            reports = self.reports.1.wait_timeout(reports, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (child, _) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sum(reports: &[Tally]) -> Tally {
    let mut sum = Tally::default();
    reports.iter().for_each(|tally| sum.add(tally));
    sum
}
