//! Two installations on one Redis. A prefix separates them; a database does not: Pub/Sub knows none, so each hears the
//! announcements of the other (contract § 6).

use crate::support::{Node, Redis, Stream, halves};

/// Each passes on what its own log has, as long as the numbers differ: there is a warning at the start about the rest.
#[tokio::test]
async fn announcement_of_another_database_is_not_passed_on() {
    let redis = Redis::start().await;
    let (one, two) = (format!("{}/1", redis.url()), format!("{}/2", redis.url()));
    let nodes = [Node::start(&[("REDIS_URL", &one)]).await, Node::start(&[("REDIS_URL", &two)]).await];
    // The numbers of the one are always ahead of those of the other, but never the next.
    nodes[0].fill("lobby", 5).await;
    nodes[1].fill("lobby", 1).await;
    let mut streams = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby").await];
    let mut sent = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (node, sent) in nodes.iter().zip(&mut sent).rev() {
            sent.push(node.post("lobby", "mason", "hi").await);
        }
    }
    for (stream, sent) in streams.iter_mut().zip(&sent) {
        assert_eq!(stream.next_ids(sent.len()).await, *sent, "only its own messages, and no gap");
    }
}

/// Pub/Sub ignores the number of the database.
#[tokio::test]
async fn a_database_without_a_prefix_is_warned_of() {
    let redis = Redis::start().await;
    let url = format!("{}/1", redis.url());
    Node::start(&[("REDIS_URL", &url)]).await.logged("set REDIS_PREFIX").await;
    let node = Node::start(&[("REDIS_URL", &url), ("REDIS_PREFIX", "staging")]).await;
    assert!(!node.log().contains("REDIS_PREFIX"), "{}", node.log());
}

/// "`chat` is `REDIS_PREFIX`, because pub/sub ignores the database number".
#[tokio::test]
async fn nodes_of_two_prefixes_on_one_redis_share_nothing() {
    let redis = Redis::start().await;
    let (ours, theirs) = (Node::on(&redis, &[]).await, Node::on(&redis, &[("REDIS_PREFIX", "staging")]).await);
    let mut reader = Stream::live(&ours, "lobby").await;
    theirs.post("lobby", "mason", "over there").await;
    let id = ours.post("lobby", "mason", "here").await;
    assert_eq!(reader.next_message().await.id, id);
    assert_eq!(halves(&id).1, 1);
    let mut keys: Vec<String> = redis.cmd(&["KEYS", "*"]).await;
    let of_the_reader =
        ["chat:{lobby}:present", "chat:present", "chat:streams:{limits}:127.0.0.1", "chat:processes:{limits}"];
    keys.retain(|key| !of_the_reader.contains(&key.as_str()));
    keys.sort();
    assert_eq!(keys, ["chat:{lobby}", "staging:{lobby}"]);
}
