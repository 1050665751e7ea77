//! A cluster: each room is at one of its masters, and each node subscribes there. Any node passes on what any other
//! node, or another program, has sent.

mod moves;
mod outages;
mod subscriptions;

use reqwest::Method;
use serde_json::json;

use super::{HEARTBEAT, post_until_accepted_in};
use crate::support::{Certificates, Cluster, Node, Program, Redis, Stream, eventually};

/// Starts two nodes on a cluster.
async fn start_two(cluster: &Cluster) -> [Node; 2] {
    let url = cluster.url();
    let environment = [("REDIS_URL", url.as_str()), HEARTBEAT, ("HISTORY", "10000")];
    [Node::start(&environment).await, Node::start(&environment).await]
}

/// Returns a room at each of three masters.
async fn rooms_of(cluster: &Cluster) -> [String; 3] {
    [cluster.room_at(0, 0).await, cluster.room_at(1, 0).await, cluster.room_at(2, 0).await]
}

#[tokio::test]
async fn rooms_of_all_masters_are_shared_by_two_nodes() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    for room in rooms_of(&cluster).await {
        let mut readers = [Stream::live(&nodes[0], &room).await, Stream::live(&nodes[1], &room).await];
        let ids = [nodes[0].fill(&room, 3).await, nodes[1].fill(&room, 3).await].concat();
        for reader in &mut readers {
            assert_eq!(reader.next_ids(6).await, ids);
        }
        assert_eq!(Stream::resume(&nodes[1], &room, &ids[2]).await.next_ids(3).await, ids[3..]);
        assert_eq!(nodes[0].stored(&room).await.len(), 6);
    }
    let keys = cluster.keys("chat:*").await;
    assert!(keys.len() > 3, "{keys:?}");
}

#[tokio::test]
async fn merged_rooms_can_be_at_different_masters() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    let rooms = rooms_of(&cluster).await;
    let mut reader = Stream::live(&nodes[0], &rooms.join(",")).await;
    for room in &rooms {
        nodes[1].post(room, "mason", room).await;
        assert_eq!(reader.next_message().await.message, *room);
    }
}

/// `SPUBLISH` on a cluster is what `PUBLISH` is on one server.
#[tokio::test]
async fn spublish_of_another_program_is_passed_on() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    for room in rooms_of(&cluster).await {
        let mut readers = [Stream::live(&nodes[0], &room).await, Stream::live(&nodes[1], &room).await];
        let payload = r#"{"sender":"cron","message":"backup done"}"#;
        assert_eq!(cluster.publish(&room, payload).await, 2, "each node has one subscription");
        for reader in &mut readers {
            assert_eq!(reader.next().await.raw, format!("data: {payload}\n\n"));
        }
    }
}

/// The servers are known by a name, which their certificate is for.
#[tokio::test]
async fn clusters_are_reached_over_tls() {
    let certificates = Certificates::write();
    let tls = certificates.options();
    let named = ["--tls-cluster", "yes", "--cluster-announce-hostname", "localhost"];
    let by_name = ["--cluster-preferred-endpoint-type", "hostname"];
    let options = named.into_iter().chain(by_name).chain(tls.iter().map(String::as_str));
    let cluster = Cluster::of(Program::Redis, 3, 0, &options.collect::<Vec<_>>()).await;
    let (_, port): (String, u16) = cluster.cmd_at(0, &["CONFIG", "GET", "tls-port"]).await;
    let (url, ca) = (format!("rediss-cluster://localhost:{port}"), certificates.file("ca.pem"));
    let environment = [("REDIS_URL", url.as_str()), ("REDIS_CA", &ca)];
    let nodes = [Node::start(&environment).await, Node::start(&environment).await];
    for room in rooms_of(&cluster).await {
        let mut reader = Stream::live(&nodes[0], &room).await;
        let id = nodes[1].post(&room, "mason", "over TLS").await;
        assert_eq!(reader.next_message().await.id, id);
    }
}

#[tokio::test]
async fn a_node_starts_with_the_servers_of_its_url_that_live() {
    let cluster = Cluster::start(3).await;
    let room = cluster.room_at(2, 0).await;
    cluster.kill_master(0);
    let node = Node::start(&[("REDIS_URL", &cluster.url())]).await;
    let mut reader = Stream::live(&node, &room).await;
    let id = post_until_accepted_in(&room, &node, "hi").await;
    assert_eq!(reader.next_message().await.id, id);
}

/// A node keeps a connection for announcements although it has no room.
#[tokio::test]
async fn a_lost_cluster_is_noticed_by_a_node_without_streams() {
    let cluster = Cluster::start(3).await;
    let node = Node::start(&[("REDIS_URL", &cluster.url()), ("APP_KEYS", "shop:0123456789abcdef")]).await;
    let room = cluster.room_at(1, 0).await;
    drop(Stream::live(&node, &room).await);
    (0..3).for_each(|index| cluster.kill_master(index));
    eventually("a lost store", async || {
        node.get("/readyz").await.expect(200).text().contains("unreachable").then_some(())
    })
    .await;
    assert_eq!(node.send(node.request(Method::HEAD, "/status")).await.status, 500);
}

#[tokio::test]
async fn cluster_urls_with_a_database_end_the_start() {
    let exited = Node::run_to_exit(&[("REDIS_URL", "redis-cluster://127.0.0.1:7000/2")], &[]).await;
    assert!(!exited.status.success() && exited.output.contains("database"), "{}", exited.output);
}

/// Redis 6 has no sharded Pub/Sub.
#[tokio::test]
async fn redis_6_clusters_end_the_start() {
    let cluster = Cluster::of(Program::Redis6, 3, 0, &[]).await;
    let exited = Node::run_to_exit(&[("REDIS_URL", &cluster.url())], &[]).await;
    assert!(!exited.status.success() && exited.output.contains("needs Redis 7.0"), "{}", exited.output);
}

#[tokio::test]
async fn one_server_behind_a_cluster_url_is_named() {
    let redis = Redis::start().await;
    let node = Node::launch(&[("REDIS_URL", &redis.url().replace("redis:", "redis-cluster:"))]).await;
    let line = node.logged("cause=").await;
    assert!(line.contains("cluster") && line.contains(&redis.address().to_string()), "{line}");
    node.get("/readyz").await.expect(503);
    node.publish("lobby", json!({ "message": "hi" })).await.problem(503);
}
