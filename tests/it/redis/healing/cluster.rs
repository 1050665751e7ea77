//! A replica takes the place of one of the masters of a cluster, and lacks what was written last.

use std::sync::Arc;

use super::{HEAL_OFF, restored};
use crate::{
    redis::{
        load::{Collected, Load, ids_in_log, lost},
        post_until_accepted_in,
    },
    support::{Cluster, Node},
};

/// Kills the first master, whose replica has not followed for a while, under load and with a reader at each node. Returns
/// how many of the posts that were taken are lost.
async fn lost_with_a_master(environment: &[(&str, &str)]) -> usize {
    let is_healing = !environment.contains(&HEAL_OFF);
    let cluster = Cluster::with_replicas(3).await;
    let (url, room) = (cluster.url(), cluster.room_at(0, 0).await);
    let common = [("REDIS_URL", url.as_str()), ("HEARTBEAT", "1"), ("HISTORY", "100000")];
    let environment = [&common, environment].concat();
    let nodes = [Arc::new(Node::start(&environment).await), Arc::new(Node::start(&environment).await)];
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(Collected::start(node, &room).await);
    }
    let load = Load::start(&nodes, &room);
    load.wait_for(100).await;
    cluster.servers()[3].stop_following(&cluster.servers()[0]).await;
    load.wait_for(110).await; // the first of them may have reached the replica
    cluster.kill_master(0);
    assert_eq!(cluster.wait_for_promotion(0).await, 3);
    load.wait_for(100).await;
    let taken = load.stop().await;
    let last = post_until_accepted_in(&room, &nodes[0], "the last one").await;
    let stored = ids_in_log(&cluster.servers()[3], &room).await;
    for stream in streams {
        stream.assert_nothing_lost(&last, &taken, &stored, is_healing).await;
    }
    assert_eq!(restored(&[&nodes[0], &nodes[1]]).await >= 100.0, is_healing);
    lost(&taken, &stored).len()
}

#[tokio::test]
async fn killed_cluster_master_loses_nothing_with_readers() {
    assert_eq!(lost_with_a_master(&[]).await, 0);
}

/// What the test above would find otherwise.
#[tokio::test]
async fn killed_cluster_master_loses_messages_without_healing() {
    let lost = lost_with_a_master(&[HEAL_OFF]).await;
    assert!(lost >= 100, "{lost} were lost");
}
