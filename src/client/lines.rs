//! The lines that `tiny-chat listen` makes of events.

use chrono::{DateTime, Local, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::chat::{EDIT, Id, push_text_line, to_visible_json, unescape};

/// The form of the lines, and what it needs to know of the events before.
#[derive(Debug)]
pub(super) struct Lines {
    is_json: bool,
    /// Whether the sender and the message come escaped for HTML.
    is_escaped: bool,
    last_id: Option<String>,
}

#[derive(Serialize)]
struct Event<'a> {
    id: Option<&'a str>,
    event: &'a str,
    data: &'a str,
}

impl Lines {
    pub(super) fn new(is_json: bool, is_escaped: bool, since: Option<&str>) -> Self {
        Self { is_json, is_escaped, last_id: since.map(str::to_owned) }
    }

    /// Notes the last id, whether or not its event is shown.
    pub(super) fn on_id(&mut self, id: Option<&str>) {
        self.last_id = id.map(str::to_owned);
    }

    /// Returns the lines of an event, with a line break at their end.
    pub(super) fn of(&self, id: Option<&str>, event: &str, data: &str) -> String {
        if self.is_json {
            // A struct of texts can always be encoded.
            return to_visible_json(&Event { id, event, data }).unwrap_or_default() + "\n";
        }
        let time = self.time_of(id).with_timezone(&Local).format("%H:%M").to_string();
        let mut lines = String::new();
        match self.message(data) {
            Some((sender, text)) => {
                let edit = if event == EDIT { "[edit] " } else { "" };
                push_text_line(&mut lines, &time, &format!("{edit}{sender}:"), &text);
            }
            None => push_text_line(&mut lines, &time, &format!("[{event}]"), data),
        }
        lines
    }

    /// Returns the sender and the text of a message.
    fn message(&self, data: &str) -> Option<(String, String)> {
        let data: Value = serde_json::from_str(data).ok()?;
        let text = |member: &str| {
            let text = data[member].as_str()?;
            Some(if self.is_escaped { unescape(text) } else { text.to_owned() })
        };
        Some((text("sender")?, text("message")?))
    }

    /// Returns the time in the id of an event, or now if it has none of its own: an event without an id has the last one
    /// of the stream. Of several rooms, the event is of the one whose part of the id has changed.
    fn time_of(&self, id: Option<&str>) -> DateTime<Utc> {
        let before: Vec<&str> = self.last_id.iter().flat_map(|id| id.split(',')).collect();
        let parts = id.into_iter().flat_map(|id| id.split(',')).enumerate();
        let changed = parts.filter(|(index, part)| before.get(*index) != Some(part));
        let newest = changed.filter_map(|(_, part)| part.parse::<Id>().ok()).map(|id| id.ms).max();
        let time = newest.and_then(|ms| DateTime::from_timestamp_millis(ms.try_into().ok()?));
        time.unwrap_or_else(Utc::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(is_json: bool, is_escaped: bool) -> Lines {
        Lines::new(is_json, is_escaped, Some("1000-1"))
    }

    /// Returns a line without its time.
    fn shown(lines: &Lines, event: &str, data: &str) -> String {
        lines.of(Some("1361572294000-42"), event, data)[6..].to_owned()
    }

    #[test]
    fn a_message_is_shown_as_it_was_written() {
        let data = r#"{"sender":"O&#x27;Neil","message":"&lt;b&gt; &amp;amp;\n\tx\u001b[31m","key":"k"}"#;
        let decoded = "O'Neil: <b> &amp;\n      \tx\u{fffd}[31m\n";
        assert_eq!(shown(&lines(false, true), "message", data), decoded);
        assert_eq!(shown(&lines(false, true), "note", data), decoded);
        assert_eq!(shown(&lines(false, true), "edit", data), format!("[edit] {decoded}"));
        let plain = shown(&lines(false, false), "message", data);
        assert!(plain.starts_with("O&#x27;Neil: &lt;b&gt;"), "{plain}");
    }

    #[test]
    fn what_has_no_sender_is_shown_with_the_name_of_the_event() {
        for data in ["{\"count\":3}", "plain \u{9b}31m &amp;", "{\"sender\":\"a\"}", "{\"sender\":1,\"message\":\"x\"}"]
        {
            let expected = format!("[note] {}\n", data.replace('\u{9b}', "\u{fffd}"));
            assert_eq!(shown(&lines(false, true), "note", data), expected);
        }
        assert_eq!(shown(&lines(false, true), "a\u{7}\nb", ""), "[a\u{fffd}\u{fffd}b] \n");
    }

    #[test]
    fn json_has_the_data_as_it_came() {
        let line = lines(true, true).of(None, "message", "a\u{1b}\u{7f}\u{9b}\n&amp;\"é");
        assert_eq!(line, "{\"id\":null,\"event\":\"message\",\"data\":\"a\\u001b\\u007f\\u009b\\n&amp;\\\"é\"}\n");
        assert!(lines(true, true).of(Some("1-2"), "x", "").starts_with("{\"id\":\"1-2\",\"event\":\"x\""));
    }

    #[test]
    fn the_time_is_that_of_the_id_if_the_event_has_one_of_its_own() {
        let ms = |last: Option<&str>, id: &str| {
            let time = Lines::new(false, true, last).time_of(Some(id));
            let is_now = (Utc::now() - time).num_seconds() < 60;
            (!is_now).then(|| time.timestamp_millis())
        };
        assert_eq!(ms(Some("1000-1"), "2000-2"), Some(2000));
        assert_eq!(ms(None, "2000-2"), Some(2000));
        assert_eq!(ms(Some("2000-2"), "2000-2"), None, "a foreign publish comes without an id");
        assert_eq!(ms(Some("9000-5,1000-1,0-0"), "9000-5,2000-2,0-0"), Some(2000), "of the room that it is of");
        assert_eq!(ms(None, "plop"), None);
    }
}
