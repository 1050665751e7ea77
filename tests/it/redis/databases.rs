//! Two installations on two databases of one Redis, with the same prefix: Pub/Sub knows no databases, so each hears the
//! announcements of the other (contract § 6).

use crate::support::{Node, Redis, Stream};

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
