//! A bot that answers `!time` in a room: `cargo run --example bot http://localhost:8080 everyone`.

#![expect(clippy::print_stderr, reason = "its log")]

use std::error::Error;

use chrono::Utc;
use serde_json::Value;
use tiny_chat::client::{Happened, Publisher, Source};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chat = arguments.next().unwrap_or("http://localhost:8080".to_owned());
    let room = arguments.next().unwrap_or("everyone".to_owned());
    let publisher = Publisher::to(format!("{chat}/{room}"))?.sender("bot");
    let mut source = Source::get(format!("{chat}/subscribe/{room}")).open();
    while let Some(happened) = source.next().await {
        match happened {
            Happened::Event { id: Some(id), event, data } if event == "message" => {
                let message: Value = serde_json::from_str(&data).unwrap_or_default();
                if message["message"] == "!time" {
                    let answer = format!("It is {} UTC.", Utc::now().format("%H:%M"));
                    // With a key of the question, it is answered once, however many bots there are.
                    if let Err(error) = publisher.publish(&answer, Some(&format!("time-{id}"))).await {
                        eprintln!("{error}");
                    }
                }
            }
            Happened::Error(text) => eprintln!("{text}"),
            _ => {}
        }
    }
    Err("closed by the server".into())
}
