//! What a client of each kind of server keeps of its stream to continue after it: for most the last id, as an
//! EventSource does by itself; for some more, which takes a script.

use serde_json::Value;

use crate::hubs::{kind::Kind, stream::StreamEvent};

/// Where a client continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last id or offset.
    pub id: Option<String>,
    /// The life of the log to which the offset belongs (Centrifugo).
    pub epoch: Option<String>,
    /// The session that is recovered (Socket.IO).
    pub session: Option<String>,
}

/// What an event means besides the message that it may contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The stream is live from here on.
    pub is_live: bool,
    /// The server says that messages before this are missing.
    pub is_loss: bool,
}

impl Position {
    /// Moves behind an event.
    pub fn advance(&mut self, kind: Kind, event: &StreamEvent) -> Meaning {
        match kind {
            Kind::Centrifugo => self.advance_centrifugo(event),
            Kind::SocketIo => self.advance_socket_io(event),
            Kind::DurableStreams => {
                let control: Value = serde_json::from_str(&event.data).unwrap_or_default();
                if let Some(offset) = control["streamNextOffset"].as_str() {
                    self.id = Some(offset.to_owned());
                }
                Meaning { is_live: control["upToDate"] == true, is_loss: false }
            }
            _ => {
                if event.id.is_some() {
                    self.id.clone_from(&event.id);
                }
                Meaning {
                    is_live: kind != Kind::Ours || event.name == "status" && event.data.contains(r#""live":true"#),
                    is_loss: matches!((kind, &*event.name), (Kind::Ours, "gap") | (Kind::AnyCable, "reject_history")),
                }
            }
        }
    }

    fn advance_centrifugo(&mut self, event: &StreamEvent) -> Meaning {
        let push: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let mut meaning = Meaning::default();
        let subscriptions = push["connect"]["subs"].as_object().into_iter().flatten();
        for (_, state) in subscriptions {
            meaning.is_live = true;
            meaning.is_loss = state["was_recovering"] == true && state["recovered"] != true;
            self.note_offset(state);
            state["publications"]
                .as_array()
                .into_iter()
                .flatten()
                .for_each(|publication| self.note_offset(publication));
        }
        self.note_offset(&push["pub"]);
        meaning
    }

    /// Keeps the offset and the epoch of a publication or a subscription. An offset of 0 is left out on the wire.
    fn note_offset(&mut self, state: &Value) {
        if state.is_object() {
            self.id = Some(state["offset"].as_u64().unwrap_or_default().to_string());
        }
        if let Some(epoch) = state["epoch"].as_str() {
            self.epoch = Some(epoch.to_owned());
        }
    }

    fn advance_socket_io(&mut self, event: &StreamEvent) -> Meaning {
        if let Some(connected) = event.data.strip_prefix("40") {
            let connected: Value = serde_json::from_str(connected).unwrap_or_default();
            let session = connected["pid"].as_str().map(str::to_owned);
            let is_loss = self.session.is_some() && self.session != session;
            self.session = session;
            return Meaning { is_live: true, is_loss };
        }
        let members: Value =
            event.data.strip_prefix("42").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        if let Some(offset) = members[2].as_str() {
            self.id = Some(offset.to_owned());
        }
        Meaning::default()
    }
}
