//! Masters of a cluster that die: the rooms of the others are undisturbed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    redis::{
        cluster::{rooms_of, start_two},
        post_until_accepted_in,
    },
    support::{Cluster, Node, Stream, eventually, key, within},
};

/// How long the rooms of other masters are watched.
const WATCHED: Duration = Duration::from_secs(4);

/// How long posts may be refused once a replica has been promoted.
const MAX_RECOVERY: Duration = Duration::from_secs(5);

/// Posts to rooms again and again, and checks that each message comes at once and nothing else does.
async fn assert_undisturbed(nodes: &[Node; 2], rooms: &[String], readers: &mut [Stream]) {
    let started = Instant::now();
    while started.elapsed() < WATCHED {
        for (room, reader) in rooms.iter().zip(&mut *readers) {
            let posted = Instant::now();
            let id = nodes[0].post(room, "mason", "undisturbed").await;
            loop {
                let block = within(Duration::from_secs(2), "the message", reader.next()).await;
                if block.event.as_deref() != Some("heartbeat") {
                    assert_eq!(block.message().id, id, "{room}");
                    break;
                }
            }
            assert!(posted.elapsed() < Duration::from_secs(2), "{room}: {:?}", posted.elapsed());
        }
    }
}

#[tokio::test]
async fn killed_master_disturbs_no_rooms_of_others() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    let rooms = rooms_of(&cluster).await;
    let mut of_the_killed = Stream::live(&nodes[1], &rooms[0]).await;
    let mut others = [Stream::live(&nodes[1], &rooms[1]).await, Stream::live(&nodes[1], &rooms[2]).await];
    for room in &rooms {
        nodes[0].post(room, "mason", "before").await;
    }
    of_the_killed.next_message().await;
    for reader in &mut others {
        reader.next_message().await;
    }
    cluster.kill_master(0);
    of_the_killed.expect_status(false).await;
    let refused = async {
        for node in &nodes {
            let started = Instant::now();
            node.publish(&rooms[0], json!({ "message": "into the void" })).await.problem(503);
            assert!(started.elapsed() < Duration::from_secs(2), "an answer after {:?}", started.elapsed());
            node.get(&format!("/history/{}", rooms[0])).await.problem(503);
            node.get("/readyz").await.expect(200);
        }
    };
    tokio::join!(refused, assert_undisturbed(&nodes, &rooms[1..], &mut others));
}

#[tokio::test]
async fn rooms_of_a_killed_master_come_back_with_its_replica() {
    let cluster = Cluster::with_replicas(3).await;
    let nodes = start_two(&cluster).await;
    let rooms = rooms_of(&cluster).await;
    let mut readers = [Stream::live(&nodes[0], &rooms[0]).await, Stream::live(&nodes[1], &rooms[0]).await];
    let mut others = [Stream::live(&nodes[1], &rooms[1]).await, Stream::live(&nodes[1], &rooms[2]).await];
    let before = nodes[0].fill(&rooms[0], 3).await;
    for reader in &mut readers {
        assert_eq!(reader.next_ids(3).await, before);
    }
    replicate(&cluster, &rooms[0]).await;
    cluster.kill_master(0);
    for reader in &mut readers {
        reader.expect_status(false).await;
    }
    let promoted = async {
        cluster.wait_for_promotion(0).await;
        let decided = Instant::now();
        let id = post_until_accepted_in(&rooms[0], &nodes[1], "after").await;
        assert!(decided.elapsed() < MAX_RECOVERY, "{:?} after the promotion", decided.elapsed());
        for reader in &mut readers {
            assert_eq!(reader.next_message().await.id, id, "neither a gap nor a loss");
        }
    };
    tokio::join!(promoted, assert_undisturbed(&nodes, &rooms[1..], &mut others));
    let id = nodes[0].post(&rooms[0], "mason", "live").await;
    for reader in &mut readers {
        assert_eq!(reader.next_message().await.id, id);
    }
}

/// Waits until the replica of a room's master has all that the master has.
async fn replicate(cluster: &Cluster, room: &str) {
    let master = cluster.master_of(&key(room)).await;
    eventually("a replica with all messages", async || {
        let info: String = cluster.cmd_at(master, &["INFO", "replication"]).await;
        let number = |name: &str| info.split(['\r', '\n', ',']).find_map(|part| part.strip_prefix(name));
        (number("master_repl_offset:")? == number("offset=")?).then_some(())
    })
    .await;
}
