//! An independent parser of event streams, after WHATWG HTML § 9.2.6, "Interpreting an event stream".

/// An event that a browser would dispatch.
#[derive(Debug, PartialEq)]
pub struct Event {
    pub kind: String,
    pub data: String,
    pub last_id: String,
}

/// A parsed stream.
#[derive(Debug, Default)]
pub struct ParsedStream {
    pub events: Vec<Event>,
    /// The id from which a client would resume.
    pub last_id: String,
    /// The last retry delay, in milliseconds.
    pub retry: Option<u64>,
    kind: String,
    data: String,
    id: String,
}

/// Parses a whole stream; a block that no blank line ends is discarded.
pub fn parse(stream: &[u8]) -> ParsedStream {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let text = String::from_utf8_lossy(stream);
    let mut parsed = ParsedStream::default();
    let mut rest = &*text;
    while let Some(end) = rest.find(['\r', '\n']) {
        parsed.line(&rest[..end]);
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    parsed
}

impl ParsedStream {
    fn line(&mut self, line: &str) {
        match line.split_once(':') {
            _ if line.is_empty() => self.dispatch(),
            Some(("", _)) => {}
            Some((field, value)) => self.field(field, value.strip_prefix(' ').unwrap_or(value)),
            None => self.field(line, ""),
        }
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => self.kind = value.to_owned(),
            "data" => self.data.extend([value, "\n"]),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if value.bytes().all(|b| b.is_ascii_digit()) => self.retry = value.parse().ok().or(self.retry),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_id.clone_from(&self.id);
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if let Some(data) = data.strip_suffix('\n') {
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            self.events.push(Event { kind, data: data.to_owned(), last_id: self.last_id.clone() });
        }
    }
}
