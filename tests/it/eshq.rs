//! The API of EventSource HQ (contract § 10).

mod absent;
pub mod app;
mod calls;
mod events;
mod limits;
mod old_clients;
mod origins;
mod outages;
mod sockets;
mod streams;

use reqwest::Method;

use crate::support::{Answer, Block, Node, Stream};
use app::App;

/// The keys of most tests: of an app with channels of its own, and of one whose channels are open rooms.
pub const KEYS: (&str, &str) = ("APP_KEYS", "shop:0123456789abcdef,open:fedcba9876543210:");

/// An app whose channels are its own.
const SHOP: App = App { key: "shop", secret: "0123456789abcdef" };

/// An app whose channels are open rooms.
pub const OPEN: App = App { key: "open", secret: "fedcba9876543210" };

/// Returns the path of a socket's stream.
fn path(socket: &str) -> String {
    format!("/eventsource?socket={socket}")
}

/// Opens the stream of a socket, and returns it after its opening.
pub async fn open(node: &Node, socket: &str) -> Stream {
    open_with(node, socket, &[]).await
}

/// Opens the stream of a socket after an event.
pub async fn resume(node: &Node, socket: &str, id: &str) -> Stream {
    open_with(node, socket, &[("Last-Event-ID", id)]).await
}

async fn open_with(node: &Node, socket: &str, headers: &[(&str, &str)]) -> Stream {
    let mut stream = Stream::open(node, &path(socket), headers).await;
    assert_eq!(stream.head.status, 200);
    stream.first().await;
    stream
}

/// Returns the next block that an app sent.
pub async fn next_event(stream: &mut Stream) -> Block {
    loop {
        let block = stream.next_content().await;
        if block.event.as_deref() != Some("ping") {
            return block;
        }
    }
}

/// Posts a form to a socket.
async fn post_to(node: &Node, socket: &str, fields: &[(&str, &str)]) -> Answer {
    node.send(node.request(Method::POST, &format!("/socket/{socket}")).form(fields)).await
}

/// Checks an answer in plain text.
#[track_caller]
fn assert_text(answer: Answer, status: u16, text: &str) {
    let content_type = answer.header("content-type");
    assert_eq!((answer.status, answer.text(), content_type.as_str()), (status, text, "text/plain; charset=utf-8"));
}
