//! The stream of a socket.

use super::{KEYS, SHOP, next_event, open, path, resume};
use crate::support::{Bus, Stream, eventually, on_every_bus};

on_every_bus!(stream_begins_with_a_ping, presence_ids_are_for_the_app_alone);

async fn stream_begins_with_a_ping(bus: Bus) {
    let node = bus.node(&[KEYS]).await;
    let socket = SHOP.socket(&node, "news").await;
    let mut stream = Stream::open(&node, &path(&socket), &[]).await;
    assert_eq!(stream.head.header("content-type"), "text/event-stream; charset=utf-8");
    let first = stream.first().await;
    assert_eq!(first.json()["heartbeat"], 9);
    assert_eq!(stream.next().await.raw, "event: ping\ndata: {}\n\n");
    SHOP.send(&node, "news", "note", "a").await;
    let id = next_event(&mut stream).await.id.expect("an id");
    SHOP.send(&node, "news", "", "b").await;
    let mut stream = resume(&node, &socket, &id).await;
    assert_eq!(stream.next().await.data.as_deref(), Some("b"), "without a ping before");
    let from_query = Stream::open(&node, &format!("{}&last-event-id={id}", path(&socket)), &[]).await;
    let camel = Stream::open(&node, &format!("{}&lastEventId={id}", path(&socket)), &[]).await;
    for mut stream in [from_query, camel] {
        stream.first().await;
        assert_eq!(next_event(&mut stream).await.data.as_deref(), Some("b"));
    }
}

async fn presence_ids_are_for_the_app_alone(bus: Bus) {
    let [node, other] = bus.two_nodes(&[KEYS]).await;
    let users = async |channel: &str, expected: &str| {
        let listed = async || {
            let users = other.get(&SHOP.users(channel)).await.expect(200);
            (users.text() == expected).then_some(())
        };
        eventually(&format!("{expected} in {channel}"), listed).await;
    };
    let mut readers = Vec::new();
    for (node, channel, id) in [
        (&node, "a/b c", "zoë <b>"),
        (&node, "a/b c", "ada"),
        (&other, "a/b c", "ada"),
        (&node, "a/b c", ""),
        (&node, "other", "bob"),
    ] {
        let socket = SHOP.socket_as(node, channel, id).await;
        readers.push(open(node, &socket).await.with_presence());
    }
    users("a%2Fb%20c", "[\"ada\",\"zoë <b>\"]").await;
    users("other", "[\"bob\"]").await;
    users("nobody", "[]").await;
    drop(readers.remove(0));
    users("a%2Fb%20c", "[\"ada\"]").await;
    SHOP.send(&node, "a/b c", "", "last").await;
    for stream in &mut readers[..3] {
        let block = next_event(stream).await;
        assert_eq!(block.data.as_deref(), Some("last"), "no presence before");
    }
}
