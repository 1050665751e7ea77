//! reqwest-eventsource, not closed at an error: it comes back by itself.

use futures::StreamExt;
use reqwest_eventsource::{Event, EventSource};
use tiny_chat_clients::{address, report};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut source = EventSource::get(address());
    while let Some(event) = source.next().await {
        match event {
            Ok(Event::Message(message)) if message.event == "message" => report(&message.id, &message.data),
            _ => {}
        }
    }
}
