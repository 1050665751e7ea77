//! Blocks of a stream as lines of text, for people who read it in a terminal.
//!
//! A message is `12:01 mason: hi`. Events of the node are lines that begin with `#`, and a heartbeat is an empty line.

use std::fmt::Write;

use serde_json::Value;

use super::event::{Block, Event, Kind};
use super::event_stream::lines_joined;
use crate::chat::{EDIT, Message, TimeZone, push_text_line, visible_line};

/// Appends a block, or nothing if it is not for people.
pub fn push_lines(out: &mut String, block: &Block<'_>, zone: TimeZone) {
    let Event { kind, data, ms } = block.event;
    match kind {
        Kind::Message | Kind::Untyped | Kind::Typed(_) | Kind::Foreign => push_content(out, block, &zone.clock(*ms)),
        Kind::Heartbeat => out.push('\n'),
        Kind::Gap => {
            let gap: Value = serde_json::from_str(data).unwrap_or_default();
            let text = |member: &str| visible_line(gap[member].as_str().unwrap_or("the next message"));
            push_comment(
                out,
                &format!("gap after {}: {}, continues with {}", text("asked"), text("reason"), text("resumed")),
            );
        }
        Kind::Backoff => {
            let backoff: Value = serde_json::from_str(data).unwrap_or_default();
            let reason = backoff["reason"].as_str().unwrap_or_default();
            push_comment(out, &format!("backoff: {reason}, reconnect in {} ms", backoff["retry"]));
        }
        // The opening of a live stream is no news, and neither is the cursor that another one lacked.
        Kind::Status { live: true } if block.retry_ms.is_some() => {}
        Kind::Status { .. } if block.retry_ms.is_none() && block.cursor.is_some() => {}
        Kind::Status { live: true } => push_comment(out, "the message store is back"),
        Kind::Status { live: false } => push_comment(out, "the message store is lost"),
        Kind::Ping | Kind::Presence | Kind::UserJoined | Kind::UserLeft => {}
    }
}

fn push_comment(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# {text}");
}

/// Appends a message, an edit of one, or anything else with its name in place of a sender: it may say of itself what it
/// likes.
fn push_content(out: &mut String, block: &Block<'_>, clock: &str) {
    let Event { kind, data, .. } = block.event;
    let room = block.room.map(|room| format!("#{room} ")).unwrap_or_default();
    let edit = match kind {
        Kind::Message => Some(""),
        Kind::Typed(name) if **name == *EDIT => Some("[edit] "),
        _ => None,
    };
    let message = edit.and_then(|edit| Some((edit, Message::parse(data)?.decoded())));
    match message {
        Some((edit, message)) => {
            push_text_line(out, clock, &format!("{room}{edit}{}:", message.sender), &message.message);
        }
        None => {
            let name = kind.name().unwrap_or("message");
            push_text_line(out, clock, &format!("{room}[{name}]"), &lines_joined(data));
        }
    }
}
