//! What the kernel needs for connections, and what limits the number of readers on one machine.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::Failure;

/// Open files of a node that are not streams: those that it reserves itself, and a few for posts.
const FILES_BESIDE_STREAMS: u64 = 300;

/// Open files of a process with readers that are not connections.
const FILES_BESIDE_READERS: u64 = 50;

/// The share of a node's streams that is used: readers spread over nodes by chance when one of them is killed.
const USED_SHARE: f64 = 0.97;

/// Memory of a reader with everything at both ends, roughly.
const ROUGH_KIB_PER_READER: u64 = 14;

/// Returns the microseconds since 1970, the clock of all processes.
pub fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Returns the first source port that the kernel gives to clients, and how many there are.
pub fn port_range() -> (u16, u16) {
    let range: Vec<u16> = numbers("/proc/sys/net/ipv4/ip_local_port_range")
        .into_iter()
        .filter_map(|port| u16::try_from(port).ok())
        .collect();
    match range[..] {
        [first, last] => (first, last.saturating_sub(first).max(1)),
        _ => (32_768, 28_231),
    }
}

/// How many connections the processes of this machine can have.
pub struct Capacity {
    pub open_files: u64,
    pub streams_per_node: usize,
    readers_per_process: usize,
    /// Source ports of one address.
    ports: usize,
}

impl Capacity {
    /// Returns what fits here, or into nodes of `streams` streams.
    pub fn of_machine(streams: Option<usize>) -> Result<Self, Failure> {
        let open_files = rlimit::increase_nofile_limit(u64::MAX)?;
        let fit = |beside: u64| usize::try_from(open_files.saturating_sub(beside)).unwrap_or(usize::MAX);
        let ports = usize::from(port_range().1);
        // A process has a source address of its own; a reader that comes again needs a second port for a moment.
        let readers_per_process = fit(FILES_BESIDE_READERS).min(ports * 2 / 3);
        let streams_per_node = streams.unwrap_or_else(|| fit(FILES_BESIDE_STREAMS));
        Ok(Self { open_files, streams_per_node, readers_per_process, ports })
    }

    /// Returns how many nodes carry the readers when one of them is gone.
    pub fn nodes_for(&self, readers: usize) -> usize {
        let used = (self.streams_per_node as f64 * USED_SHARE).max(1.0);
        (readers as f64 / used).ceil() as usize + 1
    }

    /// Returns how many processes hold the readers.
    pub fn reader_processes_for(&self, readers: usize) -> usize {
        readers.div_ceil(self.readers_per_process.max(1))
    }

    /// Returns what on this machine may be too small for so many readers.
    pub fn obstacles(&self, readers: usize) -> Vec<String> {
        let mut found = Vec::new();
        let readers = readers as u64;
        let (count, max) = (
            numbers("/proc/sys/net/netfilter/nf_conntrack_count"),
            numbers("/proc/sys/net/netfilter/nf_conntrack_max"),
        );
        if let ([count, ..], [max, ..]) = (&count[..], &max[..])
            && *count > 0
            && count + readers * 11 / 10 > *max
        {
            found.push(format!(
                "netfilter follows at most {max} connections (net.netfilter.nf_conntrack_max); more are dropped"
            ));
        }
        if let [all] = numbers("/proc/sys/fs/file-max")[..]
            && all < readers * 2
        {
            found.push(format!("the machine has at most {all} open files (fs.file-max)"));
        }
        let available = meminfo("MemAvailable:").unwrap_or(u64::MAX);
        if available < readers * ROUGH_KIB_PER_READER {
            found.push(format!(
                "{} MiB of memory are free, a reader needs about {ROUGH_KIB_PER_READER} KiB",
                available >> 10
            ));
        }
        found
    }

    /// Returns the limits that decide how many processes it takes.
    pub fn limits(&self) -> String {
        let conntrack = numbers("/proc/sys/net/netfilter/nf_conntrack_max")
            .first()
            .map_or_else(String::new, |max| format!(", {max} connections that netfilter follows"));
        format!("{} open files a process, {} ports an address{conntrack}", self.open_files, self.ports)
    }
}

/// What the kernel has in use, in KiB.
pub struct KernelMemory {
    kib: u64,
}

impl KernelMemory {
    /// Returns slabs, page tables, stacks, and the buffers of TCP.
    pub fn now() -> Result<Self, Failure> {
        let parts = ["Slab:", "PageTables:", "KernelStack:", "Percpu:"];
        let kernel: u64 = parts.into_iter().filter_map(meminfo).sum();
        let sockets = fs::read_to_string("/proc/net/sockstat")?;
        let line = sockets.lines().find(|line| line.starts_with("TCP:")).ok_or("no TCP in /proc/net/sockstat")?;
        let pages = line.rsplit(' ').next().and_then(|pages| pages.parse::<u64>().ok()).ok_or("no mem in sockstat")?;
        Ok(Self { kib: kernel + pages * 4 })
    }

    /// Returns by how many KiB it has grown.
    pub fn kib_since(&self, earlier: &Self) -> f64 {
        self.kib as f64 - earlier.kib as f64
    }
}

/// Returns a value of /proc/meminfo in KiB.
fn meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Returns the numbers in a file of /proc, or none where it is missing.
fn numbers(file: &str) -> Vec<u64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}
