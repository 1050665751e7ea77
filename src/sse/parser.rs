//! A client's parser of event streams, for tests: it reads back what the encoder wrote.

use proptest::prelude::*;

/// An event as a client dispatches it.
#[derive(Debug, PartialEq)]
pub struct Dispatched {
    pub event: String,
    pub data: String,
    pub last_event_id: String,
}

/// Interprets a stream after WHATWG HTML § 9.2.6, "Interpreting an event stream".
pub fn parse(stream: &[u8]) -> Vec<Dispatched> {
    let text = String::from_utf8(stream.to_vec()).unwrap();
    let text = normalize_line_ends(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let (mut events, mut data, mut event, mut id) = (Vec::new(), String::new(), String::new(), String::new());
    for line in text.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let data = std::mem::take(&mut data);
                let event = std::mem::take(&mut event);
                if let Some(data) = data.strip_suffix('\n') {
                    let event = if event.is_empty() { "message".to_owned() } else { event };
                    events.push(Dispatched { event, data: data.to_owned(), last_event_id: id.clone() });
                }
            }
            "event" => event = value.to_owned(),
            "data" => data.extend([value, "\n"]),
            "id" if !value.contains('\0') => id = value.to_owned(),
            _ => {}
        }
    }
    events
}

/// Replaces CRLF and CR with LF.
pub fn normalize_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Generates text that tries to be more than one line of one field.
pub fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r"),
        Just("\n"),
        Just("\r\n"),
        Just("\0"),
        Just("\u{feff}"),
        Just("\u{2028}"),
        Just("id: 9-9"),
        Just("data: x"),
        Just("event: gap"),
        Just(": "),
        Just("é😀"),
    ];
    prop_oneof![prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()), any::<String>()]
}
