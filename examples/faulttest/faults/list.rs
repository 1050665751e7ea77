//! All faults.

use super::{Fault, Loses, Need, Part, clients, data, failovers, links, nodes, servers};

/// Returns a fault.
macro_rules! fault {
    ($name:literal, $part:ident, $seconds:expr, $loses:ident, [$($need:ident),*], $run:path) => {
        Fault {
            name: $name,
            parts: &[Part::$part],
            needs: &[$(Need::$need),*],
            loses: Loses::$loses,
            seconds: $seconds,
            run: |stage, length| Box::pin($run(stage, length)),
        }
    };
}

/// Returns all faults.
pub fn all() -> Vec<Fault> {
    let overflow = fault!("overflow", Links, (0.5, 2.0), Never, [Links], links::overflow);
    vec![
        fault!("redis-killed", Servers, (0.2, 5.0), WithReplicas, [], servers::kill),
        fault!("redis-stopped", Servers, (1.0, 10.0), WithReplicas, [], servers::stop),
        fault!("redis-emptied", Servers, (0.0, 2.0), Always, [], data::restart_empty),
        fault!("crash-before-sync", Servers, (0.0, 0.0), Always, [], data::crash_before_sync),
        fault!("older-copy", Servers, (1.0, 5.0), Always, [], data::restore_older_copy),
        fault!("flushall", Servers, (0.0, 0.0), Always, [], data::flush),
        fault!("del", Servers, (0.0, 0.0), Always, [], data::delete_log),
        fault!("trimmed", Servers, (0.0, 0.0), Always, [], data::trim_log),
        fault!("subscribers-killed", Servers, (0.0, 0.0), Never, [], servers::kill_subscribers),
        fault!("clients-killed", Servers, (0.0, 0.0), Never, [], servers::kill_all_clients),
        fault!("maxmemory", Servers, (1.0, 5.0), Never, [], servers::fill_memory),
        fault!("disk-full", Servers, (2.0, 6.0), Never, [Isolation], servers::fill_disk),
        fault!("redis-clock", Servers, (4.0, 8.0), Keys, [Faketime], servers::shift_clocks),
        fault!("failover-planned", Servers, (0.0, 0.0), WithReplicas, [Replicas], failovers::plan),
        fault!("failover-kill", Servers, (0.0, 0.0), WithReplicas, [Replicas], failovers::kill),
        fault!("failover-lag", Servers, (0.5, 2.0), WithReplicas, [Replicas, Isolation], failovers::kill_with_lag),
        fault!("slots-moved", Servers, (2.0, 6.0), Never, [Slots], failovers::move_slots),
        fault!("node-killed", Nodes, (0.2, 4.0), Never, [], nodes::kill),
        fault!("node-stopped", Nodes, (1.0, 10.0), Never, [], nodes::stop),
        fault!("nodes-restarted", Nodes, (0.0, 0.0), Never, [], nodes::restart_in_turn),
        fault!("descriptors", Nodes, (2.0, 6.0), Never, [], nodes::exhaust_descriptors),
        fault!("node-clock", Nodes, (4.0, 8.0), Never, [Faketime], nodes::shift_clock),
        fault!("cut-one-way", Links, (1.0, 8.0), Never, [Links, Isolation], links::cut_one_way),
        fault!("cut-both-ways", Links, (1.0, 8.0), Never, [Links, Isolation], links::cut_both_ways),
        fault!("slow-link", Links, (3.0, 8.0), Never, [Links], links::slow_down),
        fault!("lossy-link", Links, (3.0, 8.0), Never, [Links, Isolation], links::lose_packets),
        fault!("deaf", Links, (2.0, 8.0), Never, [Links], links::deafen),
        Fault { parts: &[Part::Links, Part::Servers], ..overflow },
        fault!("storm", Clients, (0.0, 0.0), Never, [], clients::storm),
        fault!("readers-vanish", Clients, (0.0, 0.0), Never, [], clients::vanish),
        fault!("idle-cut", Clients, (2.0, 6.0), Never, [], clients::cut_idle),
    ]
}
