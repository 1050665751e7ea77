//! The subscriptions of nodes on a cluster: sharded, over one connection to each master that has rooms of theirs.

use crate::{
    redis::{
        HEARTBEAT,
        cluster::{rooms_of, start_two},
    },
    support::{Cluster, DEADLINE, Node, Proxy, Stream, eventually, key, within},
};

/// Returns the subscribing connections to a master, as `CLIENT LIST` describes them.
async fn subscribers(cluster: &Cluster, master: usize) -> Vec<String> {
    let list: String = cluster.cmd_at(master, &["CLIENT", "LIST", "TYPE", "pubsub"]).await;
    list.lines().map(str::to_owned).collect()
}

/// Returns the number in one of the columns of `CLIENT LIST`.
fn column(client: &str, name: &str) -> u32 {
    let number = client.split(' ').find_map(|column| column.strip_prefix(name)?.strip_prefix('='));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {client}"))
}

#[tokio::test]
async fn each_master_with_rooms_has_one_subscriber_for_each_node() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    let mut readers = Vec::new();
    for (master, number) in [(0, 0), (0, 1), (0, 2), (1, 0)] {
        let room = cluster.room_at(master, number).await;
        for node in &nodes {
            readers.push(Stream::live(node, &room).await);
        }
        let channels: Vec<String> = cluster.cmd_at(master, &["PUBSUB", "SHARDCHANNELS"]).await;
        assert!(channels.contains(&key(&room)), "{channels:?}");
        let (_, nodes): (String, u64) = cluster.cmd_at(master, &["PUBSUB", "SHARDNUMSUB", &key(&room)]).await;
        assert_eq!(nodes, 2);
    }
    for (master, rooms) in [(0, 3), (1, 1)] {
        let clients = subscribers(&cluster, master).await;
        assert_eq!(clients.len(), 2, "{clients:?}");
        for client in &clients {
            assert!(column(client, "sub") == 0 && column(client, "psub") == 0, "{client}");
            assert!(column(client, "ssub") >= rooms, "{client}");
        }
    }
    eventually("a master without rooms and without subscribers", async || {
        subscribers(&cluster, 2).await.is_empty().then_some(())
    })
    .await;
    drop(readers);
    for master in [0, 1] {
        eventually("the end of the subscriptions", async || {
            let channels: Vec<String> = cluster.cmd_at(master, &["PUBSUB", "SHARDCHANNELS"]).await;
            channels.iter().all(|channel| !channel.contains("room-")).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn lost_subscriptions_of_a_master_are_renewed() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    let rooms = rooms_of(&cluster).await;
    let mut readers = Vec::new();
    for room in &rooms {
        readers.push([Stream::live(&nodes[0], room).await, Stream::live(&nodes[1], room).await]);
    }
    for round in 0..6 {
        let master = round % 3;
        let _: u64 = cluster.cmd_at(master, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        for (room, readers) in rooms.iter().zip(&mut readers) {
            let ids = nodes[round % 2].fill(room, 2).await;
            for reader in readers {
                assert_eq!(reader.next_ids(2).await, ids, "{room} in round {round}");
            }
        }
    }
}

/// A connection that brings no announcements is found by what a node sends to itself, at each master.
#[tokio::test]
async fn deaf_connections_to_a_master_are_renewed() {
    let cluster = Cluster::start(1).await;
    let proxy = Proxy::to(cluster.servers()[0].address()).await;
    let port = proxy.address().port().to_string();
    let _: String = cluster.cmd_at(0, &["CONFIG", "SET", "cluster-announce-port", &port]).await;
    let url = format!("redis-cluster://{}", proxy.address());
    let node = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let first = node.post("lobby", "mason", "heard").await;
    assert_eq!(reader.next_message().await.id, first);
    proxy.lose_announcements();
    let ids = node.fill("lobby", 3).await;
    assert_eq!(within(DEADLINE, "what was missed", reader.next_ids(3)).await, ids);
    node.logged("sends no announcements").await;
    let next = node.post("lobby", "mason", "and live again").await;
    assert_eq!(reader.next_message().await.id, next);
}
