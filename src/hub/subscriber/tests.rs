use futures_util::FutureExt;

use super::*;
use crate::chat::{Draft, EventType};
use crate::hub::test_node::Node;
use crate::metrics::Metrics;

/// How much a message has; the socket takes less.
const MESSAGE_BYTES: usize = 50_000;

/// Publishes large messages in the room of a source.
async fn publish_large(node: &Node, source: &Source, count: usize) {
    for _ in 0..count {
        let draft = Draft::event(EventType::parse("").unwrap(), "x".repeat(MESSAGE_BYTES), None).unwrap();
        node.hub.publish(source.room(0).name(), &draft, None, Instant::now()).await.unwrap();
    }
}

#[tokio::test]
async fn no_batch_is_held_while_the_socket_is_full() {
    let node = Node::new();
    let source = node.enter_many(1).await.remove(0);
    publish_large(&node, &source, 20).await;
    let catch_ups = Rc::new(CatchUps::new(&Metrics::new().unwrap()));
    let (mut subscriber, _client) = node.subscriber(source, catch_ups.clone()).await;
    subscriber.start(&Start::Newest(20), &PresenceRequest::default()).await.unwrap();
    {
        let mut catching_up = pin!(subscriber.catch_up());
        for _ in 0..100 {
            assert!(catching_up.as_mut().now_or_never().is_none(), "nobody reads");
            assert_eq!(catch_ups.last_batch_holders(), 1, "only what serves the next one holds it");
            yield_now().await;
        }
    }
    assert!(!subscriber.writer.is_flushed(), "the socket was never full");
}
