//! Decodes what a server sends on a stream: the head of the response, chunks or frames of a WebSocket, and events.

/// An event of an event stream, or a text frame of a WebSocket as its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEvent {
    pub name: String,
    pub id: Option<String>,
    pub data: String,
    /// The delay before a reconnect, in milliseconds.
    pub retry: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Chunked,
    Plain,
    WebSocket,
}

/// A decoder of one stream. It takes bytes as they come, split anywhere.
#[derive(Default)]
pub struct StreamDecoder {
    /// Bytes as received, from the first that is not decoded.
    raw: Vec<u8>,
    /// Bytes of the event stream, from the first that belongs to no complete event.
    text: Vec<u8>,
    head: Option<(u16, Body)>,
    is_ended: bool,
}

impl StreamDecoder {
    /// Returns the status of the response, once its head is complete.
    pub fn status(&self) -> Option<u16> {
        self.head.map(|(status, _)| status)
    }

    /// Returns true after the last chunk, or after a frame that closes a WebSocket.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Decodes more bytes, and returns the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<StreamEvent> {
        self.raw.extend_from_slice(bytes);
        if self.head.is_none() {
            let Some(end) = memchr::memmem::find(&self.raw, b"\r\n\r\n") else {
                return Vec::new();
            };
            let head = String::from_utf8_lossy(&self.raw[..end]).to_ascii_lowercase();
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
            let body = match () {
                () if status == 101 => Body::WebSocket,
                () if head.contains("transfer-encoding: chunked") => Body::Chunked,
                () => Body::Plain,
            };
            self.head = Some((status, body));
            self.raw.drain(..end + 4);
        }
        match self.head {
            Some((_, Body::WebSocket)) => return self.take_frames(),
            Some((_, Body::Chunked)) => self.take_chunks(),
            _ => self.text.append(&mut self.raw),
        }
        self.take_events()
    }

    fn take_chunks(&mut self) {
        while let Some(line) = memchr::memmem::find(&self.raw, b"\r\n") {
            let length = String::from_utf8_lossy(&self.raw[..line]).into_owned();
            let length =
                usize::from_str_radix(length.split(';').next().unwrap_or_default().trim(), 16).unwrap_or_default();
            let Some(chunk) = self.raw.get(line + 2..line + 2 + length) else {
                return;
            };
            if length == 0 {
                self.is_ended = true;
                self.raw.clear();
                return;
            }
            if self.raw.len() < line + 4 + length {
                return; // its line end is still to come
            }
            self.text.extend_from_slice(chunk);
            self.raw.drain(..line + 4 + length);
        }
    }

    fn take_events(&mut self) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        while let Some(end) = memchr::memmem::find(&self.text, b"\n\n") {
            let block = String::from_utf8_lossy(&self.text[..end]).into_owned();
            self.text.drain(..end + 2);
            let mut event = StreamEvent::default();
            for line in block.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(&mut event.name),
                    "id" => event.id = Some(value.to_owned()),
                    "data" => event.data += value,
                    "retry" => event.retry = value.parse().ok(),
                    _ => {}
                }
            }
            if event != StreamEvent::default() {
                events.push(event);
            }
        }
        events
    }

    /// Takes the frames of a WebSocket. A server's are not masked.
    fn take_frames(&mut self) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        while let &[first, second, ..] = &self.raw[..] {
            let extended = match second {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let Some(digits) = self.raw.get(2..2 + extended) else {
                break;
            };
            let long = digits.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let length = if extended == 0 { usize::from(second) } else { long };
            let Some(payload) = self.raw.get(2 + extended..2 + extended + length) else {
                break;
            };
            match first & 0x0f {
                1 => {
                    let data = String::from_utf8_lossy(payload).into_owned();
                    events.push(StreamEvent { data, ..StreamEvent::default() });
                }
                8 => self.is_ended = true,
                _ => {}
            }
            self.raw.drain(..2 + extended + length);
        }
        events
    }
}
