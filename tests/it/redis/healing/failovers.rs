//! A replica takes the place of its master, and lacks what was written last.

use std::{collections::HashSet, sync::Arc};

use reqwest::Method;

use super::{HEAL_OFF, restored, stored_ids};
use crate::{
    redis::{
        load::{Collected, Load, ids_in_log, lost},
        post_until_accepted,
    },
    support::{Node, Redis, Sentinels, Stream, eventually, halves},
};

const PASSWORD: &str = "correct horse battery staple";

/// How the master is replaced.
#[derive(Clone, Copy)]
enum Failover {
    Planned,
    Killed,
}

impl Failover {
    /// Replaces the master, and returns the new one.
    async fn perform(self, sentinels: &Sentinels) -> &Redis {
        match self {
            Failover::Planned => sentinels.failover().await,
            Failover::Killed => {
                let old = sentinels.kill_master().await;
                sentinels.wait_for_switch(old).await
            }
        }
    }
}

/// Starts two nodes on Sentinels.
async fn two_nodes(sentinels: &Sentinels, environment: &[(&str, &str)]) -> [Arc<Node>; 2] {
    let url = sentinels.url();
    let common = [("REDIS_URL", url.as_str()), ("HEARTBEAT", "1"), ("HISTORY", "100000")];
    let environment = [&common, environment].concat();
    let start = async || Arc::new(Node::start(&environment).await);
    [start().await, start().await]
}

/// Replaces a master whose replica has not followed for two seconds, under load and with a reader at each node. Returns
/// how many of the posts that were taken are lost.
async fn lost_in(failover: Failover, environment: &[(&str, &str)]) -> usize {
    let is_healing = !environment.contains(&HEAL_OFF);
    let sentinels = Sentinels::start(3, 1).await;
    let nodes = two_nodes(&sentinels, environment).await;
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(Collected::start(node, "lobby").await);
    }
    let load = Load::start(&nodes, "lobby");
    load.wait_for(100).await;
    let [master, replica] = sentinels.servers() else {
        panic!("two servers")
    };
    replica.stop_following(master).await;
    load.wait_for(160).await; // the first of them may have reached the replica
    let new = failover.perform(&sentinels).await;
    load.wait_for(100).await;
    let taken = load.stop().await;
    let last = post_until_accepted(&nodes[0], "the last one").await;
    let stored = ids_in_log(new, "lobby").await;
    for stream in streams {
        stream.assert_nothing_lost(&last, &taken, &stored, is_healing).await;
    }
    let count = restored(&[&nodes[0], &nodes[1]]).await;
    assert_eq!(count >= 150.0, is_healing, "{count} restored entries");
    lost(&taken, &stored).len()
}

#[tokio::test]
async fn planned_failover_loses_nothing_with_readers() {
    assert_eq!(lost_in(Failover::Planned, &[]).await, 0);
}

#[tokio::test]
async fn killed_master_loses_nothing_with_readers() {
    assert_eq!(lost_in(Failover::Killed, &[]).await, 0);
}

/// What the two tests above would find otherwise.
#[tokio::test]
async fn failovers_lose_messages_where_healing_is_off() {
    for failover in [Failover::Planned, Failover::Killed] {
        let lost = lost_in(failover, &[HEAL_OFF]).await;
        assert!(lost >= 150, "{lost} were lost");
    }
}

/// Without readers both nodes have what they acknowledged themselves, alternately.
#[tokio::test]
async fn killed_master_loses_nothing_without_readers() {
    let sentinels = Sentinels::start(3, 1).await;
    let nodes = two_nodes(&sentinels, &[]).await;
    let [master, replica] = sentinels.servers() else {
        panic!("two servers")
    };
    let mut ids = nodes[0].fill("lobby", 5).await;
    in_sync(master, replica).await;
    replica.stop_following(master).await;
    for number in 0..20 {
        ids.push(nodes[number % 2].post("lobby", "mason", "hi").await);
    }
    let new = Failover::Killed.perform(&sentinels).await;
    let next = post_until_accepted(&nodes[0], "after").await;
    ids.push(next);
    assert_eq!(stored_ids(&nodes[1], "lobby").await, ids);
    assert_eq!(ids_in_log(new, "lobby").await, HashSet::from_iter(ids));
}

/// The replica has the message and not its deletion.
#[tokio::test]
async fn deletion_that_a_failover_loses_is_made_again() {
    let sentinels = Sentinels::start(3, 1).await;
    let nodes = two_nodes(&sentinels, &[("ADMIN_PASSWORD", PASSWORD)]).await;
    let mut reader = Stream::live(&nodes[1], "lobby").await;
    let ids = nodes[0].fill("lobby", 3).await;
    let [master, replica] = sentinels.servers() else {
        panic!("two servers")
    };
    in_sync(master, replica).await;
    replica.stop_following(master).await;
    let path = format!("/history/lobby/{}", ids[1]);
    nodes[0]
        .send(nodes[0].request(Method::DELETE, &path).basic_auth("me", Some(PASSWORD)))
        .await
        .expect(200);
    assert_eq!(reader.next_ids(3).await, ids);
    assert_eq!(reader.next_content().await.event.as_deref(), Some("delete"));
    let new = Failover::Killed.perform(&sentinels).await;
    let next = post_until_accepted(&nodes[0], "after").await;
    assert_eq!(halves(&next).1, 5);
    assert_eq!(reader.next_message().await.id, next);
    assert_eq!(stored_ids(&nodes[0], "lobby").await, [&ids[..1], &ids[2..], &[next]].concat());
    assert!(!ids_in_log(new, "lobby").await.contains(&ids[1]));
    nodes[1].get(&path).await.problem(404);
}

/// Waits until a replica has all that its master has.
async fn in_sync(master: &Redis, replica: &Redis) {
    let position = async |server: &Redis, field: &str| -> Option<String> {
        let info: String = server.cmd(&["INFO", "replication"]).await;
        info.lines().find_map(|line| line.strip_prefix(field).map(str::to_owned))
    };
    eventually("a replica in sync", async || {
        let (there, here) =
            (position(master, "master_repl_offset:").await, position(replica, "slave_repl_offset:").await);
        (there.is_some() && there == here).then_some(())
    })
    .await;
}
